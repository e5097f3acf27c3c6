//! A gateway with an admin API, and callers of it.

use http::{Method, Request, header};
use serde_json::{Value, json};
use storage::{Config, Db, Place, on, sqlx};
use testkit::{FakeIdp, FakeUpstream, Kept, Reply, Setup, TestGateway, Token, clock};

/// Where the API is.
pub(crate) const API: &str = "/api/v1";
/// Every scope of it.
pub(crate) const SCOPES: &str = "self:read self:write admin:read admin:write operator:read operator:write";

/// A provider of two tenants, and a gateway whose operators are of `house`.
pub(crate) struct AdminBed {
    pub(crate) idp: FakeIdp,
    _up: FakeUpstream,
    pub(crate) gateway: TestGateway,
}

/// Somebody with a token for the API, or nobody.
#[derive(Clone)]
pub(crate) struct Someone(pub(crate) Option<String>);

impl AdminBed {
    pub(crate) async fn open() -> Self {
        Self::with(|setup| setup).await
    }

    pub(crate) async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
        let api = json!({
            "operator_tenant": "house", "operator_roles": ["operator"], "tenant_admin_roles": ["admin"],
        });
        let setup = Setup::trusting(&idp)
            .server("up", &up)
            .set(
                &["authorization_server"],
                json!({"tenants": {"acme": {"local_accounts": true}, "house": {"local_accounts": true}}}),
            )
            .set(&["admin_api"], api);
        let gateway = change(setup).start().await;
        Self { idp, _up: up, gateway }
    }

    /// A token of the provider for the API, to be changed before it is signed.
    pub(crate) fn token(&self, user: &str, tenant: &str, role: &str) -> Token {
        let token = self.gateway.token(&self.idp, user, API);
        token.claim("tenant", tenant).claim("roles", json!([role])).claim("scope", SCOPES)
    }

    pub(crate) fn someone(&self, user: &str, tenant: &str, role: &str) -> Someone {
        Someone(Some(self.token(user, tenant, role).sign()))
    }

    /// Operates the house.
    pub(crate) fn operator(&self) -> Someone {
        self.someone("olga", "house", "operator")
    }

    /// Administers one tenant.
    pub(crate) fn admin_of(&self, tenant: &str) -> Someone {
        self.someone(&format!("{tenant}-admin"), tenant, "admin")
    }

    /// One request.
    pub(crate) async fn ask(
        &self,
        who: &Someone,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Reply {
        self.ask_with(who, method, path, body, &[]).await
    }

    /// One request with headers of its own.
    pub(crate) async fn ask_with(
        &self,
        who: &Someone,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let address = self.gateway.address();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{API}{path}"))
            .header(header::HOST, address.to_string());
        if let Some(token) = &who.0 {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        Kept::open(address).await.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, who: &Someone, path: &str) -> Reply {
        self.ask(who, &Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, who: &Someone, path: &str, body: &Value) -> Reply {
        self.ask(who, &Method::POST, path, Some(body)).await
    }

    /// The gateway's own database, for rows that come about otherwise than by the API.
    async fn db(&self) -> Db {
        Db::open(&Config::at(Place::Sqlite(self.gateway.data_dir().join("portunus.db")))).await.unwrap()
    }

    /// Somebody of a tenant who has signed in before.
    pub(crate) async fn person(&self, tenant: &str) -> String {
        let id = fresh("usr_");
        let insert = "INSERT INTO users (id, tenant, status, name, roles, member_of, created_at)
            VALUES ($1, $2, 'active', 'Somebody', '[]', '[]', 1)";
        self.insert(insert, &[&id, tenant]).await;
        // The provider knows them by the same id.
        let insert = "INSERT INTO user_identities (tenant, issuer, subject, user_id, provider, created_at)
            VALUES ($2, $3, $1, $1, 'idp', 1)";
        self.insert(insert, &[&id, tenant, self.idp.issuer()]).await;
        id
    }

    /// A grant of a person of a tenant to some client.
    pub(crate) async fn grant(&self, tenant: &str, user: &str) -> String {
        let id = fresh("grt_");
        let insert = "INSERT INTO grants (id, tenant, user_id, client, resource, scopes, role_names, group_names,
            created_at, used_at, expires_at) VALUES ($1, $2, $3, 'cli', 'x', '[]', '[]', '[]', 1, 1, 9000000000000)";
        self.insert(insert, &[&id, tenant, user]).await;
        id
    }

    /// The grant was given in that session.
    pub(crate) async fn grant_in(&self, grant: &str, session: &str) {
        self.insert("UPDATE grants SET session = $2 WHERE id = $1", &[grant, session]).await;
    }

    /// A browser's session of a person.
    pub(crate) async fn session(&self, tenant: &str, user: &str) -> String {
        let id = fresh("ses_");
        let insert =
            "INSERT INTO browser_sessions (digest, id, user_id, tenant, auth_time, amr, created_at, seen_at,
            expires_at) VALUES ($1, $1, $3, $2, 1, '[]', 1, 9000000000000, 9000000000000)";
        self.insert(insert, &[&id, tenant, user]).await;
        id
    }

    /// A consent of a person.
    pub(crate) async fn consent(&self, tenant: &str, user: &str) -> String {
        let id = fresh("cns_");
        let insert =
            "INSERT INTO consents (id, user_id, tenant, client, client_name, resource, scopes, redirect_host,
            metadata_hash, given_at, last_used_at, expires_at)
            VALUES ($1, $3, $2, 'cli', 'CLI', 'x', '[]', 'localhost', 'h', 1, 1, 9000000000000)";
        self.insert(insert, &[&id, tenant, user]).await;
        id
    }

    /// A person's consent to an agent, which is made for it.
    pub(crate) async fn agent_consent(&self, tenant: &str, user: &str) -> String {
        let id = fresh("agt_");
        let insert = r#"INSERT INTO agents (id, tenant, name, owner, trust, status, scopes, may_act_for, delegation,
            created_at, changed_at) VALUES ($1, $2, 'Robot', $3, 'low', 'active', '[]', '{"who":"nobody"}',
            '{"depth":1}', 1, 1)"#;
        self.insert(insert, &[&id, tenant, user]).await;
        let insert = "INSERT INTO agent_consents (user_id, agent, resource, scopes, given_at, expires_at)
            VALUES ($2, $1, 'x', '[]', 1, 9000000000000)";
        self.insert(insert, &[&id, user]).await;
        id
    }

    /// Does something to the tables.
    pub(crate) async fn alter(&self, text: &'static str) {
        self.insert(text, &[]).await;
    }

    /// What a query counts in the gateway's own database.
    pub(crate) async fn count(&self, text: &'static str) -> i64 {
        let db = self.db().await;
        let count = on!(db, pool => sqlx::query_scalar(text).fetch_one(pool).await).unwrap();
        db.close().await;
        count
    }

    async fn insert(&self, text: &'static str, values: &[&str]) {
        let db = self.db().await;
        on!(db, pool => {
            let insert = values.iter().fold(sqlx::query(text), |insert, value| insert.bind((*value).to_owned()));
            insert.execute(pool).await.map(drop)
        })
        .unwrap();
        db.close().await;
    }

    /// The events on record of one kind, oldest first.
    pub(crate) fn events(&self, what: &str) -> Vec<Value> {
        let leaves = self.gateway.record().into_iter().map(|found| found.leaf);
        leaves.filter(|leaf| leaf["event"] == what || leaf["what"] == what).collect()
    }
}

fn fresh(prefix: &str) -> String {
    use model::Dice as _;
    let mut noise = [0; 16];
    model::SystemDice.fill(&mut noise);
    format!("{prefix}{:032x}", u128::from_be_bytes(noise))
}

/// What an API's problem says: its status and code.
pub(crate) fn problem(reply: &Reply) -> (u16, String) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    (reply.status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// The JSON of a reply that is none of the problems.
pub(crate) fn good(reply: &Reply) -> Value {
    assert!((200..300).contains(&reply.status), "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap_or_default()
}
