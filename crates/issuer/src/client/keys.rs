//! A client's keys, wherever they are.

use super::{Client, Keys};
use crate::Issuer;
use authn::Algorithm;
use authn::jose::KeySet;
use net::egress::Rule;
use serde_json::Value;
use std::sync::Arc;

/// The client's key set that holds `kid`; one that is fetched is fetched once more if it does not.
pub(super) async fn of(issuer: &Issuer, client: &Client, kid: Option<&str>) -> Result<Arc<KeySet>, String> {
    match &client.keys {
        Keys::None => Err("the client has no keys".into()),
        Keys::Inline(set) => {
            let set = set.as_object().and_then(|set| KeySet::parse(set, &ACCEPTED));
            set.map(Arc::new).ok_or_else(|| "the client has no usable key".into())
        }
        Keys::At(url) => {
            let documents = issuer.config().documents.clone().unwrap_or_default();
            let loopback = documents.danger_allow_loopback && url.starts_with("http://");
            let rule = if loopback { Rule::LOOPBACK } else { Rule::PUBLIC };
            let read = |document: &serde_json::Map<String, Value>| {
                KeySet::parse(document, &ACCEPTED).ok_or_else(|| "it holds no usable key".to_owned())
            };
            let said = |error: crate::kept::KeptError| format!("the client's keys cannot be used: {error}");
            let set = issuer.key_sets.get(issuer, url, rule, false, read).await.map_err(said)?;
            if set.find(kid).is_some() {
                return Ok(set);
            }
            issuer.key_sets.get(issuer, url, rule, true, read).await.map_err(said)
        }
    }
}

/// What a client may sign with.
pub(crate) const ACCEPTED: [Algorithm; 3] = [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa];
