//! Agents: what they prove, and what they get. For whom they act, who answers for
//! them, and their API keys, have files of their own.

mod api_keys;
mod exchange;
mod owners;

use super::clients::{TYPE, assertion};
use super::*;
use crate::ApiKeys;
use crate::agent::{
    Agent, AgentError, Change, CredentialError, Delegation, MayActFor, NewAgent, NewCredential, Proof, Trust,
};
use authn::{AuthnError, Resource};
use http::{HeaderValue, Uri, header};
use net::listen::Certificate;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const GIT: &str = "https://gw.test/servers/git/mcp";

/// An agent with a key of its own.
pub(super) struct Bot {
    pub(super) agent: Agent,
    signer: Signer,
    /// Counts assertions.
    used: std::cell::Cell<u32>,
}

pub(super) fn change() -> Change {
    Change {
        name: "Builder".into(),
        trust: Trust::Medium,
        servers: None,
        scopes: vec!["mcp:call".into(), "mcp:read".into()],
        may_act_for: MayActFor::Nobody,
        delegation: Delegation::default(),
        expires_at: None,
    }
}

pub(super) async fn person(world: &World, id: &str, tenant: &str) {
    const INSERT: &str = "INSERT INTO users (id, tenant, status, name, roles, member_of, created_at)
        VALUES ($1, $2, 'active', $1, '[]', '[]', 0)
        ON CONFLICT (id) DO UPDATE SET tenant = excluded.tenant, name = excluded.name, roles = '[]', member_of = '[]'";
    on!(world.test.db, pool => sqlx::query(INSERT).bind(id).bind(tenant).execute(pool).await.map(drop))
        .unwrap();
}

async fn stand(world: &World, id: &str, status: &str) {
    const SET: &str = "UPDATE users SET status = $2 WHERE id = $1";
    on!(world.test.db, pool => sqlx::query(SET).bind(id).bind(status).execute(pool).await.map(drop)).unwrap();
}

/// A world with alice, who owns agents, in it.
async fn worlds() -> Vec<World> {
    World::each().await
}

async fn register(world: &World, change: Change) -> Agent {
    let new = NewAgent { tenant: "acme".into(), owner: "usr_alice".into(), change };
    world.issuer.agents().register(&new).await.unwrap()
}

pub(super) async fn bot(world: &World, change: Change) -> Bot {
    with_key(world, register(world, change).await).await
}

/// One of the other tenant, whose owner is bob.
pub(super) async fn stranger(world: &World, change: Change) -> Bot {
    person(world, "usr_bob", "other").await;
    let new = NewAgent { tenant: "other".into(), owner: "usr_bob".into(), change };
    with_key(world, world.issuer.agents().register(&new).await.unwrap()).await
}

async fn with_key(world: &World, agent: Agent) -> Bot {
    let signer = Signer::new();
    let key = signer.jwks("k1")["keys"][0].clone();
    let new = NewCredential::Proof(Proof::Jwk(key));
    world.issuer.agent_credentials().add(&agent.id, &new, None, None, false).await.unwrap();
    Bot { agent, signer, used: std::cell::Cell::new(0) }
}

impl Bot {
    fn assertion(&self, world: &World) -> String {
        self.used.set(self.used.get() + 1);
        let claims = assertion(&self.agent.id, world, &format!("j{}", self.used.get()));
        self.signer.sign(&json!({"alg": "ES256", "kid": "k1", "typ": "JWT"}), &claims)
    }

    /// Asks for a token.
    pub(super) async fn ask(&self, world: &World, pairs: &[(&str, &str)]) -> Answer {
        self.send(world, "/oauth/token", pairs).await
    }

    pub(super) async fn send(&self, world: &World, path: &str, pairs: &[(&str, &str)]) -> Answer {
        let assertion = self.assertion(world);
        let proof = [("client_assertion_type", TYPE), ("client_assertion", assertion.as_str())];
        let all: Vec<(&str, &str)> = proof.into_iter().chain(pairs.iter().copied()).collect();
        world.form(path, &all).await
    }

