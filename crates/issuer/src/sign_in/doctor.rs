//! Tries a provider and says what it can and cannot do, before anybody has to sign in.

use super::code::{self, RedeemError, Redeemed};
use super::fetch::FetchError;
use super::provider::{Metadata, Provider, ProviderError};
use super::{ClientAuth, ProviderConfig};
use model::{Clock, Dice, Timestamp};
use net::egress::Client;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use vault::SigningKeys;

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The provider does not do it; sign-in works without.
    Without,
    /// To be known, or to be done by hand.
    Note,
    /// Nobody can sign in like this.
    Broken,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What, in one word.
    pub what: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// What was seen, and what to do.
    pub detail: String,
}

/// Everything that was looked at, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether people can sign in, as far as it can be told without one.
    pub fn is_usable(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Broken)
    }

    fn add(&mut self, what: &'static str, verdict: Verdict, detail: impl Into<String>) {
        self.findings.push(Finding { what, verdict, detail: detail.into() });
    }
}

/// What the examination needs.
pub struct Examination<'a> {
    /// The way out.
    pub egress: &'a Client,
    /// Time.
    pub clock: &'a Arc<dyn Clock>,
    /// Randomness.
    pub dice: &'a dyn Dice,
    /// The gateway's keys, where there are any: without them `private_key_jwt` is not tried.
    pub keys: Option<&'a SigningKeys>,
    /// The one redirect URI.
    pub redirect_uri: &'a str,
    /// Where the provider sends logout tokens.
    pub logout_uri: &'a str,
}

/// Examines a provider.
pub async fn examine(config: &Arc<ProviderConfig>, with: &Examination<'_>) -> Report {
    let mut report = Report::default();
    report.add("redirect_uri", Verdict::Note, format!("register exactly {}", with.redirect_uri));
    let provider = Provider::new(Arc::clone(config), with.egress.clone(), Arc::clone(with.clock));
    let metadata = match provider.discover().await {
        Ok(metadata) => metadata,
        Err(error @ ProviderError::OtherIssuer { .. }) => {
            report.add("discovery", Verdict::Ok, "found");
            let fix = "set `issuer` to what the provider calls itself, if that is the one you mean";
            report.add("issuer", Verdict::Broken, format!("{error}; {fix}"));
            return report;
        }
        Err(error) => {
            report.add("discovery", Verdict::Broken, error.to_string());
            return report;
        }
    };
    report.add("discovery", Verdict::Ok, "found");
    report.add("issuer", Verdict::Ok, format!("{} by its own metadata", config.issuer));
    clock(&mut report, &metadata, with.clock.now());
    keys(&mut report, &provider, &metadata).await;
    abilities(&mut report, config, &metadata, with);
    client(&mut report, &provider, &metadata, with).await;
    directory(&mut report, config);
    for note in config.profile.notes {
        report.add("note", Verdict::Note, *note);
    }
    report
}

/// The difference of the clocks: tokens of a provider whose clock is wrong are too old, or from the future.
fn clock(report: &mut Report, metadata: &Metadata, now: Timestamp) {
    let date = metadata.date.as_deref().and_then(http_date);
    let Some(theirs) = date else {
        return report.add("clock", Verdict::Note, "the provider sends no `Date`; its clock is not known");
    };
    let (behind, ahead) = (now.since(theirs), theirs.since(now));
    let skew = behind.max(ahead);
    let verdict = match skew {
        skew if skew <= Duration::from_secs(5) => Verdict::Ok,
        skew if skew <= Duration::from_secs(30) => Verdict::Note,
        _ => Verdict::Broken,
    };
    let word = if ahead > behind { "ahead of" } else { "behind" };
    report.add("clock", verdict, format!("the provider's clock is {} s {word} ours", skew.as_secs()));
}

