//! One provider as it is found to be: its metadata and its keys, remembered for a while.

use super::ProviderConfig;
use super::fetch::{self, FetchError};
use authn::jose::KeySet;
use model::{Clock, Timestamp};
use net::egress::{Client, Rule};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// What a provider says of itself (OpenID Connect Discovery 1.0 §3), as far as we use it.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    pub(crate) jwks_uri: String,
    pub(crate) userinfo_endpoint: Option<String>,
    /// Whether authorization responses must carry `iss` (RFC 9207 §3).
    pub(crate) sends_issuer: bool,
    /// `client_secret_post` is offered and `client_secret_basic` is not.
    pub(crate) secret_in_form: bool,
    /// The whole document, for the doctor.
    pub(crate) document: Map<String, Value>,
    /// The server's clock when it answered.
    pub(crate) date: Option<String>,
}

/// A provider cannot be used as it is. For operators.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// A document did not come.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its metadata is being looked for, or could not be had a moment ago.
    #[error("its metadata is being looked for, or could not be had a moment ago")]
    Busy,
    /// Metadata of somebody else.
    #[error("the metadata at {url} is of the issuer {found:?}, and not of {expected:?}")]
    OtherIssuer {
        /// Where it was found.
        url: String,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// The metadata lacks something, or holds an address that cannot be used.
    #[error("the metadata names no usable `{0}`")]
    Lacks(&'static str),
    /// No key that we can use.
    #[error("the key set at {0} holds no key of an accepted algorithm")]
    NoKeys(String),
    /// A token by a key that is not there.
    #[error("the key that signed is not in the key set")]
    UnknownKey,
}

/// A provider and what is remembered of it. Shared.
pub(crate) struct Provider {
    pub(crate) config: Arc<ProviderConfig>,
    egress: Client,
    clock: Arc<dyn Clock>,
    /// Whoever waits for a fetch under way takes what it brought.
    metadata: Mutex<Option<(Timestamp, Arc<Metadata>)>>,
    /// When it could last not be had, in milliseconds.
    failed_at: AtomicI64,
    keys: Mutex<Option<(Timestamp, Arc<KeySet>)>>,
}

impl Provider {
    pub(crate) fn new(config: Arc<ProviderConfig>, egress: Client, clock: Arc<dyn Clock>) -> Self {
        let failed_at = AtomicI64::new(i64::MIN);
        Self { config, egress, clock, metadata: Mutex::new(None), failed_at, keys: Mutex::new(None) }
    }

    /// Its metadata, at most ten minutes old; while it cannot be had, the last good one of the last day.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let mut kept = self.metadata.lock().await;
        let now = self.clock.now();
        if let Some((at, metadata)) = &*kept
            && now.since(*at) < FRESH
        {
            return Ok(Arc::clone(metadata));
        }
        // One that is away is not looked for by each in turn: whoever waits here would wait for all before.
        let failed = Timestamp(self.failed_at.load(Ordering::Relaxed));
        if let Some((at, metadata)) = &*kept
            && now.since(*at) < LAST_GOOD
            && now.since(failed) < RETRY
        {
            return Ok(Arc::clone(metadata));
        }
        match self.discover().await {
            Ok(found) => {
                let found = Arc::new(found);
                *kept = Some((now, Arc::clone(&found)));
                Ok(found)
            }
            Err(error) => match &*kept {
                Some((at, metadata)) if now.since(*at) < LAST_GOOD => {
                    self.failed_at.store(now.0, Ordering::Relaxed);
                    tracing::warn!(issuer = %self.config.issuer, %error, "the provider's metadata is the last good one");
                    Ok(Arc::clone(metadata))
                }
                _ => {
                    self.failed_at.store(now.0, Ordering::Relaxed);
                    Err(error)
                }
            },
        }
    }

    /// The same for whoever can do without: not while another looks for it, nor a moment after it could not be had.
    pub(crate) async fn metadata_unless_busy(&self) -> Result<Arc<Metadata>, ProviderError> {
        let Ok(kept) = self.metadata.try_lock() else { return Err(ProviderError::Busy) };
        let is_known = kept.is_some();
        drop(kept);
        let failed = Timestamp(self.failed_at.load(Ordering::Relaxed));
        if !is_known && self.clock.now().since(failed) < RETRY {
            return Err(ProviderError::Busy);
        }
        self.metadata().await
    }

    /// Looks for the metadata in both of its places.
    pub(crate) async fn discover(&self) -> Result<Metadata, ProviderError> {
        let mut last = None;
        for url in places(self.config.discovery_url.as_deref().unwrap_or(&self.config.issuer)) {
            match fetch::get(&self.egress, self.config.rule, &url, None).await {
                Ok(document) => return self.read(document, &url),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or(ProviderError::Lacks("issuer"), ProviderError::Fetch))
    }

    fn read(&self, document: fetch::Document, url: &str) -> Result<Metadata, ProviderError> {
        let fetch::Document { members, date } = document;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        // SECURITY: metadata of another issuer is not used, whatever it says
        // (test: `metadata_of_another_issuer_signs_nobody_in`; OpenID Connect Discovery §4.3).
        let found = text("issuer").unwrap_or_default();
        if found != self.config.issuer {
            let (found, expected) = (found.chars().take(200).collect(), self.config.issuer.clone());
            return Err(ProviderError::OtherIssuer { url: url.to_owned(), found, expected });
        }
        let address = |name: &'static str| {
            let found = text(name).filter(|address| is_web(address, self.config.rule));
            found.map(str::to_owned).ok_or(ProviderError::Lacks(name))
        };
        let offered: Vec<&str> = members
            .get("token_endpoint_auth_methods_supported")
            .and_then(Value::as_array)
            .map(|all| all.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        Ok(Metadata {
            authorization_endpoint: address("authorization_endpoint")?,
            token_endpoint: address("token_endpoint")?,
            jwks_uri: address("jwks_uri")?,
            userinfo_endpoint: address("userinfo_endpoint").ok(),
            sends_issuer: members.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
            secret_in_form: offered.contains(&"client_secret_post")
                && !offered.contains(&"client_secret_basic"),
            document: members,
            date,
        })
    }

    /// The key set that holds `kid`: the remembered one, or after one fetch. Strangers' key ids cause a fetch every ten
    /// seconds at most.
    pub(crate) async fn keys_with(&self, kid: Option<&str>) -> Result<Arc<KeySet>, ProviderError> {
        let mut kept = self.keys.lock().await;
        let now = self.clock.now();
        if let Some((at, keys)) = &*kept {
            let age = now.since(*at);
            if keys.find(kid).is_some() && age < FRESH {
                return Ok(Arc::clone(keys));
            }
            if keys.find(kid).is_none() && age < REFETCH_PAUSE {
                return Err(ProviderError::UnknownKey);
            }
        }
        let fetched = match self.metadata().await {
            Ok(metadata) => self.fetch_keys(&metadata.jwks_uri).await,
            Err(error) => Err(error),
        };
        let keys = match (fetched, &*kept) {
            (Ok(keys), _) => {
                let keys = Arc::new(keys);
                *kept = Some((now, Arc::clone(&keys)));
                keys
            }
            (Err(_), Some((at, keys))) if now.since(*at) < LAST_GOOD => Arc::clone(keys),
            (Err(error), _) => return Err(error),
        };
        if keys.find(kid).is_none() {
            return Err(ProviderError::UnknownKey);
        }
        Ok(keys)
    }

    pub(crate) async fn fetch_keys(&self, url: &str) -> Result<KeySet, ProviderError> {
        let document = fetch::get(&self.egress, self.config.rule, url, None).await?;
        let keys = KeySet::parse(&document.members, &self.config.algorithms);
        keys.ok_or_else(|| ProviderError::NoKeys(url.to_owned()))
    }

    /// Posts a form to one of its endpoints.
    pub(crate) async fn post(
        &self,
        url: &str,
        form: String,
        authorization: Option<String>,
    ) -> Result<Map<String, Value>, ProviderError> {
        Ok(fetch::post(&self.egress, self.config.rule, url, form, authorization).await?.members)
    }

    /// What its userinfo endpoint says to a token of its own.
    pub(crate) async fn userinfo(&self, url: &str, token: &str) -> Result<Map<String, Value>, ProviderError> {
        Ok(fetch::get(&self.egress, self.config.rule, url, Some(token)).await?.members)
    }
}

/// Where an issuer's metadata is: below it (OpenID Connect Discovery §4), or in front of its path (RFC 8414 §3).
fn places(issuer: &str) -> Vec<String> {
    let issuer = issuer.trim_end_matches('/');
    let mut places = vec![format!("{issuer}/.well-known/openid-configuration")];
    if let Some((scheme, rest)) = issuer.split_once("://") {
        let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        places.push(format!("{scheme}://{host}/.well-known/oauth-authorization-server{path}"));
    }
    places
}

/// https, or http where the provider may be on this machine: an authorization endpoint is a place browsers are sent to.
fn is_web(address: &str, rule: Rule) -> bool {
    let Ok(uri) = address.parse::<http::Uri>() else { return false };
    let named = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    match uri.scheme_str() {
        Some("https") => named,
        Some("http") => named && (rule.allow_loopback || rule.allow_private),
        _ => false,
    }
}

/// How long metadata and keys are used without a look.
const FRESH: Duration = Duration::from_secs(600);
/// How long one that could not be had is not looked for again, while an older one is good.
const RETRY: Duration = Duration::from_secs(30);
/// How long they are used while the provider is down.
const LAST_GOOD: Duration = Duration::from_secs(24 * 3600);
/// The least time between two fetches for unknown keys.
const REFETCH_PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_below_the_issuer_first() {
        assert_eq!(
            places("https://idp.example/tenant/"),
            [
                "https://idp.example/tenant/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server/tenant",
            ]
        );
    }

    #[test]
    fn browsers_are_sent_to_web_addresses_only() {
        for (address, rule, fits) in [
            ("https://idp.example/authorize", Rule::PUBLIC, true),
            ("http://127.0.0.1:1/authorize", Rule::LOOPBACK, true),
            ("http://idp.example/authorize", Rule::PUBLIC, false),
            ("https://user:secret@idp.example/", Rule::PUBLIC, false),
            ("javascript:alert(1)", Rule::LOOPBACK, false),
            ("/authorize", Rule::LOOPBACK, false),
        ] {
            assert_eq!(is_web(address, rule), fits, "{address}");
        }
    }
}