    /// Asks for a token of its own.
    async fn own(&self, world: &World, pairs: &[(&str, &str)]) -> Answer {
        let mut all = vec![("grant_type", "client_credentials"), ("resource", MCP)];
        all.retain(|(name, _)| !pairs.iter().any(|(other, _)| other == name));
        all.extend(pairs);
        self.ask(world, &all).await
    }

    /// Asks for a token to act for whoever this is of.
    pub(super) async fn exchange(&self, world: &World, token: &str, pairs: &[(&str, &str)]) -> Answer {
        let mut all = vec![
            ("grant_type", EXCHANGE),
            ("resource", MCP),
            ("subject_token", token),
            ("subject_token_type", ACCESS),
        ];
        all.retain(|(name, _)| !pairs.iter().any(|(other, _)| other == name));
        all.extend(pairs);
        self.ask(world, &all).await
    }
}

pub(super) fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_agent_is_the_subject_of_its_own_tokens() {
    for world in worlds().await {
        let limited = Change { servers: Some(vec!["git".into(), "mail".into()]), ..change() };
        let bot = bot(&world, limited).await;
        let answer = bot.own(&world, &[]).await;
        let claims = claims(&token(&answer));
        let id = bot.agent.id.as_str();
        for (name, value) in [
            ("sub", json!(id)),
            ("agent_id", json!(id)),
            ("client_id", json!(id)),
            ("tenant_id", json!("acme")),
            ("aud", json!(MCP)),
            ("scope", json!("mcp:call mcp:read")),
            ("agent_trust", json!("medium")),
            ("agent_servers", json!(["git", "mail"])),
        ] {
            assert_eq!(claims[name], value, "{name}");
        }
        assert!(claims.get("act").is_none() && answer.json().get("refresh_token").is_none());
        assert!(world.record().contains(id));
        // Not what it is not registered for, and nothing that is not there.
        for (pairs, error) in [
            (&[("scope", "mcp:call admin")][..], "invalid_scope"),
            (&[("scope", "more")], "invalid_scope"),
            (&[("resource", "https://gw.test/servers/other/mcp")], "invalid_target"),
            (&[("resource", "")], "invalid_target"),
            (&[("resource", GIT), ("scope", "mcp:call")], "invalid_scope"),
        ] {
            assert_eq!(bot.own(&world, pairs).await.error(), error, "{pairs:?}");
        }
        assert_eq!(claims_of(&bot.own(&world, &[("scope", "mcp:read")]).await)["scope"], "mcp:read");
        let none = Change { servers: Some(Vec::new()), ..change() };
        world.issuer.agents().change(id, &none, "operator").await.unwrap();
        assert_eq!(bot.own(&world, &[]).await.error(), "invalid_target");
        let listed = world.issuer.agent_credentials().list(id).await.unwrap();
        assert!(listed[0].last_used_at.is_some());
        assert!(world.issuer.agents().find(id).await.unwrap().unwrap().last_used_at.is_some());
    }
}

fn claims_of(answer: &Answer) -> Value {
    claims(&token(answer))
}

#[tokio::test]
async fn an_assertion_of_an_agent_is_taken_once() {
    for world in worlds().await {
        let bot = bot(&world, change()).await;
        let assertion = bot.assertion(&world);
        let pairs = [
            ("grant_type", "client_credentials"),
            ("resource", MCP),
            ("client_assertion_type", TYPE),
            ("client_assertion", assertion.as_str()),
        ];
        let other = world.replica().await;
        let (one, two, three) = tokio::join!(
            form(&world.issuer, "/oauth/token", &pairs),
            form(&other, "/oauth/token", &pairs),
            form(&world.issuer, "/oauth/token", &pairs)
        );
        let good = [one, two, three].iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert_eq!(good, 1);
    }
}

