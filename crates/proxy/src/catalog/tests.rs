//! Discovery of servers that behave well, badly, and not at all.

use super::*;
use crate::upstream::tests::fake::{Fake, Say, Seen, Then, data, json, status};
use crate::upstream::tests::{name, over_http, over_stdio, settings, stopwatch};
use model::SeededDice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Remembers what it is told.
#[derive(Default)]
struct Watched {
    events: Mutex<Vec<CatalogEvent>>,
    listed: Mutex<Vec<(ServerName, usize)>>,
    forbidden: Option<ServerName>,
}

impl CatalogWatch for Watched {
    fn permit(&self, server: &ServerName, _plan: &broker::Plan) -> Result<(), Arc<str>> {
        if self.forbidden.as_ref() == Some(server) { Err("no policy permits it".into()) } else { Ok(()) }
    }
    fn listed(&self, view: &ServerView) {
        self.listed.lock().unwrap().push((view.name.clone(), view.shapes().len()));
    }
    fn removed(&self, server: &ServerName) {
        self.listed.lock().unwrap().push((server.clone(), 0));
    }
    fn event(&self, event: CatalogEvent) {
        self.events.lock().unwrap().push(event);
    }
}

impl Watched {
    fn any(&self, fits: impl Fn(&CatalogEvent) -> bool) -> bool {
        self.events.lock().unwrap().iter().any(fits)
    }
}

fn start(limits: Limits, refresh: Duration, servers: &[Arc<ServerConfig>], watch: &Arc<Watched>) -> Catalog {
    let table = servers.iter().map(|config| (config.name.clone(), Arc::clone(config))).collect();
    let upstreams = Arc::new(Upstreams::new(settings(limits.clone()), &table));
    let settings = CatalogSettings {
        minter: None,
        limits,
        dice: Arc::new(SeededDice::new(1)),
        refresh,
        watch: Arc::clone(watch) as Arc<dyn CatalogWatch>,
    };
    Catalog::start(upstreams, &table, settings)
}

async fn catalog(servers: &[Arc<ServerConfig>]) -> (Catalog, Arc<Watched>) {
    let watch = Arc::new(Watched::default());
    let catalog = start(Limits::default(), HOUR, servers, &watch);
    catalog.ready(Duration::from_secs(10)).await;
    (catalog, watch)
}

