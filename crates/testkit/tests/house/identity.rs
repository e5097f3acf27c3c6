//! Who is let in: the forged, the foreign and the stale are not (design, identity).

use super::bed::{SHARED, UP, bed, bed_with, code, served};
use model::FixedClock;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::{Act, Caller, FakeIdp, FakeUpstream, Key, Reply, Setup, Token, clock};

type Forgery = (&'static str, Box<dyn Fn(&Token) -> String>);

/// Tokens that look good in every respect but one.
fn forgeries(foreign: &FakeIdp, ec: &Key, rsa: &Key, other_endpoint: String) -> Vec<Forgery> {
    fn forged(name: &'static str, forge: impl Fn(&Token) -> String + 'static) -> Forgery {
        (name, Box::new(forge))
    }
    fn changed(name: &'static str, change: impl Fn(Token) -> Token + 'static) -> Forgery {
        forged(name, move |good| change(good.clone()).sign())
    }
    fn aimed(name: &'static str, change: impl Fn(&str) -> Value + 'static) -> Forgery {
        forged(name, move |good| {
            good.clone().claim("aud", change(good.value("aud").as_str().unwrap())).sign()
        })
    }
    let (hour, now) = (3600, clock().now().seconds());
    let foreign_url = foreign.issuer().to_owned();
    let (foreign_key, ec_id, rsa_id) = (foreign.key("ES256"), ec.id.clone(), rsa.id.clone());
    let twice = ec.id.clone();
    let public = rsa.public().to_string().into_bytes();
    let modulus = rsa.public()["n"].as_str().unwrap().as_bytes().to_vec();
    let embedded = Key::es256("embedded");
    vec![
        changed("expired", move |token| token.claim("exp", now - 120)),
        changed("not valid yet", move |token| token.claim("nbf", now + hour)),
        changed("issued in the future", move |token| token.claim("iat", now + hour)),
        changed("issued a minute and a half ahead", move |token| token.claim("iat", now + 90)),
        changed("with nbf as text", |token| token.claim("nbf", "0")),
        changed("good for ten years", move |token| token.claim("exp", now + 10 * 365 * 24 * hour)),
        changed("without exp", |token| token.without("exp")),
        changed("with exp as text", |token| token.claim("exp", "4000000000")),
        changed("for somebody else", |token| token.claim("aud", "https://elsewhere.example/mcp")),
        changed("for another endpoint of ours", move |token| token.claim("aud", other_endpoint.clone())),
        aimed("for a longer path", |aud| json!(format!("{aud}/more"))),
        aimed("for our URL with a slash", |aud| json!(format!("{aud}/"))),
        aimed("for our URL in capitals", |aud| json!(aud.to_uppercase())),
        aimed("for our URL with a capital scheme", |aud| json!(aud.replacen("http", "HTTP", 1))),
        aimed("for our URL with an empty query", |aud| json!(format!("{aud}?"))),
        aimed("for our URL with an escape", |aud| json!(aud.replacen("mcp", "%6dcp", 1))),
        aimed("for us and a number", |aud| json!([aud, 1])),
        aimed("for us in a list in a list", |aud| json!([[aud]])),
        aimed("for us among others in one text", |aud| json!(format!("{aud} https://elsewhere.example"))),
        aimed("for our origin only", |aud| json!(aud.strip_suffix(UP).unwrap())),
        changed("without aud", |token| token.without("aud")),
        changed("with an empty list for aud", |token| token.claim("aud", json!([]))),
        aimed("with an object for aud", |aud| json!({"is": aud})),
        changed("without sub", |token| token.without("sub")),
        changed("with an empty sub", |token| token.claim("sub", "")),
        changed("with a number for sub", |token| token.claim("sub", 7)),
        changed("without client", |token| token.without("client_id")),
        changed("without tenant", |token| token.without("tenant")),
        changed("without iss", |token| token.without("iss")),
        changed("with our issuer and a slash", |token| {
            let issuer = format!("{}/", token.value("iss").as_str().unwrap());
            token.claim("iss", issuer)
        }),
        changed("with our issuer in capitals", |token| {
            let issuer = token.value("iss").as_str().unwrap().to_uppercase();
            token.claim("iss", issuer)
        }),
        changed("with a list for iss", |token| {
            let issuer = json!([token.value("iss")]);
            token.claim("iss", issuer)
        }),
        changed("with another issuer's name", move |token| token.claim("iss", foreign_url.clone())),
        changed("signed by another issuer", move |token| token.by(foreign_key.clone())),
        changed("signed by an unknown key", |token| token.by(Key::es256("nobody-knows"))),
        changed("signed by a foreign key under a known id", move |token| token.by(Key::es256(&ec_id))),
        changed("signed by a key it brings along", move |token| {
            token.by(embedded.clone()).header("jwk", embedded.public())
        }),
        changed("with the address of a key set", |token| {
            token.by(Key::es256("jku")).header("jku", "https://elsewhere.example/jwks")
        }),
        changed("with a critical extension", |token| token.header("crit", json!(["x"])).header("x", 1)),
        changed("with an unencoded payload", |token| token.header("b64", false)),
        changed("with a compressed payload", |token| token.header("zip", "DEF")),
        changed("a refresh token", |token| token.claim("typ", "Refresh")),
        changed("an ID token by its type", |token| token.header("typ", "JWT")),
        changed("an ID token by its claims", |token| token.claim("nonce", "n").claim("at_hash", "h")),
        changed("a logout token", |token| token.header("typ", "logout+jwt")),
        changed("an ID-JAG", |token| token.header("typ", "oauth-id-jag+jwt")),
        changed("without typ", |token| token.without_header("typ")),
        changed("bound to a key", |token| token.claim("cnf", json!({"jkt": "x"}))),
        changed("with an algorithm that is not its key's", |token| token.header("alg", "RS256")),
        changed("with the id of a key of another kind", move |token| token.header("kid", rsa_id.clone())),
        forged("with algorithm none", |good| good.clone().header("alg", "none").unsigned()),
        forged("with algorithm None", |good| good.clone().header("alg", "None").unsigned()),
        forged("without a signature", Token::unsigned),
        forged("with the public key for an HMAC secret", move |good| {
            good.clone().header("alg", "HS256").hmac(&public)
        }),
        forged("with the modulus for an HMAC secret", move |good| {
            good.clone().header("alg", "HS256").hmac(&modulus)
        }),
        forged("with a claim twice", |good| {
            let claims = good.claims();
            good.sign_claims(&format!("{},\"sub\":\"root\"}}", claims.strip_suffix('}').unwrap()))
        }),
        forged("with a claim twice, once escaped", |good| {
            let claims = good.claims();
            good.sign_claims(&format!("{},\"\\u0061ud\":\"x\"}}", claims.strip_suffix('}').unwrap()))
        }),
        forged("with a key twice deep inside", |good| {
            let claims = good.claims();
            good.sign_claims(&format!("{},\"x\":[{{\"a\":1,\"a\":2}}]}}", claims.strip_suffix('}').unwrap()))
        }),
        forged("with alg twice in the header", move |good| {
            let header = format!(r#"{{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"{twice}"}}"#);
            good.sign_header(&header)
        }),
        forged("with a list for claims", |good| good.sign_claims("[]")),
        forged("with claims that are no JSON", |good| good.sign_claims("{")),
        forged("changed after signing", |good| {
            let (signed, other) = (good.sign(), good.clone().claim("sub", "root").sign());
            let payload = |token: &str| token.split('.').nth(1).unwrap().to_owned();
            signed.replace(&payload(&signed), &payload(&other))
        }),
        forged("with four parts", |good| format!("{}.x", good.sign())),
        forged("cut short", |good| good.sign()[..40].to_owned()),
        forged("made of nothing", |_| "x".to_owned()),
        forged("longer than any token", |_| format!("{0}.{0}.{0}", "A".repeat(8000))),
    ]
}

/// The refusal is a challenge that says where to start and nothing of the token.
fn challenged(reply: &Reply, name: &str, token: &str) {
    assert_eq!(reply.status, 401, "{name}: {}", reply.text());
    let challenge = reply.headers["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.starts_with("Bearer ") && challenge.contains("resource_metadata="),
        "{name}: {challenge}"
    );
    assert!(challenge.contains("error=\"invalid_token\""), "{name}: {challenge}");
    assert_eq!(code(reply), "PTN-2002", "{name}");
    let leaked = token.split('.').filter(|part| part.len() > 10).any(|part| reply.text().contains(part));
    assert!(!leaked, "{name}: the reply holds the token");
}

#[tokio::test]
async fn forged_tokens_are_challenged_and_counted() {
    let mut bed = bed().await;
    let foreign = FakeIdp::start(clock()).await;
    let forgeries =
        forgeries(&foreign, &bed.idp.key("ES256"), &bed.idp.key("RS256"), bed.gateway.resource(SHARED));
    let good = bed.gateway.token(&bed.idp, "alice", UP);
    for (name, forge) in &forgeries {
        let token = forge(&good);
        let caller = Caller::new(bed.gateway.address(), UP, Some(token.clone()));
        let reply = caller.call("echo", json!({"text": "mine"})).await;
        challenged(&reply, name, &token);
        bed.bystander_is_served().await;
    }
    assert!(bed.up.calls().iter().all(|call| call["params"]["arguments"]["text"] == "still here"));
    bed.gateway.shutdown().await;
    let counted: u64 = bed
        .gateway
        .record()
        .iter()
        .filter(|found| found.leaf["kind"] == "authn_failures")
        .flat_map(|found| found.leaf["failures"].as_array().unwrap().clone())
        .map(|row| row["count"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, forgeries.len() as u64);
}

#[tokio::test]
async fn keys_of_two_trusted_issuers_with_one_id_are_told_apart() {
    let other = FakeIdp::start(clock()).await;
    let bed = bed_with(|setup| setup.also_trusting(&other)).await;
    // Both publish a key of this id.
    assert_eq!(bed.idp.key("ES256").id, other.key("ES256").id);
    let ours = bed.gateway.token(&bed.idp, "alice", UP);
    let theirs = bed.gateway.token(&other, "alice", UP);
    for good in [&ours, &theirs] {
        served(&bed.gateway.with_token(UP, good).call("echo", json!({"text": "in"})).await, "in");
    }
    for crossed in [ours.clone().by(other.key("ES256")), theirs.by(bed.idp.key("ES256"))] {
        let token = crossed.sign();
        let caller = Caller::new(bed.gateway.address(), UP, Some(token.clone()));
        challenged(&caller.call("echo", json!({})).await, "crossed", &token);
    }
}

#[tokio::test]
async fn good_tokens_of_every_kind_are_let_in() {
    let bed = bed().await;
    let good = bed.gateway.token(&bed.idp, "alice", UP);
    let audiences = json!(["https://elsewhere.example", good.value("aud")]);
    for token in [
        good.clone(),
        good.clone().by(bed.idp.key("RS256")),
        good.clone().by(bed.idp.key("EdDSA")),
        good.clone().claim("aud", audiences),
        good.clone().header("typ", "application/at+jwt"),
    ] {
        let reply = bed.gateway.with_token(UP, &token).call("echo", json!({"text": "in"})).await;
        served(&reply, "in");
    }
}

#[tokio::test]
async fn a_token_for_one_endpoint_opens_no_other() {
    let bed = bed_with(|setup| setup.set(&["toolsets", "few"], json!({"tools": ["up/echo"]}))).await;
    let paths = [SHARED, UP, "/toolsets/few/mcp"];
    for minted_for in paths {
        let token = bed.gateway.token(&bed.idp, "alice", minted_for);
        for path in paths {
            let reply = bed.gateway.with_token(path, &token).ask("tools/list", json!({})).await;
            assert_eq!(reply.status, if path == minted_for { 200 } else { 401 }, "{minted_for} at {path}");
        }
    }
}

#[tokio::test]
async fn a_token_in_the_query_is_refused_even_beside_a_good_one() {
    let bed = bed().await;
    let token = bed.gateway.token(&bed.idp, "alice", UP).sign();
    let caller = bed.caller("alice");
    for with_header in [false, true] {
        let mut request = caller.request("tools/list", json!({}));
        *request.uri_mut() = format!("{UP}?access_token={token}").parse().unwrap();
        if !with_header {
            request.headers_mut().remove("authorization");
        }
        let reply = caller.send(request).await;
        assert!(matches!(reply.status, 400 | 401), "{}", reply.text());
        assert_eq!(code(&reply), "PTN-2001");
    }
    assert!(!String::from_utf8_lossy(&bed.gateway.data()).contains(&token));
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn nobody_is_told_where_to_sign_in() {
    let bed = bed().await;
    let stranger = Caller::new(bed.gateway.address(), UP, None);
    let reply = stranger.call("echo", json!({})).await;
    assert_eq!((reply.status, code(&reply).as_str()), (401, "PTN-2001"));
    let challenge = reply.headers["www-authenticate"].to_str().unwrap();
    // RFC 6750 §3.1: no error code for a request without a token.
    assert!(!challenge.contains("error="), "{challenge}");
    let url = challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
    let path = url.strip_prefix(&bed.gateway.resource("")).unwrap().to_owned();
    for path in [path.as_str(), "/.well-known/oauth-protected-resource/servers/up/mcp"] {
        let metadata: Value = stranger.get(path).await.json();
        assert_eq!(metadata["resource"], bed.gateway.resource(UP));
        assert_eq!(metadata["authorization_servers"], json!([bed.idp.issuer()]));
    }
    let root: Value = stranger.get("/.well-known/oauth-protected-resource").await.json();
    assert_eq!(root["authorization_servers"], json!([bed.idp.issuer()]));
}

#[tokio::test]
async fn a_missing_scope_is_a_403_that_names_it() {
    let bed =
        bed_with(|setup| setup.set(&["scopes"], json!(["mcp"])).set(&["required_scopes"], json!(["mcp"])))
            .await;
    let token = bed.gateway.token(&bed.idp, "alice", UP);
    served(&bed.gateway.with_token(UP, &token).call("echo", json!({"text": "in"})).await, "in");
    let reply = bed.gateway.with_token(UP, &token.claim("scope", "other")).call("echo", json!({})).await;
    assert_eq!((reply.status, code(&reply).as_str()), (403, "PTN-2004"));
    let challenge = reply.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("insufficient_scope") && challenge.contains("scope=\"mcp\""), "{challenge}");
    // Who it was is known, so the record names it.
    let denial = bed.denial();
    assert_eq!(
        (denial["caller"]["user"].as_str(), denial["code"].as_str()),
        (Some("alice"), Some("PTN-2004"))
    );
}

#[tokio::test]
async fn rotated_keys_are_fetched_once_and_old_ones_forgotten() {
    let time = Arc::new(FixedClock::at(clock().now()));
    let idp = FakeIdp::start(Arc::<FixedClock>::clone(&time)).await;
    let up = FakeUpstream::start().await;
    let gateway =
        Setup::trusting(&idp).server("up", &up).clock(Arc::<FixedClock>::clone(&time)).start().await;
    let before = gateway.token(&idp, "alice", UP);
    let seen = Caller::new(gateway.address(), UP, Some(before.sign()));
    served(&seen.call("echo", json!({"text": "before"})).await, "before");
    idp.rotate();
    time.advance(Duration::from_secs(60));
    let after = gateway.token(&idp, "alice", UP);
    served(&gateway.with_token(UP, &after).call("echo", json!({"text": "after"})).await, "after");
    let fetches = idp.key_fetches();
    // Strangers cannot make the gateway fetch again and again: the clock stands still.
    for number in 0..20 {
        let unknown = after.clone().by(Key::es256(&format!("unknown-{number}")));
        assert_eq!(gateway.with_token(UP, &unknown).call("echo", json!({})).await.status, 401);
    }
    assert_eq!(idp.key_fetches(), fetches);
    // A token by a key that is no longer published is not let in, whether it was seen before or not.
    let unseen = gateway.with_token(UP, &before.claim("jti", "never seen before"));
    for stale in [seen, unseen] {
        assert_eq!(stale.call("echo", json!({})).await.status, 401);
    }
}

#[tokio::test]
async fn a_token_that_was_let_in_before_still_expires() {
    let time = Arc::new(FixedClock::at(clock().now()));
    let idp = FakeIdp::start(Arc::<FixedClock>::clone(&time)).await;
    let up = FakeUpstream::start().await;
    let gateway =
        Setup::trusting(&idp).server("up", &up).clock(Arc::<FixedClock>::clone(&time)).start().await;
    let token = gateway.token(&idp, "alice", UP).sign();
    let caller = Caller::new(gateway.address(), UP, Some(token.clone()));
    served(&caller.call("echo", json!({"text": "in time"})).await, "in time");
    time.advance(Duration::from_secs(2 * 3600));
    challenged(&caller.call("echo", json!({"text": "too late"})).await, "expired", &token);
    assert_eq!(up.calls().len(), 1);
    served(&gateway.caller(&idp, "alice", UP).call("echo", json!({"text": "anew"})).await, "anew");
}

#[tokio::test]
async fn a_token_is_not_remembered_for_another_endpoint() {
    let bed = bed().await;
    let token = bed.gateway.token(&bed.idp, "alice", UP).sign();
    for (path, status) in [(UP, 200), (SHARED, 401), (UP, 200)] {
        let caller = Caller::new(bed.gateway.address(), path, Some(token.clone()));
        assert_eq!(caller.ask("tools/list", json!({})).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_lets_nobody_in() {
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    idp.names_itself("https://elsewhere.example");
    let gateway = Setup::trusting(&idp).server("up", &up).start().await;
    let reply = gateway.caller(&idp, "alice", UP).call("echo", json!({})).await;
    assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-2003"), "{}", reply.text());
    assert!(up.calls().is_empty() && idp.key_fetches() == 0);
}

#[tokio::test]
async fn known_keys_outlive_their_issuer_and_unknown_ones_do_not_appear() {
    let bed = bed().await;
    bed.bystander_is_served().await;
    bed.idp.down(true);
    bed.bystander_is_served().await;
    let fresh = bed.gateway.token(&bed.idp, "carol", UP).claim("jti", "another");
    served(&bed.gateway.with_token(UP, &fresh).call("echo", json!({"text": "offline"})).await, "offline");
    let unknown = fresh.by(Key::es256("unknown"));
    let refused = bed.gateway.with_token(UP, &unknown).call("echo", json!({})).await;
    assert!(matches!(refused.status, 401 | 503), "{}", refused.text());
}

#[tokio::test]
async fn a_revoked_token_is_refused_although_it_is_cached() {
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("revoked.yaml");
    std::fs::write(&list, "revoked: []\n").unwrap();
    let setup = Setup::trusting(&idp).server("up", &up).set(&["revoked_tokens_file"], json!(list));
    let gateway = setup.start().await;
    // Signed once: a second signature would be another token, which nothing remembers.
    let token = gateway.token(&idp, "alice", UP).claim("jti", "stolen").sign();
    let caller = Caller::new(gateway.address(), UP, Some(token));
    served(&caller.call("echo", json!({"text": "one"})).await, "one");
    std::fs::write(&list, json!({"revoked": [{"jti": "stolen", "issuer": idp.issuer()}]}).to_string())
        .unwrap();
    let refused = || async {
        let reply = caller.call("echo", json!({})).await;
        (!reply.is_success()).then_some(reply)
    };
    let refused = testkit::eventually("the list to be read", refused).await;
    assert_eq!((refused.status, code(&refused).as_str()), (401, "PTN-2100"));
    served(&gateway.caller(&idp, "bob", UP).call("echo", json!({"text": "two"})).await, "two");
}

#[tokio::test]
async fn a_revocation_list_that_cannot_be_read_lets_nobody_in_once_it_is_old() {
    let time = Arc::new(FixedClock::at(clock().now()));
    let idp = FakeIdp::start(Arc::<FixedClock>::clone(&time)).await;
    let up = FakeUpstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("revoked.yaml");
    std::fs::write(&list, "revoked: []\n").unwrap();
    let setup = Setup::trusting(&idp).server("up", &up).set(&["revoked_tokens_file"], json!(list));
    let gateway = setup.clock(Arc::<FixedClock>::clone(&time)).start().await;
    let token = gateway.token(&idp, "alice", UP).sign();
    let caller = Caller::new(gateway.address(), UP, Some(token));
    std::fs::remove_file(&list).unwrap();
    served(&caller.call("echo", json!({"text": "in time"})).await, "in time");
    time.advance(Duration::from_secs(120));
    // Whether the token is remembered or not.
    for caller in [caller, gateway.caller(&idp, "bob", UP)] {
        let reply = caller.call("echo", json!({})).await;
        assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-2101"), "{}", reply.text());
        assert_eq!(reply.headers["retry-after"], "1");
    }
    assert_eq!(up.calls().len(), 1);
}

#[tokio::test]
async fn every_open_stream_ends_when_its_token_expires() {
    let time = Arc::new(FixedClock::at(clock().now()));
    let idp = FakeIdp::start(Arc::<FixedClock>::clone(&time)).await;
    let up = FakeUpstream::start().await.with("hang", Act::Hang);
    let setup = Setup::trusting(&idp).server("up", &up).clock(Arc::<FixedClock>::clone(&time));
    let gateway = setup.set(&["limits", "keep_alive"], json!("1s")).start().await;
    let alice = gateway.caller(&idp, "alice", UP);
    let session = gateway.caller(&idp, "alice", UP).open().await;
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let mut streams = [
        alice.stream(alice.request("tools/call", json!({"name": "hang", "arguments": {}}))).await,
        alice.stream(alice.request("subscriptions/listen", wanted)).await,
        session.stream(session.listening()).await,
    ];
    assert!(streams.iter().all(|stream| stream.status == 200));
    time.advance(Duration::from_secs(2 * 3600));
    for stream in &mut streams {
        // Ends by itself; what it said until then is of no interest here.
        while stream.next().await.is_some() {}
    }
}

#[tokio::test]
async fn every_open_stream_ends_with_its_token_and_with_no_other() {
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await.with("hang", Act::Hang));
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("revoked.yaml");
    std::fs::write(&list, "revoked: []\n").unwrap();
    let gateway = Setup::trusting(&idp)
        .server("up", &up)
        .set(&["revoked_tokens_file"], json!(list))
        .set(&["limits", "keep_alive"], json!("1s"))
        .start()
        .await;
    let alice = gateway.caller(&idp, "alice", UP);
    let session = gateway.caller(&idp, "alice", UP).open().await;
    let bob = gateway.caller(&idp, "bob", UP).open().await;
    let mut others = bob.stream(bob.listening()).await;
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let mut streams = vec![
        alice.stream(alice.request("tools/call", json!({"name": "hang", "arguments": {}}))).await,
        alice.stream(alice.request("subscriptions/listen", wanted)).await,
        session.stream(session.listening()).await,
        session.stream(session.request("tools/call", json!({"name": "hang", "arguments": {}}))).await,
    ];
    assert!(streams.iter().all(|stream| stream.status == 200));
    let revoked = json!({"revoked": [{"issuer": idp.issuer(), "user": "alice"}]});
    std::fs::write(&list, revoked.to_string()).unwrap();
    for stream in &mut streams {
        // Ends by itself; what it said until then is of no interest here.
        while stream.next().await.is_some() {}
    }
    up.changed(vec![testkit::tool("echo")]);
    assert_eq!(others.next().await.unwrap()["method"], "notifications/tools/list_changed");
    let ended = || {
        std::future::ready(gateway.record_of("hang").iter().all(|call| call.outcome.is_some()).then_some(()))
    };
    testkit::eventually("both outcomes", ended).await;
    for call in gateway.record_of("hang") {
        let outcome = call.outcome.unwrap();
        assert_eq!(
            (&outcome["status"], &outcome["code"]),
            (&json!("cancelled"), &json!("PTN-2100")),
            "{outcome}"
        );
    }
}
