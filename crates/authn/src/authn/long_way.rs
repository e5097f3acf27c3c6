//! A token that is not remembered: read, verified or asked about, judged, remembered.

use super::*;
use crate::opaque::Meaning;
use serde_json::{Map, Value};

/// What the claims of a token stand on.
struct Grounds {
    issuer: Arc<Issuer>,
    /// The epoch of the keys that verified it; none for an opaque token.
    keys: Option<u64>,
    /// The id of the key that did.
    kid: Option<Arc<str>>,
    /// Until when its issuer's word is believed, if it was asked.
    opaque: Option<(Timestamp, Arc<Hold>)>,
    /// Its groups, if they were looked up.
    groups: Option<Arc<groups::Hold>>,
}

impl Authn {
    /// Who a token presented elsewhere than in a header is of, such as the subject token of an exchange (RFC 8693):
    /// verified as one in a header would be, for the given resource. `certificate` is the SHA-256 of the client
    /// certificate that the connection proved to hold.
    ///
    /// # Errors
    /// [`AuthnError`].
    pub async fn token(
        &self,
        token: &[u8],
        resource: &Resource,
        certificate: Option<Digest>,
    ) -> Result<Verified, AuthnError> {
        if token.len() > bearer::TOKEN_BYTES {
            return Err(AuthnError::TooLong);
        }
        let digest = Digest::of(token);
        let verified = match self.recall(digest, resource)? {
            Some(verified) => verified,
            None => Box::pin(self.verify(token, digest, resource)).await?,
        };
        if verified.bound_to.is_some_and(|bound| certificate != Some(bound)) {
            return Err(AuthnError::OtherCertificate);
        }
        Ok(verified)
    }

    pub(super) async fn verify(
        &self,
        token: &[u8],
        digest: Digest,
        resource: &Resource,
    ) -> Result<Verified, AuthnError> {
        bearer::well_formed(token)?;
        let state = self.state.load_full();
        let (mut grounds, mut claims, contract) = match state.routes.of(token, resource) {
            Some(_) => self.ask(&state, token, digest, resource).await?,
            None => self.read(&state, token, resource).await?,
        };
        if let Some(directory) = claims.groups_at.take() {
            let user = &claims.principal.user;
            let hold = groups::Hold::of(&state.directories, directory, &contract, user).await?;
            claims.principal.groups = hold.groups();
            grounds.groups = Some(Arc::new(hold));
        }
        self.remember(&state, digest, resource, grounds, claims, &contract)
    }

    /// A signed token.
    async fn read(
        &self,
        state: &State,
        token: &[u8],
        resource: &Resource,
    ) -> Result<(Grounds, Claims, Arc<Contract>), AuthnError> {
        let jws = Jws::parse(token)?;
        let name = jws.claims.get("iss").and_then(Value::as_str).ok_or(AuthnError::BadClaim("iss"))?;
        let issuer = state.issuers.get(name).ok_or(AuthnError::UnknownIssuer)?;
        let rules = state.standing.rules(&issuer.implicit, resource)?;
        // Before a key is fetched for it; a shadow wants to see the others, too.
        if rules.shadow.is_none() && !rules.enforced.accepts_type(jws.token_type.as_deref()) {
            return Err(AuthnError::WrongType);
        }
        let (epoch, keys) = issuer.keys_with(jws.kid.as_deref(), &self.egress, &self.clock).await?;
        let key = keys.find(jws.kid.as_deref()).ok_or(AuthnError::UnknownKey)?;
        key.verify(&jws.algorithm, jws.signed, &jws.signature)?;
        let form = Form::Signed { token_type: jws.token_type.as_deref(), algorithm: &jws.algorithm };
        let (claims, contract) = self.judge(&rules, &Presented { claims: &jws.claims, form }, resource)?;
        let kid = key.kid.as_deref().or(jws.kid.as_deref()).map(Into::into);
        let grounds =
            Grounds { issuer: Arc::clone(issuer), keys: Some(epoch), kid, opaque: None, groups: None };
        Ok((grounds, claims, contract))
    }