async fn keys(report: &mut Report, provider: &Provider, metadata: &Metadata) {
    match provider.fetch_keys(&metadata.jwks_uri).await {
        Ok(_) => report.add("jwks", Verdict::Ok, format!("usable keys at {}", metadata.jwks_uri)),
        Err(error) => report.add("jwks", Verdict::Broken, error.to_string()),
    }
    let offered = list(metadata, "id_token_signing_alg_values_supported");
    let accepted: Vec<&str> = provider.config.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
    let both: Vec<&str> = offered.iter().copied().filter(|name| accepted.contains(name)).collect();
    match (offered.is_empty(), both.is_empty()) {
        (true, _) => report.add("algorithms", Verdict::Note, "the provider names none"),
        (_, false) => report.add("algorithms", Verdict::Ok, both.join(", ")),
        (_, true) => {
            let detail = format!("offered: {}; accepted here: {}", offered.join(", "), accepted.join(", "));
            report.add("algorithms", Verdict::Broken, detail);
        }
    }
}

fn abilities(report: &mut Report, config: &ProviderConfig, metadata: &Metadata, with: &Examination<'_>) {
    let has = |name: &str| metadata.document.get(name).is_some_and(Value::is_string);
    let says = |name: &str| metadata.document.get(name) == Some(&Value::Bool(true));
    let s256 = list(metadata, "code_challenge_methods_supported").contains(&"S256");
    match (config.pkce, s256) {
        (true, true) => report.add("pkce", Verdict::Ok, "S256"),
        (true, false) => report.add(
            "pkce",
            Verdict::Note,
            "S256 is sent although it is not listed; some providers do it all the same",
        ),
        (false, true) => report.add(
            "pkce",
            Verdict::Note,
            "switched off here although the provider does S256: remove `pkce: false`",
        ),
        (false, false) => report.add(
            "pkce",
            Verdict::Without,
            "switched off here; the nonce alone binds the answer to its request",
        ),
    }
    if metadata.sends_issuer {
        report.add("iss", Verdict::Ok, "authorization responses name their issuer (RFC 9207), and must");
    } else {
        report.add(
            "iss",
            Verdict::Without,
            "authorization responses do not name their issuer; state, cookie and ID token do",
        );
    }
    let missing: Vec<&str> = {
        let offered = list(metadata, "scopes_supported");
        let wanted = config.scopes.iter().map(String::as_str);
        if offered.is_empty() {
            Vec::new()
        } else {
            wanted.filter(|scope| !offered.contains(scope)).collect()
        }
    };
    if missing.is_empty() {
        report.add("scopes", Verdict::Ok, config.scopes.join(" "));
    } else {
        report.add("scopes", Verdict::Note, format!("not listed by the provider: {}", missing.join(" ")));
    }
    if config.userinfo && metadata.userinfo_endpoint.is_none() {
        report.add("userinfo", Verdict::Broken, "asked for here, and the provider has none");
    }
    report.add("resource", Verdict::Note, match config.profile.name {
        "entra" => "refuses `resource` (AADSTS9010010): no issuer for MCP clients by itself; sign-in here does not need it",
        "okta" | "auth0" => "knows `audience` instead of `resource` (RFC 8707); sign-in here does not need it",
        "keycloak" => "does not know `resource` (RFC 8707); sign-in here does not need it",
        _ => "RFC 8707 has no metadata by which to tell; sign-in here does not need it",
    });
    if has("introspection_endpoint") {
        report.add("introspection", Verdict::Ok, "RFC 7662");
    } else {
        report.add("introspection", Verdict::Without, "its opaque tokens cannot be verified");
    }
    let renews = list(metadata, "grant_types_supported").contains(&"refresh_token")
        || list(metadata, "scopes_supported").contains(&"offline_access");
    match (config.recheck, renews) {
        (Some(_), true) => report.add("recheck", Verdict::Ok, "it is asked again whether it vouches for people"),
        (Some(_), false) => report.add(
            "recheck",
            Verdict::Note,
            "switched on here, and the provider does not say that it gives refresh tokens: where it gives none, people sign \
             in again after `recheck.grace`",
        ),
        (None, _) => report.add(
            "recheck",
            Verdict::Without,
            "whoever is removed there refreshes here until their grant ends, unless it sends logout tokens: set `recheck`",
        ),
    }
    if says("backchannel_logout_supported") {
        let sid = if says("backchannel_logout_session_supported") { "by session" } else { "by person only" };
        report.add("backchannel_logout", Verdict::Ok, format!("{sid}; register {}", with.logout_uri));
    } else {
        report.add(
            "backchannel_logout",
            Verdict::Without,
            "whoever signs out there stays signed in here until their session ends",
        );
    }
    if has("end_session_endpoint") {
        report.add("end_session", Verdict::Ok, "people can be sent there to sign out");
    } else {
        report.add("end_session", Verdict::Without, "signing out here does not sign out there");
    }
}

