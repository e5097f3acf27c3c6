//! Dynamic registration (RFC 7591) without a table: the id is the registration, sealed by us. Nothing fills up and
//! nothing is pruned; a client is taken out of use by a revocation of its id.

use super::find::ID_BYTES;
use super::{
    Client, DEVICE_CODE, Keys, Kind, Method, check_redirect_uri, is_loopback_redirect, is_private_use,
    metadata,
};
use crate::{Issuer, OauthError};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use ledger::{About, Event, What};
use model::{Code, Digest};
use net::listen::Peer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How ids of registrations begin.
pub(super) const PREFIX: &str = "dyn_";

pub(crate) fn routes() -> Router<Arc<Issuer>> {
    Router::new().route("/oauth/register", axum::routing::post(register))
}

/// What an id carries. Short names: it travels in every request.
#[derive(Serialize, Deserialize)]
struct Registration {
    /// `client_name`.
    n: String,
    /// `redirect_uris`.
    r: Vec<String>,
    /// Native, not web.
    t: bool,
    /// `jwks_uri`, with `private_key_jwt`; else it is a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k: Option<String>,
    /// It may use the device flow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    d: bool,
    /// When it registered, in seconds since the epoch.
    i: i64,
}

async fn register(
    State(issuer): State<Arc<Issuer>>,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Response, OauthError> {
    let config = issuer.config();
    let Some(settings) = &config.registration else {
        return Err(OauthError {
            status: StatusCode::FORBIDDEN,
            ..refused("access_denied", "registration is not offered here")
        });
    };
    if !issuer.registrations.admits(peer.address.ip(), settings.per_minute, issuer.now()) {
        return Err(OauthError {
            status: StatusCode::TOO_MANY_REQUESTS,
            ..OauthError::new(
                "temporarily_unavailable",
                Code::CLIENT_LIMIT,
                "too many registrations in this minute",
            )
        });
    }
    let document = authn::jose::strict_object(&body);
    let document =
        document.ok_or_else(|| refused("invalid_client_metadata", "the body is not one JSON object"))?;
    let registration = read(&document, issuer.now().seconds())?;
    let id = seal(&issuer, &registration)?;
    let name: &str = &registration.n;
    issuer.note(Event {
        about: Some(About::new("client", short(&id))),
        name: Some(name.into()),
        detail: Some(registration.r.join(" ").into()),
        ..Event::of(What::ClientRegistered)
    })?;
    Ok((StatusCode::CREATED, [(header::PRAGMA, "no-cache")], Json(answer(&id, &registration)))
        .into_response())
}

/// What the record and pages call a registration: its id is long, this tells it apart.
pub(crate) fn short(id: &str) -> String {
    if !id.starts_with(PREFIX) {
        return id.to_owned();
    }
    let digest = Digest::of(id.as_bytes()).to_string();
    format!("{PREFIX}{}", digest.get(..16).unwrap_or_default())
}

/// What was registered (RFC 7591 §3.2.1), which is not always what was asked for.
fn answer(id: &str, registration: &Registration) -> Value {
    let mut answer = json!({
        "client_id": id,
        "client_id_issued_at": registration.i,
        "client_name": registration.n,
        "redirect_uris": registration.r,
        "grant_types": grants(registration),
        "response_types": ["code"],
        "application_type": if registration.t { "native" } else { "web" },
        "token_endpoint_auth_method": if registration.k.is_some() { "private_key_jwt" } else { "none" },
    });
    if let (Some(uri), Some(members)) = (&registration.k, answer.as_object_mut()) {
        members.insert("jwks_uri".into(), json!(uri));
    }
    answer
}

fn grants(registration: &Registration) -> Vec<&'static str> {
    ["authorization_code", "refresh_token"].into_iter().chain(registration.d.then_some(DEVICE_CODE)).collect()
}