#[tokio::test]
async fn an_agent_is_the_one_that_all_of_its_proofs_name() {
    for world in worlds().await {
        let (mine, other) = (bot(&world, change()).await, bot(&world, change()).await);
        let named = mine.own(&world, &[("client_id", other.agent.id.as_str())]).await;
        assert_eq!(named.error(), "invalid_client");
        // Another's key under my name, and my key under another's.
        let claims = assertion(&mine.agent.id, &world, "x1");
        let forged = other.signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims);
        let pairs = [
            ("grant_type", "client_credentials"),
            ("resource", MCP),
            ("client_assertion_type", TYPE),
            ("client_assertion", forged.as_str()),
        ];
        assert_eq!(world.form("/oauth/token", &pairs).await.error(), "invalid_client");
        // Signed by its key, and not what a client says of itself here and now.
        let now = world.clock.now().seconds();
        for (at, bad) in [
            json!({"iss": other.agent.id}),
            json!({"iat": now + 120}),
            json!({"nbf": now + 120}),
            json!({"exp": now - 60}),
            json!({"exp": now + 400}),
            json!({"aud": MCP}),
            json!({"aud": [HERE, "https://other.test"]}),
            json!({"jti": null}),
        ]
        .iter()
        .enumerate()
        {
            let claims = assertion(&mine.agent.id, &world, &format!("b{at}"));
            let signed = mine.signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &with(&claims, bad));
            let pairs = [pairs[0], pairs[1], pairs[2], ("client_assertion", signed.as_str())];
            assert_eq!(world.form("/oauth/token", &pairs).await.error(), "invalid_client", "{bad}");
        }
        let claims = assertion(&mine.agent.id, &world, "saml");
        let signed = mine.signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims);
        let saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
        let pairs = [pairs[0], pairs[1], ("client_assertion_type", saml), ("client_assertion", &signed)];
        assert_eq!(world.form("/oauth/token", &pairs).await.error(), "invalid_client");
        let with_secret = mine.own(&world, &[("client_secret", "x")]).await;
        assert_eq!(with_secret.error(), "invalid_request");
        // Nothing but its name.
        let bare =
            [("grant_type", "client_credentials"), ("resource", MCP), ("client_id", mine.agent.id.as_str())];
        assert_eq!(world.form("/oauth/token", &bare).await.error(), "invalid_client");
        let unknown = [("grant_type", "client_credentials"), ("client_id", "agt_0"), ("resource", MCP)];
        assert_eq!(world.form("/oauth/token", &unknown).await.error(), "invalid_client");
        // A client that is no agent.
        let shop = [
            ("grant_type", "client_credentials"),
            ("resource", MCP),
            ("client_id", "shop"),
            ("client_secret", "s3cret+/: x"),
        ];
        assert_eq!(world.form("/oauth/token", &shop).await.error(), "unauthorized_client");
    }
}

#[tokio::test]
async fn two_credentials_overlap_and_a_revoked_one_proves_nothing() {
    for world in worlds().await {
        let old = bot(&world, change()).await;
        let credentials = world.issuer.agent_credentials();
        let id = old.agent.id.clone();
        // So that the list has an order.
        world.pass(1);
        let fresh = Signer::new();
        let key = NewCredential::Proof(Proof::Jwk(fresh.jwks("k1")["keys"][0].clone()));
        let soon = world.clock.now().after(Duration::from_secs(60));
        credentials.add(&id, &key, Some(soon), None, false).await.unwrap();
        let new = Bot { agent: old.agent.clone(), signer: fresh, used: std::cell::Cell::new(100) };
        assert_eq!(new.own(&world, &[]).await.error(), "invalid_client", "not yet");
        world.pass(61);
        token(&old.own(&world, &[]).await);
        token(&new.own(&world, &[]).await);
        let first = credentials.list(&id).await.unwrap()[0].id.clone();
        credentials.revoke(&id, &first, "operator").await.unwrap();
        assert!(matches!(credentials.revoke(&id, &first, "operator").await, Err(CredentialError::Unknown)));
        assert_eq!(old.own(&world, &[]).await.error(), "invalid_client");
        token(&new.own(&world, &[]).await);
        let last = Signer::new();
        let key = NewCredential::Proof(Proof::Jwk(last.jwks("k1")["keys"][0].clone()));
        let end = world.clock.now().after(Duration::from_secs(60));
        credentials.add(&id, &key, None, Some(end), false).await.unwrap();
        let last = Bot { agent: old.agent.clone(), signer: last, used: std::cell::Cell::new(200) };
        assert_eq!(last.own(&world, &[]).await.json()["expires_in"], 60);
        world.pass(60);
        assert_eq!(last.own(&world, &[]).await.error(), "invalid_client", "no longer");
        // All that the agent held until then is revoked.
        let revoked = authn::revocations::revocations(&world.test.db, None, world.clock.now(), 10).await;
        assert!(format!("{:?}", revoked.unwrap()).contains(&id));
    }
}

