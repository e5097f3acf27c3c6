//! stdio of both eras. The servers are small shell scripts.

use super::*;

const MODERN: Version = Version::V2026_07_28;
const OLDER: Version = Version::V2025_11_25;

/// A loop that reads messages and answers by method. `$line` is the message, `$id` its id.
fn server(cases: &str) -> String {
    format!(
        r#"answer() {{ printf '{{"jsonrpc":"2.0","id":%s,"result":%s}}\n' "$id" "$1"; }}
refuse() {{ printf '{{"jsonrpc":"2.0","id":%s,"error":{{"code":%s,"message":"no"}}}}\n' "$id" "$1"; }}
while read -r line; do
  id=${{line#*'"id":'}}; id=${{id%%[,\}}]*}}
  case $line in
    {cases}
    *'"initialize"'*) answer '{{"protocolVersion":"2025-11-25","capabilities":{{}},"serverInfo":{{"name":"sh","version":"1"}}}}' ;;
    *'"server/discover"'*) refuse -32601 ;;
    *'"tools/call"'*) answer '{{"content":[]}}' ;;
  esac
done"#
    )
}

/// A case for `server`: speaks 2026-07-28, and refuses `initialize`.
const SPEAKS_MODERN: &str = r#"*'"server/discover"'*) answer '{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{}}' ;;
    *'"initialize"'*) refuse -32022 ;;"#;

fn one(script: &str) -> Upstreams {
    upstreams(Limits::default(), &[over_stdio("s", script, false)])
}

#[tokio::test]
async fn an_older_child_is_asked_first_and_then_initialized() {
    let upstreams = one(&server(""));
    let text = answer(&upstreams, call("s", MODERN)).await;
    assert!(text.contains("resultType"), "{text}");
    assert_eq!(spoken(&upstreams, "s").stateless, era::Known::Refuses);
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"content":[]}"#);
}

#[tokio::test]
async fn a_modern_child_serves_clients_of_both_eras() {
    let upstreams = one(&server(SPEAKS_MODERN));
    assert_eq!(answer(&upstreams, call("s", MODERN)).await, r#"{"content":[]}"#);
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"content":[]}"#);
    assert_eq!(spoken(&upstreams, "s").session, era::Known::Refuses);
}

#[tokio::test]
async fn a_child_of_both_eras_is_spoken_to_in_the_clients() {
    let says = r#"*'"server/discover"'*) answer '{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{}}' ;;
    *'"tools/call"'*clientCapabilities*) answer '{"era":"stateless"}' ;;
    *'"tools/call"'*) answer '{"era":"session"}' ;;"#;
    let upstreams = one(&server(says));
    assert_eq!(answer(&upstreams, call("s", MODERN)).await, r#"{"era":"stateless"}"#);
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"era":"session"}"#);
}

