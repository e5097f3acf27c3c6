//! Opaque tokens of a legacy login: who they let in, whom they are shown to, and what happens when it is down.

use super::bed::{UP, code, served};
use issuer::agent::{
    Agents, Change, Credentials, Delegation, MayActFor, NewAgent, NewCredential, Proof, Trust,
};
use model::FixedClock;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::{Caller, FakeIdp, FakeLogin, FakeUpstream, Key, Setup, TestGateway, Token, clock};

struct Legacy {
    login: FakeLogin,
    idp: FakeIdp,
    up: FakeUpstream,
    gateway: TestGateway,
    time: Arc<FixedClock>,
}

const TOKEN: &str = "leg_canary-0123456789-canary";

fn entry(login: &FakeLogin) -> Value {
    json!({
        "issuer": login.issuer(), "allow_loopback": true, "tenant": "acme",
        "introspection": {
            "url": login.introspection(), "only": true, "prefix": "leg_",
            "client_id": FakeLogin::CLIENT.0, "client_secret": {"from_file": "introspection-secret"},
        },
    })
}

impl Legacy {
    async fn start() -> Self {
        Self::start_with(|setup| setup).await
    }

    async fn start_with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let time = Arc::new(FixedClock::at(clock().now()));
        let (login, up) = (FakeLogin::start().await, FakeUpstream::start().await);
        let idp = FakeIdp::start(Arc::<FixedClock>::clone(&time)).await;
        let setup = Setup::trusting(&idp)
            .issuer(entry(&login))
            .file("introspection-secret", FakeLogin::CLIENT.1)
            .server("up", &up)
            .clock(Arc::<FixedClock>::clone(&time));
        let gateway = change(setup).start().await;
        let legacy = Self { login, idp, up, gateway, time };
        legacy.login.knows(TOKEN, legacy.meaning());
        legacy
    }

    fn meaning(&self) -> Value {
        let now = model::Clock::now(&*self.time).seconds();
        json!({
            "active": true, "iss": self.login.issuer(), "sub": "alice", "client_id": "old-client", "roles": ["reader"],
            "aud": self.gateway.resource(UP), "exp": now + 3600, "iat": now, "scope": "mcp", "token_type": "Bearer",
        })
    }

    fn caller(&self) -> Caller {
        Caller::new(self.gateway.address(), UP, Some(TOKEN.to_owned()))
    }
}

#[tokio::test]
async fn an_opaque_token_lets_its_owner_in_and_is_shown_to_its_issuer_alone() {
    let mut legacy = Legacy::start().await;
    for _ in 0..3 {
        served(&legacy.caller().call("echo", json!({"text": "in"})).await, "in");
    }
    assert_eq!(legacy.login.asked(), [format!("token={TOKEN}&token_type_hint=access_token")]);
    let call = legacy.gateway.record_of("echo").pop().unwrap();
    assert_eq!(
        (&call.leaf["caller"]["user"], &call.leaf["caller"]["tenant"]),
        (&json!("alice"), &json!("acme"))
    );
    assert_eq!(call.leaf["caller"]["issuer"], legacy.login.issuer());
    // The canary: nowhere else, in no dress.
    use base64::Engine as _;
    let engines =
        [base64::engine::general_purpose::STANDARD_NO_PAD, base64::engine::general_purpose::URL_SAFE_NO_PAD];
    let mut dresses = vec![TOKEN.to_owned(), TOKEN.replace('-', "%2D")];
    dresses.extend(engines.iter().map(|engine| engine.encode(TOKEN)));
    legacy.gateway.shutdown().await;
    let mut places = vec![("the data folder".to_owned(), legacy.gateway.data())];
    for seen in legacy.up.seen() {
        places.push(("the server".to_owned(), format!("{:?}", seen.headers).into_bytes()));
        places.push(("the server".to_owned(), seen.body.to_vec()));
    }
    for (place, bytes) in places {
        let text = String::from_utf8_lossy(&bytes);
        for dress in &dresses {
            assert!(!text.contains(dress), "{place} holds {dress}");
        }
    }
}

