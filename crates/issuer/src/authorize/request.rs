//! A client's request, parameter by parameter (OAuth 2.1 §4.1.1, RFC 7636, RFC 8707, RFC 9207).
//!
//! Until client and redirect URI are known to belong together nothing is sent anywhere: the person sees a page.

use super::transaction::Transaction;
use crate::client::{self, Client, FindError};
use crate::token::narrow::{lower_origin, scopes_asked};
use crate::{Form, Issuer, OauthError};
use model::Code;
use std::net::IpAddr;

/// A request that ends at once.
pub(crate) enum Refusal {
    /// On a page: nobody knows where it came from.
    Page {
        /// What is wrong.
        code: Code,
        /// In a sentence.
        detail: String,
    },
    /// At the client.
    Client(Box<Client>, Box<Transaction>, OauthError),
    /// Nowhere: our database is away.
    Unavailable,
}

/// Reads a request.
pub(crate) async fn read(
    issuer: &Issuer,
    query: &str,
    from: IpAddr,
) -> Result<(Client, Transaction), Refusal> {
    let page = |code, detail: String| Refusal::Page { code, detail };
    let form = Form::parse(query.as_bytes()).map_err(|error| page(Code::OAUTH_REQUEST, error.to_string()))?;
    let missing = |name: &str| page(Code::OAUTH_REQUEST, format!("`{name}` is missing"));
    let id = form.get("client_id").ok_or_else(|| missing("client_id"))?;
    if !issuer.may_be_looked_for(id, from) {
        let why = "too many clients that nobody knew here began from your address; wait a minute";
        return Err(page(Code::CLIENT_LIMIT, why.to_owned()));
    }
    let client = client::find(issuer, id).await.map_err(|error| match error {
        FindError::Storage(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a client cannot be looked up");
            Refusal::Unavailable
        }
        error => page(error.code(), error.to_string()),
    })?;
    let redirect_uri = form.get("redirect_uri").ok_or_else(|| missing("redirect_uri"))?;
    // SECURITY: an address that was not registered is never redirected to (tests:
    // `nobody_is_sent_to_an_address_that_was_not_registered`, `loopback_matches_without_the_port_and_everything_else_exactly`).
    if !client::is_registered(&client.redirect_uris, redirect_uri) {
        let detail = format!("{} did not register this redirect_uri", client.name);
        return Err(page(Code::REDIRECT_REFUSED, detail));
    }
    let mut transaction = Transaction {
        client: client.id.to_string(),
        redirect_uri: redirect_uri.to_owned(),
        state: form.get("state").map(str::to_owned),
        resource: String::new(),
        scopes: Vec::new(),
        code_challenge: String::new(),
        sign_in_again: false,
        ask_again: false,
        ask_nothing: false,
        login_hint: form.get("login_hint").filter(|hint| hint.len() <= HINT_BYTES).map(str::to_owned),
        created_at: issuer.now(),
    };
    // From here on the client hears what is wrong, with its state.
    match fill(issuer, &client, &form, &mut transaction) {
        Ok(()) => Ok((client, transaction)),
        Err(error) => Err(Refusal::Client(Box::new(client), Box::new(transaction), error)),
    }
}

