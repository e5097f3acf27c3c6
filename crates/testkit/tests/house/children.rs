//! Servers that are child processes: one for each principal, told what was declared for them, ended whole.

use super::bed::{code, served};
use serde_json::{Value, json};
use std::path::Path;
use testkit::{FakeIdp, Setup, TestGateway, clock, eventually};

const CHILD: &str = "/servers/child/mcp";
const DISCOVERED: &str =
    r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#;
const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}"#;
const TOOLS: &str = r#"{"resultType":"complete","tools":[{"name":"look","inputSchema":{"type":"object"}}]}"#;

/// A shell script that is a server of one era. Its one tool says what `echo` would say of `look`.
pub(crate) fn script(modern: bool, look: &str) -> String {
    let (discover, initialize) = if modern {
        (format!("answer '{DISCOVERED}'"), "refuse -32022".to_owned())
    } else {
        ("refuse -32601".to_owned(), format!("told=$line; answer '{INITIALIZED}'"))
    };
    format!(
        r#"answer() {{ printf '{{"jsonrpc":"2.0","id":%s,"result":%s}}\n' "$id" "$1"; }}
refuse() {{ printf '{{"jsonrpc":"2.0","id":%s,"error":{{"code":%s,"message":"no"}}}}\n' "$id" "$1"; }}
while read -r line; do
  id=${{line#*'"id":'}}; id=${{id%%[,\}}]*}}
  case $line in
    *'"server/discover"'*) {discover} ;;
    *'"initialize"'*) {initialize} ;;
    *'"tools/list"'*) answer '{TOOLS}' ;;
    *'"tools/call"'*) answer "{{\"resultType\":\"complete\",\"content\":[{{\"type\":\"text\",\"text\":\"$(echo {look})\"}}]}}" ;;
  esac
done"#
    )
}

/// A gateway in front of the script, with more about it in the configuration.
async fn gateway(idp: &FakeIdp, script: &str, more: &Value) -> TestGateway {
    let mut stdio = json!({"command": "/bin/sh", "args": ["-c", script]});
    stdio.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Setup::trusting(idp).set(&["servers", "child"], json!({"stdio": stdio})).start().await
}

async fn look(gateway: &TestGateway, idp: &FakeIdp, user: &str) -> String {
    let caller = gateway.caller(idp, user, CHILD);
    assert_eq!(caller.tools().await, ["look"]);
    let reply = caller.call("look", json!({})).await;
    served(&reply, "");
    reply.content()
}

#[tokio::test]
async fn principals_share_no_child() {
    let idp = FakeIdp::start(clock()).await;
    for modern in [true, false] {
        let gateway = gateway(&idp, &script(modern, "$$"), &json!({})).await;
        let (alice, bob) = (look(&gateway, &idp, "alice").await, look(&gateway, &idp, "bob").await);
        assert_ne!(alice, bob, "modern: {modern}");
        assert_eq!(alice, look(&gateway, &idp, "alice").await, "modern: {modern}");
    }
}

#[tokio::test]
async fn a_shared_child_hears_of_no_client() {
    let idp = FakeIdp::start(clock()).await;
    // A newer child hears of a client with every call, an older one as it is initialized.
    for (modern, heard) in [(true, "$line"), (false, "$told")] {
        let script = script(modern, &format!(r#"$$ "{heard}" | tr -d '"{{}}'"#));
        let gateway = gateway(&idp, &script, &json!({"shared": true})).await;
        let mut children = Vec::new();
        for user in ["alice", "bob"] {
            let caller = gateway.caller(&idp, user, CHILD).capable_of(json!({"elicitation": {}}));
            let caller = if modern { caller } else { caller.open().await };
            assert_eq!(caller.tools().await, ["look"]);
            let said = caller.call("look", json!({})).await.content();
            assert!(said.contains("apabilities") && !said.contains("elicitation"), "{said}");
            children.push(said.split(' ').next().unwrap().to_owned());
        }
        assert_eq!(children[0], children[1]);
    }
}

#[tokio::test]
async fn a_child_knows_declared_variables_and_no_others() {
    let idp = FakeIdp::start(clock()).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s3cret\n").unwrap();
    let env = json!({"env": {"OWN": {"value": "declared"}, "SECRET": {"from_file": secret}}});
    let names = "$(env | cut -d= -f1 | sort) own:$OWN secret:$SECRET";
    let gateway = gateway(&idp, &script(true, names), &env).await;
    let said = look(&gateway, &idp, "alice").await;
    let (names, values) = said.split_at(said.find("own:").unwrap());
    assert_eq!(values.trim(), "own:declared secret:s3cret");
    // The last four are the shell's own.
    let known = ["OWN", "SECRET", "PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "_"];
    let others = std::env::vars().filter(|(name, _)| !known.contains(&name.as_str()));
    assert!(others.count() > 0, "there is nothing to hide");
    let given: Vec<&str> = names.split_whitespace().collect();
    assert!(given.contains(&"OWN") && given.contains(&"SECRET"), "{given:?}");
    assert!(given.iter().all(|name| known.contains(name)), "{given:?}");
}

#[tokio::test]
async fn a_child_whose_secret_is_missing_is_not_started() {
    let idp = FakeIdp::start(clock()).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    let env = json!({"env": {"SECRET": {"from_file": secret}}});
    let gateway = gateway(&idp, &script(true, "secret:$SECRET"), &env).await;
    assert_eq!(look(&gateway, &idp, "alice").await, "secret:s3cret");
    std::fs::remove_file(&secret).unwrap();
    let reply = gateway.caller(&idp, "bob", CHILD).call("look", json!({})).await;
    assert_eq!(code(&reply), "PTN-4004", "{}", reply.text());
}

/// Whether a process is no more, or only its name is left.
fn is_gone(pid: &str) -> bool {
    std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"))
        .map_or(true, |state| state.contains(") Z "))
}

#[tokio::test]
async fn what_a_child_started_ends_with_the_gateway() {
    let idp = FakeIdp::start(clock()).await;
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    // Deaf to everything but the one signal that cannot be ignored.
    let stubborn = format!("trap '' TERM HUP; sleep 300 & echo $! >> '{}'\n", pids.display());
    let mut gateway = gateway(&idp, &(stubborn + &script(true, "here")), &json!({})).await;
    assert_eq!(look(&gateway, &idp, "alice").await, "here");
    let text = std::fs::read_to_string(&pids).unwrap();
    let started: Vec<&str> = text.lines().collect();
    assert!(!started.is_empty() && !started.iter().any(|pid| is_gone(pid)), "{started:?}");
    gateway.shutdown().await;
    eventually("the end of all of them", || {
        std::future::ready(started.iter().all(|pid| is_gone(pid)).then_some(()))
    })
    .await;
}