#[tokio::test]
async fn when_the_legacy_login_is_down_its_tokens_get_503_and_others_get_in() {
    let legacy = Legacy::start().await;
    legacy.login.down(true);
    let reply = legacy.caller().call("echo", json!({})).await;
    assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-2061"), "{}", reply.text());
    // Signing in again would not help, so nobody is sent there.
    assert!(reply.headers.get("www-authenticate").is_none());
    assert!(legacy.up.calls().is_empty());
    let other = legacy.gateway.caller(&legacy.idp, "bob", UP);
    served(&other.call("echo", json!({"text": "in"})).await, "in");
    legacy.login.down(false);
    served(&legacy.caller().call("echo", json!({"text": "back"})).await, "back");
}

#[tokio::test]
async fn a_token_that_its_issuer_ended_is_refused_within_half_a_minute() {
    let legacy = Legacy::start().await;
    served(&legacy.caller().call("echo", json!({"text": "in"})).await, "in");
    legacy.login.forgets(TOKEN);
    legacy.time.advance(Duration::from_secs(30));
    let reply = legacy.caller().call("echo", json!({})).await;
    assert_eq!((reply.status, code(&reply).as_str()), (401, "PTN-2002"), "{}", reply.text());
    let challenge = reply.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("invalid_token") && challenge.contains("not active"), "{challenge}");
    let metrics = legacy.gateway.admin("/metrics").await.text();
    assert!(metrics.contains("outcome=\"inactive\""), "{metrics}");
}

