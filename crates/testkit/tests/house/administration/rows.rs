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
    "lift_revocation": |bed| {
        let body = json!({"kind": "user", "id": "usr_2"});
        let made = good(&bed.post(&bed.admin_of("acme"), "/revocations", &body).await);
        Prepared::by(bed.admin_of("acme")).id("revocation", made["number"].to_string()).of_acme()
    };
}
