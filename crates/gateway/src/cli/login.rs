//! `portunus login`, `portunus logout`, `portunus token`, `portunus whoami`.

use super::exit::Failure;
use super::out::Out;
use crate::login::{self, Login, LoginError, Logins, Way};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::SystemDice;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct LoginArguments {
    /// The gateway: scheme, host and port.
    #[arg(long, short, value_name = "URL", default_value = DEFAULT_GATEWAY)]
    gateway: String,
    /// What the token is for. Default: the gateway's admin API.
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
    /// Shows a code to enter in any browser, for a machine without one.
    #[arg(long)]
    device: bool,
    /// PEM file of certificate authorities to trust besides the public ones.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct LogoutArguments {
    /// The gateway.
    #[arg(long, short, value_name = "URL", default_value = DEFAULT_GATEWAY)]
    gateway: String,
    /// PEM file of certificate authorities to trust besides the public ones.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct WhoamiArguments {
    /// For programs.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct TokenArguments {
    /// The gateway.
    #[arg(long, short, value_name = "URL", default_value = DEFAULT_GATEWAY)]
    gateway: String,
    /// What the token is for, as at the login. Default: the gateway's admin API.
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
}

/// Prints a token that is good for half a minute at least, for programs that cannot sign in.
pub(super) fn token(arguments: &TokenArguments, out: &mut Out) -> Result<(), Failure> {
    let gateway = login::origin(&arguments.gateway)?;
    let resource = arguments.resource.clone().unwrap_or_else(|| format!("{gateway}/api/v1"));
    let logins = Logins::own()?;
    let token = super::run::runtime(Some(1))?.block_on(logins.access_token(&gateway, &resource))?;
    Ok(out.line(token)?)
}

pub(super) fn login(arguments: &LoginArguments, out: &mut Out) -> Result<(), Failure> {
    let gateway = login::origin(&arguments.gateway)?;
    let resource = arguments.resource.clone().unwrap_or_else(|| format!("{gateway}/api/v1"));
    let way = if arguments.device { Way::Code } else { Way::Browser };
    let logins = Logins::own()?;
    let mut lines = Vec::new();
    let done = super::run::runtime(Some(1))?.block_on(async {
        let mut tell = |line: &str| {
            // To standard error: the result is that somebody is signed in, and nothing else.
            if let Err(error) = Out::standard().remark(line) {
                lines.push(error);
            }
        };
        login::login(&gateway, &resource, way, arguments.ca_file.as_deref(), &SystemDice, &mut tell).await
    })?;
    let who = who(&done);
    logins.keep(&gateway, &resource, done)?;
    out.line(format!(
        "signed in at {gateway} as {}",
        who.get("sub").and_then(Value::as_str).unwrap_or("somebody")
    ))?;
    Ok(())
}

pub(super) fn logout(arguments: &LogoutArguments, out: &mut Out) -> Result<(), Failure> {
    let gateway = login::origin(&arguments.gateway)?;
    let gone = Logins::own()?.forget(&gateway)?;
    if gone.is_empty() {
        return Err(LoginError::NotSignedIn { gateway }.into());
    }
    let runtime = super::run::runtime(Some(1))?;
    for login in &gone {
        // It is forgotten here; the gateway may be away.
        if let Err(error) = runtime.block_on(login::logout(login, arguments.ca_file.as_deref())) {
            out.remark(format!("the gateway was not told: {error}"))?;
        }
    }
    out.line(format!("signed out at {gateway}"))?;
    Ok(())
}

pub(super) fn whoami(arguments: &WhoamiArguments, out: &mut Out) -> Result<(), Failure> {
    let all = Logins::own()?.all()?;
    let rows: Vec<Value> = all
        .iter()
        .map(|(gateway, resource, login)| {
            let who = who(login);
            json!({
                "gateway": gateway, "resource": resource, "user": who.get("sub"), "tenant": who.get("tenant_id"),
                "roles": who.get("roles"), "scope": login.scope, "expires_at": login.expires_at,
                "can_refresh": login.refresh_token.is_some(),
            })
        })
        .collect();
    if arguments.json {
        return Ok(out.json(&Value::Array(rows))?);
    }
    if rows.is_empty() {
        return Err(Failure::Found("not signed in anywhere; run `portunus login`".into()));
    }
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let table: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            ["gateway", "resource", "user", "tenant", "roles"]
                .iter()
                .map(|name| row.get(*name).map_or_else(String::new, cell))
                .collect()
        })
        .collect();
    Ok(out.table(&["gateway", "resource", "user", "tenant", "roles"], &table)?)
}

/// What our own token says. Nothing is decided by it; the gateway verifies it.
fn who(login: &Login) -> Value {
    let payload = login.access_token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    payload.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null)
}

const DEFAULT_GATEWAY: &str = "http://127.0.0.1:7575";
