//! Names that turn out to be ours: whatever the gateway fetches on somebody's word, it does not reach what is behind the
//! door by it (T12: server-side request forgery, DNS rebinding).
//!
//! Every name here has two addresses when it is looked up first, one public and one of this machine; later only the one of
//! this machine. Something listens there, and nobody may come.

use super::authority::{FORM, get, post};
use super::bed::{UP, code};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use net::egress::Resolve;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use testkit::{Browser, Caller, FakeIdp, Setup, TestGateway, clock, eventually};
use tokio::net::TcpListener;

/// The name service of whoever owns the names.
#[derive(Default)]
struct Turning(Mutex<Vec<String>>);

impl Resolve for Turning {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, std::io::Result<Vec<SocketAddr>>> {
        let ours = IpAddr::from(Ipv4Addr::LOCALHOST);
        let found = match host.parse::<IpAddr>() {
            Ok(literal) => vec![literal],
            Err(_) => {
                let mut asked = self.0.lock().unwrap();
                let first = !asked.iter().any(|known| known == host);
                asked.push(host.to_owned());
                if first { vec![Ipv4Addr::new(8, 8, 8, 8).into(), ours] } else { vec![ours] }
            }
        };
        std::future::ready(Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())).boxed()
    }
}

struct Trap {
    idp: FakeIdp,
    names: Arc<Turning>,
    came: Arc<AtomicUsize>,
    port: u16,
    gateway: TestGateway,
}

impl Trap {
    async fn set() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let came = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&came);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let at = |name: &str, path: &str| format!("https://{name}.example:{port}{path}");
        let idp = FakeIdp::start(clock()).await;
        let names = Arc::new(Turning::default());
        let provider = json!({"name": "main", "issuer": at("provider", ""), "client_id": "portunus"});
        let server = json!({
            "tenants": {"acme": {"providers": [provider], "identity_assertions": ["main"]}},
            "clients": {
                "keyed": {"name": "Keyed", "redirect_uris": ["https://a.example/cb"], "jwks_uri": at("client-keys", "/keys")},
                "shop": {"name": "Shop", "redirect_uris": ["https://a.example/cb"], "secret": {"from_file": "shop"}},
            },
        });
        let asked = json!({
            "issuer": at("login", ""), "tenant": "acme",
            "introspection": {
                "url": at("introspection", "/ask"), "only": true, "prefix": "leg_", "client_id": "portunus",
                "client_secret": {"from_file": "shop"},
            },
        });
        let gateway = Setup::trusting(&idp)
            .issuer(json!({"issuer": at("metadata", ""), "tenant": "acme"}))
            .issuer(json!({"issuer": at("issuer", ""), "jwks_uri": at("keys", "/keys"), "tenant": "acme"}))
            .issuer(asked)
            .file("shop", "a secret of some length")
            .set(&["authorization_server"], server)
            .set(&["servers", "up"], json!({"http": {"url": at("server", "/mcp")}}))
            .resolver(Arc::<Turning>::clone(&names))
            .start()
            .await;
        Self { idp, names, came, port, gateway }
    }

    fn at(&self, name: &str, path: &str) -> String {
        format!("https://{name}.example:{}{path}", self.port)
    }

    /// The name was looked up and nobody came. Looking it up again does not help.
    async fn holds(&self, name: &str) {
        let asked = || {
            let asked = self.names.0.lock().unwrap();
            std::future::ready(asked.iter().any(|known| *known == format!("{name}.example")).then_some(()))
        };
        eventually(name, asked).await;
        // Whoever dialled would have been heard by now.
        tokio::task::yield_now().await;
        assert_eq!(self.came.load(Ordering::SeqCst), 0, "{name}");
    }

    async fn token(&self, more: &[(&str, &str)]) -> testkit::Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(more).finish();
        post(self.gateway.address(), "/oauth/token", FORM, &body).await
    }

    async fn authorize(&self, client: &str) -> testkit::Reply {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", client),
                ("redirect_uri", "https://a.example/cb"),
                ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
                ("code_challenge_method", "S256"),
                ("resource", &self.gateway.resource(UP)),
            ])
            .finish();
        get(self.gateway.address(), &format!("/oauth/authorize?{query}")).await
    }
}

