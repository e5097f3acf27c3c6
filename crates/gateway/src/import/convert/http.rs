//! Servers behind an address.

use super::super::entry::{Left, Pairs};
use super::super::json::Text;
use super::super::secrecy;
use super::super::spelling::{Spelling, spelling};
use super::{Around, Server, keep, said};
use crate::config::{WebAddress, Yaml, is_loopback};
use ::http::{HeaderName, HeaderValue};
use broker::{Plan, Reference};
use model::ServerName;
use net::egress::Scope;
use std::net::IpAddr;

pub(super) fn convert(
    name: &ServerName,
    url: &Text,
    headers: Pairs,
    around: &Around<'_>,
    server: &mut Server,
) -> Result<(), Left> {
    server.transport = "http";
    let address = address(url)?;
    let mut http = vec![said("url", url.trim())];
    let headers = self::headers(name, headers, around, server)?;
    let scope = scope(&address.host);
    if scope == Some(Scope::Forbidden) {
        return Err(Left::because(
            "its address is one that is never dialled",
            "a public, private or loopback address",
        ));
    }
    if headers.is_empty() && scope != Some(Scope::Loopback) {
        server.notes.push(
            "no credential: if the client signs a person in there, the gateway cannot do that yet".to_owned(),
        );
    }
    if address.scheme == "http" && scope != Some(Scope::Loopback) {
        server.notes.push("plain HTTP: whoever is on the way reads its secrets".to_owned());
    }
    if !headers.is_empty() {
        http.push(("headers".to_owned(), Yaml::Map(headers)));
    }
    match scope {
        Some(Scope::Loopback) => {
            http.push(("allow_loopback".to_owned(), Yaml::Yes));
            server.notes.push("allow_loopback: its address is on this machine".to_owned());
        }
        Some(Scope::Private) => {
            http.push(("allow_private".to_owned(), Yaml::Yes));
            server.notes.push("allow_private: its address is a private one".to_owned());
        }
        None if is_inner(&address.host) => server.notes.push(
            "if its name resolves to a private address, add `allow_private: true` beside the url".to_owned(),
        ),
        Some(Scope::Public | Scope::Forbidden) | None => {}
    }
    server.entry = Yaml::Map(vec![("http".to_owned(), Yaml::Map(http))]);
    Ok(())
}

fn address(url: &Text) -> Result<WebAddress, Left> {
    if spelling(url) != Spelling::Plain {
        return Err(Left::because(
            "its address has a ${...} that only the client can fill in",
            "write the address itself",
        ));
    }
    // SECURITY: an address with a secret in it is not repeated, neither here nor in the configuration (test:
    // a_secret_that_no_reference_can_hold_is_left_out).
    if secrecy::looks_secret(url) {
        return Err(Left::because(
            "its address holds what looks like a secret, and the configuration has references for headers only",
            "if the server takes the secret in a header, put it under `headers`",
        ));
    }
    WebAddress::parse(url.trim()).map_err(|why| {
        Left::because(
            format!("its address is {}", why.replace("not an", "no").replace("an address", "one")),
            "write an https or http address without user, query and fragment; a header may say the rest",
        )
    })
}

/// What kind of place a host is, if it says so itself.
fn scope(host: &str) -> Option<Scope> {
    if is_loopback(host) || host.ends_with(".localhost") {
        return Some(Scope::Loopback);
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().ok().map(Scope::of)
}

/// Names that only an organisation's own resolver knows.
fn is_inner(host: &str) -> bool {
    !host.contains('.') || INNER.iter().any(|end| host.ends_with(end))
}

fn headers(
    name: &ServerName,
    headers: Pairs,
    around: &Around<'_>,
    server: &mut Server,
) -> Result<Vec<(String, Yaml)>, Left> {
    let mut entries: Vec<(String, Yaml)> = Vec::new();
    for (header, value) in headers {
        let Ok(known) = HeaderName::from_bytes(header.as_bytes()) else {
            return Err(Left::because("a header without a header's name", "letters, digits and hyphens"));
        };
        if entries.iter().any(|(other, _)| other.eq_ignore_ascii_case(&header)) {
            return Err(Left::because(format!("the header {header} is there twice"), "each header once"));
        }
        if Plan::headers("", vec![(known, Reference::variable(""))]).is_err() {
            server.notes.push(format!("not taken over: {header}, which the gateway sets itself"));
            continue;
        }
        let (prefix, secret) = split(&value);
        if secret.trim().is_empty() {
            server.notes.push(format!("not taken over: {header}, which is empty"));
            continue;
        }
        if HeaderValue::from_str(&value).is_err() {
            return Err(Left::because(
                format!("{header} holds what no header can"),
                "a value of printable characters",
            ));
        }
        let reference = keep(name, &header, &Text::new(secret.to_owned()), around, &mut server.kept)?;
        let mut place = Vec::new();
        if !prefix.is_empty() {
            place.push(said("prefix", prefix));
        }
        place.push(reference);
        entries.push((header, Yaml::Map(place)));
    }
    Ok(entries)
}

/// A scheme such as `Bearer ` apart from what it introduces.
fn split(value: &str) -> (&str, &str) {
    let value = value.trim();
    let Some(space) = value.find(' ') else { return ("", value) };
    let (scheme, _) = value.split_at(space);
    if !SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return ("", value);
    }
    value.split_at(space + 1)
}

/// Words that come before a credential.
const SCHEMES: &[&str] =
    &["Bearer", "Basic", "Token", "ApiKey", "Api-Key", "Key", "Bot", "OAuth", "Apikey", "PRIVATE-TOKEN"];
/// Ends of names inside of organisations and homes.
const INNER: &[&str] = &[".local", ".internal", ".intranet", ".lan", ".corp", ".home", ".home.arpa", ".svc"];
