//! Clients whose id is the URL of a document about them (OAuth Client ID Metadata Document).

use super::find::FindError;
use super::{Client, DEVICE_CODE, Keys, Kind, Method, check_redirect_uri, metadata};
use crate::{Documents, Issuer};
use model::Digest;
use net::egress::Rule;
use serde_json::{Map, Value};

/// The client that the document at `id` describes.
pub(super) async fn find(issuer: &Issuer, documents: &Documents, id: &str) -> Result<Client, FindError> {
    let host =
        check_url(id, documents.danger_allow_loopback).map_err(|why| FindError::Document(why.into()))?;
    if let Some(allowed) = &documents.allowed_hosts
        && !allowed.iter().any(|allowed| allowed == host)
    {
        return Err(FindError::Document("its host is not on the operator's list".into()));
    }
    let rule = if documents.danger_allow_loopback { Rule::LOOPBACK } else { Rule::PUBLIC };
    let read = |document: &Map<String, Value>| read(id, document);
    let client = issuer.documents.get(issuer, id, rule, false, read).await?;
    Ok(Client::clone(&client))
}

/// Whether a URL may be a client's id; yields its host. SECURITY: one document has one spelling, so that a consent
/// or a refusal cannot be walked around (test: `a_clients_url_has_one_spelling`).
fn check_url(id: &str, loopback: bool) -> Result<&str, &'static str> {
    let (scheme, rest) = id.split_once("://").ok_or("its id is not a URL")?;
    if !id.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte)) {
        return Err("its URL has characters that it cannot have");
    }
    if id.contains('#') {
        return Err("its URL has a fragment");
    }
    let at = rest.find(['/', '?']).ok_or("its URL has no path")?;
    let (authority, path) = rest.split_at_checked(at).ok_or("its URL has no path")?;
    if authority.contains('@') {
        return Err("its URL has a user in it");
    }
    if !path.starts_with('/') {
        return Err("its URL has no path");
    }
    if authority.is_empty() || authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("its URL has no host, or one not in lower case");
    }
    let path = path.split('?').next().unwrap_or_default();
    let dots = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    if path.split('/').any(dots) {
        return Err("its URL has dot segments");
    }
    let host = authority
        .rsplit_once(':')
        .filter(|(_, port)| !port.contains(']'))
        .map_or(authority, |(host, _)| host);
    let is_local = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
    match scheme {
        "https" => Ok(host),
        "http" if loopback && is_local => Ok(host),
        _ => Err("its URL is not an https one"),
    }
}

/// What a document says, if it says it as it must.
fn read(id: &str, document: &Map<String, Value>) -> Result<Client, String> {
    if document.get("client_id").and_then(Value::as_str) != Some(id) {
        return Err("its `client_id` is not its URL".into());
    }
    if document.keys().any(|name| name.starts_with("client_secret")) {
        return Err("it publishes a secret".into());
    }
    let name = metadata::name(document.get("client_name"))?.ok_or("it has no `client_name`")?;
    let redirect_uris = metadata::texts(document, "redirect_uris", REDIRECTS)?.unwrap_or_default();
    if redirect_uris.is_empty() {
        return Err("it has no `redirect_uris`".into());
    }
    for uri in &redirect_uris {
        check_redirect_uri(uri).map_err(|why| format!("its `redirect_uris` has {why}"))?;
    }
    let grants = metadata::texts(document, "grant_types", 16)?.unwrap_or_default();
    for (list, needed) in [("grant_types", "authorization_code"), ("response_types", "code")] {
        let given = metadata::texts(document, list, 16)?;
        if given.is_some_and(|given| !given.iter().any(|one| one == needed)) {
            return Err(format!("its `{list}` lacks {needed}"));
        }
    }
    for link in ["logo_uri", "client_uri", "policy_uri", "tos_uri"] {
        if document.get(link).is_some_and(|uri| !uri.as_str().is_some_and(|uri| uri.starts_with("https://")))
        {
            return Err(format!("its `{link}` is not an https URL"));
        }
    }
    let keys = metadata::keys(document)?;
    let method = match document.get("token_endpoint_auth_method").map(Value::as_str) {
        None | Some(Some("none")) => Method::None,
        Some(Some("private_key_jwt")) => Method::PrivateKeyJwt,
        Some(_) => return Err("its `token_endpoint_auth_method` is neither none nor private_key_jwt".into()),
    };
    // Keys of a client that proves nothing are for something else, such as what it signs for others.
    let keys = if method == Method::PrivateKeyJwt { keys } else { Keys::None };
    if method == Method::PrivateKeyJwt && keys == Keys::None {
        return Err("it has private_key_jwt and no keys".into());
    }
    let told: Vec<(&String, &Value)> = {
        let mut all: Vec<_> = document.iter().collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    };
    Ok(Client {
        redirect_uris,
        method,
        keys,
        waits: grants.iter().any(|grant| grant == DEVICE_CODE),
        digest: Digest::of(serde_json::to_string(&told).unwrap_or_default().as_bytes()),
        ..Client::named(id, Kind::Document, name)
    })
}

