//! Servers that trust the gateway are told who calls, by a token of their own for every request.

use super::bed::{UP, code, served};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde_json::{Value, json};
use std::collections::HashSet;
use testkit::{Act, Era, FakeIdp, FakeUpstream, Seen, Setup, TestGateway, clock, eventually};

/// A provider, a server that is told who calls, and a gateway.
struct Trust {
    idp: FakeIdp,
    up: FakeUpstream,
    gateway: TestGateway,
}

async fn trust(up: FakeUpstream, identity: Value) -> Trust {
    trust_in(up, identity, |setup| setup).await
}

async fn trust_in(up: FakeUpstream, identity: Value, change: impl FnOnce(Setup) -> Setup) -> Trust {
    let idp = FakeIdp::start(clock()).await;
    let setup = Setup::trusting(&idp).server("up", &up).set(&["servers", "up", "identity"], identity);
    let gateway = change(setup).start().await;
    Trust { idp, up, gateway }
}

/// The keys that everybody may fetch.
async fn keys(gateway: &TestGateway) -> Vec<Value> {
    let keys = testkit::Caller::new(gateway.address(), UP, None).get("/.well-known/jwks.json").await;
    keys.json()["keys"].as_array().unwrap().clone()
}

/// The claims of a token, if one of the keys has signed it.
fn verified(keys: &[Value], token: &str) -> Option<Value> {
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&part(header)).unwrap();
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("at+jwt")));
    let key = keys.iter().find(|key| key["kid"] == header["kid"])?;
    let at = |name: &str| part(key[name].as_str().unwrap());
    let point = [vec![4], at("x"), at("y")].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &part(signature)).ok()?;
    Some(serde_json::from_slice(&part(claims)).unwrap())
}

fn bearer(headers: &HeaderMap) -> String {
    let all: Vec<_> = headers.get_all("authorization").iter().collect();
    assert_eq!(all.len(), 1, "{headers:?}");
    all[0].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned()
}

fn body(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap_or_default()
}

/// The requests of a tool's calls.
fn calls(up: &FakeUpstream) -> Vec<Seen> {
    up.seen().into_iter().filter(|seen| body(seen)["method"] == "tools/call").collect()
}

#[tokio::test]
async fn a_server_is_told_who_calls_what_and_the_record_names_the_token() {
    let trust = trust(FakeUpstream::start().await, json!({})).await;
    let token = trust.gateway.token(&trust.idp, "alice", UP).claim("scope", "read write");
    let caller = trust.gateway.with_token(UP, &token);
    served(&caller.call("write", json!({"text": "é", "amount": 1e2})).await, "é");
    let seen = calls(&trust.up);
    let claims = verified(&keys(&trust.gateway).await, &bearer(&seen[0].headers)).unwrap();
    let recorded = &trust.gateway.record_of("write")[0];
    let issuer = trust.gateway.resource("");
    assert_eq!(
        (&claims["iss"], &claims["aud"], &claims["sub"], &claims["tenant_id"]),
        (&json!(issuer), &json!(trust.up.url()), &json!("alice"), &json!("acme"))
    );
    assert_eq!(claims["sub_id"], json!({"format": "iss_sub", "iss": trust.idp.issuer(), "sub": "alice"}));
    assert_eq!((&claims["client_id"], &claims["roles"]), (&json!("test-client"), &json!(["reader"])));
    assert_eq!(
        (&claims["scope"], &claims["method"], &claims["tool"]),
        (&json!("read write"), &json!("tools/call"), &json!("write"))
    );
    assert_eq!(claims["txn"], recorded.leaf["call"]);
    // The server recomputes it from what it got.
    let canonical = r#"{"amount":100,"text":"é"}"#;
    assert_eq!(claims["request_digest"], json!(model::Digest::of(canonical.as_bytes()).to_string()));
    assert_eq!(claims["request_digest"], recorded.leaf["arguments"]["digest"]);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
    let now = clock().now().seconds();
    let issued = claims["iat"].as_i64().unwrap();
    assert!(issued < now && issued >= now - 10, "{issued} at {now}");
    assert_eq!(recorded.leaf["downstream"], json!({"strategy": "gateway_jwt", "audience": trust.up.url()}));
    let outcome = recorded.outcome.as_ref().unwrap();
    assert_eq!(outcome["token"]["jti"], claims["jti"]);
    assert_eq!(
        outcome["token"]["kid"],
        keys(&trust.gateway).await.iter().find(|key| key["kid"] == outcome["token"]["kid"]).unwrap()["kid"]
    );
}

