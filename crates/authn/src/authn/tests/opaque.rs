//! Opaque tokens: whom they are shown to, what is believed, and what happens when nobody answers.

use super::*;
use crate::contract::Omittable;
use crate::{ClientAuth, OpaqueConfig, OpaqueFault, OpaqueRule, SecretSource};
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine as _;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use model::Secret;
use net::Body;
use net::listen::{Listener, Peer};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An endpoint that answers what the test says.
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) heard: Arc<Mutex<Vec<(String, HeaderMap, String)>>>,
    answer: Arc<Mutex<(StatusCode, Value)>>,
    slow: Arc<AtomicUsize>,
}

impl Endpoint {
    pub(super) async fn start() -> Self {
        let config = net::listen::Config::new("127.0.0.1:0".parse().unwrap(), &model::Limits::default());
        let listener = Listener::bind(config, None).await.unwrap();
        let url = format!("http://{}", listener.address().unwrap());
        let heard: Arc<Mutex<Vec<_>>> = Arc::default();
        let answer = Arc::new(Mutex::new((StatusCode::OK, json!({ "active": false }))));
        let slow = Arc::new(AtomicUsize::new(0));
        let (hears, says, waits) = (Arc::clone(&heard), Arc::clone(&answer), Arc::clone(&slow));
        let serve = move |request: Request<hyper::body::Incoming>, _: Peer| {
            let (hears, says, waits) = (Arc::clone(&hears), Arc::clone(&says), Arc::clone(&waits));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = String::from_utf8(body.to_vec()).unwrap();
                hears.lock().unwrap().push((head.uri.to_string(), head.headers, body));
                let wait = u64::try_from(waits.load(Ordering::SeqCst)).unwrap();
                tokio::time::sleep(Duration::from_millis(wait)).await;
                let (status, answer) = says.lock().unwrap().clone();
                let mut response = Response::new(Body::full(answer.to_string()));
                *response.status_mut() = status;
                response
            }
        };
        tokio::spawn(listener.serve(serve, std::future::pending()));
        Self { url, heard, answer, slow }
    }

    pub(super) fn says(&self, answer: Value) {
        *self.answer.lock().unwrap() = (StatusCode::OK, answer);
    }

    pub(super) fn fails(&self, status: u16) {
        self.answer.lock().unwrap().0 = StatusCode::from_u16(status).unwrap();
    }

    pub(super) fn asked(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

pub(super) struct Kept(pub(super) Vec<u8>);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("kept")
    }
}

impl SecretSource for Kept {
    fn read(&self) -> Result<Arc<Secret>, String> {
        if self.0.is_empty() { Err("it is gone".into()) } else { Ok(Arc::new(Secret::new(self.0.clone()))) }
    }
}

pub(super) const LEGACY: &str = "https://legacy.test";
pub(super) const TOKEN: &str = "leg_0123456789abcdef.canary";

fn config(endpoint: &Endpoint, issuer: &str, prefix: &str) -> OpaqueConfig {
    OpaqueConfig {
        issuer: issuer.into(),
        prefix: prefix.into(),
        endpoints: Vec::new(),
        introspection: format!("{}/introspect", endpoint.url),
        rule: Rule::LOOPBACK,
        client: ClientAuth::Basic { client_id: "gw:1".into(), secret: Arc::new(Kept(b"s e".to_vec())) },
        contract: OpaqueRule::default(),
    }
}

fn legacy(issuer: &str) -> IssuerConfig {
    let mut config = IssuerConfig::new(issuer);
    config.keys = KeySource::None;
    config
}

/// A world whose legacy issuer is asked at `endpoint`.
pub(super) async fn world(endpoint: &Endpoint, change: impl FnOnce(&mut Config)) -> World {
    let key = Signer::new("k1", Algorithm::Es256);
    World::with(&[&key], |all| {
        all.issuers.push(legacy(LEGACY));
        all.opaque.push(config(endpoint, LEGACY, "leg_"));
        change(all);
    })
    .await
}