#[tokio::test]
async fn what_the_legacy_login_says_is_held_against_the_contract() {
    let legacy = Legacy::start().await;
    for (number, (name, value, status)) in [
        ("aud", json!(legacy.gateway.resource("/mcp")), 401),
        ("aud", Value::Null, 401),
        ("iss", json!("https://elsewhere.example"), 401),
        ("exp", Value::Null, 401),
        ("client_id", Value::Null, 401),
        ("active", json!("true"), 503),
        ("scope", json!("other"), 200),
    ]
    .into_iter()
    .enumerate()
    {
        let mut meaning = legacy.meaning();
        if value.is_null() {
            meaning.as_object_mut().unwrap().remove(name);
        } else {
            meaning[name] = value.clone();
        }
        let token = format!("leg_{number}");
        legacy.login.knows(&token, meaning);
        let caller = Caller::new(legacy.gateway.address(), UP, Some(token));
        let reply = caller.call("echo", json!({"text": "x"})).await;
        assert_eq!(reply.status, status, "{name} {value}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_token_that_could_be_two_issuers_keeps_a_gateway_from_starting() {
    let (one, other) = (FakeLogin::start().await, FakeLogin::start().await);
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    let mut second = entry(&other);
    second["introspection"]["prefix"] = json!("leg_2");
    let setup = Setup::trusting(&idp)
        .issuer(entry(&one))
        .issuer(second)
        .file("introspection-secret", "x")
        .server("up", &up);
    let Err(error) = setup.try_start().await else { panic!("it started") };
    assert!(error.to_string().contains("could be"), "{error}");
}

/// An agent's proof of itself (RFC 7523 §2.2), by a key that is registered.
fn assertion(legacy: &Legacy, key: &Key, agent: &str) -> String {
    let now = model::Clock::now(&*legacy.time).seconds();
    let token = legacy.idp.token(agent, &legacy.gateway.resource("")).by(key.clone());
    let token = token.header("typ", "JWT").claim("iss", agent).claim("iat", now).claim("exp", now + 60);
    ["client_id", "tenant", "roles", "groups", "scope"].into_iter().fold(token, Token::without).sign()
}

#[tokio::test]
async fn a_token_of_another_issuer_is_exchanged_for_the_person_it_is_of() {
    let legacy = Legacy::start_with(|setup| {
        setup.set(&["authorization_server"], json!({})).set(&["scopes"], json!(["mcp"]))
    })
    .await;
    let place = storage::Place::Sqlite(legacy.gateway.data_dir().join("portunus.db"));
    let db = storage::Db::open(&storage::Config::at(place)).await.unwrap();
    for text in [
        "INSERT INTO users (id, tenant, status, name, roles, member_of, created_at)
            VALUES ('usr_alice', 'acme', 'active', 'Alice', '[\"dev\"]', '[]', 0)"
            .to_owned(),
        format!(
            "INSERT INTO user_identities (tenant, issuer, subject, user_id, provider, created_at)
            VALUES ('acme', '{}', 'alice', 'usr_alice', 'legacy', 0)",
            legacy.login.issuer()
        ),
        "INSERT INTO users (id, tenant, status, name, roles, member_of, created_at)
            VALUES ('usr_bob', 'acme', 'disabled', 'Bob', '[]', '[]', 0)"
            .to_owned(),
        format!(
            "INSERT INTO user_identities (tenant, issuer, subject, user_id, provider, created_at)
            VALUES ('acme', '{}', 'bob', 'usr_bob', 'legacy', 0)",
            legacy.login.issuer()
        ),
    ] {
        let text = storage::sqlx::AssertSqlSafe(text);
        storage::on!(db, pool => storage::sqlx::query(text).execute(pool).await.map(drop)).unwrap();
    }
    let clock: Arc<dyn model::Clock> = Arc::<FixedClock>::clone(&legacy.time);
    let dice: Arc<dyn model::Dice> = Arc::new(model::SystemDice);
    let change = Change {
        name: "Builder".into(),
        trust: Trust::Low,
        servers: None,
        scopes: vec!["mcp".into()],
        may_act_for: MayActFor::Tenant,
        delegation: Delegation { depth: 2, scopes: None },
        expires_at: None,
    };
    let new = NewAgent { tenant: "acme".into(), owner: "usr_alice".into(), change };
    let agent = Agents::new(db.clone(), Arc::clone(&clock), Arc::clone(&dice)).register(&new).await.unwrap();
    let key = Key::es256("agent-1");
    let proof = NewCredential::Proof(Proof::Jwk(key.public()));
    Credentials::new(db, clock, dice).add(&agent.id, &proof, None, None, false).await.unwrap();
    let exchange = async |token: &str| {
        let resource = legacy.gateway.resource(UP);
        // Each proof is used once.
        let proof = assertion(&legacy, &key, &agent.id);
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        let form: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("subject_token", token)
            .append_pair("subject_token_type", kind)
            .append_pair("resource", &resource)
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", &proof)
            .finish();
        let request = format!(
            "POST /oauth/token HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{form}",
            legacy.gateway.address(),
            form.len()
        );
        legacy.time.advance(Duration::from_secs(1));
        testkit::raw(legacy.gateway.address(), request.as_bytes()).await
    };
    let reply = exchange(TOKEN).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let ours = reply.json()["access_token"].as_str().unwrap().to_owned();
    let caller = Caller::new(legacy.gateway.address(), UP, Some(ours.clone()));
    caller.call("echo", json!({"text": "x"})).await;
    let payload = ours.split('.').nth(1).unwrap();
    use base64::Engine as _;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&claims["sub"], &claims["act"]["sub"]), (&json!("usr_alice"), &json!(agent.id)));
    assert_eq!((&claims["roles"], &claims["aud"]), (&json!(["dev"]), &json!(legacy.gateway.resource(UP))));
    // Somebody whom this issuer knows and we do not, or whom we have disabled; one for whom somebody acts already; and
    // nobody at all.
    for (token, name, value) in [
        ("leg_mallory", "sub", json!("mallory")),
        ("leg_bob", "sub", json!("bob")),
        ("leg_acting", "act", json!({"sub": "old-bot"})),
    ] {
        let mut other = legacy.meaning();
        other[name] = value;
        legacy.login.knows(token, other);
    }
    // Whom its issuer lets act, and nobody else (RFC 8693 §4.4).
    for (token, actor) in [("leg_chosen", agent.id.as_str()), ("leg_another", "agt_another")] {
        let mut other = legacy.meaning();
        other["may_act"] = json!({"sub": actor});
        legacy.login.knows(token, other);
    }
    assert_eq!(exchange("leg_chosen").await.status, 200);
    for token in ["leg_mallory", "leg_bob", "leg_acting", "leg_nobody", "leg_another"] {
        let refused = exchange(token).await;
        assert_eq!(refused.status, 400, "{token}: {}", refused.text());
    }
    legacy.login.down(true);
    assert_eq!(exchange("leg_unasked").await.status, 503);
}