/// A JWT that nobody's key signed.
fn forged(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode([7; 64]))
}

#[tokio::test]
async fn an_issuers_metadata_and_its_keys_are_not_fetched_from_behind_the_door() {
    let trap = Trap::set().await;
    for (name, issuer) in [("metadata", "metadata"), ("keys", "issuer")] {
        let token = trap.gateway.token(&trap.idp, "alice", UP).claim("iss", trap.at(issuer, "")).sign();
        for _ in 0..2 {
            let reply =
                Caller::new(trap.gateway.address(), UP, Some(token.clone())).call("echo", json!({})).await;
            assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-2003"), "{name}: {}", reply.text());
        }
        trap.holds(name).await;
    }
}

#[tokio::test]
async fn nobody_behind_the_door_is_asked_about_an_opaque_token() {
    let trap = Trap::set().await;
    for _ in 0..2 {
        let token = Some("leg_0123456789abcdef".to_owned());
        let reply = Caller::new(trap.gateway.address(), UP, token).call("echo", json!({})).await;
        assert_eq!(reply.status, 503, "{}", reply.text());
    }
    trap.holds("introspection").await;
}

#[tokio::test]
async fn a_clients_document_is_not_fetched_from_behind_the_door() {
    let trap = Trap::set().await;
    for _ in 0..2 {
        let page = trap.authorize(&trap.at("client", "/client.json")).await;
        assert_eq!(page.status, 400, "{}", page.text());
        assert!(page.text().contains("PTN-"), "{}", page.text());
    }
    trap.holds("client").await;
}

#[tokio::test]
async fn a_clients_keys_are_not_fetched_from_behind_the_door() {
    let trap = Trap::set().await;
    let now = clock().now().seconds();
    let audience = trap.gateway.resource("");
    for number in 0..2 {
        let claims = json!({
            "iss": "keyed", "sub": "keyed", "aud": audience, "iat": now, "exp": now + 60, "jti": number.to_string(),
        });
        let assertion = forged(&json!({"alg": "ES256", "kid": "k", "typ": "JWT"}), &claims);
        let answer = trap
            .token(&[
                ("grant_type", "authorization_code"),
                ("client_id", "keyed"),
                ("code", "x"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", &assertion),
            ])
            .await;
        assert!([400, 401, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
    }
    trap.holds("client-keys").await;
}

#[tokio::test]
async fn a_providers_metadata_is_not_fetched_from_behind_the_door() {
    let trap = Trap::set().await;
    let browser = Browser::new(trap.gateway.address());
    for _ in 0..2 {
        let page = browser.get("/sign-in").await;
        let fields = ["form", "next", "tenant", "provider"].map(|name| (name, page.field(name)));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let left = browser.post("/sign-in/go", &fields).await;
        assert!(left.status >= 500 && left.text().contains("PTN-"), "{} {}", left.status, left.text());
    }
    trap.holds("provider").await;
}

#[tokio::test]
async fn the_keys_for_an_assertion_are_not_fetched_from_behind_the_door() {
    let trap = Trap::set().await;
    let now = clock().now().seconds();
    let claims = json!({
        "iss": trap.at("provider", ""), "sub": "alice", "aud": trap.gateway.resource(""), "client_id": "shop",
        "resource": trap.gateway.resource(UP), "iat": now, "exp": now + 60, "jti": "one",
    });
    let assertion = forged(&json!({"alg": "ES256", "kid": "k", "typ": "oauth-id-jag+jwt"}), &claims);
    for _ in 0..2 {
        let answer = trap
            .token(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("client_id", "shop"),
                ("client_secret", "a secret of some length"),
                ("assertion", &assertion),
            ])
            .await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &json!("invalid_grant")),
            "{}",
            answer.text()
        );
    }
    trap.holds("provider").await;
}

#[tokio::test]
async fn a_server_is_not_reached_behind_the_door() {
    let trap = Trap::set().await;
    let caller = trap.gateway.caller(&trap.idp, "alice", UP);
    assert!(caller.tools().await.is_empty());
    assert!(!caller.call("echo", json!({})).await.is_success());
    trap.holds("server").await;
}
