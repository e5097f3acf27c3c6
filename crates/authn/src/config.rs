//! What the operator says about issuers.

use crate::groups::GroupDirectory;
use crate::opaque::{OpaqueConfig, OpaqueFault};
use model::Principal;
use net::egress::Rule;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use vault::SigningKeys;

/// Everything the room needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The issuers whose tokens are accepted.
    pub issuers: Vec<IssuerConfig>,
    /// Opaque tokens: how they are told apart, and where to ask what they mean.
    pub opaque: Vec<OpaqueConfig>,
    /// Where groups are looked up that are too many for a token.
    pub group_directories: Vec<GroupDirectory>,
    /// Who calls without any token. `None` but on a loopback listener whose operator asked for it.
    pub danger_anonymous: Option<Principal>,
    /// The list of revoked tokens (YAML or JSON, see [`crate::RevocationList`]).
    pub revoked_tokens_file: Option<PathBuf>,
    /// A list that could not be read for this long refuses every token (design §3.8).
    pub revocation_max_age: Duration,
    /// Verified tokens remembered.
    pub cached_tokens: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            opaque: Vec::new(),
            group_directories: Vec::new(),
            danger_anonymous: None,
            revoked_tokens_file: None,
            revocation_max_age: Duration::from_secs(60),
            cached_tokens: model::Limits::default().cached_tokens,
        }
    }
}

/// One issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// The issuer identifier, compared with `iss` byte for byte.
    pub issuer: String,
    /// Where its keys are.
    pub keys: KeySource,
    /// Signature algorithms its keys may have.
    pub algorithms: Vec<Algorithm>,
    /// Accepted `typ` header values, without case and without `application/`. RFC 9068 says `at+jwt`;
    /// many providers send `JWT`. `none` is a token without one.
    pub token_types: Vec<String>,
    /// Which claims say what.
    pub claims: ClaimNames,
    /// Where the tenant comes from.
    pub tenant: TenantSource,
    /// Audiences accepted at every endpoint beside the endpoint's own resource.
    pub extra_audiences: Vec<String>,
    /// How far the issuer's clock and ours may differ.
    pub skew: Duration,
    /// The longest life (`exp` − `iat`) a token may have.
    pub max_lifetime: Duration,
    /// Which addresses the issuer may have.
    pub rule: Rule,
}

impl IssuerConfig {
    /// The gateway's own authorization server: `at+jwt` of ES256, for one audience, as [`IssuerConfig::is_own`] says.
    pub fn own(issuer: impl Into<String>, keys: Arc<SigningKeys>, longest: Duration) -> Self {
        let paths = |names: &[&str]| names.iter().map(|name| ClaimPath::new(name)).collect();
        Self {
            keys: KeySource::Own(OwnKeys(keys)),
            algorithms: vec![Algorithm::Es256],
            claims: ClaimNames {
                client: paths(&["client_id"]),
                agent: paths(&["/act/sub", "agent_id"]),
                scopes: paths(&["scope"]),
                ..ClaimNames::default()
            },
            // Replicas' clocks; ours is the only other one.
            skew: Duration::from_secs(5),
            max_lifetime: longest,
            ..Self::new(issuer)
        }
    }

    /// Whether its tokens are ours. Such a token has every claim that we put into one, and one audience.
    pub const fn is_own(&self) -> bool {
        matches!(self.keys, KeySource::Own(_))
    }

    /// An issuer with its keys by discovery, all three algorithms, `at+jwt` only, the usual claim names,
    /// 30 seconds of skew, a day of life, public addresses.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            keys: KeySource::Discovery,
            algorithms: vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa],
            token_types: vec!["at+jwt".into()],
            claims: ClaimNames::default(),
            tenant: TenantSource::Claims(vec![ClaimPath::new("tenant_id")]),
            extra_audiences: Vec::new(),
            skew: Duration::from_secs(30),
            max_lifetime: Duration::from_secs(24 * 3600),
            rule: Rule::PUBLIC,
        }
    }
}

/// Our own signing keys, which sign what is verified with them.
#[derive(Clone)]
pub struct OwnKeys(pub Arc<SigningKeys>);

impl PartialEq for OwnKeys {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OwnKeys {}

impl fmt::Debug for OwnKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnKeys")
    }
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Here: the issuer is the gateway itself. Nothing is fetched, and a new key is known at once.
    Own(OwnKeys),
    /// Named by its RFC 8414 or OpenID Connect metadata, whose `issuer` must be the configured one.
    Discovery,
    /// At this URL.
    JwksUri(String),
    /// Nowhere: all of its tokens are opaque.
    None,
}

/// A signature algorithm. Which one verifies a token is a property of the key.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[schemars(inline)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 to 8192 bits.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA over P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// Where the tenant of a principal comes from. It is never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantSource {
    /// Every user of the issuer belongs to this tenant.
    Fixed(Arc<str>),
    /// The first of these claims that is there.
    Claims(Vec<ClaimPath>),
}

/// Which claims say what; of each list the first that is there counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// The user; required.
    pub user: Vec<ClaimPath>,
    /// The OAuth client; required.
    pub client: Vec<ClaimPath>,
    /// The agent, if the issuer tells it apart from the client.
    pub agent: Vec<ClaimPath>,
    /// Roles: an array of strings, or strings separated by spaces.
    pub roles: Vec<ClaimPath>,
    /// Groups, likewise.
    pub groups: Vec<ClaimPath>,
    /// Scopes, likewise.
    pub scopes: Vec<ClaimPath>,
}

impl Default for ClaimNames {
    fn default() -> Self {
        let paths = |names: &[&str]| names.iter().map(|name| ClaimPath::new(name)).collect();
        Self {
            user: paths(&["sub"]),
            client: paths(&["client_id", "azp"]),
            agent: Vec::new(),
            roles: paths(&["roles"]),
            groups: paths(&["groups"]),
            scopes: paths(&["scope", "scp"]),
        }
    }
}

/// The way to a claim: a JSON pointer (RFC 6901) if it starts with `/`, else the name of a top-level claim
/// (which may hold dots or be a URL), else names joined by dots (`realm_access.roles`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(from = "String", into = "String")]
pub struct ClaimPath(Box<str>);

impl schemars::JsonSchema for ClaimPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClaimPath".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

impl ClaimPath {
    /// The path written as `text`.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ClaimPath {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<ClaimPath> for String {
    fn from(path: ClaimPath) -> Self {
        path.0.into()
    }
}

/// A configuration that cannot work. Names the issuer and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// An issuer identifier, or a URL given for it, is not usable.
    #[error("issuer {issuer:?}: {url:?} is not a URL that may be used: {reason}")]
    Url {
        /// The issuer.
        issuer: String,
        /// The URL.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The same issuer twice.
    #[error("issuer {0:?} is configured twice")]
    Twice(String),
    /// A list that must not be empty is.
    #[error("issuer {issuer:?}: {field} must name at least one")]
    Empty {
        /// The issuer.
        issuer: String,
        /// The field.
        field: &'static str,
    },
    /// More skew than makes sense.
    #[error("issuer {0:?}: skew may be five minutes at most")]
    Skew(String),
    /// Opaque tokens cannot be told apart, or asked about.
    #[error(transparent)]
    Opaque(#[from] OpaqueFault),
    /// A directory of groups cannot be asked.
    #[error("the directory of groups {name:?} cannot be asked: {reason}")]
    Directory {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The anonymous principal has no tenant.
    #[error("the anonymous principal needs a user and a tenant")]
    Anonymous,
    /// The list of revoked tokens cannot be read at start-up.
    #[error("the list of revoked tokens cannot be read: {0}")]
    Revoked(String),
}
