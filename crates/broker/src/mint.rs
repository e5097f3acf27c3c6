//! A token for one request to one server, that says who calls (RFC 9068, RFC 8693 §4.1).

use crate::Assertion;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{CallId, Clock, Dice, Digest, Principal, Timestamp};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Signs with the gateway's own key. The one thing that the broker knows of keys.
pub trait Sign: Send + Sync + 'static {
    /// Signs a JWT; `typ` is the header's, `claims` are the bytes of a JSON object. Must not wait.
    ///
    /// # Errors
    /// Why there is no signature, for operators.
    fn sign(&self, typ: &str, claims: &[u8]) -> Result<Signed, SignError>;
}

/// A signed token.
pub struct Signed {
    /// The key that signed it.
    pub kid: Arc<str>,
    /// The token in its compact form (RFC 7515 §3.1).
    pub token: String,
}

/// There is no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SignError(pub String);

/// Mints tokens. One for the house.
pub struct Minter {
    issuer: Arc<str>,
    signer: Arc<dyn Sign>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

/// Who calls, and what.
#[derive(Clone, Debug)]
pub struct Whose {
    /// The verified caller.
    pub principal: Arc<Principal>,
    /// Until when the caller is known to be allowed to call; none for the gateway itself.
    pub until: Option<Timestamp>,
    /// The call; none for what the gateway asks for itself.
    pub call: Option<Asked>,
}

/// What a call asks.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The call's id, as on record.
    pub id: CallId,
    /// What it names, as the server names it.
    pub item: Option<(Kind, Arc<str>)>,
    /// SHA-256 of the canonical form of what was judged.
    pub digest: Option<Digest>,
}

/// What kind of thing a call names: the name of the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `tool`.
    Tool,
    /// `prompt`.
    Prompt,
    /// `resource`.
    Resource,
}

/// A token on its way.
pub(crate) struct Minted {
    pub(crate) kid: Arc<str>,
    pub(crate) jti: Box<str>,
    pub(crate) token: String,
    pub(crate) at: Timestamp,
}

impl Minter {
    /// A minter whose tokens say `iss` = `issuer`: the gateway's public URL.
    pub fn new(issuer: &str, signer: Arc<dyn Sign>, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { issuer: issuer.into(), signer, clock, dice }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A fresh token. `asked` is said only in the token of the call itself; `method` is that of the JSON-RPC request
    /// it goes with, if it goes with one.
    pub(crate) fn mint(
        &self,
        assertion: &Assertion,
        principal: &Principal,
        asked: Option<&Asked>,
        method: Option<&str>,
    ) -> Result<Minted, SignError> {
        let mut noise = [0; 16];
        self.dice.fill(&mut noise);
        let jti = URL_SAFE_NO_PAD.encode(noise);
        let now = self.clock.now();
        // Backdated, for servers whose clocks are behind.
        let issued = now.seconds().saturating_sub(BACKDATED_SECONDS);
        let item = |kind| {
            let item = asked.and_then(|asked| asked.item.as_ref()).filter(|(of, _)| *of == kind);
            item.map(|(_, name)| &**name)
        };
        let claims = Claims {
            iss: &self.issuer,
            aud: &assertion.audience,
            sub: &principal.user,
            sub_id: SubjectId { format: "iss_sub", iss: &principal.issuer, sub: &principal.user },
            tenant_id: &principal.tenant,
            roles: &principal.roles,
            groups: assertion.groups.then_some(&principal.groups),
            client_id: &principal.client,
            act: Act::of(principal),
            scope: (!principal.scopes.is_empty()).then(|| principal.scopes.join(" ")),
            jti: &jti,
            txn: asked.map(|asked| asked.id.to_string()),
            tool: item(Kind::Tool),
            prompt: item(Kind::Prompt),
            resource: item(Kind::Resource),
            method,
            request_digest: asked.and_then(|asked| asked.digest).filter(|_| assertion.request_digest),
            iat: issued,
            exp: issued.saturating_add(seconds(assertion.lifetime)),
        };
        let claims = serde_json::to_vec(&claims).map_err(|error| SignError(error.to_string()))?;
        let Signed { kid, token } = self.signer.sign(TYPE, &claims)?;
        Ok(Minted { kid, jti: jti.into(), token, at: now })
    }
}

/// The claims in the order of the documentation (docs/identity-downstream.md).
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    /// Whose `sub` it is (RFC 9493 §3.2.4): several issuers may know the same one.
    sub_id: SubjectId<'a>,
    tenant_id: &'a str,
    roles: &'a [Arc<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<&'a Vec<Arc<str>>>,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Act<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    jti: &'a str,
    /// RFC 8417 §2.2: the transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    txn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_digest: Option<Digest>,
    iat: i64,
    exp: i64,
}

#[derive(Serialize)]
struct SubjectId<'a> {
    format: &'static str,
    iss: &'a str,
    sub: &'a str,
}

/// Who acts for the subject, and who acted before (RFC 8693 §4.1).
#[derive(Serialize)]
struct Act<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<Act<'a>>>,
}

impl<'a> Act<'a> {
    /// The whole chain; none where the caller acts for itself.
    fn of(principal: &'a Principal) -> Option<Self> {
        // An agent that calls for itself is the subject.
        let agent = principal.agent.as_deref().filter(|agent| **agent != *principal.user);
        let chain = agent.into_iter().chain(principal.actors.iter().map(|actor| &**actor));
        let chain: Vec<&str> = chain.collect();
        chain.into_iter().rev().fold(None, |act, sub| Some(Act { sub, act: act.map(Box::new) }))
    }
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// The type of an access token (RFC 9068 §2.1).
const TYPE: &str = "at+jwt";
/// How far `iat` lies back.
const BACKDATED_SECONDS: i64 = 5;

#[cfg(test)]
mod tests;
