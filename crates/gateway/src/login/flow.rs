//! The ways to sign in: by the browser on this machine (authorization code with PKCE), or by a code (RFC 8628).

use super::file::now;
use super::loopback::Loopback;
use super::wire::Wire;
use super::{Login, LoginError};
use crate::config::{WebAddress, is_loopback};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Dice, Digest};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How somebody signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the browser on this machine.
    Browser,
    /// By a code, typed in a browser anywhere.
    Code,
}

/// What a gateway's authorization server says of itself.
struct Server {
    issuer: String,
    authorize: String,
    token: String,
    register: Option<String>,
    device: Option<String>,
    revoke: Option<String>,
}

/// Signs in. `tell` is given the lines that a person has to read.
pub(crate) async fn login(
    gateway: &str,
    resource: &str,
    way: Way,
    ca_file: Option<&Path>,
    dice: &dyn Dice,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<Login, LoginError> {
    let wire = Wire::new(ca_file)?;
    let server = discover(&wire, &origin(gateway)?).await?;
    let client = register(&wire, &server).await?;
    let signing_in = async {
        match way {
            Way::Browser => by_browser(&wire, &server, &client, resource, dice, tell).await,
            Way::Code => by_code(&wire, &server, &client, resource, tell).await,
        }
    };
    tokio::time::timeout(LONGEST, signing_in).await.map_err(|_| LoginError::TooLate)?
}

/// Ends logins at the gateway. What it does not take is forgotten here all the same.
pub(crate) async fn logout(login: &Login, ca_file: Option<&Path>) -> Result<(), LoginError> {
    let Some(endpoint) = &login.revocation_endpoint else { return Ok(()) };
    let token = login.refresh_token.as_deref().unwrap_or(&login.access_token);
    let form = [("token", token), ("client_id", login.client_id.as_str())];
    let (status, answer) = Wire::new(ca_file)?.form(endpoint, &form).await?;
    if status.is_success() { Ok(()) } else { Err(refused(&answer)) }
}

/// A new token for the old login.
pub(super) async fn refresh(login: &Login, resource: &str) -> Result<Login, LoginError> {
    let Some(refresh_token) = &login.refresh_token else {
        return Err(LoginError::Refused("the login has ended; sign in again".into()));
    };
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.as_str()),
        ("client_id", login.client_id.as_str()),
        ("resource", resource),
    ];
    let (status, answer) = Wire::new(None)?.form(&login.token_endpoint, &form).await?;
    if !status.is_success() {
        return Err(refused(&answer));
    }
    let fresh = of_answer(&answer, login.clone())?;
    Ok(Login { refresh_token: fresh.refresh_token.clone().or_else(|| login.refresh_token.clone()), ..fresh })
}

/// Scheme, host and port of a gateway.
pub(crate) fn origin(gateway: &str) -> Result<String, LoginError> {
    let url = WebAddress::parse(gateway).map_err(|why| LoginError::Address(format!("{gateway}: {why}")))?;
    // SECURITY: tokens travel by TLS, or stay on this machine (test: `a_login_is_by_tls_or_on_this_machine`).
    if url.scheme == "http" && !is_loopback(&url.host) {
        return Err(LoginError::Address(format!(
            "{gateway}: tokens would travel in the clear; use https://"
        )));
    }
    Ok(url.origin())
}

async fn discover(wire: &Wire, gateway: &str) -> Result<Server, LoginError> {
    let (status, document) = wire.get(&format!("{gateway}/.well-known/oauth-authorization-server")).await?;
    if !status.is_success() {
        return Err(LoginError::Answer(format!("it issues no tokens itself (status {})", status.as_u16())));
    }
    // SECURITY: metadata of another issuer, or endpoints elsewhere, would take the code and the token there.
    if text(&document, "issuer") != Some(gateway) {
        return Err(LoginError::Answer("its metadata is of another issuer".into()));
    }
    let at = |name: &str| {
        let url = text(&document, name).filter(|url| url.starts_with(&format!("{gateway}/")));
        url.map(str::to_owned)
    };
    let need =
        |name: &str| at(name).ok_or_else(|| LoginError::Answer(format!("its metadata has no usable {name}")));
    Ok(Server {
        issuer: gateway.to_owned(),
        authorize: need("authorization_endpoint")?,
        token: need("token_endpoint")?,
        register: at("registration_endpoint"),
        device: at("device_authorization_endpoint"),
        revoke: at("revocation_endpoint"),
    })
}

