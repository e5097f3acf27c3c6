//! Agents at the doors: certificates, tokens bound to them, and the servers an agent is registered for.

use super::bed::SHARED;
use authn::revocations::{Kind, Revocation, revoke};
use base64::Engine as _;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use issuer::agent::{
    Agent, Agents, Change, Credentials, Delegation, MayActFor, NewAgent, NewCredential, Proof, Trust,
};
use model::{SystemClock, SystemDice};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use storage::{Config, Db, Place, on, sqlx};
use testkit::{FakeIdp, FakeUpstream, Setup, TestGateway, clock, eventually};
use tokio::net::TcpStream;

const SPIFFE: &str = "spiffe://acme.example/builder";

/// An authority of clients' certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a client shows.
struct Held {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, serial: u64, spiffe: &str, until: i32) -> Held {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.subject_alt_names = vec![SanType::URI(spiffe.try_into().unwrap())];
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.0).unwrap();
        Held { chain: vec![made.der().clone()], key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
    }

    fn list(&self, revoked: &[u64]) -> String {
        let revoked_certs = revoked
            .iter()
            .map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: date_time_ymd(2024, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// A gateway that issues tokens, by TLS, in front of two servers.
struct Bed {
    idp: FakeIdp,
    gateway: TestGateway,
    _upstreams: [FakeUpstream; 2],
    folder: tempfile::TempDir,
    root: CertificateDer<'static>,
    authority: Authority,
    db: Db,
}

impl Bed {
    async fn new() -> Self {
        let idp = FakeIdp::start(clock()).await;
        let upstreams = [FakeUpstream::start().await, FakeUpstream::start().await];
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
        let root = made.cert.der().clone();
        let tls = json!({
            "cert_file": write("cert.pem", made.cert.pem()),
            "key_file": write("key.pem", made.signing_key.serialize_pem()),
            "client_certificates": {
                "ca_file": write("ca.pem", authority.0.pem()),
                "crl_files": [write("crl.pem", authority.list(&[66]))],
            },
        });
        let gateway = Setup::trusting(&idp)
            .server("git", &upstreams[0])
            .server("mail", &upstreams[1])
            .policy("agents", AGENTS)
            .set(&["listen", "tls"], tls)
            .set(&["authorization_server"], json!({}))
            .set(&["admin_api"], json!({"operator_tenant": "house", "operator_roles": ["operator"]}))
            .set(&["scopes"], json!(["mcp"]))
            .start()
            .await;
        let place = Place::Sqlite(gateway.data_dir().join("portunus.db"));
        let db = Db::open(&Config::at(place)).await.unwrap();
        const PERSON: &str = "INSERT INTO users (id, tenant, status, name, roles, member_of, created_at)
            VALUES ('usr_alice', 'acme', 'active', 'Alice', '[]', '[]', 0)";
        on!(db, pool => sqlx::query(PERSON).execute(pool).await.map(drop)).unwrap();
        Self { idp, gateway, _upstreams: upstreams, folder, root, authority, db }
    }

    fn agents(&self) -> Agents {
        Agents::new(self.db.clone(), Arc::new(SystemClock::default()), Arc::new(SystemDice))
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(self.db.clone(), Arc::new(SystemClock::default()), Arc::new(SystemDice))
    }

    /// An agent known by a SPIFFE id.
    async fn agent(&self, servers: Option<&[&str]>) -> Agent {
        let new = NewAgent { tenant: "acme".into(), owner: "usr_alice".into(), change: change(servers) };
        let agent = self.agents().register(&new).await.unwrap();
        let proof = NewCredential::Proof(Proof::Spiffe(SPIFFE.into()));
        self.credentials().add(&agent.id, &proof, None, None, false).await.unwrap();
        agent
    }

    async fn send(&self, held: Option<&Held>, request: Request<Bytes>) -> Option<(u16, String)> {
        send(self.gateway.address(), &self.root, held, request).await
    }

    /// Asks for a token of the agent's own.
    async fn token(&self, held: Option<&Held>, agent: &Agent, path: &str) -> Option<(u16, Value)> {
        let resource = self.gateway.resource(path);
        let pairs = [("grant_type", "client_credentials"), ("resource", &resource), ("client_id", &agent.id)];
        let body: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let request = Request::post("/oauth/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(body.join("&")))
            .unwrap();
        let (status, text) = self.send(held, request).await?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    async fn good_token(&self, held: &Held, agent: &Agent, path: &str) -> String {
        let (status, answer) = self.token(Some(held), agent, path).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Asks at an endpoint.
    async fn ask(&self, held: Option<&Held>, token: &str, method: &str, mut params: Value) -> (u16, String) {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let mut request = Request::post(SHARED)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method);
        if let Some(name) = params["name"].as_str() {
            request = request.header("mcp-name", name);
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        self.send(held, request.body(body.into()).unwrap()).await.unwrap()
    }

    fn replace(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }
}

fn change(servers: Option<&[&str]>) -> Change {
    Change {
        name: "Builder".into(),
        trust: Trust::Low,
        servers: servers.map(|all| all.iter().map(ToString::to_string).collect()),
        scopes: vec!["mcp".into()],
        may_act_for: MayActFor::Nobody,
        delegation: Delegation::default(),
        expires_at: None,
    }
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// One request on a connection of its own; `None` if the other side hangs up.
async fn send(
    address: SocketAddr,
    root: &CertificateDer<'static>,
    held: Option<&Held>,
    mut request: Request<Bytes>,
) -> Option<(u16, String)> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match held {
        Some(held) => config.with_client_auth_cert(held.chain.clone(), held.key.clone_key()).unwrap(),
        None => config.with_no_client_auth(),
    };
    let host = address.to_string();
    request.headers_mut().insert(header::HOST, host.parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let name = rustls::pki_types::ServerName::IpAddress(address.ip().into());
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let driving = tokio::spawn(async move { drop(connection.await) });
    let answer = sender.send_request(request.map(Full::new)).await.ok()?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    driving.abort();
    Some((head.status.as_u16(), String::from_utf8_lossy(&body).into_owned()))
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_is_good_with_it_alone() {
    let bed = Bed::new().await;
    let agent = bed.agent(None).await;
    let (mine, other) = (bed.authority.issue(1, SPIFFE, 2100), bed.authority.issue(2, SPIFFE, 2100));
    let token = bed.good_token(&mine, &agent, SHARED).await;
    // Fresh, and from memory: each of the three on every call.
    for round in 0..2 {
        assert_eq!(bed.ask(None, &token, "tools/list", json!({})).await.0, 401, "{round}: without one");
        assert_eq!(
            bed.ask(Some(&other), &token, "tools/list", json!({})).await.0,
            401,
            "{round}: with another"
        );
        let (status, text) = bed.ask(Some(&mine), &token, "tools/list", json!({})).await;
        assert!(status == 200 && text.contains("git__echo"), "{round}: {text}");
    }
    // The overlap of a rotation: the next certificate of that name gets tokens of its own.
    let next = bed.good_token(&other, &agent, SHARED).await;
    assert_eq!(bed.ask(Some(&other), &next, "tools/list", json!({})).await.0, 200);
    assert_eq!(bed.ask(Some(&mine), &token, "tools/list", json!({})).await.0, 200);
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_is_good_with_it_at_the_admin_api_too() {
    let bed = Bed::new().await;
    let (mine, other) = (bed.authority.issue(1, SPIFFE, 2100), bed.authority.issue(2, SPIFFE, 2100));
    let thumbprint = model::Digest::of(&mine.chain[0]).0;
    let thumbprint = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(thumbprint);
    let token = bed.gateway.token(&bed.idp, "alice", "/api/v1");
    let token = token.claim("scope", "self:read").claim("cnf", json!({"x5t#S256": thumbprint})).sign();
    let whoami = async |held: Option<&Held>| {
        let request = Request::get("/api/v1/whoami").header(header::AUTHORIZATION, format!("Bearer {token}"));
        bed.send(held, request.body(Bytes::new()).unwrap()).await.unwrap()
    };
    for round in 0..2 {
        assert_eq!(whoami(None).await.0, 401, "{round}: without one");
        assert_eq!(whoami(Some(&other)).await.0, 401, "{round}: with another");
        let (status, text) = whoami(Some(&mine)).await;
        assert!(status == 200 && text.contains("alice"), "{round}: {status} {text}");
    }
}

#[tokio::test]
async fn certificates_that_are_not_good_get_no_token() {
    let bed = Bed::new().await;
    let agent = bed.agent(None).await;
    let good = bed.authority.issue(1, SPIFFE, 2100);
    let token = bed.good_token(&good, &agent, SHARED).await;
    for (name, held) in [
        ("expired", bed.authority.issue(3, SPIFFE, 2020)),
        ("revoked", bed.authority.issue(66, SPIFFE, 2100)),
        ("of another authority", Authority::new().issue(1, SPIFFE, 2100)),
    ] {
        assert_eq!(bed.token(Some(&held), &agent, SHARED).await, None, "{name}: the door is not opened");
    }
    let mismatch = bed.authority.issue(4, "spiffe://acme.example/other", 2100);
    let (status, answer) = bed.token(Some(&mismatch), &agent, SHARED).await.unwrap();
    assert_eq!((status, answer["error"].as_str()), (401, Some("invalid_client")));
    let (status, answer) = bed.token(None, &agent, SHARED).await.unwrap();
    assert_eq!((status, answer["error"].as_str()), (401, Some("invalid_client")));
    // Revoked while the gateway runs: neither the token nor the certificate is good for anything.
    bed.replace("crl.pem", &bed.authority.list(&[1, 66]));
    bed.gateway.reload().await.unwrap();
    assert_eq!(bed.token(Some(&good), &agent, SHARED).await, None);
    assert_eq!(bed.ask(None, &token, "tools/list", json!({})).await.0, 401);
    // Another authority altogether.
    let next = Authority::new();
    bed.replace("ca.pem", &next.0.pem());
    bed.replace("crl.pem", &next.list(&[]));
    bed.gateway.reload().await.unwrap();
    bed.good_token(&next.issue(1, SPIFFE, 2100), &agent, SHARED).await;
    assert!(Path::new(bed.folder.path()).exists());
}

#[tokio::test]
async fn an_agent_sees_the_servers_it_is_registered_for_and_no_others() {
    let bed = Bed::new().await;
    let agent = bed.agent(Some(&["git"])).await;
    let mine = bed.authority.issue(1, SPIFFE, 2100);
    let token = bed.good_token(&mine, &agent, SHARED).await;
    let (_, listed) = bed.ask(Some(&mine), &token, "tools/list", json!({})).await;
    assert!(listed.contains("git__echo") && !listed.contains("mail__"), "{listed}");
    let call = |name: &str| json!({"name": name, "arguments": {"text": "hello"}});
    let (_, served) = bed.ask(Some(&mine), &token, "tools/call", call("git__echo")).await;
    assert!(served.contains("hello"), "{served}");
    let (_, hidden) = bed.ask(Some(&mine), &token, "tools/call", call("mail__echo")).await;
    let (_, unknown) = bed.ask(Some(&mine), &token, "tools/call", call("nowhere__echo")).await;
    let plain = |text: &str| {
        let mut answer: Value = serde_json::from_str(text).unwrap();
        answer["error"]["data"]["reference"] = Value::Null;
        answer.to_string().replace("mail__echo", "X").replace("nowhere__echo", "X")
    };
    assert!(hidden.contains("PTN-1010"), "{hidden}");
    assert_eq!(plain(&hidden), plain(&unknown), "an agent cannot tell the two apart");
    // No token for an endpoint that it may not use.
    let (_, answer) = bed.token(Some(&mine), &agent, "/servers/mail/mcp").await.unwrap();
    assert_eq!(answer["error"], "invalid_target");
    // The policy reads how far it is trusted.
    bed.gateway.write_policy("agents", &AGENTS.replace("\"low\"", "\"high\""));
    bed.gateway.reload().await.unwrap();
    let (_, listed) = bed.ask(Some(&mine), &token, "tools/list", json!({})).await;
    assert!(!listed.contains("git__echo"), "{listed}");
}

#[tokio::test]
async fn what_an_agent_may_use_is_narrowed_within_a_second() {
    let bed = Bed::new().await;
    let agent = bed.agent(None).await;
    let mine = bed.authority.issue(1, SPIFFE, 2100);
    let token = bed.good_token(&mine, &agent, SHARED).await;
    assert_eq!(bed.ask(Some(&mine), &token, "tools/list", json!({})).await.0, 200);
    // Tokens say when they were made to the second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    bed.agents().change(&agent.id, &change(Some(&["git"])), "operator").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert_eq!(bed.ask(Some(&mine), &token, "tools/list", json!({})).await.0, 401);
    // Clocks of replicas differ, so tokens of the first moments after a change may be refused as well.
    let again = async || {
        let token = bed.good_token(&mine, &agent, SHARED).await;
        let (status, listed) = bed.ask(Some(&mine), &token, "tools/list", json!({})).await;
        (status == 200).then_some(listed)
    };
    let listed = eventually("a token that is good again", again).await;
    assert!(listed.contains("git__echo") && !listed.contains("mail__"), "{listed}");
}

#[tokio::test]
async fn an_api_key_is_taken_at_an_endpoint_until_it_is_revoked() {
    let bed = Bed::new().await;
    let agent = bed.agent(Some(&["git"])).await;
    let new = NewCredential::ApiKey { scopes: None };
    let fresh = bed.credentials().add(&agent.id, &new, None, None, false).await.unwrap();
    let key = fresh.secret.unwrap();
    let (status, listed) = bed.ask(None, &key, "tools/list", json!({})).await;
    assert!(status == 200 && listed.contains("git__echo") && !listed.contains("mail__"), "{status} {listed}");
    bed.credentials().revoke(&agent.id, &fresh.credential.id, "operator").await.unwrap();
    assert_eq!(bed.ask(None, &key, "tools/list", json!({})).await.0, 401);
    // It is nowhere but with whoever has it.
    let encoded = base64::engine::general_purpose::STANDARD.encode(&key);
    let data = bed.gateway.data();
    for form in [key.as_bytes(), encoded.as_bytes()] {
        assert!(!data.windows(form.len()).any(|window| window == form));
    }
}

#[tokio::test]
async fn a_revoked_api_key_is_refused() {
    let bed = Bed::new().await;
    let agent = bed.agent(None).await;
    let new = NewCredential::ApiKey { scopes: None };
    let key = bed.credentials().add(&agent.id, &new, None, None, false).await.unwrap().secret.unwrap();
    assert_eq!(bed.ask(None, &key, "tools/list", json!({})).await.0, 200);
    // Its agent is revoked, whatever the registry says of it.
    let row = Revocation::new(Kind::Agent, &agent.id, "operator");
    revoke(&bed.db, &row, clock().now()).await.unwrap();
    let refused = || async { (bed.ask(None, &key, "tools/list", json!({})).await.0 == 401).then_some(()) };
    testkit::eventually("the revocation to be known", refused).await;
}

const AGENTS: &str = r#"
@id("agents")
permit (principal, action, resource) when { principal has agent_trust && principal.agent_trust == "low" };
"#;
