//! The room's contract, on both databases: what clients may send and what becomes of it.

mod agents;
mod clients;
mod codes;
mod devices;
mod documents;
mod ending;
mod id_jag;
mod people;
mod refreshing;
mod registering;
mod requests;
mod site;
mod telling;
mod vouching;

use crate::authorize::{Approval, Decision, finish};
use crate::client::{Keys, Method};
use crate::{Config, ConfiguredClient, Documents, Issuer, Parts, ResourceConfig};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use model::{Clock as _, Digest, FixedClock, Sealer, SealingKey, Secret, SystemDice, Timestamp};
use net::listen::Peer;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use storage::{on, sqlx};
use testdb::TestDb;
use vault::{KeyFile, Keyring, Lifecycle, Root, SigningKeys};

/// The gateway of these tests.
const HERE: &str = "https://gw.test";
/// One of its two endpoints.
const MCP: &str = "https://gw.test/mcp";
/// Where the client `cli` listens.
const LOOPBACK: &str = "http://127.0.0.1:5000/callback";
/// 43 characters of a verifier.
const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier";

/// An authorization server on one database.
struct World {
    issuer: Arc<Issuer>,
    clock: Arc<FixedClock>,
    test: TestDb,
    folder: tempfile::TempDir,
}

/// An answer.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl World {
    async fn each() -> Vec<Self> {
        let mut worlds = Vec::new();
        for test in TestDb::each().await {
            worlds.push(Self::on(test).await);
        }
        worlds
    }

    async fn new() -> Self {
        Self::on(TestDb::sqlite().await).await
    }

    async fn on(test: TestDb) -> Self {
        let clock = Arc::new(FixedClock::at(Timestamp(1_800_000_000_000)));
        let folder = tempfile::tempdir().unwrap();
        let issuer = replica(test.db.clone(), &clock, &folder.path().join("a")).await;
        const ALICE: &str = "INSERT INTO users (id, tenant, status, name, roles, member_of, created_at)
            VALUES ('usr_alice', 'acme', 'active', 'Alice', '[\"dev\"]', '[\"staff\"]', 0)";
        on!(test.db, pool => sqlx::query(ALICE).execute(pool).await.map(drop)).unwrap();
        Self { issuer, clock, test, folder }
    }

    /// A second process on the same database, with keys of the same files.
    async fn replica(&self) -> Arc<Issuer> {
        replica(self.test.again().await, &self.clock, &self.folder.path().join("b")).await
    }

    fn configure(&self, change: impl FnOnce(&mut Config)) {
        let mut config = Config::clone(&self.issuer.config());
        change(&mut config);
        self.issuer.reload(config);
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn get(&self, path: &str) -> Answer {
        send(&self.issuer, Request::get(path), "").await
    }

    async fn form(&self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        form(&self.issuer, path, pairs).await
    }

    /// Begins a sign-in; `change` alters the usual request, an empty value leaves a parameter out.
    async fn authorize(&self, change: &[(&str, &str)]) -> Answer {
        self.get(&format!("/oauth/authorize?{}", query(change))).await
    }

    /// A code for the usual request, as if alice had signed in and agreed.
    async fn code(&self, change: &[(&str, &str)]) -> String {
        let begun = self.authorize(change).await;
        let tx = begun.location().strip_prefix("/sign-in?tx=").map(str::to_owned);
        let tx = tx.unwrap_or_else(|| panic!("no sign-in: {}", begun.text()));
        let back = finish(&self.issuer, &tx, Decision::Approved(alice(self.clock.now()))).await.unwrap();
        parameter(&back, "code").unwrap()
    }

    async fn redeem(&self, code: &str) -> Answer {
        redeem(&self.issuer, code).await
    }

    /// Access and refresh token of the usual sign-in.
    async fn tokens(&self) -> (String, String) {
        let code = self.code(&[]).await;
        self.redeem(&code).await.tokens()
    }

    async fn refresh(&self, token: &str) -> Answer {
        refresh(&self.issuer, token).await
    }

    async fn count(&self, table: &'static str) -> i64 {
        let text = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        on!(self.test.db, pool => sqlx::query_scalar(text).fetch_one(pool).await).unwrap()
    }

    /// Everything on record, as text.
    fn record(&self) -> String {
        std::thread::sleep(Duration::from_millis(100));
        let filter = audit::query::Filter::default();
        let found = audit::query::query(&self.folder.path().join("a"), &filter, 10_000).unwrap();
        found
            .found
            .iter()
            .map(|row| format!("{}\n", String::from_utf8_lossy(row.leaf().as_bytes())))
            .collect()
    }
}