#[tokio::test]
async fn no_two_requests_carry_the_same_token_and_every_one_says_for_whom_it_is() {
    for era in [Era::Stateless, Era::Session] {
        let trust = trust(FakeUpstream::of(&[era]).await, json!({"groups": true})).await;
        for caller in [
            trust.gateway.caller(&trust.idp, "alice", UP),
            trust.gateway.caller(&trust.idp, "alice", UP).open().await,
        ] {
            for _ in 0..2 {
                served(&caller.call("echo", json!({"text": "a"})).await, "a");
            }
        }
        if era == Era::Session {
            eventually("a stream", || std::future::ready((trust.up.streams() > 0).then_some(()))).await;
        }
        let (mut gateway, up) = (trust.gateway, trust.up);
        let keys = keys(&gateway).await;
        gateway.shutdown().await;
        let (mut ids, mut methods) = (HashSet::new(), HashSet::new());
        for seen in up.seen() {
            let claims = verified(&keys, &bearer(&seen.headers)).unwrap();
            assert!(ids.insert(claims["jti"].as_str().unwrap().to_owned()), "{era:?}: twice: {claims}");
            let said = body(&seen);
            let asked =
                Some(&said["method"]).filter(|_| said.get("id").is_some() && said.get("method").is_some());
            assert_eq!(claims.get("method"), asked, "{era:?}: {seen:?}");
            let call = said["method"] == "tools/call";
            for claim in ["txn", "tool", "request_digest"] {
                assert_eq!(claims.get(claim).is_some(), call, "{era:?}: {claim} at {said}");
            }
            assert_eq!(claims["aud"], json!(up.url()));
            let subject = claims["sub"].as_str().unwrap().to_owned();
            assert!(["alice", "service"].contains(&subject.as_str()), "{claims}");
            methods.insert((
                subject,
                seen.method.to_string(),
                said["method"].as_str().unwrap_or("").to_owned(),
            ));
        }
        let sent = |who: &str, verb: &str, method: &str| {
            assert!(
                methods.contains(&(who.into(), verb.into(), method.into())),
                "{era:?}: {who} {verb} {method}: {methods:?}"
            );
        };
        sent("service", "POST", "tools/list");
        sent("alice", "POST", "tools/call");
        if era == Era::Session {
            sent("alice", "POST", "initialize");
            sent("alice", "POST", "notifications/initialized");
            sent("alice", "GET", "");
            sent("alice", "DELETE", "");
        }
    }
}

#[tokio::test]
async fn an_agent_that_acts_for_a_person_is_named_with_all_who_acted_before() {
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    let issuer = json!([{"issuer": idp.issuer(), "allow_loopback": true, "claims": {"agent": "/act/sub"}}]);
    let gateway = Setup::trusting(&idp)
        .server("up", &up)
        .set(&["issuers"], issuer)
        .set(&["servers", "up", "identity"], json!({}))
        .start()
        .await;
    let act = json!({"sub": "agt_1", "act": {"sub": "agt_0"}});
    let caller = gateway.with_token(UP, &gateway.token(&idp, "alice", UP).claim("act", act.clone()));
    served(&caller.call("echo", json!({"text": "a"})).await, "a");
    let claims = verified(&keys(&gateway).await, &bearer(&calls(&up)[0].headers)).unwrap();
    assert_eq!((&claims["sub"], &claims["act"]), (&json!("alice"), &act));
}

#[tokio::test]
async fn what_a_client_puts_into_the_servers_header_does_not_arrive() {
    let identity = json!({"header": "X-Portunus-Identity", "request_digest": false, "lifetime": "10s"});
    let trust = trust(FakeUpstream::start().await, identity).await;
    let caller = trust.gateway.caller(&trust.idp, "alice", UP);
    let mut call = caller.request("tools/call", json!({"name": "echo", "arguments": {"text": "a"}}));
    for name in ["x-portunus-identity", "mcp-param-x-portunus-identity"] {
        call.headers_mut().insert(name, "forged".parse().unwrap());
    }
    served(&caller.send(call).await, "a");
    let headers = &calls(&trust.up)[0].headers;
    assert!(headers.get("authorization").is_none(), "{headers:?}");
    let all: Vec<_> = headers.get_all("x-portunus-identity").iter().collect();
    assert_eq!(all.len(), 1);
    let claims = verified(&keys(&trust.gateway).await, all[0].to_str().unwrap()).unwrap();
    assert_eq!((claims.get("request_digest"), claims.get("groups")), (None, None));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 10);
}

