//! One token looked at by a person: every clause and whether it holds, by the names of claims and never by a value.

use super::judge::{Form, Presented, Report};
use super::samples::NOWHERE;
use super::{Clause, Contract};
use crate::jws::Jws;
use crate::opaque::Meaning;
use crate::{Authn, AuthnError, Resource};
use model::{Digest, Timestamp};
use serde_json::Value;

/// What was found.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Whether the token is opaque, and its issuer was asked.
    pub opaque: bool,
    /// The version of the contract it was held against; zero is the configuration, and a file not yet stored.
    pub version: i64,
    /// Whether the signature was verified; `None`: nobody said where the issuer's keys are.
    pub signature: Option<Result<(), AuthnError>>,
    /// The clauses.
    pub report: Report,
}

impl Examination {
    /// Whether everything that was asked holds.
    pub fn holds(&self) -> bool {
        self.report.holds() && self.signature.is_none_or(|verdict| verdict.is_ok())
    }

    fn failed(clause: &'static str, claim: &'static str, error: AuthnError) -> Self {
        let clauses = vec![Clause { clause, claim, error: Some(error) }];
        Self { opaque: false, version: 0, signature: None, report: Report { clauses } }
    }
}

impl Contract {
    /// Holds a signed token against this contract alone. Its signature is not verified: only an issuer's keys can.
    pub fn examine(&self, token: &[u8], resource: Option<&Resource>, now: Timestamp) -> Examination {
        let jws = match Jws::parse(token) {
            Ok(jws) => jws,
            Err(error) => return Examination::failed("form", "token", error),
        };
        let form = Form::Signed { token_type: jws.token_type.as_deref(), algorithm: &jws.algorithm };
        let (report, _) = self.report(&Presented { claims: &jws.claims, form }, resource, now);
        Examination { opaque: false, version: self.version, signature: None, report }
    }
}

impl Authn {
    /// Holds a token against `contract`, or else against what is in force for its issuer at the resource. Asks the issuer
    /// for its keys, or what an opaque token means, exactly as for a caller; nothing is remembered.
    pub async fn examine(
        &self,
        token: &[u8],
        contract: Option<&Contract>,
        resource: Option<&Resource>,
    ) -> Examination {
        let now = self.clock().now();
        let (state, place) = (self.whole(), resource.cloned().or_else(nowhere));
        let Some(place) = place else { return Examination::failed("form", "token", AuthnError::Malformed) };
        if let Some(introspector) = state.routes.of(token, &place) {
            let issuer = introspector.issuer();
            let rules =
                state.issuers.get(issuer).map(|issuer| state.standing.rules(&issuer.implicit, &place));
            let stored = match rules {
                Some(Ok(rules)) => rules.enforced,
                Some(Err(error)) => return Examination::failed("contract", "iss", error),
                None => return Examination::failed("issuer", "iss", AuthnError::UnknownIssuer),
            };
            let contract = contract.unwrap_or(&stored);
            let answer = introspector.meaning(token, Digest::of(token)).await;
            let claims = match &answer.meaning {
                Meaning::Active(claims) => claims,
                Meaning::Inactive => return Examination::failed("active", "active", AuthnError::Inactive),
                Meaning::Unknown => {
                    return Examination::failed("active", "active", AuthnError::IntrospectionUnavailable);
                }
            };
            let form = Form::Introspected { until: answer.until };
            let (report, _) = contract.report(&Presented { claims, form }, resource, now);
            return Examination { opaque: true, version: contract.version, signature: None, report };
        }
        let jws = match Jws::parse(token) {
            Ok(jws) => jws,
            Err(error) => return Examination::failed("form", "token", error),
        };
        let issuer = jws.claims.get("iss").and_then(Value::as_str).and_then(|name| state.issuers.get(name));
        let Some(issuer) = issuer else {
            return match contract {
                Some(contract) => contract.examine(token, resource, now),
                None => Examination::failed("issuer", "iss", AuthnError::UnknownIssuer),
            };
        };
        let verify = async {
            let (_, keys) = issuer.keys_with(jws.kid.as_deref(), self.egress(), self.clock()).await?;
            let key = keys.find(jws.kid.as_deref()).ok_or(AuthnError::UnknownKey)?;
            key.verify(&jws.algorithm, jws.signed, &jws.signature)
        };
        let signature = Some(verify.await);
        let stored = match state.standing.rules(&issuer.implicit, &place) {
            Ok(rules) => rules.enforced,
            Err(error) => return Examination::failed("contract", "iss", error),
        };
        Examination { signature, ..contract.unwrap_or(&stored).examine(token, resource, now) }
    }
}

/// Where no contract is about.
fn nowhere() -> Option<Resource> {
    Resource::new(NOWHERE, Vec::new(), Vec::new(), Vec::new()).ok()
}
