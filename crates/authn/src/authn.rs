//! The room itself: from a request's headers to a verified caller.

use crate::cache::{Cache, Entry};
use crate::issuer::Issuer;
use crate::jws::Jws;
use crate::revocations::list::{Facts, Revocations};
use crate::{
    AuthnError, Config, ConfigError, IssuerConfig, KeySource, Rejection, Resource, TenantSource, bearer,
    claims,
};
use arc_swap::ArcSwap;
use http::{HeaderMap, Uri};
use model::{Clock, Digest, Principal, PrincipalKey, Timestamp};
use net::egress::Client;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A caller whose token was verified for one resource. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// The key of the principal's attributes.
    pub key: PrincipalKey,
    /// The moment from which the token is no longer accepted, the issuer's skew included. Streams end then.
    pub expires_at: Timestamp,
    /// SHA-256 of the token; all zeros for the anonymous caller.
    pub token: Digest,
    /// SHA-256 of the one client certificate that may present the token.
    pub bound_to: Option<Digest>,
    id: Option<Arc<str>>,
    issued_at: Option<Timestamp>,
}

/// Verifies tokens. Shared by all requests.
pub struct Authn {
    state: ArcSwap<State>,
    revocations: Revocations,
    egress: Client,
    clock: Arc<dyn Clock>,
}

/// What one revision of the configuration made.
struct State {
    issuers: HashMap<String, Arc<Issuer>>,
    /// In the order of the configuration, for the metadata documents.
    names: Vec<String>,
    anonymous: Option<Verified>,
    cache: Cache,
}

impl Authn {
    /// Checks the configuration. Nothing is fetched yet: see [`Authn::keep_fresh`].
    ///
    /// # Errors
    /// Every [`ConfigError`] there is.
    pub fn new(config: Config, egress: Client, clock: Arc<dyn Clock>) -> Result<Self, Vec<ConfigError>> {
        let state = State::new(&config, None, &egress)?;
        let revocations =
            Revocations::open(config.revoked_tokens_file, config.revocation_max_age, clock.as_ref())
                .map_err(|error| vec![ConfigError::Revoked(error.to_string())])?;
        Ok(Self { state: ArcSwap::from_pointee(state), revocations, egress, clock })
    }

    /// Puts a new configuration in force: issuers that did not change keep their keys, remembered tokens
    /// are forgotten. The file of revoked tokens and its age limit stay those of the start.
    ///
    /// # Errors
    /// Every [`ConfigError`] there is; the old configuration stays in force.
    pub fn reload(&self, config: &Config) -> Result<(), Vec<ConfigError>> {
        let state = State::new(config, Some(&self.state.load()), &self.egress)?;
        self.state.store(Arc::new(state));
        Ok(())
    }