/// A server of 2026-07-28 with these tools.
fn lists(seen: &Seen, tools: &str) -> Say {
    match seen.method() {
        "server/discover" => json(seen.result(
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"instructions":"read me","capabilities":{"tools":{"listChanged":true},"x":{},"extensions":{"e/e":{}}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"n"}}}"#,
        )),
        "tools/list" => json(seen.result(&format!(r#"{{"resultType":"complete","tools":[{tools}]}}"#))),
        "subscriptions/listen" => Say::Events(Vec::new(), Then::Silence),
        _ => status(404, &seen.error(-32601, "null")),
    }
}

async fn until(what: &str, fits: impl Fn() -> bool) {
    for _ in 0..1000 {
        if fits() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_server_is_described_with_its_items_in_order() {
    let fake = Fake::start(|seen| {
        lists(seen, r#"{"name":"b","inputSchema":{"type":"object"},"z":[1.0]},{"name":"a","inputSchema":{"type":"object","properties":{"r":{"type":"string","x-mcp-header":"R"}}}}"#)
    })
    .await;
    let (catalog, watch) = catalog(&[over_http("s", fake.url())]).await;
    let snapshot = catalog.snapshot();
    let view = &snapshot.servers[&name("s")];
    assert_eq!((&view.state, view.tools.len()), (&State::Ready, 2));
    assert_eq!((&*view.tools[0].name, &*view.tools[0].public_name), ("a", "s__a"));
    assert_eq!(view.tools[0].tool_headers.len(), 1);
    assert_eq!(
        view.tools[1].definition.as_json(),
        r#"{"name":"b","inputSchema":{"type":"object"},"z":[1.0]}"#
    );
    assert!(Arc::ptr_eq(snapshot.shared_tool("s__b").unwrap(), view.tool("b").unwrap()));
    assert!(snapshot.shared_tool("t__b").is_none() && view.tool("c").is_none());
    assert_eq!(view.capabilities.as_json(), r#"{"tools":{"listChanged":true}}"#);
    assert_eq!(view.instructions.as_ref().unwrap().to_str().unwrap(), "read me");
    assert_eq!(view.info.as_ref().unwrap().as_json(), r#"{"name":"n"}"#);
    assert_eq!(watch.listed.lock().unwrap().as_slice(), [(name("s"), 3)]);
    assert!(
        watch.any(|event| matches!(
            event,
            CatalogEvent::Found { items: [2, 0, 0], version: "2026-07-28", .. }
        ))
    );
    assert!(
        watch.any(|event| matches!(event, CatalogEvent::Stripped { path, .. } if path == "extensions.e/e"))
    );
    let asked = fake.wait(|seen| seen.method() == "tools/list").await;
    let meta = &asked.body["params"]["_meta"];
    // What is listed only to clients that can be asked is to be found too.
    let declared = meta["io.modelcontextprotocol/clientCapabilities"].as_object().unwrap();
    assert_eq!(declared.keys().collect::<Vec<_>>(), ["elicitation", "sampling", "roots"]);
}

#[tokio::test]
async fn what_cannot_be_used_is_dropped_with_its_reason() {
    let fake = Fake::start(|seen| {
        lists(
            seen,
            r#"{"name":"good"},{"name":"good","again":1},7,{"title":"nameless"},{"name":""},{"name":"bad","inputSchema":{"type":"object","properties":{"o":{"type":"object","x-mcp-header":"O"}}}},{"name":"huge","n":1e999}"#,
        )
    })
    .await;
    let (catalog, watch) = catalog(&[over_http("s", fake.url())]).await;
    let snapshot = catalog.snapshot();
    let view = &snapshot.servers[&name("s")];
    assert_eq!(view.tools.iter().map(|item| &*item.name).collect::<Vec<_>>(), ["good"]);
    let dropped: Vec<_> = view.dropped.iter().map(|(_, name, _)| &**name).collect();
    assert_eq!(dropped, ["#2", "#3", "", "bad", "huge", "good"]);
    assert!(watch.any(|event| matches!(event,
        CatalogEvent::Dropped { name, reason, .. } if &**name == "bad" && reason.contains("x-mcp-header"))));
}

#[tokio::test]
async fn pages_are_followed_within_bounds() {
    let fake = Fake::start(|seen| match (seen.method(), seen.body["params"]["cursor"].as_str()) {
        ("tools/list", None) => json(seen.result(r#"{"tools":[{"name":"a"}],"nextCursor":"2"}"#)),
        ("tools/list", Some("2")) => json(seen.result(r#"{"tools":[{"name":"b"}],"nextCursor":"3"}"#)),
        // A cursor that comes again would never end.
        ("tools/list", Some(_)) => json(seen.result(r#"{"tools":[{"name":"c"}],"nextCursor":"2"}"#)),
        _ => lists(seen, ""),
    })
    .await;
    let (catalog, _) = catalog(&[over_http("s", fake.url())]).await;
    let view = Arc::clone(&catalog.snapshot().servers[&name("s")]);
    assert_eq!(view.tools.len(), 3);
    assert!(view.dropped[0].2.contains("more than"), "{:?}", view.dropped);
    assert_eq!(fake.count("tools/list"), 3);
}

#[tokio::test]
async fn an_older_server_and_a_child_are_discovered_too() {
    let fake = Fake::start(|seen| match (seen.verb.as_str(), seen.method()) {
        ("GET", _) => status(405, ""),
        (_, "initialize") => json(seen.result(
            r#"{"protocolVersion":"2025-03-26","capabilities":{"prompts":{}},"serverInfo":{"name":"o"}}"#,
        )),
        (_, "notifications/initialized") => Say::Whole(202, "", Vec::new(), String::new()),
        (_, "prompts/list") => {
            json(seen.result(r#"{"prompts":[{"name":"p","arguments":[{"name":"x","required":true}]}]}"#))
        }
        _ => status(400, ""),
    })
    .await;
    let script = r#"while read -r line; do id=${line#*'"id":'}; id=${id%%[,\}]*}
        case $line in
        *initialize\"*) r='{"protocolVersion":"2025-11-25","capabilities":{"resources":{}},"serverInfo":{}}' ;;
        *resources/list*) r='{"resources":[{"uri":"a:b","name":"n"}]}' ;;
        *templates/list*) r='{"resourceTemplates":[{"uriTemplate":"a:{x}","name":"n"}]}' ;;
        *discover*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"?"}}\n' "$id"; continue ;;
        *) continue ;;
        esac; printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$r"; done"#;
    let servers = [over_http("web", fake.url()), over_stdio("child", script, false)];
    let (catalog, _) = catalog(&servers).await;
    let snapshot = catalog.snapshot();
    let (web, child) = (&snapshot.servers[&name("web")], &snapshot.servers[&name("child")]);
    assert_eq!((&web.state, &child.state), (&State::Ready, &State::Ready));
    assert_eq!(&*snapshot.shared_prompt("web__p").unwrap().name, "p");
    assert_eq!((&*child.resources[0].name, &*child.templates[0].name), ("a:b", "a:{x}"));
    assert!(child.offers_resources() && !web.offers_resources());
}

#[tokio::test]
async fn bad_servers_neither_delay_nor_hide_the_others() {
    let good = Fake::start(|seen| lists(seen, r#"{"name":"a"}"#)).await;
    let hangs = Fake::start(|_| Say::Hang).await;
    let garbage =
        Fake::start(
            |seen| if seen.method() == "tools/list" { json("garbage".into()) } else { lists(seen, "") },
        )
        .await;
    let endless = Fake::start(|_| Say::Endless(data("{}"))).await;
    let servers = [
        over_http("good", good.url()),
        over_http("hangs", hangs.url()),
        over_http("garbage", garbage.url()),
        over_http("endless", endless.url()),
        over_http("nowhere", "http://127.0.0.1:1/mcp".parse().unwrap()),
        over_http("public", "http://192.0.2.1/mcp".parse().unwrap()),
        over_stdio("crash", "exit 9", false),
        over_stdio("forbidden", "exit 9", false),
    ];
    let watch = Arc::new(Watched { forbidden: Some(name("forbidden")), ..Watched::default() });
    let limits = Limits { discovery_timeout: Duration::from_millis(3000), ..Limits::default() };
    let catalog = start(limits, HOUR, &servers, &watch);
    let state = |server: &str| catalog.snapshot().servers[&name(server)].state.clone();
    until("good is ready", || state("good") == State::Ready).await;
    assert!(matches!(state("hangs"), State::Missing { reason, .. } if reason.contains("not been asked")));
    catalog.ready(Duration::from_secs(20)).await;
    let snapshot = catalog.snapshot();
    for (server, code, words) in [
        ("hangs", Code::UPSTREAM_TIMEOUT, "3000 ms"),
        ("garbage", Code::UPSTREAM_FAILED, "not MCP"),
        ("nowhere", Code::UPSTREAM_UNREACHABLE, "cannot be reached"),
        ("public", Code::UPSTREAM_UNREACHABLE, "URL"),
        ("crash", Code::UPSTREAM_UNREACHABLE, "exit status: 9"),
        ("forbidden", Code::DENIED, "no policy"),
    ] {
        match &snapshot.servers[&name(server)].state {
            State::Missing { code: shown, reason } => {
                assert!(*shown == code && reason.contains(words), "{server}: {shown} {reason}");
            }
            State::Ready => panic!("{server} is not there"),
        }
        assert!(watch.any(|event| matches!(event, CatalogEvent::Missing { server: missing, .. } if *missing == name(server))), "{server}");
    }
    // Once tried, nobody waits for them again.
    let begin = stopwatch();
    catalog.ready(Duration::from_secs(20)).await;
    assert!(begin() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_changed_tool_is_noticed_and_told() {
    let (second, told) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (flag, count) = (Arc::clone(&second), Arc::clone(&told));
    let fake = Fake::start(move |seen| match seen.method() {
        "subscriptions/listen" if count.fetch_add(1, Ordering::SeqCst) == 0 => {
            flag.store(true, Ordering::SeqCst);
            let change = data(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{}}"#);
            Say::Events(vec![change], Then::Silence)
        }
        _ if flag.load(Ordering::SeqCst) => {
            lists(seen, r#"{"name":"same"},{"name":"other","description":"evil"},{"name":"new"}"#)
        }
        _ => lists(seen, r#"{"name":"same"},{"name":"other"},{"name":"old"}"#),
    })
    .await;
    let watch = Arc::new(Watched::default());
    let catalog = start(Limits::default(), HOUR, &[over_http("s", fake.url())], &watch);
    let mut changes = catalog.changes();
    catalog.ready(Duration::from_secs(10)).await;
    let before = Arc::clone(&catalog.snapshot().servers[&name("s")]);
    while changes.recv().await.unwrap().kind != Kind::Resources {}
    assert_eq!(changes.recv().await.unwrap(), Change { server: name("s"), kind: Kind::Tools });
    let after = Arc::clone(&catalog.snapshot().servers[&name("s")]);
    assert!(Arc::ptr_eq(before.tool("same").unwrap(), after.tool("same").unwrap()));
    assert_ne!(before.tool("other").unwrap().digest, after.tool("other").unwrap().digest);
    let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<Arc<str>>>();
    let expected = CatalogEvent::Changed {
        server: name("s"),
        kind: Kind::Tools,
        added: names(&["new"]),
        changed: names(&["other"]),
        removed: names(&["old"]),
    };
    assert!(watch.any(|event| *event == expected));
}

#[tokio::test]
async fn a_server_that_goes_away_keeps_its_items_and_is_said_to_be_missing() {
    let gone = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&gone);
    let fake = Fake::start(move |seen| {
        if flag.load(Ordering::SeqCst) { status(503, "") } else { lists(seen, r#"{"name":"a"}"#) }
    })
    .await;
    let watch = Arc::new(Watched::default());
    let catalog = start(Limits::default(), Duration::from_millis(20), &[over_http("s", fake.url())], &watch);
    catalog.ready(Duration::from_secs(10)).await;
    gone.store(true, Ordering::SeqCst);
    let view = || Arc::clone(&catalog.snapshot().servers[&name("s")]);
    until("missing", || view().state != State::Ready).await;
    assert_eq!(view().tools.len(), 1);
    gone.store(false, Ordering::SeqCst);
    until("there again", || view().state == State::Ready).await;
}

#[tokio::test]
async fn a_reload_adds_and_removes_servers() {
    let (a, b) = (
        Fake::start(|seen| lists(seen, r#"{"name":"a"}"#)).await,
        Fake::start(|seen| lists(seen, r#"{"name":"b"}"#)).await,
    );
    let (one, two) = (over_http("one", a.url()), over_http("two", b.url()));
    let (catalog, watch) = catalog(&[Arc::clone(&one)]).await;
    let table: BTreeMap<_, _> = [(two.name.clone(), Arc::clone(&two))].into();
    catalog.shared.upstreams.reload(&table);
    catalog.reload(&table);
    catalog.ready(Duration::from_secs(10)).await;
    let snapshot = catalog.snapshot();
    assert_eq!(snapshot.servers.keys().collect::<Vec<_>>(), [&name("two")]);
    assert!(snapshot.shared_tool("two__b").is_some());
    assert_eq!(
        watch.listed.lock().unwrap().as_slice(),
        [(name("one"), 2), (name("one"), 0), (name("two"), 2)]
    );
}

#[tokio::test]
async fn two_hundred_servers_with_five_thousand_tools_are_discovered_in_parallel() {
    let tools: Vec<String> = (0..25)
        .map(|n| format!(r#"{{"name":"tool_{n}","description":"{}","inputSchema":{{"type":"object","properties":{{"a":{{"type":"string"}}}}}}}}"#, "words ".repeat(20)))
        .collect();
    let tools = tools.join(",");
    let fake = Fake::start(move |seen| lists(seen, &tools)).await;
    let servers: Vec<_> = (0..200).map(|n| over_http(&format!("s{n}"), fake.url())).collect();
    let watch = Arc::new(Watched::default());
    let limits = Limits { discovery_timeout: Duration::from_secs(60), ..Limits::default() };
    let catalog = start(limits, HOUR, &servers, &watch);
    catalog.ready(Duration::from_secs(60)).await;
    let snapshot = catalog.snapshot();
    assert_eq!(snapshot.servers.values().map(|view| view.tools.len()).sum::<usize>(), 5000);
}

#[tokio::test]
async fn what_a_server_asks_in_the_middle_of_discovery_is_declined() {
    let fake = Fake::start(|seen: &Seen| match seen.method() {
        "initialize" => json(seen.result(
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}"#,
        )),
        "tools/list" => {
            let asked = data(r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#);
            let tools = r#"{"tools":[{"name":"a","inputSchema":{"type":"object"}}]}"#;
            Say::Events(vec![asked, data(&seen.result(tools))], Then::End)
        }
        "notifications/initialized" | "" if seen.verb == "POST" => status(202, ""),
        _ if seen.verb == "GET" => status(405, ""),
        _ => status(400, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no session"}}"#),
    })
    .await;
    let (catalog, _) = catalog(&[over_http("s", fake.url())]).await;
    assert_eq!(catalog.snapshot().servers.len(), 1);
    let declined = fake.wait(|seen| seen.body["id"] == "q").await;
    assert!(declined.body["error"].is_object() && declined.body.get("result").is_none(), "{declined:?}");
}

#[tokio::test]
async fn a_catalog_that_is_stopped_holds_no_child() {
    // A newer server on its pipes, whose subscription stays open until it is let go of.
    let script = r#"while read -r line; do
      id=${line#*'"id":'}; id=${id%%[,\}]*}
      case $line in
        *'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}}}}\n' "$id" ;;
        *'"tools/list"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","tools":[]}}\n' "$id" ;;
        *'"subscriptions/listen"'*) printf '{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}\n' "$id"; echo listening >&2 ;;
      esac
    done"#;
    let (catalog, _) = catalog(&[over_stdio("s", script, false)]).await;
    until("it is listed", || catalog.snapshot().servers[&name("s")].state == State::Ready).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    catalog.stop();
    let upstreams = Arc::clone(&catalog.shared.upstreams);
    tokio::time::timeout(Duration::from_secs(20), upstreams.close(HOUR)).await.expect("a child is held");
    assert!(catalog.snapshot().servers.contains_key(&name("s")));
}
