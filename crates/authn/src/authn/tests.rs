use super::*;
use crate::{Algorithm, ClaimNames, ClaimPath};
use http::header::AUTHORIZATION;
use idp::{Idp, Signer, b64};
use model::FixedClock;
use net::egress::Rule;
use serde_json::{Value, json};

mod bound;
mod contracts;
mod forged;
mod groups;
mod idp;
mod keys;
mod opaque;
mod own;

/// Saturday, 21 November 2026, 00:00 UTC.
const NOW: i64 = 1_795_219_200;
const RESOURCE: &str = "https://gw.test/servers/git/mcp";

/// A gateway's authentication, its issuer, and their clock.
struct World {
    authn: Arc<Authn>,
    idp: Idp,
    clock: Arc<FixedClock>,
    resource: Resource,
    config: Config,
}

impl World {
    async fn with(keys: &[&Signer], change: impl FnOnce(&mut Config)) -> Self {
        let idp = Idp::start(keys).await;
        let mut issuer = IssuerConfig::new(idp.issuer.clone());
        issuer.rule = Rule::LOOPBACK;
        let mut config = Config { issuers: vec![issuer], ..Config::default() };
        change(&mut config);
        let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(NOW)));
        let egress = Client::new(&net::egress::Config::default()).unwrap();
        let authn = Authn::new(config.clone(), egress, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let resource = Resource::new(RESOURCE, vec![], vec![], vec![]).unwrap();
        Self { authn: Arc::new(authn), idp, clock, resource, config }
    }

    async fn new(keys: &[&Signer]) -> Self {
        Self::with(keys, |_| {}).await
    }

    /// The claims of a good token.
    fn claims(&self) -> Value {
        json!({
            "iss": self.idp.issuer, "sub": "alice", "aud": RESOURCE, "client_id": "cli", "tenant_id": "acme",
            "iat": NOW - 10, "exp": NOW + 300, "jti": "j1", "scope": "mcp:read mcp:call", "roles": ["dev"],
        })
    }

    async fn present(&self, token: &str) -> Result<Verified, AuthnError> {
        self.present_at(token, &self.resource).await
    }

    async fn present_at(&self, token: &str, resource: &Resource) -> Result<Verified, AuthnError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let uri = Uri::from_static("/servers/git/mcp");
        self.authn.authenticate(&headers, &uri, resource).await.map_err(|rejection| rejection.error)
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn with(mut claims: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

#[tokio::test]
async fn a_good_token_says_who_calls() {
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa] {
        let key = Signer::new("k1", algorithm);
        let world = World::new(&[&key]).await;
        let token = key.sign(&with(
            world.claims(),
            json!({ "groups": ["b", "a", "b"], "azp": "other", "aud": ["https://x.test", RESOURCE] }),
        ));
        let verified = world.present(&token).await.unwrap();
        let strings = |items: &[&str]| items.iter().map(|item| Arc::from(*item)).collect::<Vec<Arc<str>>>();
        let expect = Principal {
            user: "alice".into(),
            client: "cli".into(),
            agent: None,
            actors: Vec::new(),
            tenant: "acme".into(),
            roles: strings(&["dev"]),
            groups: strings(&["a", "b"]),
            scopes: strings(&["mcp:call", "mcp:read"]),
            issuer: world.idp.issuer.as_str().into(),
            registered: None,
        };
        assert_eq!(*verified.principal, expect);
        assert_eq!(verified.key, expect.key());
        assert_eq!(verified.token, Digest::of(token.as_bytes()));
        assert_eq!(verified.expires_at, Timestamp::from_seconds(NOW + 300 + 30));
        // Once more, from memory.
        let again = world.present(&token).await.unwrap();
        assert!(Arc::ptr_eq(&again.principal, &verified.principal));
    }
}