    /// An opaque token.
    async fn ask(
        &self,
        state: &State,
        token: &[u8],
        digest: Digest,
        resource: &Resource,
    ) -> Result<(Grounds, Claims, Arc<Contract>), AuthnError> {
        let introspector = state.routes.of(token, resource).ok_or(AuthnError::Malformed)?;
        let issuer = state.issuers.get(introspector.issuer()).ok_or(AuthnError::UnknownIssuer)?;
        // What was revoked here is not remembered as good from before.
        state.routes.forget_before(*self.epoch.borrow());
        let rules = state.standing.rules(&issuer.implicit, resource)?;
        let answer = introspector.meaning(token, digest).await;
        let (outcome, claims) = match &answer.meaning {
            Meaning::Active(claims) => ("active", Ok(Arc::clone(claims))),
            Meaning::Inactive => ("inactive", Err(AuthnError::Inactive)),
            Meaning::Unknown => ("unknown", Err(AuthnError::IntrospectionUnavailable)),
        };
        if let Some(watch) = self.watch.get() {
            watch.introspected(introspector.issuer(), outcome);
        }
        let claims: Arc<Map<String, Value>> = claims?;
        let presented = Presented { claims: &claims, form: Form::Introspected { until: answer.until } };
        let (claims, contract) = self.judge(&rules, &presented, resource)?;
        let hold = Arc::new(Hold::new(Arc::clone(introspector), token, digest, answer.until));
        let opaque = Some((answer.until, hold));
        let issuer = Arc::clone(issuer);
        Ok((Grounds { issuer, keys: None, kid: None, opaque, groups: None }, claims, contract))
    }

    /// By the contract that is enforced; the one in shadow is heard besides.
    fn judge(
        &self,
        rules: &crate::contract::Rules,
        token: &Presented<'_>,
        resource: &Resource,
    ) -> Result<(Claims, Arc<Contract>), AuthnError> {
        let said = rules.enforced.check(token, resource, self.clock.now());
        if let Some(shadow) = &rules.shadow {
            let watch = self.watch.get().map(Arc::as_ref);
            let enforced = (rules.enforced.as_ref(), &said);
            self.told.compare(enforced, shadow, (token, resource), self.clock.as_ref(), watch);
        }
        Ok((said?, Arc::clone(&rules.enforced)))
    }

    fn remember(
        &self,
        state: &State,
        digest: Digest,
        resource: &Resource,
        grounds: Grounds,
        claims: Claims,
        contract: &Contract,
    ) -> Result<Verified, AuthnError> {
        let (asked, opaque) = grounds.opaque.unzip();
        // SECURITY: a token is remembered no longer than what was asked about it is believed (test:
        // `groups_that_were_looked_up_are_believed_for_a_minute_however_long_the_token_lives`).
        let looked_up = grounds.groups.as_ref().map(|hold| hold.until());
        let until = [asked, looked_up].into_iter().flatten().fold(claims.expires_at, Timestamp::min);
        let groups = grounds.groups;
        let judged = Judged { version: contract.version(), resource: resource.clone(), opaque, groups };
        let verified = Verified {
            key: claims.principal.key(),
            principal: Arc::new(claims.principal),
            expires_at: claims.expires_at,
            token: digest,
            bound_to: claims.bound_to,
            marks: Arc::new(Marks { key: grounds.kid, ..claims.marks }),
            // INVARIANT: the epoch is read before what it counts.
            epoch: *self.epoch.borrow(),
            judged: Some(Arc::new(judged)),
        };
        let now = self.clock.now();
        self.knows(now)?;
        if self.revoked(&verified, now) {
            return Err(AuthnError::Revoked);
        }
        let entry = Entry {
            verified: verified.clone(),
            keys: grounds.keys.map(|epoch| (Arc::clone(&grounds.issuer), epoch)),
            until,
        };
        state.cache.remember(resource.digest(), entry);
        Ok(verified)
    }
}