pub(super) fn active(changes: Value) -> Value {
    let answer = json!({
        "active": true, "iss": LEGACY, "sub": "alice", "aud": RESOURCE, "client_id": "cli", "tenant_id": "acme",
        "exp": NOW + 300, "iat": NOW - 10, "scope": "mcp:read mcp:call", "token_type": "Bearer",
    });
    with(answer, changes)
}

#[tokio::test]
async fn an_opaque_token_says_who_calls_as_its_issuer_tells() {
    let endpoint = Endpoint::start().await;
    let world = world(&endpoint, |_| {}).await;
    endpoint.says(active(json!({})));
    let verified = world.present(TOKEN).await.unwrap();
    let who = &verified.principal;
    assert_eq!((&*who.user, &*who.client, &*who.tenant, &*who.issuer), ("alice", "cli", "acme", LEGACY));
    assert_eq!(who.scopes.len(), 2);
    assert_eq!(verified.expires_at, Timestamp::from_seconds(NOW + 330));
    let (path, headers, body) = endpoint.heard.lock().unwrap()[0].clone();
    assert_eq!(
        (path.as_str(), body.as_str()),
        ("/introspect", "token=leg_0123456789abcdef.canary&token_type_hint=access_token")
    );
    // RFC 6749 §2.3.1: both halves are form-encoded.
    let basic = base64::engine::general_purpose::STANDARD.encode("gw%3A1:s+e");
    assert_eq!(headers["authorization"], format!("Basic {basic}"));
    // The same by the way of an exchange.
    let same = world.authn.token(TOKEN.as_bytes(), &world.resource, None).await.unwrap();
    assert_eq!(same.principal, verified.principal);
    assert_eq!(endpoint.asked(), 1);
}

#[tokio::test]
async fn an_opaque_token_is_shown_to_its_own_issuer_and_to_nobody_else() {
    let (ours, theirs) = (Endpoint::start().await, Endpoint::start().await);
    let world = world(&ours, |all| {
        all.issuers.push(legacy("https://other.test"));
        all.opaque.push(OpaqueConfig {
            endpoints: vec!["/mcp".into()],
            ..config(&theirs, "https://other.test", "")
        });
        all.opaque[0].endpoints = vec!["/servers/git/mcp".into()];
    })
    .await;
    let other = Resource::new("https://gw.test/mcp", vec![], vec![], vec![]).unwrap();
    assert_eq!(world.present(TOKEN).await.err(), Some(AuthnError::Inactive));
    assert_eq!((ours.asked(), theirs.asked()), (1, 0));
    assert_eq!(world.present_at("anything", &other).await.err(), Some(AuthnError::Inactive));
    assert_eq!((ours.asked(), theirs.asked()), (1, 1));
    // Of nobody that is known here.
    assert_eq!(world.present("anything").await.err(), Some(AuthnError::Malformed));
    // A signed token of a stranger, and a credential of ours, are nobody's to see.
    let signed =
        Signer::new("k", Algorithm::Es256).sign(&with(world.claims(), json!({ "iss": "https://evil.test" })));
    assert_eq!(world.present_at(&signed, &other).await.err(), Some(AuthnError::UnknownIssuer));
    assert_eq!(world.present_at("ptn_0123456789", &other).await.err(), Some(AuthnError::Malformed));
    assert_eq!((ours.asked(), theirs.asked()), (1, 1));
}