/// A code that cannot exist is redeemed: whether the provider complains of the code or of us tells whether it knows us.
async fn client(report: &mut Report, provider: &Provider, metadata: &Metadata, with: &Examination<'_>) {
    let offered = list(metadata, "token_endpoint_auth_methods_supported");
    let fits = match &provider.config.client_auth {
        ClientAuth::Secret(_) => {
            offered.is_empty() || offered.iter().any(|name| name.starts_with("client_secret_"))
        }
        ClientAuth::PrivateKeyJwt => offered.contains(&"private_key_jwt"),
        ClientAuth::None => offered.contains(&"none"),
    };
    if !fits {
        let detail =
            format!("the provider offers {}, and `client_auth` here is none of them", offered.join(", "));
        return report.add("client", Verdict::Broken, detail);
    }
    let Some(keys) = with.keys else {
        return report.add(
            "client",
            Verdict::Note,
            "not tried: there are no keys of the gateway to sign with here",
        );
    };
    let redeemed =
        Redeemed { code: "portunus-doctor", redirect_uri: with.redirect_uri, verifier: Some(VERIFIER) };
    let tried = code::redeem(provider, metadata, &redeemed, keys, with.dice, with.clock.now()).await;
    match tried {
        Err(RedeemError::Refused(word)) if word == "invalid_grant" => {
            report.add("client", Verdict::Ok, "the provider knows the client and its credentials");
        }
        Err(RedeemError::Refused(word)) if word == "invalid_client" || word == "unauthorized_client" => {
            report.add(
                "client",
                Verdict::Broken,
                format!("the provider says {word}: client id or credentials are wrong"),
            );
        }
        Err(RedeemError::Provider(ProviderError::Fetch(FetchError::Status { status, .. })))
            if status.is_client_error() =>
        {
            report.add(
                "client",
                Verdict::Note,
                format!("the provider answers {status} and does not say why"),
            );
        }
        Err(error) => report.add("client", Verdict::Note, error.to_string()),
        Ok(_) => {
            report.add("client", Verdict::Broken, "the provider gives tokens for a code that does not exist")
        }
    }
}

fn directory(report: &mut Report, config: &ProviderConfig) {
    let Some(claim) = config.profile.directory else { return };
    match &config.directory {
        Some(directory) => {
            report.add("directory", Verdict::Ok, format!("only people whose `{claim}` is {directory}"))
        }
        None => report.add(
            "directory",
            Verdict::Broken,
            format!("`directory` is missing: anybody with any `{claim}` would get in"),
        ),
    }
}

fn list<'a>(metadata: &'a Metadata, name: &str) -> Vec<&'a str> {
    let all = metadata.document.get(name).and_then(Value::as_array);
    all.map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// A date as HTTP writes it (RFC 9110 §5.6.7), which is that of mails.
fn http_date(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp(parsed.as_millisecond()))
}

/// Any verifier: the code it belongs to does not exist.
const VERIFIER: &str = "portunus-doctor-portunus-doctor-portunus-doctor";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(http_date("Thu, 26 Nov 2026 00:00:05 GMT"), Some(Timestamp(1_795_651_205_000)));
        assert_eq!(http_date("yesterday"), None);
    }
}
