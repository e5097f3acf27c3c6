//! One token against one contract, clause by clause. The data plane stops at the first clause that fails; a report
//! goes through all of them. Both walk the same way.

use super::compile::Contract;
use super::document::{Omittable, Overage};
use crate::claims::{self, LIST_ITEMS, numeric_date, text};
use crate::revocations::marks::Marks;
use crate::{AuthnError, Resource};
use model::{Digest, Principal, Timestamp};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// What is judged.
pub(crate) struct Presented<'a> {
    pub(crate) claims: &'a Map<String, Value>,
    pub(crate) form: Form<'a>,
}

/// How the claims came.
#[derive(Clone, Copy)]
pub(crate) enum Form<'a> {
    /// In a signed token, whose signature was verified.
    Signed { token_type: Option<&'a str>, algorithm: &'a str },
    /// As the answer of an introspection endpoint, which is believed until the given moment.
    Introspected { until: Timestamp },
}

/// What is kept of claims that passed.
#[derive(Clone)]
pub(crate) struct Claims {
    pub(crate) principal: Principal,
    /// By what it can be revoked; the key that signed it is for the caller to add.
    pub(crate) marks: Marks,
    /// The moment from which the token is no longer accepted: `exp` and the skew.
    pub(crate) expires_at: Timestamp,
    /// The groups are to be looked up there.
    pub(crate) groups_at: Option<String>,
    /// SHA-256 of the one client certificate that may present it (`cnf.x5t#S256`, RFC 8705 §3.1).
    pub(crate) bound_to: Option<Digest>,
}

/// One clause and whether it holds. Nothing of the token is in it but which claim it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// What is asked: `type`, `algorithm`, `kind`, `expiry`, `time`, `lifetime`, `issuer`, `audience`, `id`, `grant`,
    /// `session`, `binding`, `subject`, `require`, `user`, `client`, `agent`, `actors`, `tenant`, `roles`, `groups`, `scopes`; of our own
    /// tokens also `own` and `registered`.
    pub clause: &'static str,
    /// The claim it is about.
    pub claim: &'static str,
    /// Why it does not hold.
    pub error: Option<AuthnError>,
}

/// Every clause of a contract, held against one token.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The clauses, in the order in which they are checked.
    pub clauses: Vec<Clause>,
}

impl Report {
    /// Whether every clause holds.
    pub fn holds(&self) -> bool {
        self.clauses.iter().all(|clause| clause.error.is_none())
    }

    /// The first clause that does not hold.
    pub fn first_fault(&self) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.error.is_some())
    }
}

/// Hears of every clause; an error ends the walk.
trait Witness {
    fn hear(&mut self, clause: Clause) -> Result<(), AuthnError>;
}

/// Ends at the first fault.
struct Gate;

impl Witness for Gate {
    fn hear(&mut self, clause: Clause) -> Result<(), AuthnError> {
        clause.error.map_or(Ok(()), Err)
    }
}

impl Witness for Report {
    fn hear(&mut self, clause: Clause) -> Result<(), AuthnError> {
        self.clauses.push(clause);
        Ok(())
    }
}

/// Tells the witness of a clause; its value, if it holds.
fn tell<T>(
    witness: &mut dyn Witness,
    clause: &'static str,
    claim: &'static str,
    verdict: Result<T, AuthnError>,
) -> Result<Option<T>, AuthnError> {
    let (value, error) = match verdict {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    };
    witness.hear(Clause { clause, claim, error })?;
    Ok(value)
}

impl Contract {
    /// Who the claims say is calling, if they are all that is asked.
    ///
    /// # Errors
    /// The first clause that does not hold.
    pub(crate) fn check(
        &self,
        token: &Presented<'_>,
        resource: &Resource,
        now: Timestamp,
    ) -> Result<Claims, AuthnError> {
        self.walk(token, Some(resource), now, &mut Gate)?.ok_or(AuthnError::Malformed)
    }

    /// Every clause, whether it holds or not. Without a resource the audience is not asked for.
    pub(crate) fn report(
        &self,
        token: &Presented<'_>,
        resource: Option<&Resource>,
        now: Timestamp,
    ) -> (Report, Option<Claims>) {
        let mut report = Report::default();
        let claims = self.walk(token, resource, now, &mut report).ok().flatten();
        let holds = report.holds();
        (report, claims.filter(|_| holds))
    }