/// Room for documents; see `kept`.
pub(crate) type Found = Client;
/// The most redirect URIs.
const REDIRECTS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_clients_url_has_one_spelling() {
        for good in
            ["https://app.example/client.json", "https://app.example:8443/a/b?x=1", "https://a.example/"]
        {
            assert!(check_url(good, false).is_ok(), "{good}");
        }
        for bad in [
            "app.example/client.json",
            "https://app.example",
            "https://app.example?x",
            "http://app.example/c",
            "http://127.0.0.1/c",
            "https://u@app.example/c",
            "https://app.example/c#x",
            "https://app.example/a/../c",
            "https://app.example/./c",
            "https://app.example/%2e%2E/c",
            "https://App.example/c",
            "https://app.example/c\\x",
            "https://app.example/\u{e9}",
            "https:///c",
            "ftp://app.example/c",
        ] {
            assert!(check_url(bad, false).is_err(), "{bad}");
        }
        assert!(
            check_url("http://127.0.0.1:80/c", true).is_ok()
                && check_url("http://app.example/c", true).is_err()
        );
    }

    #[test]
    fn a_document_says_what_it_must_and_nothing_it_must_not() {
        let id = "https://app.example/c";
        let good = json!({
            "client_id": id, "client_name": "App", "redirect_uris": ["http://localhost/callback"],
            "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none",
            "scope": "x", "something_else": {"a": 1},
        });
        let read_with = |change: Value| {
            let mut document = good.as_object().unwrap().clone();
            for (name, value) in change.as_object().unwrap() {
                if value.is_null() {
                    drop(document.remove(name))
                } else {
                    drop(document.insert(name.clone(), value.clone()))
                }
            }
            read(id, &document)
        };
        let client = read_with(json!({})).unwrap();
        assert_eq!((client.name.as_str(), client.method), ("App", Method::None));
        assert_ne!(client.digest, read_with(json!({"client_name": "Bpp"})).unwrap().digest);
        let jwk = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}]});
        let signed =
            read_with(json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": jwk})).unwrap();
        assert_eq!(signed.method, Method::PrivateKeyJwt);
        let public = read_with(json!({"jwks": jwk})).unwrap();
        assert_eq!((public.method, public.keys, public.waits), (Method::None, Keys::None, false));
        let device = json!(["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"]);
        assert!(read_with(json!({"grant_types": device})).unwrap().waits);
        for bad in [
            json!({"client_id": "https://app.example/d"}),
            json!({"client_id": null}),
            json!({"client_name": null}),
            json!({"client_name": 1}),
            json!({"client_name": "A\u{202e}B"}),
            json!({"redirect_uris": null}),
            json!({"redirect_uris": []}),
            json!({"redirect_uris": "https://app.example/cb"}),
            json!({"redirect_uris": ["http://app.example/cb"]}),
            json!({"client_secret": "x"}),
            json!({"client_secret_expires_at": 0}),
            json!({"grant_types": ["client_credentials"]}),
            json!({"response_types": ["token"]}),
            json!({"logo_uri": "http://app.example/x"}),
            json!({"token_endpoint_auth_method": "client_secret_post"}),
            json!({"token_endpoint_auth_method": "private_key_jwt"}),
            json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": jwk, "jwks_uri": "https://app.example/j"}),
            json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://app.example/j"}),
            json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "EC", "d": "x"}]}}),
        ] {
            assert!(read_with(bad.clone()).is_err(), "{bad}");
        }
    }
}
