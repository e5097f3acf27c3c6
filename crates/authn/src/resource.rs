//! An endpoint as a protected resource (RFC 8707, RFC 9728).

use http::Uri;
use std::sync::Arc;

/// Where RFC 9728 metadata of the shared endpoint is also found, for clients that try the root.
pub const ROOT_METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// One endpoint: its canonical URI, from configuration and never from a request, and what it asks of a
/// token. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Resource(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    canonical: String,
    digest: model::Digest,
    audiences: Vec<String>,
    required_scopes: Vec<String>,
    scopes: Vec<String>,
    metadata_path: String,
    metadata_url: String,
}

/// A URI that cannot name a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot name a resource: an absolute lower-case http or https URL without query, fragment and trailing slash is needed"
)]
pub struct ResourceError(pub String);

impl Resource {
    /// The resource named `canonical`, such as `https://mcp.example.com/servers/git/mcp`.
    ///
    /// `audiences` are accepted beside it. A token must carry all of `required_scopes`; `scopes` are what
    /// challenge and metadata ask for (they should include the required ones).
    ///
    /// # Errors
    /// [`ResourceError`] when the URI is not in its canonical form.
    pub fn new(
        canonical: &str,
        audiences: Vec<String>,
        required_scopes: Vec<String>,
        scopes: Vec<String>,
    ) -> Result<Self, ResourceError> {
        let refuse = || ResourceError(canonical.to_owned());
        let uri: Uri = canonical.parse().map_err(|_| refuse())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(refuse());
        };
        let origin = format!("{scheme}://{authority}");
        let path = canonical.strip_prefix(&origin).ok_or_else(refuse)?;
        let fits = matches!(scheme, "http" | "https")
            && !authority.as_str().contains('@')
            && !authority.as_str().bytes().any(|byte| byte.is_ascii_uppercase())
            && !canonical.contains(['#', '?', '"', '\\'])
            && !path.ends_with('/');
        if !fits {
            return Err(refuse());
        }
        let metadata_path = format!("{ROOT_METADATA_PATH}{path}");
        Ok(Self(Arc::new(Facts {
            canonical: canonical.to_owned(),
            digest: model::Digest::of(canonical.as_bytes()),
            audiences,
            required_scopes,
            scopes,
            metadata_url: format!("{origin}{metadata_path}"),
            metadata_path,
        })))
    }

    /// The canonical URI.
    pub fn canonical(&self) -> &str {
        &self.0.canonical
    }

    /// A digest of the canonical URI.
    pub(crate) fn digest(&self) -> model::Digest {
        self.0.digest
    }

    /// Whether a token for `audience` is for this resource: exact, no normalisation.
    pub(crate) fn is(&self, audience: &str) -> bool {
        self.0.canonical == audience || self.0.audiences.iter().any(|accepted| accepted == audience)
    }

    /// The scopes without which nobody is let in.
    pub fn required_scopes(&self) -> &[String] {
        &self.0.required_scopes
    }

    /// The scopes a client should ask for.
    pub fn scopes(&self) -> &[String] {
        &self.0.scopes
    }

    /// Its path, such as `/servers/git/mcp`.
    pub fn path(&self) -> &str {
        self.0.metadata_path.strip_prefix(ROOT_METADATA_PATH).unwrap_or_default()
    }

    /// The path of the metadata document: the well-known prefix before the resource's own path
    /// (RFC 9728 §3.1).
    pub fn metadata_path(&self) -> &str {
        &self.0.metadata_path
    }

    /// The URL of the metadata document.
    pub fn metadata_url(&self) -> &str {
        &self.0.metadata_url
    }

    /// The metadata document (RFC 9728 §2), JSON, for both of its places.
    pub fn metadata<'a>(&self, issuers: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
        let mut document = serde_json::json!({
            "resource": self.0.canonical,
            "authorization_servers": issuers.into_iter().collect::<Vec<_>>(),
            "bearer_methods_supported": ["header"],
        });
        if !self.0.scopes.is_empty()
            && let Some(members) = document.as_object_mut()
        {
            members.insert("scopes_supported".to_owned(), self.0.scopes.clone().into());
        }
        document.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_uris_name_a_resource() {
        for good in [
            "https://gw.test/mcp",
            "https://gw.test:8443/servers/git/mcp",
            "http://127.0.0.1:8080/mcp",
            "https://gw.test",
        ] {
            assert!(Resource::new(good, vec![], vec![], vec![]).is_ok(), "{good}");
        }
        for bad in [
            "https://gw.test/mcp/",
            "https://GW.test/mcp",
            "HTTPS://gw.test/mcp",
            "https://gw.test/mcp?x=1",
            "https://gw.test/mcp#f",
            "https://u@gw.test/mcp",
            "/mcp",
            "ftp://gw.test/mcp",
            "",
            "https://gw.test/",
        ] {
            assert!(Resource::new(bad, vec![], vec![], vec![]).is_err(), "{bad}");
        }
    }

    #[test]
    fn metadata_is_found_under_the_well_known_prefix() {
        let resource =
            Resource::new("https://gw.test/servers/git/mcp", vec![], vec![], vec!["mcp:call".into()])
                .unwrap();
        assert_eq!(resource.metadata_path(), "/.well-known/oauth-protected-resource/servers/git/mcp");
        assert_eq!(
            resource.metadata_url(),
            "https://gw.test/.well-known/oauth-protected-resource/servers/git/mcp"
        );
        let document: serde_json::Value =
            serde_json::from_slice(&resource.metadata(["https://idp.test"])).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "resource": "https://gw.test/servers/git/mcp",
                "authorization_servers": ["https://idp.test"],
                "bearer_methods_supported": ["header"],
                "scopes_supported": ["mcp:call"],
            })
        );
    }
}