#[tokio::test]
async fn an_older_child_that_ends_at_the_probe_is_started_again() {
    let upstreams = one(&server(r#"*'"server/discover"'*) exit 3 ;;"#));
    let text = answer(&upstreams, call("s", MODERN)).await;
    assert!(text.contains("resultType"), "{text}");
}

#[tokio::test]
async fn an_older_child_that_is_silent_at_the_probe_is_initialized() {
    let upstreams = one(&server(r#"*'"server/discover"'*) ;;"#));
    let text = answer(&upstreams, call("s", MODERN)).await;
    assert!(text.contains("resultType"), "{text}");
}

#[tokio::test]
async fn a_child_gets_declared_variables_and_no_shell() {
    let script = server(
        r#"*'"tools/call"'*) answer "{\"env\":\"$(env | cut -d= -f1 | sort | tr '\n' ' ')\",\"own\":\"$OWN\",\"secret\":\"$SECRET\",\"arg\":\"$1\"}" ;;"#,
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "s3cret").unwrap();
    let mut config = ServerConfig::clone(&over_stdio("s", &script, false));
    if let Transport::Stdio(stdio) = &mut config.transport {
        stdio.args.extend(["sh".into(), "$(id); *".into()]);
        stdio.env.insert("OWN".into(), "declared".into());
    }
    let upstreams = upstreams(Limits::default(), &[Arc::new(config)]);
    let mut out = call("s", OLDER);
    let variable = vec![("SECRET".into(), broker::Reference::file(&path))];
    out.credential = broker::attach(&Plan::environment("bot", variable).unwrap(), None, None).unwrap();
    let text = answer(&upstreams, out).await;
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> = value["env"].as_str().unwrap().split_whitespace().collect();
    // PWD, OLDPWD and _ are the shell's own.
    let given: Vec<_> =
        names.into_iter().filter(|name| !["PWD", "OLDPWD", "_", "SHLVL"].contains(name)).collect();
    assert_eq!(given, ["OWN", "PATH", "SECRET"]);
    assert_eq!(
        (&value["own"], &value["secret"], &value["arg"]),
        (&"declared".into(), &"s3cret".into(), &"$(id); *".into())
    );
}

#[tokio::test]
async fn calls_share_a_child_and_get_their_own_answers() {
    // The first call is answered after the second.
    let script = server(
        r#"*'"tools/call"'*first*) held=$id ;;
    *'"tools/call"'*) answer '{"call":"second"}'; id=$held; answer '{"call":"first"}' ;;"#,
    );
    let upstreams = Arc::new(one(&script));
    let mut first = call("s", OLDER);
    first.params = raw(r#"{"name":"first"}"#).members();
    let mut held = upstreams.exchange(first).await.unwrap();
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"call":"second"}"#);
    let Inbound::Final(Outcome::Result(result)) = held.next().await.unwrap() else { panic!() };
    assert_eq!(result.raw().as_json(), r#"{"call":"first"}"#);
}

#[tokio::test]
async fn each_principal_has_a_child_of_its_own_and_a_shared_one_has_none() {
    let script = server(r#"*'"tools/call"'*) answer "{\"pid\":$$}" ;;"#);
    for shared in [false, true] {
        let upstreams = upstreams(Limits::default(), &[over_stdio("s", &script, shared)]);
        let mut pids = std::collections::BTreeSet::new();
        for who in [1, 1, 2] {
            let mut out = call("s", OLDER);
            out.owner.principal = principal(who);
            pids.insert(answer(&upstreams, out).await);
        }
        assert_eq!(pids.len(), if shared { 1 } else { 2 }, "{pids:?}");
    }
}

#[tokio::test]
async fn a_shared_child_is_told_of_no_capabilities_and_its_questions_are_declined() {
    let says = r#"*'"initialize"'*roots*) refuse -1 ;;
    *'"initialize"'*) answer '{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"sh","version":"1"}}' ;;
    *'"tools/call"'*) call=$id; printf '{"jsonrpc":"2.0","id":"q","method":"roots/list"}\n' ;;
    *-32601*) id=$call; answer '{"declined":true}' ;;"#;
    let upstreams = upstreams(Limits::default(), &[over_stdio("s", &server(says), true)]);
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"declined":true}"#);
}

#[tokio::test]
async fn questions_of_a_child_reach_the_call_that_is_under_way() {
    let says = r#"*'"tools/call"'*) call=$id; printf '{"jsonrpc":"2.0","id":"q","method":"roots/list"}\n' ;;
    *'"roots":'*) case $line in *initialize*) answer '{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{}}';; *) id=$call; answer '{"asked":true}';; esac ;;"#;
    let upstreams = one(&server(says));
    let mut exchange = upstreams.exchange(call("s", OLDER)).await.unwrap();
    let Inbound::Request(request) = exchange.next().await.unwrap() else { panic!() };
    let bytes = protocol::reply::result(&request.id, br#"{"roots":[]}"#);
    let bounds = protocol::Bounds { bytes: 1 << 16, depth: 16, items: 100 };
    let Message::Response(response) = protocol::decode(bytes, &bounds).unwrap() else { panic!() };
    exchange.answer(response).await.unwrap();
    let Inbound::Final(Outcome::Result(result)) = exchange.next().await.unwrap() else { panic!() };
    assert_eq!(result.raw().as_json(), r#"{"asked":true}"#);
}

#[tokio::test]
async fn a_crash_fails_the_calls_of_its_child_and_no_others() {
    let upstreams = Arc::new(one(&server(r#"*'"tools/call"'*crash*) exit 7 ;; *'"tools/call"'*hang*) ;;"#)));
    let with = |who: u8, what: &str| {
        let mut out = call("s", OLDER);
        out.owner.principal = principal(who);
        out.params = raw(&format!(r#"{{"name":"{what}"}}"#)).members();
        out
    };
    let mut neighbour = upstreams.exchange(with(1, "hang")).await.unwrap();
    let mut other = upstreams.exchange(with(2, "hang")).await.unwrap();
    let text = answer(&upstreams, with(1, "crash")).await;
    assert!(
        text.starts_with("PTN-4002") && text.contains("exit status: 7") && text.ends_with("(Unknown)"),
        "{text}"
    );
    let failed = neighbour.next().await.err().unwrap();
    assert_eq!(failed.sent, Sent::Unknown);
    assert!(tokio::time::timeout(Duration::from_millis(100), other.next()).await.is_err());
    // It is started again, after a pause.
    assert_eq!(answer(&upstreams, with(1, "echo")).await, r#"{"content":[]}"#);
}

#[tokio::test]
async fn a_child_that_crashes_at_its_start_is_left_alone_for_longer_and_longer() {
    let upstreams = one("echo 'no such module' >&2; exit 1");
    let (start, mut starts) = (stopwatch(), 0);
    while start() < Duration::from_secs(4) {
        let text = answer(&upstreams, call("s", OLDER)).await;
        assert!(text.starts_with("PTN-4001") && text.ends_with("(NotSent)"), "{text}");
        if text.contains("no such module") {
            starts += 1;
        } else {
            assert!(text.contains("left alone"), "{text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert!((2..=8).contains(&starts), "{starts}");
}

#[tokio::test]
async fn a_missing_program_is_unreachable() {
    let mut config = ServerConfig::clone(&over_stdio("s", "", false));
    if let Transport::Stdio(stdio) = &mut config.transport {
        stdio.command = "/no/such/program".into();
    }
    let upstreams = upstreams(Limits::default(), &[Arc::new(config)]);
    let text = answer(&upstreams, call("s", MODERN)).await;
    assert!(text.starts_with("PTN-4001") && text.ends_with("(NotSent)"), "{text}");
}

#[tokio::test]
async fn bad_output_fails_the_call() {
    for (what, case) in [
        ("garbage", r#"*'"tools/call"'*) echo '{garbage' ;;"#),
        ("wrong id", r#"*'"tools/call"'*) id=999999; answer '{}' ;;"#),
        (
            "duplicate keys",
            r#"*'"tools/call"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{},"result":{}}\n' "$id" ;;"#,
        ),
        ("closed output", r#"*'"tools/call"'*) exec >&-; sleep 100 ;;"#),
        ("endless garbage", r#"*'"tools/call"'*) while :; do echo log; done ;;"#),
        (
            "endless line",
            r#"*'"tools/call"'*) while :; do printf xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done ;;"#,
        ),
        (
            "100 MB",
            r#"*'"tools/call"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"x":"' "$id"; head -c 100000000 /dev/zero | tr '\0' x; echo '"}}' ;;"#,
        ),
    ] {
        let limits = Limits { answer_bytes: 1 << 18, ..Limits::default() };
        let upstreams = upstreams(limits, &[over_stdio("s", &server(case), false)]);
        let text = answer(&upstreams, call("s", OLDER)).await;
        assert!(text.starts_with("PTN-4002") && text.ends_with("(Unknown)"), "{what}: {text}");
    }
}

#[tokio::test]
async fn a_log_line_on_the_wrong_stream_is_no_fault() {
    let upstreams = one(&server(r#"*'"tools/call"'*) echo 'loading…'; echo; answer '{"fine":1}' ;;"#));
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"fine":1}"#);
}

#[tokio::test]
async fn a_hanging_child_holds_a_call_until_its_deadline_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let cases = format!(r#"*'"tools/call"'*hang*) ;; *cancelled*) echo "$line" > {} ;;"#, told.display());
    let upstreams = one(&server(&cases));
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"content":[]}"#);
    let mut out = call("s", OLDER);
    out.params = raw(r#"{"name":"hang"}"#).members();
    out.deadline = Duration::from_millis(500);
    let text = answer(&upstreams, out).await;
    assert!(text.starts_with("PTN-4003") && text.ends_with("(Unknown)"), "{text}");
    for _ in 0..100 {
        if std::fs::read_to_string(&told).is_ok_and(|line| line.contains("requestId")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the child was not told");
}

/// Waits until the process of that id is gone.
async fn gone(pid: i32) -> bool {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    for _ in 0..400 {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat", pid = pid.as_raw_nonzero()));
        let zombie = state.is_ok_and(|state| state.contains(") Z "));
        if zombie || rustix::process::test_kill_process(pid).is_err() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// The process id that a script wrote.
async fn pid(path: &std::path::Path) -> i32 {
    for _ in 0..400 {
        let pid = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        if let Some(pid) = pid {
            return pid;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no process id in {}", path.display());
}

#[tokio::test]
async fn the_whole_group_ends_with_its_child() {
    for ends in ["close", "drop", "crash", "idle"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!(
            "trap '' TERM HUP; sleep 1000 & echo $! > {}; {}",
            file.display(),
            server(r#"*'"tools/call"'*crash*) exit 1 ;;"#)
        );
        let idle = if ends == "idle" { Duration::from_millis(100) } else { Duration::from_secs(600) };
        let limits = Limits { idle_timeout: idle, ..Limits::default() };
        let upstreams = upstreams(limits, &[over_stdio("s", &script, false)]);
        assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"content":[]}"#);
        let grandchild = pid(&file).await;
        match ends {
            "close" => upstreams.close(Duration::from_secs(10)).await,
            "drop" => drop(upstreams),
            "crash" => {
                let mut out = call("s", OLDER);
                out.params = raw(r#"{"name":"crash"}"#).members();
                answer(&upstreams, out).await;
            }
            _ => {}
        }
        assert!(gone(grandchild).await, "{ends}");
    }
}

#[tokio::test]
async fn children_are_bounded() {
    let limits = Limits { children_per_server: 1, ..Limits::default() };
    let upstreams = upstreams(limits, &[over_stdio("s", &server(r#"*'"tools/call"'*) ;;"#), false)]);
    let _busy = upstreams.exchange(call("s", OLDER)).await.unwrap();
    let mut out = call("s", OLDER);
    out.owner.principal = principal(2);
    let text = answer(&upstreams, out).await;
    assert!(text.starts_with("PTN-1011") && text.ends_with("(NotSent)"), "{text}");
}

#[tokio::test]
async fn unsolicited_messages_of_a_child_reach_the_inbox() {
    let says = r#"*'"tools/call"'*) answer '{}'; printf '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n' ;;"#;
    let upstreams = one(&server(says));
    let (inbox, mut mail) = mpsc::channel(4);
    let mut out = call("s", OLDER);
    out.inbox = Some(inbox);
    assert_eq!(answer(&upstreams, out).await, "{}");
    assert!(matches!(mail.recv().await.unwrap().message, Message::Notification(_)));
}

#[tokio::test]
async fn a_reload_keeps_what_did_not_change() {
    let script = server(r#"*'"tools/call"'*) answer "{\"pid\":$$}" ;;"#);
    let same = over_stdio("s", &script, false);
    let upstreams = upstreams(Limits::default(), &[Arc::clone(&same)]);
    let table = |config: &Arc<ServerConfig>| [(name("s"), Arc::clone(config))].into();
    let first = answer(&upstreams, call("s", OLDER)).await;
    upstreams.reload(&table(&Arc::new(ServerConfig::clone(&same))));
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, first);
    let other = over_stdio("s", &format!("true; {script}"), false);
    upstreams.reload(&table(&other));
    assert_ne!(answer(&upstreams, call("s", OLDER)).await, first);
}

#[tokio::test]
async fn calls_of_a_newer_client_that_may_be_asked_have_a_child_each() {
    // Asks first, and answers the call with what it is answered.
    let asks = r#"*'"tools/call"'*) call=$id; printf '{"jsonrpc":"2.0","id":"q","method":"roots/list"}\n' ;;
    *'"id":"q"'*) id=$call; answer '{"content":[]}' ;;"#;
    let upstreams = one(&server(asks));
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut exchange = upstreams.exchange(call("s", MODERN)).await.unwrap();
        let Ok(Inbound::Request(question)) = exchange.next().await else { panic!("no question") };
        open.push((exchange, question));
    }
    for (mut exchange, question) in open {
        let bytes = protocol::reply::result(&question.id, br#"{"roots":[]}"#);
        let result = raw(r#"{"roots":[]}"#).members().unwrap();
        let response = Response { id: Some(question.id), outcome: Outcome::Result(result), bytes };
        exchange.answer(response).await.unwrap();
        assert!(matches!(exchange.next().await, Ok(Inbound::Final(Outcome::Result(_)))));
    }
}