#[tokio::test]
async fn what_an_issuer_tells_is_held_against_the_contract() {
    let endpoint = Endpoint::start().await;
    let world = world(&endpoint, |_| {}).await;
    use AuthnError as E;
    for (number, (changes, expect)) in [
        (json!({ "active": false }), E::Inactive),
        (json!({ "active": "true" }), E::IntrospectionUnavailable),
        (json!({ "active": 1 }), E::IntrospectionUnavailable),
        (json!({ "active": null }), E::IntrospectionUnavailable),
        (json!({ "iss": null }), E::BadClaim("iss")),
        (json!({ "iss": "https://evil.test" }), E::UnknownIssuer),
        (json!({ "iss": [LEGACY] }), E::BadClaim("iss")),
        (json!({ "aud": null }), E::BadClaim("aud")),
        (json!({ "aud": "https://other.test" }), E::WrongAudience),
        (json!({ "exp": null }), E::BadClaim("exp")),
        (json!({ "exp": NOW - 31 }), E::Expired),
        (json!({ "exp": "soon" }), E::BadClaim("exp")),
        (json!({ "iat": NOW + 61 }), E::NotYet),
        (json!({ "client_id": null }), E::BadClaim("client")),
        (json!({ "sub": null }), E::BadClaim("user")),
        (json!({ "tenant_id": null }), E::BadClaim("tenant")),
        (json!({ "token_type": "DPoP" }), E::SenderBound),
        (json!({ "cnf": { "jkt": "x" } }), E::SenderBound),
        (json!({ "nonce": "n" }), E::NotAccessToken),
        (json!({ "typ": "Refresh" }), E::NotAccessToken),
    ]
    .into_iter()
    .enumerate()
    {
        endpoint.says(active(changes.clone()));
        let refused = world.present(&format!("leg_{number}")).await.err();
        assert_eq!(refused, Some(expect), "{changes}");
    }
}

#[tokio::test]
async fn an_answer_without_audience_needs_a_binding_of_its_client() {
    let endpoint = Endpoint::start().await;
    let world = world(&endpoint, |all| {
        all.opaque[0].contract = OpaqueRule {
            may_omit: vec![Omittable::Iss, Omittable::Exp],
            clients: [("cli".to_owned(), vec![RESOURCE.to_owned()])].into(),
        };
    })
    .await;
    let silent = json!({ "aud": null, "iss": null, "exp": null, "iat": null });
    endpoint.says(active(silent.clone()));
    let verified = world.present("leg_1").await.unwrap();
    // It is good for as long as the answer is.
    assert_eq!(verified.expires_at, Timestamp::from_seconds(NOW + 30));
    let other = Resource::new("https://gw.test/mcp", vec![], vec![], vec![]).unwrap();
    assert_eq!(world.present_at("leg_1", &other).await.err(), Some(AuthnError::WrongAudience));
    endpoint.says(active(with(silent.clone(), json!({ "client_id": "unbound" }))));
    assert_eq!(world.present("leg_2").await.err(), Some(AuthnError::BadClaim("aud")));
    // An audience that is there counts, whatever is bound.
    endpoint.says(active(with(silent, json!({ "aud": "https://other.test" }))));
    assert_eq!(world.present("leg_3").await.err(), Some(AuthnError::WrongAudience));
}

#[tokio::test]
async fn an_answer_is_believed_for_half_a_minute_and_a_refusal_for_five_seconds() {
    let endpoint = Endpoint::start().await;
    let world = world(&endpoint, |_| {}).await;
    endpoint.says(active(json!({})));
    world.present("leg_1").await.unwrap();
    endpoint.says(json!({ "active": false }));
    world.advance(29);
    world.present("leg_1").await.unwrap();
    assert_eq!(endpoint.asked(), 1);
    world.advance(1);
    assert_eq!(world.present("leg_1").await.err(), Some(AuthnError::Inactive));
    endpoint.says(active(json!({})));
    world.advance(4);
    assert_eq!(world.present("leg_1").await.err(), Some(AuthnError::Inactive));
    assert_eq!(endpoint.asked(), 2);
    world.advance(1);
    world.present("leg_1").await.unwrap();
    assert_eq!(endpoint.asked(), 3);
    // And never beyond its expiry.
    endpoint.says(active(json!({ "exp": NOW + 40 })));
    world.present("leg_2").await.unwrap();
    endpoint.says(json!({ "active": false }));
    world.advance(5);
    assert_eq!(world.present("leg_2").await.err(), Some(AuthnError::Inactive));
}

