//! From an id to a client.

use super::{Client, Kind, document, registered};
use crate::kept::KeptError;
use crate::{Issuer, revoked};
use model::{Code, Digest};
use std::net::IpAddr;
use std::sync::Arc;
use storage::StorageError;

/// No client.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is none of that id.
    #[error("no client of that id is known here")]
    Unknown,
    /// Its document cannot be used.
    #[error("the client's document cannot be used: {0}")]
    Document(String),
    /// It was taken out of use.
    #[error("the client is revoked")]
    Revoked,
    /// The rows.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl FindError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Unknown | Self::Revoked => Code::CLIENT_UNKNOWN,
            Self::Document(_) => Code::CLIENT_DOCUMENT,
            Self::Storage(_) => Code::ISSUING_UNAVAILABLE,
        }
    }
}

impl From<KeptError> for FindError {
    fn from(error: KeptError) -> Self {
        Self::Document(error.to_string())
    }
}

/// The client of that id, as it is now. The form of the id says where it is known from; no two kinds share one.
///
/// # Errors
/// [`FindError`].
pub async fn find(issuer: &Issuer, id: &str) -> Result<Client, FindError> {
    if id.len() > ID_BYTES {
        return Err(FindError::Unknown);
    }
    let config = issuer.config();
    let client = if let Some(known) = config.clients.get(id) {
        Client {
            id: id.into(),
            kind: Kind::Configured,
            name: known.name.clone(),
            redirect_uris: known.redirect_uris.clone(),
            method: known.method,
            keys: known.keys.clone(),
            secret: known.secret,
            scopes: known.scopes.clone(),
            introspects: known.introspects.clone(),
            trusted: known.trusted,
            waits: true,
            // Consent is for what the person saw; the operator may mend the rest.
            digest: Digest::of(id.as_bytes()),
        }
    } else if id.starts_with(registered::PREFIX) {
        registered::open(issuer, id).ok_or(FindError::Unknown)?
    } else if let (Some(documents), true) = (&config.documents, id.contains("://")) {
        document::find(issuer, documents, id).await?
    } else {
        return Err(FindError::Unknown);
    };
    // SECURITY: a client that was taken out of use begins nothing and gets nothing more, whatever kind it is
    // (test: `a_revoked_client_is_no_client_any_more`).
    if revoked::client(issuer, id).await? { Err(FindError::Revoked) } else { Ok(client) }
}

impl Issuer {
    /// Whether a client may be looked for: a document that is not known here is fetched, which takes one of few places, so
    /// one address has so many of them in a minute.
    pub(crate) fn may_be_looked_for(&self, id: &str, address: IpAddr) -> bool {
        // SECURITY: test `one_address_does_not_keep_the_documents_of_others_out`.
        let is_fetched = id.contains("://") && !self.documents.knows(id);
        !is_fetched || self.strangers.admits(address, STRANGERS, self.now())
    }
}

/// The most documents that one address makes us fetch for the first time in a minute.
const STRANGERS: u32 = 30;

impl Client {
    /// A client with nothing but its id, kind and name.
    pub(crate) fn named(id: &str, kind: Kind, name: String) -> Self {
        Self {
            id: Arc::from(id),
            kind,
            name,
            redirect_uris: Vec::new(),
            method: super::Method::None,
            keys: super::Keys::None,
            secret: None,
            scopes: None,
            introspects: Vec::new(),
            trusted: false,
            waits: false,
            digest: Digest::of(id.as_bytes()),
        }
    }
}

/// The longest id, in bytes: neither tokens nor revocations hold a longer one.
pub(crate) const ID_BYTES: usize = 512;
