// Who calls? Verifies the token that Portunus sends with every request to this server. Needs the crate jsonwebtoken.
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

/// Those claims of docs/identity-downstream.md that most servers need.
#[derive(Debug, Deserialize)]
pub struct Claims {
    pub sub: String,
    pub tenant_id: String,
    pub roles: Vec<String>,
    pub client_id: String,
    /// The call, as Portunus has it on record.
    pub txn: Option<String>,
    pub tool: Option<String>,
}

/// `keys` are from `<issuer>/.well-known/jwks.json`: fetch them again every five minutes, and once for an unknown `kid`.
/// `issuer` is the public URL of Portunus; `audience` is this server, as `servers.<name>.identity.audience` names it.
pub fn verify(token: &str, keys: &JwkSet, issuer: &str, audience: &str) -> Option<Claims> {
    let header = decode_header(token).ok()?;
    if header.typ.as_deref() != Some("at+jwt") {
        return None;
    }
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref()?)?).ok()?;
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_issuer(&[issuer]);
    rules.set_audience(&[audience]);
    // Without this line a token that lacks one of them would pass.
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    rules.leeway = 5;
    decode::<Claims>(token, &key, &rules).ok().map(|token| token.claims)
}