#[tokio::test]
async fn claims_are_found_where_the_operator_says() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::with(&[&key], |config| {
        let paths = |names: &[&str]| names.iter().map(|name| ClaimPath::new(name)).collect::<Vec<_>>();
        config.issuers[0].claims = ClaimNames {
            user: paths(&["oid", "sub"]),
            client: paths(&["azp"]),
            agent: paths(&["/act/sub"]),
            roles: paths(&["realm_access.roles"]),
            groups: paths(&["https://acme.test/groups"]),
            scopes: paths(&["scp"]),
        };
        config.issuers[0].tenant = TenantSource::Fixed("acme".into());
        config.issuers[0].token_types = vec!["JWT".into()];
        config.issuers[0].extra_audiences = vec!["api://portunus".into()];
    })
    .await;
    let claims = with(
        world.claims(),
        json!({
            "oid": "0-1", "azp": "web", "act": { "sub": "agent-7" }, "tenant_id": null, "client_id": null,
            "realm_access": { "roles": ["admin"] }, "https://acme.test/groups": "g2 g1", "aud": "api://portunus",
        }),
    );
    let header = json!({ "alg": "ES256", "kid": "k1", "typ": "jwt" }).to_string();
    let who = world.present(&key.sign_raw(&header, &claims.to_string())).await.unwrap().principal;
    assert_eq!((who.user.as_ref(), who.client.as_ref(), who.tenant.as_ref()), ("0-1", "web", "acme"));
    assert_eq!(who.agent.as_deref(), Some("agent-7"));
    assert_eq!((who.roles.len(), who.groups.len(), who.scopes.len()), (1, 2, 0));
}

#[tokio::test]
async fn a_chain_of_actors_is_read_to_its_end_or_refused() {
    let key = Signer::new("k1", Algorithm::Es256);
    let agents = |config: &mut Config| config.issuers[0].claims.agent = vec![ClaimPath::new("/act/sub")];
    let world = World::with(&[&key], agents).await;
    let act = json!({ "sub": "a", "act": { "sub": "b", "iss": "x", "act": { "sub": "c" } } });
    let token = key.sign(&with(world.claims(), json!({ "act": act })));
    let who = world.present(&token).await.unwrap().principal;
    assert_eq!((who.agent.as_deref(), who.actors.as_slice()), (Some("a"), &["b".into(), "c".into()][..]));
    let mut long = json!({ "sub": "z" });
    for _ in 0..8 {
        long = json!({ "sub": "z", "act": long });
    }
    for bad in [json!("a"), json!({}), json!({ "sub": "a", "act": [] }), json!({ "sub": 1 }), long] {
        let token = key.sign(&with(world.claims(), json!({ "act": bad })));
        assert!(matches!(world.present(&token).await.err(), Some(AuthnError::BadClaim(_))), "{bad}");
    }
}

#[tokio::test]
async fn a_remembered_token_still_expires() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    let token = key.sign(&world.claims());
    let verified = world.present(&token).await.unwrap();
    world.advance(300 + 29);
    world.present(&token).await.unwrap();
    world.authn.recheck(&verified).unwrap();
    world.advance(1);
    assert_eq!(world.present(&token).await.err(), Some(AuthnError::Expired));
    assert_eq!(world.authn.recheck(&verified), Err(AuthnError::Expired));
}

#[tokio::test]
async fn a_revoked_token_is_refused_from_memory_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("revoked.yaml");
    std::fs::write(&file, "revoked: []").unwrap();
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::with(&[&key], |config| config.revoked_tokens_file = Some(file.clone())).await;
    let token = key.sign(&world.claims());
    let verified = world.present(&token).await.unwrap();
    let entry = json!({ "revoked": [{ "issuer": world.idp.issuer, "user": "alice", "issued_before": NOW }] });
    std::fs::write(&file, entry.to_string()).unwrap();
    drop(world.authn.tend());
    assert_eq!(world.present(&token).await.err(), Some(AuthnError::Revoked));
    assert_eq!(world.authn.recheck(&verified), Err(AuthnError::Revoked));
    // Issued later, so not meant.
    let later = key.sign(&with(world.claims(), json!({ "iat": NOW })));
    world.present(&later).await.unwrap();
    // A list that cannot be read stays in force for its time, and then nobody gets in.
    std::fs::write(&file, "revoked: [{").unwrap();
    world.advance(60);
    drop(world.authn.tend());
    world.present(&later).await.unwrap();
    assert_eq!(world.present(&token).await.err(), Some(AuthnError::Revoked));
    world.advance(1);
    drop(world.authn.tend());
    assert_eq!(world.present(&later).await.err(), Some(AuthnError::RevocationStale));
    std::fs::write(&file, "revoked: [] # mended").unwrap();
    drop(world.authn.tend());
    world.present(&token).await.unwrap();
}