    /// [`Authn::authenticate_over`] a connection that showed no client certificate.
    ///
    /// # Errors
    /// [`Rejection`]; [`crate::challenge()`] makes the header that goes with it.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        resource: &Resource,
    ) -> Result<Verified, Rejection> {
        self.authenticate_over(headers, uri, resource, None).await
    }

    /// Says who sends a request to a resource. Costs two look-ups and a SHA-256 for a token seen before;
    /// else a signature check, and a fetch when its key is unknown. Cancel safe.
    ///
    /// `certificate` is the SHA-256 of the client certificate that the connection proved to hold.
    ///
    /// # Errors
    /// [`Rejection`]; [`crate::challenge()`] makes the header that goes with it.
    pub async fn authenticate_over(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        resource: &Resource,
        certificate: Option<Digest>,
    ) -> Result<Verified, Rejection> {
        let now = self.clock.now();
        let found = {
            let state = self.state.load();
            let view = self.revocations.view(now)?;
            match bearer::token(headers, uri)? {
                None => return state.anonymous.clone().ok_or(AuthnError::Missing.into()),
                Some(token) => {
                    let digest = Digest::of(token);
                    state.cache.recall(digest, resource.digest(), view.epoch, now).ok_or((token, digest))
                }
            }
        };
        let verified = match found {
            Ok(verified) => verified,
            // Boxed: the way of a known token should not carry the room this one needs.
            Err((token, digest)) => Box::pin(self.verify(token, digest, resource)).await?,
        };
        // SECURITY: on every request, remembered tokens included: `a_bound_token_is_refused_without_its_certificate`.
        if verified.bound_to.is_some_and(|bound| certificate != Some(bound)) {
            return Err(AuthnError::OtherCertificate.into());
        }
        match has_scopes(&verified, resource) {
            Ok(()) => Ok(verified),
            Err(error) => Err(Rejection { error, principal: Some(verified.principal) }),
        }
    }

    /// Whether a caller verified earlier would still be let in: for streams, which outlive their request.
    ///
    /// # Errors
    /// [`AuthnError::Expired`], [`AuthnError::Revoked`], [`AuthnError::RevocationStale`], or
    /// [`AuthnError::UnknownIssuer`] when the issuer is no longer configured.
    pub fn recheck(&self, verified: &Verified) -> Result<(), AuthnError> {
        let now = self.clock.now();
        let state = self.state.load();
        if state.anonymous.as_ref().is_some_and(|anonymous| anonymous.token == verified.token) {
            return Ok(());
        }
        if now >= verified.expires_at {
            return Err(AuthnError::Expired);
        }
        if !state.issuers.contains_key(verified.principal.issuer.as_ref()) {
            return Err(AuthnError::UnknownIssuer);
        }
        let revoked = self.revocations.view(now)?.revokes(&verified.facts());
        if revoked { Err(AuthnError::Revoked) } else { Ok(()) }
    }

    /// The issuers, in the order of the configuration: `authorization_servers` of the metadata documents.
    pub fn issuers(&self) -> Vec<String> {
        self.state.load().names.clone()
    }

    /// For each issuer how many of its keys are in force; zero means that its callers are turned away.
    pub fn keys_in_force(&self) -> Vec<(String, usize)> {
        let (state, now) = (self.state.load(), self.clock.now());
        let count = |name: &String| state.issuers.get(name).map_or(0, |issuer| issuer.key_count(now));
        state.names.iter().map(|name| (name.clone(), count(name))).collect()
    }

    /// Looks after keys and the list of revoked tokens, forever: run it in a task of its own.
    pub async fn keep_fresh(&self) {
        loop {
            let fetches: Vec<_> = self.tend().into_iter().map(tokio::spawn).collect();
            // Fetches run on by themselves: a slow issuer delays neither the list nor other issuers.
            drop(fetches);
            tokio::time::sleep(TEND).await;
        }
    }

    /// Reads the list if it changed, and says what there is to fetch.
    fn tend(&self) -> Vec<impl Future<Output = ()> + Send + use<>> {
        if let Err(error) = self.revocations.reload(self.clock.as_ref()) {
            tracing::error!(%error, "the list of revoked tokens is not updated");
        }
        let (state, now) = (self.state.load(), self.clock.now());
        let due = state.issuers.values().filter(|issuer| issuer.is_due(now));
        due.map(|issuer| Arc::clone(issuer).refresh(self.egress.clone(), Arc::clone(&self.clock))).collect()
    }

    /// The long way: parse, find the key, verify, check, remember.
    async fn verify(
        &self,
        token: &[u8],
        digest: Digest,
        resource: &Resource,
    ) -> Result<Verified, AuthnError> {
        bearer::well_formed(token)?;
        let state = self.state.load_full();
        let jws = Jws::parse(token)?;
        let name =
            jws.claims.get("iss").and_then(serde_json::Value::as_str).ok_or(AuthnError::BadClaim("iss"))?;
        let issuer = state.issuers.get(name).ok_or(AuthnError::UnknownIssuer)?;
        if !issuer.config.accepts_type(jws.token_type.as_deref()) {
            return Err(AuthnError::WrongType);
        }
        let (keys_epoch, keys) = issuer.keys_with(jws.kid.as_deref(), &self.egress, &self.clock).await?;
        let key = keys.find(jws.kid.as_deref()).ok_or(AuthnError::UnknownKey)?;
        key.verify(&jws.algorithm, jws.signed, &jws.signature)?;
        let now = self.clock.now();
        let claims = claims::check(&jws.claims, &issuer.config, resource, now)?;
        let verified = Verified {
            key: claims.principal.key(),
            principal: Arc::new(claims.principal),
            expires_at: claims.expires_at,
            token: digest,
            bound_to: claims.bound_to,
            id: claims.id,
            issued_at: claims.issued_at,
        };
        let view = self.revocations.view(now)?;
        if view.revokes(&verified.facts()) {
            return Err(AuthnError::Revoked);
        }
        let entry = Entry {
            verified: verified.clone(),
            issuer: Arc::clone(issuer),
            keys: keys_epoch,
            revocations: view.epoch,
        };
        state.cache.remember(resource.digest(), entry);
        Ok(verified)
    }
}