#[tokio::test]
async fn many_callers_of_one_token_ask_once() {
    let endpoint = Endpoint::start().await;
    let world = world(&endpoint, |_| {}).await;
    endpoint.says(active(json!({})));
    endpoint.slow.store(100, Ordering::SeqCst);
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let (authn, resource) = (Arc::clone(&world.authn), world.resource.clone());
            tokio::spawn(async move { authn.token(TOKEN.as_bytes(), &resource, None).await.is_ok() })
        })
        .collect();
    for caller in waiting {
        assert!(caller.await.unwrap());
    }
    assert_eq!(endpoint.asked(), 1);
}

#[tokio::test]
async fn when_nobody_answers_nobody_gets_in_and_the_next_one_asks_again() {
    let endpoint = Endpoint::start().await;
    let world = world(&endpoint, |_| {}).await;
    endpoint.says(active(json!({})));
    for status in [500, 503, 401, 302, 204] {
        endpoint.fails(status);
        assert_eq!(world.present(TOKEN).await.err(), Some(AuthnError::IntrospectionUnavailable), "{status}");
    }
    assert_eq!(AuthnError::IntrospectionUnavailable.status(), 503);
    // Signing in again would not help, so nobody is told to.
    assert!(crate::challenge(AuthnError::IntrospectionUnavailable, &world.resource).is_none());
    endpoint.says(json!({ "active": true, "pad": "x".repeat(70_000) }));
    assert_eq!(world.present(TOKEN).await.err(), Some(AuthnError::IntrospectionUnavailable));
    endpoint.says(active(json!({})));
    world.present(TOKEN).await.unwrap();
}