#[tokio::test]
async fn of_many_credentials_at_once_five_are_good() {
    for world in worlds().await {
        let agent = register(&world, change()).await;
        let tasks: Vec<_> = (0..12)
            .map(|_| {
                let (credentials, id) = (world.issuer.agent_credentials(), agent.id.clone());
                let new = NewCredential::ApiKey { scopes: None };
                tokio::spawn(async move { credentials.add(&id, &new, None, None, false).await.is_ok() })
            })
            .collect();
        let mut added = 0;
        for task in tasks {
            added += usize::from(task.await.unwrap());
        }
        assert_eq!(added, 5);
    }
}

#[tokio::test]
async fn what_is_registered_is_checked() {
    for world in worlds().await {
        let agents = world.issuer.agents();
        person(&world, "usr_bob", "other").await;
        for owner in ["usr_bob", "usr_nobody"] {
            let new = NewAgent { tenant: "acme".into(), owner: owner.into(), change: change() };
            assert!(matches!(agents.register(&new).await, Err(AgentError::Owner)), "{owner}");
        }
        for bad in [
            Change { name: " ".into(), ..change() },
            Change { servers: Some(vec!["Not A Name".into()]), ..change() },
            Change { scopes: vec!["a b".into()], ..change() },
            Change { scopes: vec!["x".into(); 65], ..change() },
            Change { delegation: Delegation { depth: 9, scopes: None }, ..change() },
        ] {
            let new = NewAgent { tenant: "acme".into(), owner: "usr_alice".into(), change: bad.clone() };
            assert!(matches!(agents.register(&new).await, Err(AgentError::Invalid(_))), "{bad:?}");
        }
        let agent = register(&world, change()).await;
        assert_eq!(agents.list("acme", "", 10).await.unwrap(), std::slice::from_ref(&agent));
        assert!(agents.list("other", "", 10).await.unwrap().is_empty());
        let credentials = world.issuer.agent_credentials();
        let private = with(&Signer::new().jwks("k1")["keys"][0], &json!({"d": "AA"}));
        for proof in [
            Proof::Jwk(private),
            Proof::Jwk(json!({"kty": "oct", "k": "AAAA"})),
            Proof::Jwk(json!({})),
            Proof::Certificate("zz".into()),
            Proof::SanDns("*.example".into()),
            Proof::SanUri("spiffe://example/x".into()),
            Proof::Spiffe("spiffe://example".into()),
            Proof::Spiffe("https://example/x".into()),
        ] {
            let added =
                credentials.add(&agent.id, &NewCredential::Proof(proof.clone()), None, None, true).await;
            assert!(matches!(added, Err(CredentialError::Invalid(_))), "{proof:?}");
        }
        let none = credentials.add("agt_0", &NewCredential::ApiKey { scopes: None }, None, None, true).await;
        assert!(matches!(none, Err(CredentialError::Unknown)));
    }
}

#[tokio::test]
async fn agents_stop_and_come_back_with_their_owner() {
    for world in worlds().await {
        let bot = bot(&world, change()).await;
        let agents = world.issuer.agents();
        stand(&world, "usr_alice", "disabled").await;
        let stopped = agents.follow_owner("usr_alice", "operator").await.unwrap();
        assert_eq!(stopped, std::slice::from_ref(&bot.agent.id));
        assert_eq!(bot.own(&world, &[]).await.error(), "invalid_client");
        // It is not let go on while its owner is away.
        agents.set_active(&bot.agent.id, true, "operator").await.unwrap();
        assert_eq!(bot.own(&world, &[]).await.error(), "invalid_client");
        stand(&world, "usr_alice", "active").await;
        assert_eq!(agents.follow_owner("usr_alice", "operator").await.unwrap().len(), 1);
        token(&bot.own(&world, &[]).await);
        agents.set_active(&bot.agent.id, false, "operator").await.unwrap();
        assert_eq!(bot.own(&world, &[]).await.error(), "invalid_client");
        // One that was stopped by itself stays stopped.
        agents.follow_owner("usr_alice", "operator").await.unwrap();
        assert_eq!(bot.own(&world, &[]).await.error(), "invalid_client");
        agents.set_active(&bot.agent.id, true, "operator").await.unwrap();
        let ends = Change { expires_at: Some(world.clock.now().after(Duration::from_secs(100))), ..change() };
        agents.change(&bot.agent.id, &ends, "operator").await.unwrap();
        assert_eq!(bot.own(&world, &[]).await.json()["expires_in"], 100);
        world.pass(101);
        assert_eq!(bot.own(&world, &[]).await.error(), "invalid_client");
    }
}