impl Verified {
    fn facts(&self) -> Facts<'_> {
        Facts {
            digest: self.token,
            issuer: &self.principal.issuer,
            jti: self.id.as_deref(),
            user: &self.principal.user,
            client: &self.principal.client,
            issued_at: self.issued_at,
        }
    }
}

fn has_scopes(verified: &Verified, resource: &Resource) -> Result<(), AuthnError> {
    let has = |scope: &String| {
        verified.principal.scopes.binary_search_by(|held| held.as_ref().cmp(scope.as_str())).is_ok()
    };
    if resource.required_scopes().iter().all(has) { Ok(()) } else { Err(AuthnError::InsufficientScope) }
}

impl State {
    fn new(config: &Config, before: Option<&Self>, egress: &Client) -> Result<Self, Vec<ConfigError>> {
        let mut faults = Vec::new();
        let mut issuers: HashMap<String, Arc<Issuer>> = HashMap::new();
        for issuer in &config.issuers {
            faults.extend(issuer.faults(egress));
            let known = before.and_then(|before| before.issuers.get(&issuer.issuer));
            let kept = known.filter(|known| known.config == *issuer).cloned();
            let fresh = kept.unwrap_or_else(|| Arc::new(Issuer::new(issuer.clone())));
            if issuers.insert(issuer.issuer.clone(), fresh).is_some() {
                faults.push(ConfigError::Twice(issuer.issuer.clone()));
            }
        }
        let anonymous = config.danger_anonymous.clone().map(anonymous);
        if anonymous
            .as_ref()
            .is_some_and(|who| who.principal.user.is_empty() || who.principal.tenant.is_empty())
        {
            faults.push(ConfigError::Anonymous);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let names = config.issuers.iter().map(|issuer| issuer.issuer.clone()).collect();
        Ok(Self { issuers, names, anonymous, cache: Cache::new(config.cached_tokens) })
    }
}

fn anonymous(mut principal: Principal) -> Verified {
    for list in [&mut principal.roles, &mut principal.groups, &mut principal.scopes] {
        list.sort_unstable();
        list.dedup();
    }
    Verified {
        key: principal.key(),
        principal: Arc::new(principal),
        expires_at: Timestamp(i64::MAX),
        token: Digest([0; 32]),
        bound_to: None,
        id: None,
        issued_at: None,
    }
}

impl IssuerConfig {
    fn faults(&self, egress: &Client) -> Vec<ConfigError> {
        let mut faults = Vec::new();
        let key_url = match &self.keys {
            KeySource::Own(_) => return Vec::new(),
            KeySource::Discovery => None,
            KeySource::JwksUri(url) => Some(url),
        };
        for url in [Some(&self.issuer), key_url].into_iter().flatten() {
            let parsed = url.parse::<Uri>().map_err(|error| error.to_string());
            let usable =
                parsed.and_then(|uri| egress.destination(&uri, self.rule).map_err(|error| error.to_string()));
            if let Err(reason) = usable {
                faults.push(ConfigError::Url { issuer: self.issuer.clone(), url: url.clone(), reason });
            }
        }
        let no_tenant = match &self.tenant {
            TenantSource::Fixed(tenant) => tenant.is_empty(),
            TenantSource::Claims(paths) => paths.is_empty(),
        };
        for (field, empty) in [
            ("algorithms", self.algorithms.is_empty()),
            ("token_types", self.token_types.is_empty()),
            ("claims.user", self.claims.user.is_empty()),
            ("claims.client", self.claims.client.is_empty()),
            ("tenant", no_tenant),
        ] {
            if empty {
                faults.push(ConfigError::Empty { issuer: self.issuer.clone(), field });
            }
        }
        if self.skew > claims::MOST_SKEW {
            faults.push(ConfigError::Skew(self.issuer.clone()));
        }
        faults
    }

    /// `typ` without case and without `application/` (RFC 7515 §4.1.9); a token must have one.
    fn accepts_type(&self, token_type: Option<&str>) -> bool {
        let bare = |text: &str| {
            let text = text.to_ascii_lowercase();
            text.strip_prefix("application/").map_or(text.clone(), str::to_owned)
        };
        token_type
            .map(bare)
            .is_some_and(|given| self.token_types.iter().any(|accepted| bare(accepted) == given))
    }
}

/// How often keys and the list of revoked tokens are looked at: with it, a revoked token is refused within
/// about a second of the list being saved.
const TEND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