#[tokio::test]
async fn a_revocation_here_counts_for_opaque_tokens_too_and_answers_are_forgotten() {
    let endpoint = Endpoint::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("revoked.yaml");
    std::fs::write(&file, "revoked: []").unwrap();
    let world = world(&endpoint, |all| all.revoked_tokens_file = Some(file.clone())).await;
    let other = Resource::new("https://gw.test/mcp", vec![], vec![], vec![]).unwrap();
    endpoint.says(active(json!({ "aud": [RESOURCE, other.canonical()] })));
    let verified = world.present(TOKEN).await.unwrap();
    std::fs::write(&file, json!({ "revoked": [{ "token": Digest::of(TOKEN.as_bytes()) }] }).to_string())
        .unwrap();
    drop(world.authn.tend());
    assert_eq!(world.present(TOKEN).await.err(), Some(AuthnError::Revoked));
    assert_eq!(world.authn.recheck(&verified), Err(AuthnError::Revoked));
    // Another one's answer from before is not taken for good where it was not judged yet: the issuer is asked anew.
    assert_eq!(world.present_at(TOKEN, &other).await.err(), Some(AuthnError::Revoked));
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test]
async fn a_stream_behind_an_opaque_token_ends_when_its_issuer_says_so() {
    let endpoint = Endpoint::start().await;
    let world = world(&endpoint, |_| {}).await;
    endpoint.says(active(json!({})));
    let verified = world.present(TOKEN).await.unwrap();
    world.authn.recheck(&verified).unwrap();
    assert_eq!(endpoint.asked(), 1);
    let until = |wanted: Result<(), AuthnError>| {
        let (authn, verified) = (Arc::clone(&world.authn), verified.clone());
        async move {
            while authn.recheck(&verified) != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    // Asked again a little before the answer is too old, while the stream goes on.
    world.advance(25);
    world.authn.recheck(&verified).unwrap();
    while endpoint.asked() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.advance(25);
    tokio::time::timeout(Duration::from_secs(5), until(Ok(()))).await.unwrap();
    endpoint.says(json!({ "active": false }));
    world.advance(4);
    tokio::time::timeout(Duration::from_secs(5), until(Err(AuthnError::Inactive))).await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_when_its_issuer_cannot_be_asked_in_time() {
    let endpoint = Endpoint::start().await;
    let world = world(&endpoint, |_| {}).await;
    endpoint.says(active(json!({})));
    let verified = world.present(TOKEN).await.unwrap();
    endpoint.fails(500);
    world.advance(29);
    world.authn.recheck(&verified).unwrap();
    world.advance(1);
    assert_eq!(world.authn.recheck(&verified), Err(AuthnError::IntrospectionUnavailable));
}

#[tokio::test]
async fn a_key_can_say_who_asks() {
    let endpoint = Endpoint::start().await;
    let document = EcdsaKeyPair::generate_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &aws_lc_rs::rand::SystemRandom::new(),
    )
    .unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(document.as_ref())
    );
    let world = world(&endpoint, |all| {
        all.opaque[0].client = ClientAuth::PrivateKey {
            client_id: "gw".into(),
            key_id: Some("k-7".into()),
            key: Arc::new(Kept(pem.into_bytes())),
            audience: LEGACY.into(),
        };
    })
    .await;
    endpoint.says(active(json!({})));
    world.present(TOKEN).await.unwrap();
    let (_, headers, body) = endpoint.heard.lock().unwrap()[0].clone();
    assert!(headers.get("authorization").is_none());
    let form: std::collections::HashMap<_, _> =
        form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let jws = Jws::parse(form["client_assertion"].as_bytes()).unwrap();
    let said = |name: &str| jws.claims[name].clone();
    assert_eq!((said("iss"), said("sub"), said("aud")), (json!("gw"), json!("gw"), json!(LEGACY)));
    assert_eq!((jws.kid.as_deref(), said("exp")), (Some("k-7"), json!(NOW + 60)));
    let pair =
        EcdsaKeyPair::from_pkcs8(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref())
            .unwrap();
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    public.verify(jws.signed, &jws.signature).unwrap();
}

#[tokio::test]
async fn a_credential_that_cannot_be_read_asks_nobody() {
    let endpoint = Endpoint::start().await;
    let world = world(&endpoint, |all| {
        all.opaque[0].client =
            ClientAuth::Basic { client_id: "gw".into(), secret: Arc::new(Kept(Vec::new())) };
    })
    .await;
    assert_eq!(world.present(TOKEN).await.err(), Some(AuthnError::IntrospectionUnavailable));
    assert_eq!(endpoint.asked(), 0);
}

#[tokio::test]
async fn two_routes_for_one_token_are_a_fault_of_the_configuration() {
    let endpoint = Endpoint::start().await;
    let egress = Client::new(&net::egress::Config::default()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(Timestamp(0)));
    let faults = |routes: &[(&str, &[&str])]| {
        let mut all =
            Config { issuers: vec![legacy("https://a.test"), legacy("https://b.test")], ..Config::default() };
        for (index, (prefix, endpoints)) in routes.iter().enumerate() {
            let issuer = ["https://a.test", "https://b.test", "https://c.test"][index];
            let endpoints = endpoints.iter().map(|path| (*path).to_owned()).collect();
            all.opaque.push(OpaqueConfig { endpoints, ..config(&endpoint, issuer, prefix) });
        }
        Authn::new(all, egress.clone(), Arc::clone(&clock)).err().unwrap_or_default()
    };
    let ambiguous = |found: Vec<ConfigError>| {
        found.iter().any(|fault| matches!(fault, ConfigError::Opaque(OpaqueFault::Ambiguous(..))))
    };
    assert!(faults(&[("a_", &[]), ("b_", &[])]).is_empty());
    assert!(faults(&[("", &["/a"]), ("", &["/b"])]).is_empty());
    assert!(ambiguous(faults(&[("", &[]), ("b_", &[])])));
    assert!(ambiguous(faults(&[("a_", &[]), ("a_b", &[])])));
    assert!(ambiguous(faults(&[("", &["/a", "/b"]), ("", &["/b"])])));
    assert!(ambiguous(faults(&[("x", &[]), ("x", &["/b"])])));
    for prefix in ["e", "ey", "eyJhbGci", "p", "ptn_x", "ptk_"] {
        let found = faults(&[(prefix, &[])]);
        assert!(matches!(found.as_slice(), [ConfigError::Opaque(OpaqueFault::Prefix(_))]), "{prefix}");
    }
    let stranger = faults(&[("a_", &[]), ("b_", &[]), ("c_", &[])]);
    assert!(matches!(stranger.as_slice(), [ConfigError::Opaque(OpaqueFault::NoIssuer(_))]));
}