#[tokio::test]
async fn what_a_stopped_agent_holds_is_good_no_more() {
    for world in worlds().await {
        let bot = bot(&world, change()).await;
        let agents = world.issuer.agents();
        let is_good = async |token: &str| {
            let pairs = [("client_id", "shop"), ("client_secret", "s3cret+/: x"), ("token", token)];
            world.form("/oauth/introspect", &pairs).await.json()["active"].clone()
        };
        for by_owner in [false, true] {
            let held = token(&bot.own(&world, &[]).await);
            assert_eq!(is_good(&held).await, true);
            world.pass(5);
            if by_owner {
                stand(&world, "usr_alice", "disabled").await;
                agents.follow_owner("usr_alice", "operator").await.unwrap();
            } else {
                agents.set_active(&bot.agent.id, false, "operator").await.unwrap();
                agents.set_active(&bot.agent.id, true, "operator").await.unwrap();
            }
            assert_eq!(is_good(&held).await, false, "by its owner: {by_owner}");
            world.pass(5);
        }
    }
}

#[tokio::test]
async fn an_agent_without_an_active_owner_is_stopped_at_once() {
    for world in worlds().await {
        let bot = bot(&world, change()).await;
        token(&bot.own(&world, &[]).await);
        stand(&world, "usr_alice", "disabled").await;
        assert_eq!(bot.own(&world, &[]).await.error(), "invalid_client");
        stand(&world, "usr_alice", "active").await;
        token(&bot.own(&world, &[]).await);
    }
}

#[tokio::test]
async fn a_secret_is_good_where_the_tenant_allows_it() {
    for world in worlds().await {
        let agent = register(&world, change()).await;
        let credentials = world.issuer.agent_credentials();
        let refused = credentials.add(&agent.id, &NewCredential::Secret, None, None, false).await;
        assert!(matches!(refused, Err(CredentialError::Secrets)));
        let fresh = credentials.add(&agent.id, &NewCredential::Secret, None, None, true).await.unwrap();
        let secret = fresh.secret.unwrap();
        let pairs = [
            ("grant_type", "client_credentials"),
            ("resource", MCP),
            ("client_id", agent.id.as_str()),
            ("client_secret", secret.as_str()),
        ];
        assert_eq!(world.form("/oauth/token", &pairs).await.error(), "invalid_client", "allowed no longer");
        world.configure(|config| {
            let rules = crate::AgentRules { allow_client_secrets: true, ..crate::AgentRules::default() };
            config.agents.insert("acme".into(), rules);
        });
        token(&world.form("/oauth/token", &pairs).await);
        let wrong = [pairs[0], pairs[1], pairs[2], ("client_secret", "pts_wrong")];
        assert_eq!(world.form("/oauth/token", &wrong).await.error(), "invalid_client");
        let other = register(&world, change()).await;
        let named = [pairs[0], pairs[1], ("client_id", other.id.as_str()), pairs[3]];
        assert_eq!(world.form("/oauth/token", &named).await.error(), "invalid_client", "another's");
        let key = NewCredential::ApiKey { scopes: None };
        let key = credentials.add(&agent.id, &key, None, None, true).await.unwrap().secret.unwrap();
        let by_key = [pairs[0], pairs[1], pairs[2], ("client_secret", key.as_str())];
        assert_eq!(world.form("/oauth/token", &by_key).await.error(), "invalid_client", "no secret");
        assert!(!world.record().contains(&secret));
    }
}

