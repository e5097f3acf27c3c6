//! For every operation: what it is tried with, and who may.

use super::bed::{AdminBed, Someone, good};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

/// One operation and how it is prepared.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) prepare: for<'a> fn(&'a AdminBed) -> BoxFuture<'a, Prepared>,
}

/// What an operation is tried with.
pub(crate) struct Prepared {
    /// Who may.
    pub(crate) who: Someone,
    /// The ids in its path, of things that are there.
    pub(crate) ids: Vec<(&'static str, String)>,
    /// Its query, with the question mark.
    pub(crate) query: &'static str,
    /// Its body.
    pub(crate) body: Option<Value>,
    /// The tag of what it changes.
    pub(crate) tag: Option<String>,
    /// Whether what its path or body names is of the tenant `acme`.
    pub(crate) is_of_acme: bool,
    /// Whether it makes something that has an id.
    pub(crate) creates: bool,
}

impl Prepared {
    fn by(who: Someone) -> Self {
        Self { who, ids: Vec::new(), query: "", body: None, tag: None, is_of_acme: false, creates: false }
    }

    fn id(mut self, name: &'static str, id: impl Into<String>) -> Self {
        self.ids.push((name, id.into()));
        self
    }

    fn of_acme(self) -> Self {
        Self { is_of_acme: true, ..self }
    }

    fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    fn creating(self) -> Self {
        Self { creates: true, ..self }
    }
}

macro_rules! rows {
    ($($name:literal: |$bed:ident| $prepared:expr;)*) => {
        /// Every operation that is tried.
        pub(crate) fn rows() -> Vec<Row> {
            vec![$(Row { name: $name, prepare: |$bed| async move { $prepared }.boxed() }),*]
        }
    };
}

rows! {
    "describe": |bed| Prepared::by(bed.operator());
    "whoami": |bed| Prepared::by(bed.someone("alice", "acme", "reader"));

    "list_tenants": |bed| Prepared::by(bed.admin_of("acme"));
    "list_people": |bed| Prepared { query: "?tenant=acme", ..Prepared::by(bed.admin_of("acme")) }.of_acme();
    "show_person": |bed| person(bed).await;
    "change_person": |bed| {
        let prepared = person(bed).await;
        let shown = bed.get(&prepared.who, &format!("/people/{}", prepared.ids[0].1)).await;
        let tag = shown.headers["etag"].to_str().unwrap().to_owned();
        Prepared { tag: Some(tag), ..prepared }.body(json!({"roles": ["reader"]}))
    };
    "disable_person": |bed| person(bed).await;
    "enable_person": |bed| person(bed).await;
    "list_accounts": |bed| Prepared { query: "?tenant=acme", ..Prepared::by(bed.admin_of("acme")) }.of_acme();
    "create_account": |bed| {
        let body = json!({"tenant": "acme", "account": "new", "roles": ["reader"]});
        Prepared::by(bed.admin_of("acme")).body(body).of_acme().creating()
    };
    "reset_account": |bed| {
        let made = good(&bed.post(&bed.admin_of("acme"), "/accounts", &json!({"account": "forgetful"})).await);
        Prepared::by(bed.admin_of("acme")).id("person", made["user"].as_str().unwrap()).of_acme()
    };
    "list_sessions": |bed| person(bed).await;
    "end_session": |bed| {
        let person = bed.person("acme").await;
        Prepared::by(bed.admin_of("acme")).id("session", bed.session("acme", &person).await).of_acme()
    };
    "list_own_sessions": |bed| Prepared::by(bed.someone(&bed.person("acme").await, "acme", "reader"));
    "end_own_session": |bed| {
        let person = bed.person("acme").await;
        let session = bed.session("acme", &person).await;
        Prepared::by(bed.someone(&person, "acme", "reader")).id("session", session)
    };
    "list_consents": |bed| person(bed).await;
    "withdraw_consent": |bed| {
        let prepared = person(bed).await;
        let consent = bed.consent("acme", &prepared.ids[0].1).await;
        prepared.id("consent", consent)
    };
    "list_own_consents": |bed| Prepared::by(bed.someone(&bed.person("acme").await, "acme", "reader"));
    "withdraw_own_consent": |bed| {
        let person = bed.person("acme").await;
        let consent = bed.consent("acme", &person).await;
        Prepared::by(bed.someone(&person, "acme", "reader")).id("consent", consent)
    };
    "list_agent_consents": |bed| person(bed).await;
    "withdraw_agent_consent": |bed| {
        let prepared = person(bed).await;
        let agent = bed.agent_consent("acme", &prepared.ids[0].1).await;
        prepared.id("agent", agent)
    };
    "list_own_agent_consents": |bed| Prepared::by(bed.someone(&bed.person("acme").await, "acme", "reader"));
    "withdraw_own_agent_consent": |bed| {
        let person = bed.person("acme").await;
        let agent = bed.agent_consent("acme", &person).await;
        Prepared::by(bed.someone(&person, "acme", "reader")).id("agent", agent)
    };
    "list_clients": |bed| Prepared { query: "?tenant=acme", ..Prepared::by(bed.admin_of("acme")) }.of_acme();
    "block_client": |bed| Prepared::by(bed.operator()).body(json!({"client": "cli"}));
    "unblock_client": |bed| {
        let client = json!({"client": "https://client.test/id"});
        assert_eq!(bed.post(&bed.operator(), "/clients/block", &client).await.status, 204);
        Prepared::by(bed.operator()).body(client)
    };

    "list_grants": |bed| Prepared { query: "?tenant=acme", ..Prepared::by(bed.admin_of("acme")) }.of_acme();
    "revoke_grant": |bed| Prepared::by(bed.admin_of("acme")).id("grant", bed.grant("acme", "alice").await).of_acme();
    "list_own_grants": |bed| Prepared::by(bed.someone(&bed.person("acme").await, "acme", "reader"));
    "revoke_own_grant": |bed| {
        let person = bed.person("acme").await;
        let grant = bed.grant("acme", &person).await;
        Prepared::by(bed.someone(&person, "acme", "reader")).id("grant", grant)
    };

    "list_agents": |bed| Prepared { query: "?tenant=acme", ..Prepared::by(bed.admin_of("acme")) }.of_acme();
    "create_agent": |bed| {
        let body = json!({"tenant": "acme", "owner": bed.person("acme").await, "name": "Robot", "scopes": ["mcp"]});
        Prepared::by(bed.admin_of("acme")).body(body).of_acme().creating()
    };
    "show_agent": |bed| agent(bed).await;
    "change_agent": |bed| {
        let prepared = agent(bed).await;
        let shown = bed.get(&prepared.who, &format!("/agents/{}", prepared.ids[0].1)).await;
        let tag = shown.headers["etag"].to_str().unwrap().to_owned();
        Prepared { tag: Some(tag), ..prepared }.body(json!({"name": "Another", "servers": ["up"]}))
    };
    "disable_agent": |bed| agent(bed).await;
    "enable_agent": |bed| agent(bed).await;
    "list_credentials": |bed| agent(bed).await;
    "create_credential": |bed| agent(bed).await.body(json!({"make": "api_key"}));
    "revoke_credential": |bed| {
        let prepared = agent(bed).await;
        let path = format!("/agents/{}/credentials", prepared.ids[0].1);
        let made = good(&bed.post(&prepared.who, &path, &json!({"make": "api_key"})).await);
        prepared.id("credential", made["id"].as_str().unwrap())
    };

    "list_contracts": |bed| Prepared::by(bed.operator());
    "draft_contract": |bed| Prepared::by(bed.operator()).body(contract("https://one.test")).creating();
    "show_contract": |bed| {
        draft(bed, "https://two.test").await;
        Prepared { query: "?issuer=https://two.test&version=1", ..Prepared::by(bed.operator()) }
    };
    "shadow_contract": |bed| {
        draft(bed, "https://three.test").await;
        Prepared::by(bed.operator()).body(json!({"issuer": "https://three.test", "version": 1}))
    };
    "end_contract_shadow": |bed| {
        draft(bed, "https://six.test").await;
        let version = json!({"issuer": "https://six.test", "version": 1});
        good(&bed.post(&bed.operator(), "/contracts/shadow", &version).await);
        Prepared::by(bed.operator()).body(json!({"issuer": "https://six.test"}))
    };
    "enforce_contract": |bed| {
        draft(bed, "https://four.test").await;
        Prepared::by(bed.operator()).body(json!({"issuer": "https://four.test", "version": 1}))
    };
    "roll_contract_back": |bed| {
        draft(bed, "https://five.test").await;
        let version = json!({"issuer": "https://five.test", "version": 1});
        good(&bed.post(&bed.operator(), "/contracts/enforce", &version).await);
        Prepared::by(bed.operator()).body(json!({"issuer": "https://five.test", "version": 0}))
    };

    "list_keys": |bed| Prepared::by(bed.operator());
    "rotate_keys": |bed| Prepared { query: "?force=true", ..Prepared::by(bed.operator()) };
    "revoke_key": |bed| {
        let keys = good(&bed.get(&bed.operator(), "/keys").await);
        let next = keys["items"].as_array().unwrap().iter().find(|key| key["state"] == "next").unwrap().clone();
        Prepared::by(bed.operator()).id("key", next["id"].as_str().unwrap())
    };

    "list_revocations": |bed| Prepared { query: "?tenant=acme", ..Prepared::by(bed.admin_of("acme")) }.of_acme();
    "create_revocation": |bed| {
        let body = json!({"kind": "user", "id": "usr_1", "tenant": "acme", "reason": "left"});
        Prepared::by(bed.admin_of("acme")).body(body).of_acme().creating()
    };
    "show_view": |bed| Prepared::by(bed.operator());
    "lift_revocation": |bed| {
        let body = json!({"kind": "user", "id": "usr_2"});
        let made = good(&bed.post(&bed.admin_of("acme"), "/revocations", &body).await);
        Prepared::by(bed.admin_of("acme")).id("revocation", made["number"].to_string()).of_acme()
    };
}

/// A person of `acme`, for its administrator.
async fn person(bed: &AdminBed) -> Prepared {
    Prepared::by(bed.admin_of("acme")).id("person", bed.person("acme").await).of_acme()
}

/// An agent of `acme`, for its administrator.
async fn agent(bed: &AdminBed) -> Prepared {
    let body = json!({"owner": bed.person("acme").await, "name": "Robot", "scopes": ["mcp"]});
    let made = good(&bed.post(&bed.admin_of("acme"), "/agents", &body).await);
    Prepared::by(bed.admin_of("acme")).id("agent", made["id"].as_str().unwrap()).of_acme()
}

pub(crate) fn contract(issuer: &str) -> Value {
    let claims = json!({
        "iss": issuer, "sub": "alice", "aud": "https://gw.test/mcp", "client_id": "cli", "tenant_id": "acme",
        "iat": 1_795_219_200, "exp": 1_795_219_500,
    });
    let mut bad = claims.clone();
    bad.as_object_mut().unwrap().remove("tenant_id");
    json!({"issuer": issuer, "samples": {
        "good": [{"name": "alice", "claims": claims}], "bad": [{"name": "no tenant", "claims": bad}],
    }})
}

async fn draft(bed: &AdminBed, issuer: &str) {
    good(&bed.post(&bed.operator(), "/contracts", &contract(issuer)).await);
}