async fn replica(db: storage::Db, clock: &Arc<FixedClock>, record: &std::path::Path) -> Arc<Issuer> {
    let clock: Arc<dyn model::Clock> = Arc::<FixedClock>::clone(clock);
    let root = Root::new(&[KeyFile { id: 1, key: Secret::new(vec![1; 32]) }]).unwrap();
    let dice: Arc<dyn model::Dice> = Arc::new(SystemDice);
    let keyring = Keyring::open(db.clone(), root, Arc::clone(&clock), Arc::clone(&dice)).await.unwrap();
    let keyring = Arc::new(keyring);
    let keys = SigningKeys::open(db.clone(), Arc::clone(&keyring), Lifecycle::default(), Arc::clone(&clock));
    let key = SealingKey::new(1, &Secret::new(vec![2; 32])).unwrap();
    let audit = audit::Writer::open(audit::Config::at(record), Arc::clone(&clock), &SystemDice).unwrap();
    let (config, keys) = (config(), Arc::new(keys.await.unwrap()));
    let egress = net::egress::Client::new(&net::egress::Config::default()).unwrap();
    let own = authn::IssuerConfig::own(HERE, Arc::clone(&keys), config.access_token);
    let verifying = authn::Config { issuers: vec![own], ..authn::Config::default() };
    let authn = authn::Authn::new(verifying, egress, Arc::clone(&clock)).unwrap();
    Arc::new(Issuer::new(Parts {
        config,
        db,
        keyring,
        keys,
        authn: Arc::new(authn),
        sealer: Arc::new(Sealer::new(vec![key]).unwrap()),
        egress: net::egress::Client::new(&net::egress::Config::default()).unwrap(),
        clock,
        dice,
        audit,
    }))
}

fn config() -> Config {
    let scopes = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let resource = |path: &str, names: &[&str]| ResourceConfig {
        canonical: format!("{HERE}{path}"),
        scopes: scopes(names),
    };
    let mut config = Config::new(
        HERE,
        vec![resource("/mcp", &["mcp:call", "mcp:read"]), resource("/servers/git/mcp", &[])],
    );
    config.clients = BTreeMap::from([
        ("cli".to_owned(), client(Method::None, &[LOOPBACK, "https://cli.example/cb"])),
        ("other".to_owned(), client(Method::None, &[LOOPBACK])),
        (
            "shop".to_owned(),
            ConfiguredClient {
                secret: Some(Digest::of(b"s3cret+/: x")),
                introspects: vec![MCP.to_owned()],
                ..client(Method::Secret, &["https://shop.example/cb?keep=1"])
            },
        ),
    ]);
    config
}

fn client(method: Method, redirects: &[&str]) -> ConfiguredClient {
    ConfiguredClient {
        name: "Client".to_owned(),
        redirect_uris: redirects.iter().map(ToString::to_string).collect(),
        method,
        keys: Keys::None,
        secret: None,
        scopes: None,
        introspects: Vec::new(),
        trusted: false,
    }
}

fn alice(now: Timestamp) -> Approval {
    Approval {
        user: "usr_alice".into(),
        tenant: "acme".into(),
        roles: vec!["dev".into()],
        groups: vec!["staff".into()],
        session: "ses_1".into(),
        auth_time: now,
        given_at: now,
        by_consent: false,
        scopes: vec!["mcp:call".into(), "mcp:read".into(), "more".into()],
    }
}

fn query(change: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Digest::of(VERIFIER.as_bytes()).0);
    let mut all = BTreeMap::from([
        ("client_id", "cli"),
        ("redirect_uri", LOOPBACK),
        ("response_type", "code"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("resource", MCP),
        ("state", "a b&c"),
    ]);
    all.extend(change.iter().copied());
    all.retain(|_, value| !value.is_empty());
    form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish()
}

async fn send(issuer: &Arc<Issuer>, request: http::request::Builder, body: &str) -> Answer {
    send_from(issuer, "192.0.2.1", request, body).await
}

async fn send_from(
    issuer: &Arc<Issuer>,
    address: &str,
    request: http::request::Builder,
    body: &str,
) -> Answer {
    let address = std::net::SocketAddr::new(address.parse().unwrap(), 4000);
    let peer = Peer { address, tls: true, certificate: None };
    let request = request.body(Full::new(bytes::Bytes::from(body.to_owned()))).unwrap();
    let (head, body) = issuer.answer(request, peer).await.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Answer { status: head.status, headers: head.headers, body: body.to_vec() }
}

async fn form(issuer: &Arc<Issuer>, path: &str, pairs: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    send(issuer, request, &body).await
}

async fn redeem(issuer: &Arc<Issuer>, code: &str) -> Answer {
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", "cli"),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", LOOPBACK),
        ("resource", MCP),
    ];
    form(issuer, "/oauth/token", &pairs).await
}

async fn refresh(issuer: &Arc<Issuer>, token: &str) -> Answer {
    let pairs = [("grant_type", "refresh_token"), ("client_id", "cli"), ("refresh_token", token)];
    form(issuer, "/oauth/token", &pairs).await
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.text()))
    }

    fn location(&self) -> &str {
        self.headers.get("location").map_or("", |value| value.to_str().unwrap())
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    fn tokens(&self) -> (String, String) {
        let json = self.json();
        let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("{json}")).to_owned();
        (text("access_token"), text("refresh_token"))
    }
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// A key of a client.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn jwks(&self, kid: &str) -> Value {
        let point = self.0.public_key().as_ref();
        let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": kid, "x": part(1..33), "y": part(33..65)}]})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// `base` with members put in, or with null taken out.
fn with(base: &Value, change: &Value) -> Value {
    let mut members: Map<String, Value> = base.as_object().unwrap().clone();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    Value::Object(members)
}

/// Documents of anybody.
fn loopback_documents() -> Option<Documents> {
    Some(Documents { allowed_hosts: None, danger_allow_loopback: true })
}