/// Asks over a connection that showed this certificate.
async fn over(world: &World, agent: &Agent, certificate: Option<Certificate>) -> Answer {
    let pairs = [("grant_type", "client_credentials"), ("resource", MCP), ("client_id", agent.id.as_str())];
    post_over(world, &pairs, certificate).await
}

async fn post_over(world: &World, pairs: &[(&str, &str)], certificate: Option<Certificate>) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let certificate = certificate.map(Arc::new);
    let peer = Peer { address: "192.0.2.1:4000".parse().unwrap(), tls: true, certificate };
    let request = Request::post("/oauth/token").header("content-type", "application/x-www-form-urlencoded");
    let request = request.body(Full::new(bytes::Bytes::from(body))).unwrap();
    let (head, body) = world.issuer.answer(request, peer).await.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Answer { status: head.status, headers: head.headers, body: body.to_vec() }
}

/// A certificate with these names.
fn certificate(dns: &[&str], uris: &[&str], vouched: bool, expired: bool) -> Certificate {
    let mut params =
        rcgen::CertificateParams::new(dns.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.subject_alt_names.extend(uris.iter().map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap())));
    params.not_after = rcgen::date_time_ymd(if expired { 2020 } else { 2100 }, 1, 1);
    let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let der = made.der().to_vec();
    Certificate { digest: Digest::of(&der), der, vouched }
}

#[tokio::test]
async fn certificates_prove_by_their_names_or_by_themselves() {
    for world in worlds().await {
        let agent = register(&world, change()).await;
        let credentials = world.issuer.agent_credentials();
        let mine = certificate(&["self.example"], &[], false, false);
        for proof in [
            Proof::SanDns("bot.example".into()),
            Proof::SanUri("urn:bots:1".into()),
            Proof::Spiffe("spiffe://example/bots/1".into()),
            Proof::Certificate(mine.digest.to_string()),
        ] {
            credentials.add(&agent.id, &NewCredential::Proof(proof), None, None, false).await.unwrap();
        }
        let spiffe = "spiffe://example/bots/1";
        for (name, shown, good) in [
            ("its DNS name", certificate(&["bot.example"], &[], true, false), true),
            ("its DNS name, of nobody's", certificate(&["bot.example"], &[], false, false), false),
            ("its DNS name, expired", certificate(&["bot.example"], &[], true, true), false),
            ("another DNS name", certificate(&["bot.example.org"], &[], true, false), false),
            ("a DNS name below", certificate(&["x.bot.example"], &[], true, false), false),
            ("its URI", certificate(&[], &["urn:bots:1"], true, false), true),
            ("another URI", certificate(&[], &["urn:bots:2"], true, false), false),
            ("a longer URI", certificate(&[], &["urn:bots:10"], true, false), false),
            ("its URI, of nobody's", certificate(&[], &["urn:bots:1"], false, false), false),
            ("its SPIFFE id", certificate(&[], &[spiffe], true, false), true),
            ("its SPIFFE id, of nobody's", certificate(&[], &[spiffe], false, false), false),
            ("a SPIFFE id below", certificate(&[], &["spiffe://example/bots/1/x"], true, false), false),
            ("another trust domain", certificate(&[], &["spiffe://example.org/bots/1"], true, false), false),
            ("two URIs", certificate(&[], &[spiffe, "spiffe://example/bots/2"], true, false), false),
            ("itself", mine.clone(), true),
            ("another of that name", certificate(&["self.example"], &[], false, false), false),
        ] {
            let digest = URL_SAFE_NO_PAD.encode(shown.digest.0);
            let answer = over(&world, &agent, Some(shown)).await;
            assert_eq!(answer.status == StatusCode::OK, good, "{name}: {}", answer.text());
            if good {
                assert_eq!(claims_of(&answer)["cnf"], json!({"x5t#S256": digest}), "{name}");
            } else {
                assert_eq!(answer.error(), "invalid_client", "{name}");
            }
        }
        assert_eq!(over(&world, &agent, None).await.error(), "invalid_client");
    }
}