#[tokio::test]
async fn policy_sees_whom_a_token_would_be_for() {
    let text = r#"@id("not-there") forbid (principal, action == Action::"up/write", resource)
        when { context.plan.strategy == "gateway_jwt" && context.plan has audience && context.plan.audience like "https://crm.*" };"#;
    for (audience, allowed) in [("https://crm.test/mcp", false), ("https://other.test/mcp", true)] {
        let identity = json!({"audience": audience});
        let trust = trust_in(FakeUpstream::start().await, identity, |setup| setup.policy("crm", text)).await;
        let reply = trust.gateway.caller(&trust.idp, "alice", UP).call("write", json!({})).await;
        assert_eq!(reply.is_success() && !reply.is_tool_error(), allowed, "{}", reply.text());
    }
}

#[tokio::test]
async fn a_call_whose_caller_cannot_be_named_is_refused_and_on_record() {
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    // Whoever adds an identity to a gateway that was started without keys has to start it again.
    let mut gateway = Setup::trusting(&idp).server("up", &up).start().await;
    let caller = gateway.caller(&idp, "alice", UP);
    served(&caller.call("write", json!({"text": "before"})).await, "before");
    gateway.write_config(|config| config["servers"]["up"]["identity"] = json!({}));
    gateway.reload().await.unwrap();
    let before = calls(&up).len();
    let reply = caller.call("write", json!({"text": "after"})).await;
    assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-4004"), "{}", reply.text());
    assert_eq!(calls(&up).len(), before, "nothing was sent, and nothing else was shown");
    let recorded = gateway.record_of("write");
    let outcome = recorded.last().unwrap().outcome.as_ref().unwrap();
    assert_eq!((&outcome["code"], &outcome["attempt"]), (&json!("PTN-4004"), &json!("not_sent")));
    assert!(outcome["reason"].as_str().unwrap().contains("no signing keys"), "{outcome}");
}

#[tokio::test]
async fn a_servers_token_is_no_token_for_the_gateway() {
    let (idp, up, other) =
        (FakeIdp::start(clock()).await, FakeUpstream::start().await, FakeUpstream::start().await);
    let with = |first: Value, second: Value| {
        Setup::trusting(&idp)
            .server("up", &up)
            .server("other", &other)
            .set(&["listen", "public_url"], json!("https://gw.test"))
            .set(&["servers", "up", "identity"], first)
            .set(&["servers", "other", "identity"], second)
    };
    for ours in ["https://gw.test", "https://gw.test/mcp", "https://gw.test/servers/up/mcp"] {
        let refused = with(json!({"audience": ours}), json!({})).try_start().await.err().unwrap();
        assert!(format!("{refused:?} {refused}").contains("gateway itself"), "{refused:?}");
    }
    let shared = json!({"audience": "https://tools.test/mcp"});
    let refused = with(shared.clone(), shared).try_start().await.err().unwrap();
    assert!(format!("{refused:?} {refused}").contains("another server has this audience"), "{refused:?}");
}

#[tokio::test]
async fn a_child_process_cannot_be_told_and_the_configuration_says_so() {
    let idp = FakeIdp::start(clock()).await;
    let refused = Setup::trusting(&idp)
        .set(&["servers", "child"], json!({"stdio": {"command": "cat"}, "identity": {}}))
        .try_start()
        .await
        .err()
        .unwrap();
    assert!(format!("{refused:?} {refused}").contains("a child process gets no headers"), "{refused:?}");
}

#[tokio::test]
async fn a_call_that_is_sent_again_carries_a_new_token() {
    let trust = trust(FakeUpstream::of(&[Era::Session]).await.with("slow", Act::Echo), json!({})).await;
    let caller = trust.gateway.caller(&trust.idp, "alice", UP).open().await;
    served(&caller.call("slow", json!({"text": "a"})).await, "a");
    // The server has forgotten its sessions: the call goes out once more in a new one.
    trust.up.restart().await;
    served(&caller.call("slow", json!({"text": "b"})).await, "b");
    let sent = calls(&trust.up);
    assert!(sent.len() >= 3, "{}", sent.len());
    let keys = keys(&trust.gateway).await;
    let ids: HashSet<String> =
        sent.iter().map(|seen| verified(&keys, &bearer(&seen.headers)).unwrap()["jti"].to_string()).collect();
    assert_eq!(ids.len(), sent.len());
    // The record names the one that was taken.
    let last = verified(&keys, &bearer(&sent.last().unwrap().headers)).unwrap();
    assert_eq!(
        trust.gateway.record_of("slow").last().unwrap().outcome.as_ref().unwrap()["token"]["jti"],
        last["jti"]
    );
}

