//! Who asks: clients that the operator wrote down, that are named by the URL of their own document, or that
//! registered themselves.

mod assertion;
pub(crate) mod authentication;
mod document;
mod find;
mod keys;
mod metadata;
mod redirect;
pub(crate) mod registered;

pub(crate) use document::Found;
pub use find::{FindError, find};
pub(crate) use redirect::is_registered;
pub use redirect::{check_redirect_uri, is_loopback_redirect, is_private_use, shown_host};

use model::Digest;
use serde_json::Value;
use std::sync::Arc;

/// A client, wherever it is known from.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Its id.
    pub id: Arc<str>,
    /// Where it is known from.
    pub kind: Kind,
    /// What people are shown. Anybody can claim any name: pages show host and redirect besides.
    pub name: String,
    /// Where it may be sent back to.
    pub redirect_uris: Vec<String>,
    /// How it proves who it is.
    pub method: Method,
    /// Its keys, for `private_key_jwt`.
    pub keys: Keys,
    /// SHA-256 of its secret.
    pub secret: Option<Digest>,
    /// The most it may ask for; `None`: whatever the resource has.
    pub scopes: Option<Vec<String>>,
    /// The resources about whose tokens it may ask (RFC 7662), besides its own tokens.
    pub introspects: Vec<String>,
    /// Nobody is asked for consent.
    pub trusted: bool,
    /// It may wait for a person elsewhere (RFC 8628): the operator wrote it down, or it says so of itself.
    pub waits: bool,
    /// Of everything it says of itself: consent was given to this and to nothing else.
    pub digest: Digest,
}

impl Client {
    /// Whether a browser may be sent to `redirect_uri` before its person has met a page: where the operator wrote the
    /// client down, and to programs on the person's own machine.
    pub(crate) fn may_redirect_unseen(&self, redirect_uri: &str) -> bool {
        matches!(self.kind, Kind::Configured | Kind::Agent)
            || is_loopback_redirect(redirect_uri)
            || is_private_use(redirect_uri)
    }
}

/// Where a client is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The operator wrote it down.
    Configured,
    /// Its id is the URL of its document.
    Document,
    /// It registered itself; its id carries the registration.
    Registered,
    /// It is an agent of the registry.
    Agent,
}

/// How a client proves who it is (RFC 7591 §2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Not at all: a public client. PKCE binds its codes, rotation its refresh tokens.
    None,
    /// A JWT signed with its key (RFC 7523 §2.2).
    PrivateKeyJwt,
    /// Its secret, in the header or in the form.
    Secret,
    /// Its certificate (RFC 8705 §2).
    Tls,
}

/// A client's keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Keys {
    /// It has none.
    #[default]
    None,
    /// A key set (RFC 7517 §5).
    Inline(Arc<Value>),
    /// A key set at this URL.
    At(String),
}

/// Whether an operator may give a client this id: it cannot be taken for one of another kind.
pub fn is_configurable_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=128).contains(&id.len())
        && id.bytes().all(plain)
        && !["dyn_", "agt_"].iter().any(|kind| id.starts_with(kind))
}

/// The grant type of those who wait for a person elsewhere (RFC 8628 §3.4).
pub(crate) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// What the metadata says of [`Method`].
pub(crate) const METHODS: [&str; 6] = [
    "none",
    "private_key_jwt",
    "client_secret_basic",
    "client_secret_post",
    // Of agents.
    "tls_client_auth",
    "self_signed_tls_client_auth",
];
/// The same for endpoints where a client has to prove itself.
pub(crate) const PROVEN: [&str; 3] = ["private_key_jwt", "client_secret_basic", "client_secret_post"];
/// Algorithms of assertions.
pub(crate) const ALGORITHMS: [&str; 3] = ["ES256", "RS256", "EdDSA"];
