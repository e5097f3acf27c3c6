//! Who asks at `/oauth/token` and its siblings (RFC 6749 §2.3).

use super::{Client, Kind, Method, assertion, find};
use crate::{Form, Issuer, OauthError};
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Code, Digest};
use net::listen::Peer;

/// What a request shows as proof. One kind at a time (RFC 6749 §2.3).
pub(crate) enum Proof {
    /// Nothing but the id.
    Nothing,
    /// A secret, in the ways in which it may be read.
    Secret(Vec<String>),
    /// A JWT that the client signed.
    Assertion(String),
}

/// The client of a request, proven as it has to be.
///
/// # Errors
/// `invalid_client`, or `invalid_request` for two proofs at once.
pub(crate) async fn authenticate(
    issuer: &Issuer,
    headers: &HeaderMap,
    form: &Form,
    peer: &Peer,
) -> Result<Client, OauthError> {
    let (address, now) = (peer.address.ip(), issuer.now());
    let (id, proof) = read(headers, form)?;
    // SECURITY: the secrets of a client are not tried one after the other, and whoever tries keeps no other client out, and that
    // one only from the same address or when twenty of them try (test: `proofs_of_a_client_cannot_be_tried_for_ever`).
    let is_secret = matches!(proof, Proof::Secret(_));
    if is_secret && issuer.failures.is_spent(address, &id, FAILURES, now) {
        return Err(limited("too many failed proofs; wait a minute"));
    }
    if !issuer.may_be_looked_for(&id, address) {
        return Err(limited("too many clients that nobody knew here; wait a minute"));
    }
    let client = known(issuer, &id).await?;
    let verified = verify(issuer, &client, proof).await;
    if is_secret
        && client.method == Method::Secret
        && verified.as_ref().is_err_and(|error| error.error == "invalid_client")
    {
        issuer.failures.admits_one(address, &id, FAILURES, now);
    }
    verified.map(|()| client)
}

fn limited(why: &str) -> OauthError {
    OauthError {
        status: StatusCode::TOO_MANY_REQUESTS,
        ..OauthError::new("temporarily_unavailable", Code::CLIENT_LIMIT, why)
    }
}

async fn known(issuer: &Issuer, id: &str) -> Result<Client, OauthError> {
    find(issuer, id).await.map_err(|error| match error {
        super::FindError::Storage(error) => error.into(),
        error => OauthError { code: error.code(), ..OauthError::invalid_client(error.to_string()) },
    })
}

/// Whether `proof` is the one this client has to give.
async fn verify(issuer: &Issuer, client: &Client, proof: Proof) -> Result<(), OauthError> {
    let wrong = || OauthError::invalid_client("the client has another way to prove who it is");
    match (client.kind, client.method, proof) {
        (Kind::Configured | Kind::Document | Kind::Registered, Method::None, Proof::Nothing) => Ok(()),
        (_, Method::PrivateKeyJwt, Proof::Assertion(assertion)) => {
            assertion::verify(issuer, client, &assertion).await
        }
        (_, Method::Secret, Proof::Secret(secrets)) => match client.secret {
            Some(known) if secrets.iter().any(|secret| is_same(known, Digest::of(secret.as_bytes()))) => {
                Ok(())
            }
            _ => Err(OauthError::invalid_client("the secret is wrong")),
        },
        _ => Err(wrong()),
    }
}

/// SECURITY: digests are compared as a whole, in the time that it always takes.
fn is_same(known: Digest, given: Digest) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(&known.0, &given.0).is_ok()
}

/// The id that is claimed and the proof that is given.
fn read(headers: &HeaderMap, form: &Form) -> Result<(String, Proof), OauthError> {
    let named = form.get("client_id").map(str::to_owned);
    let mut proofs = Vec::new();
    if let Some((id, secrets)) = basic(headers)? {
        proofs.push((id, Proof::Secret(secrets)));
    }
    if let Some(secret) = form.get("client_secret") {
        let id = named.clone().ok_or_else(|| OauthError::invalid_request("`client_id` is missing"))?;
        proofs.push((id, Proof::Secret(vec![secret.to_owned()])));
    }
    match (form.get("client_assertion_type"), form.get("client_assertion")) {
        (None, None) => {}
        (Some(ASSERTION_TYPE), Some(given)) => {
            let id = assertion::claimed(given);
            let id = id.ok_or_else(|| OauthError::invalid_client("the assertion is malformed"))?;
            proofs.push((id, Proof::Assertion(given.to_owned())));
        }
        _ => return Err(OauthError::invalid_request("`client_assertion_type` is missing or another one")),
    }
    if proofs.len() > 1 {
        return Err(OauthError::invalid_request("the client proves itself in more than one way"));
    }
    let (id, proof) = match (proofs.pop(), &named) {
        (Some(found), _) => found,
        (None, Some(id)) => (id.clone(), Proof::Nothing),
        (None, None) => return Err(OauthError::invalid_request("`client_id` is missing")),
    };
    if named.is_some_and(|named| named != id) {
        return Err(OauthError::invalid_client("`client_id` is another one than the proof's"));
    }
    Ok((id, proof))
}

/// `client_secret_basic`: both parts are form-encoded first (RFC 6749 §2.3.1). Many clients leave that out, so the secret is
/// taken as it stands, too.
fn basic(headers: &HeaderMap) -> Result<Option<(String, Vec<String>)>, OauthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let refuse = || OauthError::invalid_client("the `Authorization` header is not one of Basic");
    if values.next().is_some() {
        return Err(refuse());
    }
    let (scheme, rest) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refuse)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refuse());
    }
    let plain = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let plain = plain.ok_or_else(refuse)?;
    let (id, secret) = plain.split_once(':').ok_or_else(refuse)?;
    // A key without a value: the one decoder of forms that there is.
    let decode = |text: &str| {
        let text = text.replace('&', "%26").replace('=', "%3D");
        form_urlencoded::parse(text.as_bytes()).next().map(|(text, _)| text.into_owned())
    };
    let id = decode(id).ok_or_else(refuse)?;
    Ok(Some((id, vec![decode(secret).unwrap_or_default(), secret.to_owned()])))
}

/// The most failed proofs of one client from one address in a minute.
const FAILURES: u32 = 30;
/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