#[tokio::test]
async fn keys_rotate_under_load_without_one_refusal_and_a_revoked_key_is_gone_at_once() {
    let trust = trust(FakeUpstream::start().await, json!({})).await;
    // A server keeps this copy of the key set all the while.
    let known = keys(&trust.gateway).await;
    let command = |words: &[&str]| {
        let mut command = std::process::Command::new(super::killed::portunus());
        command.arg("keys").args(words).arg("--config").arg(trust.gateway.config_file());
        command.output().unwrap()
    };
    let done = |words: &[&str]| {
        let output = command(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let early = command(&["rotate"]);
    assert_eq!(early.status.code(), Some(1), "a key that was published just now is not rotated to");
    let signs = |seen: &Seen| {
        let header =
            bearer(&seen.headers).split('.').next().map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
        let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
        header["kid"].as_str().unwrap().to_owned()
    };
    let caller = trust.gateway.caller(&trust.idp, "alice", UP);
    served(&caller.call("echo", json!({"text": "first"})).await, "first");
    let first = signs(&calls(&trust.up)[0]);
    let load = async {
        loop {
            served(&caller.call("echo", json!({"text": "a"})).await, "a");
            let kid = signs(calls(&trust.up).last().unwrap());
            if kid != first {
                return kid;
            }
        }
    };
    let rotating = async { done(&["rotate", "--force"]) };
    let (second, ()) = testkit::soon("another key", async { tokio::join!(load, rotating) }).await;
    for _ in 0..20 {
        served(&caller.call("echo", json!({"text": "b"})).await, "b");
    }
    for seen in calls(&trust.up) {
        assert!(verified(&known, &bearer(&seen.headers)).is_some(), "by {}", signs(&seen));
    }

    done(&["revoke", &second]);
    let published = async || {
        let kids: Vec<Value> = keys(&trust.gateway).await.iter().map(|key| key["kid"].clone()).collect();
        (!kids.contains(&json!(second))).then_some(kids)
    };
    let kids = eventually("a set without the key", published).await;
    served(&caller.call("echo", json!({"text": "c"})).await, "c");
    let third = signs(calls(&trust.up).last().unwrap());
    assert!(third != second && kids.contains(&json!(third)), "{third}: {kids:?}");
    // To try again is always right; a key that never was is another matter.
    done(&["revoke", &second]);
    assert_eq!(command(&["revoke", "nobody"]).status.code(), Some(1));
    let listed = String::from_utf8(command(&["list"]).stdout).unwrap();
    assert!(listed.lines().any(|line| line.contains(&second) && line.contains("revoked")), "{listed}");
    let noted = |what: &str, kid: &str| {
        let about = json!({"kind": "key", "id": kid});
        let record = trust.gateway.record();
        record.iter().any(|found| found.leaf["what"] == what && found.leaf["about"] == about)
    };
    // On record at the next look at the rows, a second later at most.
    eventually("both on record", || async {
        (noted("key_rotated", &second) && noted("key_revoked", &second)).then_some(())
    })
    .await;
    assert!(!noted("key_revoked", &third));
}

#[tokio::test]
async fn the_page_for_owners_of_servers_loads_and_runs_nothing() {
    let trust = trust(FakeUpstream::start().await, json!({"groups": true})).await;
    let act = json!({"sub": "agt_1"});
    let token = trust.gateway.token(&trust.idp, "alice", UP).claim("act", act).claim("scope", "read");
    let caller = trust.gateway.with_token(UP, &token);
    served(&caller.call("echo", json!({"text": "a"})).await, "a");
    let claims = verified(&keys(&trust.gateway).await, &bearer(&calls(&trust.up)[0].headers)).unwrap();
    let page = testkit::Caller::new(trust.gateway.address(), UP, None).get("/identity").await;
    assert_eq!(
        (page.status, &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text();
    let issuer = trust.gateway.resource("");
    for wanted in [format!("<dd><code>{issuer}</code></dd>"), format!("{issuer}/.well-known/jwks.json")] {
        assert!(text.contains(&wanted), "{wanted}");
    }
    for (claim, _) in claims.as_object().unwrap() {
        assert!(text.contains(&format!("<code>{claim}</code></th>")), "{claim} is not on the page");
    }
    for loads in ["<script", " src=", "<link", "<img", "url(", "@import", " style=", " onclick"] {
        assert!(!text.contains(loads), "{loads}");
    }
    let plain = ["&#60;", "&#62;", "&#38;", "&#34;", "&#39;"].iter().zip(["<", ">", "&", "\"", "'"]);
    let plain = plain.fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    for file in [
        include_str!("../../../../examples/verifiers/node.mjs"),
        include_str!("../../../../examples/verifiers/python.py"),
    ] {
        assert!(plain.contains(file), "a snippet is not the file that the tests run");
    }
    // Nobody is told how to trust a gateway that signs nothing.
    let bare = Setup::trusting(&trust.idp).server("up", &trust.up).start().await;
    assert_eq!(testkit::Caller::new(bare.address(), UP, None).get("/identity").await.status, 404);
}