/// Registers this program as a public client (RFC 7591); the gateway keeps nothing of it.
async fn register(wire: &Wire, server: &Server) -> Result<String, LoginError> {
    let endpoint = server.register.as_deref().ok_or_else(|| {
        LoginError::Answer(
            "it takes no registrations; its operator can allow them under `registration`".into(),
        )
    })?;
    let asked = json!({
        "client_name": "Portunus command line",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token", DEVICE_CODE],
        "response_types": ["code"],
    });
    let (status, answer) = wire.json(endpoint, &asked).await?;
    match text(&answer, "client_id") {
        Some(id) if status.is_success() => Ok(id.to_owned()),
        _ => Err(refused(&answer)),
    }
}

async fn by_browser(
    wire: &Wire,
    server: &Server,
    client: &str,
    resource: &str,
    dice: &dyn Dice,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<Login, LoginError> {
    let loopback = Loopback::open().await?;
    let random = || {
        let mut bytes = [0; 32];
        dice.fill(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let (state, verifier) = (random(), random());
    let challenge = URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).0);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", loopback.redirect_uri.as_str()),
        ("resource", resource),
        ("state", state.as_str()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ]);
    tell("Open this address in your browser:");
    tell(&format!("{}?{}", server.authorize, query.finish()));
    let code = loopback.code(&state, &server.issuer).await?;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", loopback.redirect_uri.as_str()),
        ("client_id", client),
        ("code_verifier", verifier.as_str()),
        ("resource", resource),
    ];
    let (status, answer) = wire.form(&server.token, &form).await?;
    if status.is_success() { of_answer(&answer, empty(server, client)) } else { Err(refused(&answer)) }
}

async fn by_code(
    wire: &Wire,
    server: &Server,
    client: &str,
    resource: &str,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<Login, LoginError> {
    let endpoint = server
        .device
        .as_deref()
        .ok_or_else(|| LoginError::Answer("it has no device authorization endpoint".into()))?;
    let (status, begun) = wire.form(endpoint, &[("client_id", client), ("resource", resource)]).await?;
    let said = |name: &str| text(&begun, name).map(str::to_owned);
    let (Some(device_code), Some(user_code), Some(page), true) =
        (said("device_code"), said("user_code"), said("verification_uri"), status.is_success())
    else {
        return Err(refused(&begun));
    };
    tell(&format!("Open {page} in any browser, and enter the code {user_code}"));
    let mut pause =
        Duration::from_secs(begun.get("interval").and_then(Value::as_u64).unwrap_or(5).clamp(1, 60));
    let form = [("grant_type", DEVICE_CODE), ("device_code", device_code.as_str()), ("client_id", client)];
    loop {
        tokio::time::sleep(pause).await;
        let (status, answer) = wire.form(&server.token, &form).await?;
        if status.is_success() {
            return of_answer(&answer, empty(server, client));
        }
        match text(&answer, "error") {
            Some("authorization_pending") => {}
            // RFC 8628 §3.5.
            Some("slow_down") => pause += Duration::from_secs(5),
            _ => return Err(refused(&answer)),
        }
    }
}

fn empty(server: &Server, client: &str) -> Login {
    Login {
        client_id: client.to_owned(),
        token_endpoint: server.token.clone(),
        revocation_endpoint: server.revoke.clone(),
        access_token: String::new(),
        expires_at: 0,
        refresh_token: None,
        scope: String::new(),
    }
}

fn of_answer(answer: &Value, before: Login) -> Result<Login, LoginError> {
    let said = |name: &str| text(answer, name).map(str::to_owned);
    let is_bearer = text(answer, "token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    let access_token = said("access_token").filter(|_| is_bearer);
    Ok(Login {
        access_token: access_token.ok_or_else(|| LoginError::Answer("it holds no bearer token".into()))?,
        expires_at: now() + answer.get("expires_in").and_then(Value::as_i64).unwrap_or(60),
        refresh_token: said("refresh_token"),
        scope: said("scope").unwrap_or_default(),
        ..before
    })
}

/// A member that is text.
fn text<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    answer.get(name).and_then(Value::as_str)
}

/// The gateway's own words for a refusal.
fn refused(answer: &Value) -> LoginError {
    let word = text(answer, "error").unwrap_or("an answer that cannot be used");
    let why = text(answer, "error_description").map(|why| format!(" ({why})")).unwrap_or_default();
    LoginError::Refused(format!("{word}{why}"))
}

/// RFC 8628 §3.4.
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How long somebody has.
const LONGEST: Duration = Duration::from_secs(600);