fn fill(
    issuer: &Issuer,
    client: &Client,
    form: &Form,
    transaction: &mut Transaction,
) -> Result<(), OauthError> {
    if transaction.state.as_ref().is_some_and(|state| state.len() > STATE_BYTES) {
        transaction.state = None;
        return Err(OauthError::invalid_request("`state` is too long"));
    }
    for (parameter, error) in
        [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")]
    {
        if form.get(parameter).is_some() {
            return Err(OauthError::new(
                error,
                Code::OAUTH_REQUEST,
                format!("`{parameter}` is not supported"),
            ));
        }
    }
    match form.get("response_type") {
        Some("code") => {}
        None => return Err(OauthError::invalid_request("`response_type` is missing")),
        Some(_) => {
            let why = "`response_type` is not `code`";
            return Err(OauthError::new("unsupported_response_type", Code::OAUTH_REQUEST, why));
        }
    }
    if form.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(OauthError::invalid_request("`response_mode` is not `query`"));
    }
    transaction.code_challenge = challenge(form)?;
    transaction.resource = resource(issuer, form.get("resource"))?;
    transaction.scopes = scopes(issuer, client, &transaction.resource, form)?;
    for word in form.get("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
        match word {
            "none" => transaction.ask_nothing = true,
            "login" | "select_account" => transaction.sign_in_again = true,
            "consent" => transaction.ask_again = true,
            _ => return Err(OauthError::invalid_request("`prompt` has a word that is not known")),
        }
    }
    if transaction.ask_nothing && (transaction.sign_in_again || transaction.ask_again) {
        return Err(OauthError::invalid_request("`prompt` is `none` and something else"));
    }
    Ok(())
}

/// PKCE is not optional, and `plain` is not offered (OAuth 2.1 §7.5.2).
fn challenge(form: &Form) -> Result<String, OauthError> {
    if form.get("code_challenge_method") != Some("S256") {
        return Err(OauthError::invalid_request("`code_challenge_method` is not `S256`"));
    }
    let challenge = form.get("code_challenge").unwrap_or_default();
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if challenge.len() != CHALLENGE_BYTES || !challenge.bytes().all(is_base64url) {
        return Err(OauthError::invalid_request("`code_challenge` is not the base64url of a SHA-256 digest"));
    }
    Ok(challenge.to_owned())
}

/// The resource that tokens will be for. It may be left out only where there is just one, so that it means nothing
/// else; scheme and host may be in capitals, the rest is compared byte for byte.
///
/// # Errors
/// `invalid_target` (RFC 8707 §2).
pub(crate) fn resource(issuer: &Issuer, asked: Option<&str>) -> Result<String, OauthError> {
    let refuse = |why: &str| OauthError::new("invalid_target", Code::TARGET_UNKNOWN, why);
    let config = issuer.config();
    match (asked, config.resources.as_slice()) {
        (None, [only]) => Ok(only.canonical.clone()),
        (None, _) => Err(refuse("`resource` is missing, and there is more than one endpoint")),
        (Some(asked), known) => {
            let asked = lower_origin(asked);
            let found = known.iter().find(|known| known.canonical == asked);
            found
                .map(|found| found.canonical.clone())
                .ok_or_else(|| refuse("`resource` is not an endpoint of this gateway"))
        }
    }
}

/// What may be granted of what was asked for. Nothing asked for means everything the resource has.
///
/// # Errors
/// `invalid_scope` when nothing is left of what was asked for.
pub(crate) fn scopes(
    issuer: &Issuer,
    client: &Client,
    resource: &str,
    form: &Form,
) -> Result<Vec<String>, OauthError> {
    let known = issuer.resource(resource).map(|resource| resource.scopes).unwrap_or_default();
    let may = |scope: &&String| client.scopes.as_ref().is_none_or(|most| most.contains(scope));
    let most: Vec<String> = known.iter().filter(may).cloned().collect();
    let Some(asked) = scopes_asked(form) else { return Ok(most) };
    let granted: Vec<String> = most.iter().filter(|scope| asked.contains(&scope.as_str())).cloned().collect();
    if granted.is_empty() && !known.is_empty() {
        let why = "none of the scopes asked for is one of this resource";
        return Err(OauthError::new("invalid_scope", Code::SCOPE_REFUSED, why));
    }
    Ok(granted)
}

/// The base64url of 32 bytes.
const CHALLENGE_BYTES: usize = 43;
/// The longest `state`, in bytes.
const STATE_BYTES: usize = 4096;
/// The longest `login_hint`, in bytes; a longer one is left out.
const HINT_BYTES: usize = 256;
