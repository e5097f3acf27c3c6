//! The authorization server of a gateway, from inside: a second process on the same rows, as a replica is one. It signs
//! whatever a test wants signed, and ends a sign-in without a person.

use issuer::authorize::{Approval, Decision, finish};
use issuer::{Config, Issuer, Parts, ResourceConfig};
use model::{Dice, Sealer, SealingKey, Secret, SystemDice};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use storage::{Db, Place, on, sqlx};
use testkit::{Reply, clock, raw};
use vault::{Keyring, Lifecycle, Root, SigningKeys, key_files};

/// 43 characters and more.
pub(crate) const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier";
/// Where the client of these tests listens.
pub(crate) const REDIRECT: &str = "http://127.0.0.1:5000/callback";

/// A replica's inside.
pub(crate) struct Authority {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) keys: Arc<SigningKeys>,
    pub(crate) db: Db,
    url: String,
    _record: tempfile::TempDir,
}

impl Authority {
    /// Beside a gateway that keeps its rows in `data` and is called `url`.
    pub(crate) async fn beside(data: &Path, url: &str) -> Self {
        let config = storage::Config::at(Place::Sqlite(data.join("portunus.db")));
        Self::of(Db::open(&config).await.unwrap(), data, url).await
    }

    /// Beside a gateway with these rows, whose keys are in `data`.
    pub(crate) async fn of(db: Db, data: &Path, url: &str) -> Self {
        let dice: Arc<dyn Dice> = Arc::new(SystemDice);
        let root = Root::new(&key_files(&data.join("keys"), "root", dice.as_ref()).unwrap()).unwrap();
        let keyring = Keyring::open(db.clone(), root, clock(), Arc::clone(&dice)).await.unwrap();
        let keyring = Arc::new(keyring);
        let keys = SigningKeys::open(db.clone(), Arc::clone(&keyring), Lifecycle::default(), clock());
        let keys = Arc::new(keys.await.unwrap());
        const ALICE: &str = "INSERT INTO users (id, tenant, status, name, roles, member_of, created_at)
            VALUES ('usr_alice', 'acme', 'active', 'Alice', '[\"reader\"]', '[]', 0) ON CONFLICT DO NOTHING";
        storage::on!(db, pool => storage::sqlx::query(ALICE).execute(pool).await.map(drop)).unwrap();
        let record = tempfile::tempdir().unwrap();
        let audit = audit::Writer::open(audit::Config::at(record.path()), clock(), dice.as_ref()).unwrap();
        // Opens no client of the gateway's: nothing here asks for one.
        let sealing = SealingKey::new(1, &Secret::new(vec![1; 32])).unwrap();
        let resource = |path: &str| ResourceConfig { canonical: format!("{url}{path}"), scopes: Vec::new() };
        let egress = net::egress::Client::new(&net::egress::Config::default()).unwrap();
        let authn = authn::Authn::new(authn::Config::default(), egress.clone(), clock()).unwrap();
        let issuer = Issuer::new(Parts {
            config: Config::new(url, vec![resource("/mcp")]),
            db: db.clone(),
            keyring,
            keys: Arc::clone(&keys),
            sealer: Arc::new(Sealer::new(vec![sealing]).unwrap()),
            authn: Arc::new(authn),
            egress,
            clock: clock(),
            dice,
            audit,
        });
        Self { issuer: Arc::new(issuer), keys, db, url: url.to_owned(), _record: record }
    }

    /// The claims of a good token of alice, for an endpoint.
    pub(crate) fn claims(&self, path: &str) -> Value {
        let now = clock().now().seconds();
        json!({
            "iss": self.url, "sub": "usr_alice", "aud": format!("{}{path}", self.url), "iat": now, "exp": now + 300,
            "jti": format!("tok_{now}"), "client_id": "cli", "tenant_id": "acme", "roles": ["reader"], "groups": [],
            "scope": "", "grant_id": "grt_1", "sid": "ses_1",
        })
    }

    /// A token of these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.keys.sign("at+jwt", claims.to_string().as_bytes()).unwrap().token
    }

    /// A code for the request that a gateway sent to its sign-in page.
    pub(crate) async fn approve(&self, sign_in: &str) -> String {
        const ALICE: &str = "INSERT INTO users (id, tenant, status, name, roles, member_of, created_at)
            VALUES ('usr_alice', 'acme', 'active', 'Alice', '[\"reader\"]', '[]', 0) ON CONFLICT DO NOTHING";
        on!(self.db, pool => sqlx::query(ALICE).execute(pool).await.map(drop)).unwrap();
        let tx = sign_in.split_once("tx=").unwrap_or_else(|| panic!("no sign-in: {sign_in}")).1;
        let approval = Approval {
            user: "usr_alice".into(),
            tenant: "acme".into(),
            roles: vec!["reader".into()],
            groups: Vec::new(),
            session: "ses_1".into(),
            auth_time: clock().now(),
            given_at: clock().now(),
            by_consent: false,
            scopes: Vec::new(),
        };
        let back = finish(&self.issuer, tx, Decision::Approved(approval)).await.unwrap();
        let query = back.split_once('?').unwrap().1;
        let code = query.split('&').find_map(|pair| pair.strip_prefix("code=")).unwrap();
        code.to_owned()
    }
}

/// What a browser or a client asks of a gateway, over a connection of its own.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    raw(address, request.as_bytes()).await
}

/// A form of a client. Values have to be encoded already.
pub(crate) async fn post(address: SocketAddr, path: &str, kind: &str, body: &str) -> Reply {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: {kind}\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    raw(address, request.as_bytes()).await
}

/// The form of a token request.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The place where a client sends its person to sign in.
pub(crate) async fn begin(address: SocketAddr, client: &str, resource: &str) -> String {
    use base64::Engine as _;
    let challenge = model::Digest::of(VERIFIER.as_bytes()).0;
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(challenge);
    let path = format!(
        "/oauth/authorize?response_type=code&client_id={client}&redirect_uri={REDIRECT}&state=s\
         &code_challenge={challenge}&code_challenge_method=S256&resource={resource}"
    );
    let begun = get(address, &path).await;
    assert_eq!(begun.status, 303, "{}", begun.text());
    begun.headers["location"].to_str().unwrap().to_owned()
}

/// Redeems a code.
pub(crate) async fn redeem(address: SocketAddr, client: &str, code: &str) -> Reply {
    let body =
        format!("grant_type=authorization_code&client_id={client}&code={code}&code_verifier={VERIFIER}");
    post(address, "/oauth/token", FORM, &body).await
}
