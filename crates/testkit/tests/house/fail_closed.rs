//! Each thing the gateway depends on, broken in turn: what cannot be decided, recorded or reached is refused.

use super::bed::{UP, bed, bed_with, code, served};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use testkit::{Act, FakeIdp, FakeUpstream, Setup, clock};

#[tokio::test]
async fn without_the_issuers_keys_nobody_is_let_in() {
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::start().await;
    idp.down(true);
    let gateway = Setup::trusting(&idp).server("up", &up).start().await;
    let reply = gateway.caller(&idp, "alice", UP).call("echo", json!({})).await;
    assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-2003"), "{}", reply.text());
    assert!(up.calls().is_empty());
    // It heals as soon as the issuer does, within the rate at which keys are asked for.
    idp.down(false);
    let healed = testkit::eventually("keys", || async {
        let reply = gateway.caller(&idp, "alice", UP).call("echo", json!({"text": "in"})).await;
        reply.is_success().then_some(reply)
    });
    served(&healed.await, "in");
}

#[tokio::test]
async fn a_policy_that_errs_denies() {
    // `amount` is optional: reading it without `has` is refused by validation, so overflow is what is left.
    let text = r#"@id("errs") forbid (principal, action == Action::"up/write", resource)
        when { context.args has amount && context.args.amount * 1000000 > 5 };"#;
    let bed = bed_with(|setup| setup.policy("errs", text)).await;
    let caller = bed.caller("alice");
    served(&caller.call("write", json!({"amount": 0})).await, "0");
    // The largest number that is exact everywhere: beyond it the request is refused before policy sees it.
    let reply = caller.call("write", json!({"amount": 9_007_199_254_740_991_i64})).await;
    assert_eq!(code(&reply), "PTN-3001", "{}", reply.text());
    assert!(bed.denial()["reason"].as_str().unwrap().contains("erred"), "{}", bed.denial());
    assert_eq!(bed.up.calls().len(), 1);
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn policies_that_do_not_parse_keep_a_gateway_from_starting() {
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::start().await;
    let refused =
        Setup::trusting(&idp).server("up", &up).policy("bad", "permit (").try_start().await.err().unwrap();
    assert!(refused.to_string().contains("bad.cedar"), "{refused}");
}

#[tokio::test]
async fn a_folder_of_policies_that_vanishes_leaves_the_last_good_ones() {
    let bed = bed().await;
    bed.gateway.remove_policies();
    assert!(bed.gateway.reload().await.is_err());
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_missing_credential_sends_nothing() {
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("key");
    std::fs::write(&secret, "sesame\n").unwrap();
    let server = json!({
        "http": {"url": up.url(), "allow_loopback": true, "headers": {"X-Api-Key": {"from_file": secret}}},
        "impact": {"tools": {"echo": "read"}},
    });
    let gateway = Setup::trusting(&idp).set(&["servers", "up"], server).start().await;
    let caller = gateway.caller(&idp, "alice", UP);
    served(&caller.call("echo", json!({"text": "with key"})).await, "with key");
    let seen =
        up.seen().into_iter().rfind(|seen| String::from_utf8_lossy(&seen.body).contains("with key")).unwrap();
    assert_eq!(seen.headers["x-api-key"], "sesame");
    std::fs::remove_file(&secret).unwrap();
    let before = up.calls().len();
    let reply = caller.call("echo", json!({"text": "without"})).await;
    assert!(!reply.is_success(), "{}", reply.text());
    assert_eq!(up.calls().len(), before);
    assert!(
        !reply.text().contains("sesame") && !reply.text().contains(secret.to_str().unwrap()),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn the_record_of_another_process_is_not_written() {
    let data = tempfile::tempdir().unwrap();
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::start().await;
    let setup = || Setup::trusting(&idp).server("up", &up).data_dir(data.path());
    let _first = setup().start().await;
    assert!(setup().try_start().await.is_err(), "two gateways wrote one record");
}

#[tokio::test]
async fn nobody_else_may_read_what_is_kept() {
    fn others(path: &Path, found: &mut Vec<PathBuf>) {
        if std::fs::metadata(path).unwrap().permissions().mode() & 0o077 != 0 {
            found.push(path.to_owned());
        }
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                others(&entry.unwrap().path(), found);
            }
        }
    }
    let bed = bed().await;
    let caller = bed.caller("alice").open().await;
    served(&caller.call("write", json!({"text": "a"})).await, "a");
    caller.send(caller.leaving()).await;
    testkit::eventually("the catalog's snapshot", || {
        std::future::ready(bed.gateway.data_dir().join("catalog.json").exists().then_some(()))
    })
    .await;
    let mut found = Vec::new();
    for kept in ["record", "keys", "sessions.ended", "catalog.json"] {
        others(&bed.gateway.data_dir().join(kept), &mut found);
    }
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn a_sealing_key_that_others_may_read_keeps_a_gateway_from_starting() {
    let data = tempfile::tempdir().unwrap();
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    let setup = || Setup::trusting(&idp).server("up", &up).data_dir(data.path());
    setup().start().await.shutdown().await;
    let key = data.path().join("keys/sealing-1.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(setup().try_start().await.is_err(), "a key that others may read was used");
}

#[tokio::test]
async fn an_address_that_is_not_allowed_keeps_a_gateway_from_starting() {
    let idp = FakeIdp::start(clock()).await;
    for (http, allowed) in [
        (json!({"url": "http://127.0.0.1:9/mcp", "allow_private": true}), false),
        (json!({"url": "http://10.0.0.1:9/mcp", "allow_loopback": true}), false),
        (json!({"url": "http://[fd00::1]:9/mcp", "allow_loopback": true}), false),
        (json!({"url": "http://169.254.169.254/mcp", "allow_private": true, "allow_loopback": true}), false),
        (json!({"url": "http://127.0.0.1:9/mcp", "allow_loopback": true}), true),
    ] {
        let setup = Setup::trusting(&idp).set(&["servers", "up"], json!({"http": http}));
        assert_eq!(setup.try_start().await.is_ok(), allowed, "{http}");
    }
}

#[tokio::test]
async fn a_private_address_is_not_reached_unless_allowed() {
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::start().await;
    // Passes for a name until it is resolved, and then is loopback; where the entry allows that it is reached.
    let url = up.url().replace("127.0.0.1", "0x7f000001");
    let gateway = Setup::trusting(&idp).set(&["servers", "up"], json!({"http": {"url": url}})).start().await;
    let caller = gateway.caller(&idp, "alice", UP);
    assert!(caller.tools().await.is_empty());
    assert!(!caller.call("echo", json!({})).await.is_success());
    assert!(up.seen().is_empty());
    let allowed = json!({"http": {"url": url, "allow_loopback": true}});
    let gateway = Setup::trusting(&idp).set(&["servers", "up"], allowed).start().await;
    let caller = gateway.caller(&idp, "alice", UP);
    assert_eq!(caller.tools().await, ["echo", "write"]);
    served(&caller.call("echo", json!({"text": "a"})).await, "a");
}

#[tokio::test]
async fn a_write_is_durable_before_its_server_sees_it() {
    let (idp, mut up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    let tools: Vec<String> = (0..8).map(|number| format!("hold{number}")).collect();
    for tool in &tools {
        up = up.with(tool, Act::Hold);
    }
    let gateway = Setup::trusting(&idp).server("up", &up).start().await;
    for tool in &tools {
        let caller = gateway.caller(&idp, "alice", UP);
        let call = caller.call(tool, json!({"text": "a"}));
        let look = async {
            up.call_of(tool).await;
            let health: serde_json::Value = gateway.admin("/readyz").await.json();
            let durable = health["checks"]["record"]["durable"].as_u64().unwrap();
            let intent = gateway.record_of(tool).remove(0).leaf["seq"].as_u64().unwrap();
            assert!(
                durable >= intent,
                "{tool}: leaf {intent} of a call that was sent, durable up to {durable}"
            );
        };
        // The call stays open: it was never released.
        tokio::select! {
            reply = call => panic!("{}", reply.text()),
            () = look => {}
        }
    }
}