/// Reads what a client says of itself. A secret is not issued, whatever method is asked for: a public client with PKCE
/// takes its place (RFC 7591 §3.2.1 lets the server choose).
fn read(document: &Map<String, Value>, now: i64) -> Result<Registration, OauthError> {
    let wrong = |why: String| refused("invalid_client_metadata", why);
    let name = metadata::name(document.get("client_name")).map_err(wrong)?;
    let uris = metadata::texts(document, "redirect_uris", REDIRECTS).map_err(wrong)?.unwrap_or_default();
    if uris.is_empty() {
        return Err(refused("invalid_redirect_uri", "`redirect_uris` is missing or empty"));
    }
    for uri in &uris {
        check_redirect_uri(uri)
            .map_err(|why| refused("invalid_redirect_uri", format!("`redirect_uris` has {why}")))?;
    }
    let is_web = |uri: &String| !is_private_use(uri) && !is_loopback_redirect(uri);
    let native = match document.get("application_type").map(Value::as_str) {
        // OpenID Connect Registration §2: `web` has neither loopback addresses nor schemes of its own. Where nothing
        // is said, the addresses say it.
        Some(Some("web")) if !uris.iter().all(is_web) => {
            let why = "`application_type` is web, so every redirect URI is https and on another machine";
            return Err(refused("invalid_redirect_uri", why));
        }
        Some(Some("web")) => false,
        Some(Some("native")) => true,
        None => !uris.iter().all(is_web),
        Some(_) => return Err(wrong("`application_type` is neither native nor web".into())),
    };
    for (list, offered) in
        [("grant_types", &["authorization_code", "refresh_token"][..]), ("response_types", &["code"][..])]
    {
        let asked = metadata::texts(document, list, 16).map_err(wrong)?;
        if asked.is_some_and(|asked| !asked.iter().any(|one| offered.first() == Some(&one.as_str()))) {
            return Err(wrong(format!("`{list}` lacks {}", offered.first().copied().unwrap_or_default())));
        }
    }
    let grants = metadata::texts(document, "grant_types", 16).map_err(wrong)?.unwrap_or_default();
    let waits = grants.iter().any(|grant| grant == DEVICE_CODE);
    let keys = match document.get("token_endpoint_auth_method").map(Value::as_str) {
        Some(Some("private_key_jwt")) => match metadata::keys(document).map_err(wrong)? {
            Keys::At(uri) => Some(uri),
            _ => return Err(wrong("private_key_jwt needs a `jwks_uri` here".into())),
        },
        None | Some(Some("none" | "client_secret_basic" | "client_secret_post")) => None,
        Some(_) => return Err(wrong("`token_endpoint_auth_method` is not one that is offered".into())),
    };
    let name = name.unwrap_or_else(|| "A client without a name".to_owned());
    Ok(Registration { n: name, r: uris, t: native, k: keys, d: waits, i: now })
}

fn seal(issuer: &Issuer, registration: &Registration) -> Result<String, OauthError> {
    let plain = serde_json::to_vec(registration).unwrap_or_default();
    let sealed = issuer.sealer.seal(&purpose(issuer), &plain, issuer.dice.as_ref());
    let id = format!("{PREFIX}{}", sealed.map_err(|_| OauthError::unavailable())?);
    if id.len() > ID_BYTES {
        let why = "name and redirect URIs are too long together; register fewer or shorter ones";
        return Err(refused("invalid_client_metadata", why));
    }
    Ok(id)
}

/// The client that an id carries, if we sealed it.
pub(super) fn open(issuer: &Issuer, id: &str) -> Option<Client> {
    let plain = issuer.sealer.open(&purpose(issuer), id.strip_prefix(PREFIX)?).ok()?;
    let registration: Registration = serde_json::from_slice(&plain).ok()?;
    let keys = registration.k.map_or(Keys::None, Keys::At);
    Some(Client {
        redirect_uris: registration.r,
        method: if keys == Keys::None { Method::None } else { Method::PrivateKeyJwt },
        keys,
        waits: registration.d,
        ..Client::named(id, Kind::Registered, registration.n)
    })
}

/// An id is good at this authorization server and for nothing else that is sealed with the same keys.
fn purpose(issuer: &Issuer) -> String {
    format!("client|{}", issuer.config().issuer)
}

fn refused(error: &'static str, why: impl Into<String>) -> OauthError {
    OauthError::new(error, Code::REGISTRATION_REFUSED, why)
}

/// The most redirect URIs.
const REDIRECTS: usize = 16;