#[tokio::test]
async fn a_new_configuration_forgets_tokens_and_keeps_keys() {
    let key = Signer::new("k1", Algorithm::Es256);
    let mut world = World::new(&[&key]).await;
    let token = key.sign(&world.claims());
    let verified = world.present(&token).await.unwrap();
    world.authn.reload(&world.config).unwrap();
    world.idp.down(true);
    world.present(&token).await.unwrap();
    world.config.issuers[0].issuer = "https://other.test".into();
    world.authn.reload(&world.config).unwrap();
    assert_eq!(world.present(&token).await.err(), Some(AuthnError::UnknownIssuer));
    assert_eq!(world.authn.recheck(&verified), Err(AuthnError::UnknownIssuer));
    world.config.issuers.push(world.config.issuers[0].clone());
    assert!(matches!(world.authn.reload(&world.config).unwrap_err().as_slice(), [ConfigError::Twice(_)]));
}

#[tokio::test]
async fn a_required_scope_is_asked_for() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    let needs = |scopes: &[&str]| {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
        Resource::new(RESOURCE, vec![], scopes.clone(), scopes).unwrap()
    };
    let token = key.sign(&world.claims());
    for _ in 0..2 {
        world.present_at(&token, &needs(&["mcp:call", "mcp:read"])).await.unwrap();
        let refused = world.present_at(&token, &needs(&["mcp:call", "mcp:admin"])).await.err();
        assert_eq!(refused, Some(AuthnError::InsufficientScope));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let rejection =
            world.authn.authenticate(&headers, &Uri::from_static("/mcp"), &needs(&["mcp:admin"])).await;
        assert_eq!(rejection.unwrap_err().principal.unwrap().user.as_ref(), "alice");
    }
}

#[tokio::test]
async fn nobody_is_anonymous_unless_the_operator_says_so() {
    let key = Signer::new("k1", Algorithm::Es256);
    let empty = HeaderMap::new();
    let uri = Uri::from_static("/mcp");
    let strict = World::new(&[&key]).await;
    let refused = strict.authn.authenticate(&empty, &uri, &strict.resource).await.err();
    assert_eq!(refused, Some(AuthnError::Missing.into()));
    let open = World::with(&[&key], |config| {
        let mut who = Principal::service();
        who.user = "visitor".into();
        who.roles = vec!["b".into(), "a".into(), "b".into()];
        config.danger_anonymous = Some(who);
    })
    .await;
    let visitor = open.authn.authenticate(&empty, &uri, &open.resource).await.unwrap();
    assert_eq!(visitor.principal.roles.len(), 2);
    open.authn.recheck(&visitor).unwrap();
    // Whoever shows a token is judged by it.
    assert_eq!(open.present("nonsense").await.err(), Some(AuthnError::Malformed));
}

#[test]
fn every_fault_of_a_configuration_is_told() {
    let mut bad = IssuerConfig::new("http://127.0.0.1/");
    bad.algorithms.clear();
    bad.token_types.clear();
    bad.tenant = TenantSource::Fixed("".into());
    bad.skew = Duration::from_secs(301);
    bad.keys = KeySource::JwksUri("nonsense".into());
    let mut nobody = Principal::service();
    nobody.tenant = "".into();
    let config = Config {
        issuers: vec![bad, IssuerConfig::new("https://idp.test"), IssuerConfig::new("https://idp.test")],
        danger_anonymous: Some(nobody),
        ..Config::default()
    };
    let egress = Client::new(&net::egress::Config::default()).unwrap();
    let clock = Arc::new(FixedClock::at(Timestamp(0)));
    let faults = Authn::new(config, egress, clock).err().unwrap();
    assert_eq!(faults.len(), 8, "{faults:#?}");
}