    /// Checks the registered claims (RFC 7519 §4.1, RFC 9068 §2.2 and §4), the contract's own requirements, and reads
    /// the principal. What is not understood is refused where it could mean less than it seems to.
    fn walk(
        &self,
        token: &Presented<'_>,
        resource: Option<&Resource>,
        now: Timestamp,
        witness: &mut dyn Witness,
    ) -> Result<Option<Claims>, AuthnError> {
        let claims = token.claims;
        let signed = matches!(token.form, Form::Signed { .. });
        if let Form::Signed { token_type, algorithm } = token.form {
            let fits = self.accepts_type(token_type);
            tell(witness, "type", "typ", fits.then_some(()).ok_or(AuthnError::WrongType))?;
            let fits = self.algorithms.iter().any(|accepted| accepted.as_str() == algorithm);
            tell(witness, "algorithm", "alg", fits.then_some(()).ok_or(AuthnError::WrongAlgorithm))?;
        }
        tell(witness, "kind", "token", claims::is_access_token(claims, self.nonce_allowed))?;
        let expires = tell(witness, "expiry", "exp", self.expiry(token, now))?;
        let issued = tell(witness, "time", "iat", self.times(claims, now))?;
        let life = self.lifetime(token, issued.flatten(), now);
        tell(witness, "lifetime", "exp", life)?;
        tell(witness, "issuer", "iss", self.is_from(claims, signed))?;
        if let Some(resource) = resource {
            tell(witness, "audience", "aud", self.is_for(claims, resource, signed))?;
        }
        let id = match claims.get("jti") {
            None => Ok(None),
            Some(id) => text(id).map(|id| Some(Arc::from(id))).ok_or(AuthnError::BadClaim("jti")),
        };
        let id = tell(witness, "id", "jti", id)?;
        if self.own {
            let id = id.as_ref().and_then(Option::as_ref);
            tell(witness, "own", "aud", claims::is_ours(claims, issued.flatten(), id))?;
        }
        // SECURITY: what it can be revoked by is never passed over for its shape:
        // `every_kind_means_the_tokens_that_it_names_and_no_others`.
        let mark = |name: &'static str| match claims.get(name) {
            None => Ok(None),
            Some(value) => text(value).map(|text| Some(Arc::from(text))).ok_or(AuthnError::BadClaim(name)),
        };
        let grant = tell(witness, "grant", "grant_id", mark("grant_id"))?;
        let session = tell(witness, "session", "sid", mark("sid"))?;
        let bound_to = tell(witness, "binding", "cnf", claims::bound_to(claims))?;
        if signed {
            // `sub` is required even where another claim names the user (RFC 9068 §2.2).
            let subject = claims.get("sub").and_then(text).map(drop);
            tell(witness, "subject", "sub", subject.ok_or(AuthnError::BadClaim("sub")))?;
        }
        for required in &self.required {
            tell(witness, "require", required.name, required.check(claims))?;
        }
        let user = tell(witness, "user", self.user.name, self.user.needed(claims))?;
        let client = tell(witness, "client", self.client.name, self.client.needed(claims))?;
        let agent = match &self.agent {
            None => Some(None),
            Some(agent) => tell(witness, "agent", agent.name, agent.read(claims))?,
        };
        let actors = claims::actors(claims, agent.as_ref().and_then(Option::as_deref));
        let actors = tell(witness, "actors", "act", actors)?;
        let registered = match self.own {
            true => tell(witness, "registered", "agent_trust", claims::registered(claims))?,
            false => Some(None),
        };
        let tenant = tell(witness, "tenant", self.tenant.name(), self.tenant.read(claims))?;
        let there = |several: &super::mapping::Several| {
            several.read(claims).and_then(|values| values.ok_or(AuthnError::BadClaim(several.name)))
        };
        let roles = tell(witness, "roles", self.roles.name, there(&self.roles))?;
        let groups = tell(witness, "groups", self.groups.name, self.groups(claims))?;
        let scopes = tell(witness, "scopes", self.scopes.name, there(&self.scopes))?;
        let read = || {
            let (groups, groups_at) = groups?;
            let principal = Principal {
                user: user?,
                client: client?,
                agent: agent?,
                actors: actors?,
                tenant: tenant?,
                roles: roles?,
                groups,
                scopes: scopes?,
                issuer: Arc::clone(&self.issuer),
                registered: registered?,
            };
            let subject = claims.get("sub").and_then(text).filter(|subject| *subject != &*principal.user);
            let marks = Marks {
                id: id?,
                grant: grant?,
                session: session?,
                subject: subject.map(Arc::from),
                key: None,
                issued_at: issued?,
                may_act: claims.get("may_act").cloned().map(Arc::new),
            };
            let (expires_at, bound_to) = (expires?, bound_to?);
            Some(Claims { principal, marks, expires_at, groups_at, bound_to })
        };
        Ok(read())
    }

    /// The moment from which the token is no longer accepted.
    fn expiry(&self, token: &Presented<'_>, now: Timestamp) -> Result<Timestamp, AuthnError> {
        let bad = AuthnError::BadClaim("exp");
        let expires_at = match (token.claims.get("exp"), token.form) {
            (None, Form::Introspected { until }) if self.may_omit(Omittable::Exp) => return Ok(until),
            (None, _) => return Err(bad),
            (Some(date), _) => numeric_date(date).ok_or(bad)?.after(self.skew),
        };
        if expires_at <= now { Err(AuthnError::Expired) } else { Ok(expires_at) }
    }

    /// `nbf` and `iat` are not in the future; the latter, if it is there.
    fn times(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<Option<Timestamp>, AuthnError> {
        let date = |name: &'static str| match claims.get(name) {
            None => Ok(None),
            Some(value) => numeric_date(value).map(Some).ok_or(AuthnError::BadClaim(name)),
        };
        let (not_before, issued) = (date("nbf")?, date("iat")?);
        // However far clocks may differ otherwise, nobody issues tokens a minute ahead.
        let latest = now.after(self.skew.min(MOST_AHEAD));
        if not_before.is_some_and(|moment| moment > now.after(self.skew))
            || issued.is_some_and(|moment| moment > latest)
        {
            return Err(AuthnError::NotYet);
        }
        Ok(issued)
    }

    fn lifetime(
        &self,
        token: &Presented<'_>,
        issued: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), AuthnError> {
        let Some(expires) = token.claims.get("exp").and_then(numeric_date) else { return Ok(()) };
        // Without `iat` the token may have been made now at the latest.
        let life = expires.since(issued.unwrap_or(now));
        if life > self.max_lifetime { Err(AuthnError::LivesTooLong) } else { Ok(()) }
    }

    fn is_from(&self, claims: &Map<String, Value>, signed: bool) -> Result<(), AuthnError> {
        match claims.get("iss") {
            None if !signed && self.may_omit(Omittable::Iss) => Ok(()),
            Some(Value::String(name)) if **name == *self.issuer => Ok(()),
            Some(Value::String(_)) => Err(AuthnError::UnknownIssuer),
            _ => Err(AuthnError::BadClaim("iss")),
        }
    }

    /// One of the audiences must be the resource itself, or one that the contract accepts for it.
    fn is_for(
        &self,
        claims: &Map<String, Value>,
        resource: &Resource,
        signed: bool,
    ) -> Result<(), AuthnError> {
        let fits = |audience: &Value| {
            audience.as_str().is_some_and(|audience| {
                (self.own_audience && resource.is(audience))
                    || self.audiences.iter().any(|accepted| accepted == audience)
            })
        };
        let all = match claims.get("aud") {
            Some(audience @ Value::String(_)) => std::slice::from_ref(audience),
            Some(Value::Array(audiences))
                if audiences.len() <= LIST_ITEMS && audiences.iter().all(Value::is_string) =>
            {
                audiences.as_slice()
            }
            None if !signed => return self.is_bound_to(claims, resource),
            _ => return Err(AuthnError::BadClaim("aud")),
        };
        if all.iter().any(fits) { Ok(()) } else { Err(AuthnError::WrongAudience) }
    }

    /// An answer without `aud`: the contract has to say what that client's tokens are for.
    fn is_bound_to(&self, claims: &Map<String, Value>, resource: &Resource) -> Result<(), AuthnError> {
        let client = self.client.needed(claims)?;
        let bound = self.opaque.clients.get(client.as_ref()).ok_or(AuthnError::BadClaim("aud"))?;
        let fits = bound.iter().any(|named| named == resource.canonical());
        if fits { Ok(()) } else { Err(AuthnError::WrongAudience) }
    }

    /// The groups, or where they are to be looked up.
    fn groups(&self, claims: &Map<String, Value>) -> Result<(Vec<Arc<str>>, Option<String>), AuthnError> {
        match (self.groups.read(claims)?, &self.overage) {
            (Some(groups), _) => Ok((groups, None)),
            (None, Overage::Lookup(directory)) => Ok((Vec::new(), Some(directory.clone()))),
            (None, Overage::Deny) => Err(AuthnError::BadClaim(self.groups.name)),
        }
    }

    /// Groups that a directory named, under their names here.
    pub(crate) fn looked_up(&self, groups: Vec<Arc<str>>) -> Result<Vec<Arc<str>>, AuthnError> {
        self.groups.mapped(groups)
    }
}

/// How far in the future `iat` may be at most.
const MOST_AHEAD: Duration = Duration::from_secs(60);
