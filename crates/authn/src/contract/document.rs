//! A contract as it is written, in YAML or JSON. A key that is not known is refused: a requirement that nobody
//! understands would be one that nobody checks.

use crate::{Algorithm, ClaimPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What the tokens of one issuer have to say, at one resource or at all of them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Token contract")]
pub struct Document {
    /// The issuer, exactly as its tokens say in `iss`.
    pub issuer: String,
    /// The one resource it is about, by its canonical URL. Default: every resource without a contract of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Accepted `typ` headers, without case and without `application/`; `none`: a token without one. Default: at+jwt.
    #[serde(default = "types")]
    pub types: Vec<String>,
    /// Whether a token may have a `nonce`, otherwise the mark of an ID token. Only where `require` asks for the claim `typ` or
    /// `token_use` of an access token instead. Default: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nonce_allowed: bool,
    /// Accepted signature algorithms. Default: all three. Keys of others were left out already if the issuer's
    /// configuration names fewer.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// Which claims say who is calling.
    #[serde(default)]
    pub principal: Mapping,
    /// What further claims have to be, by claim: a name, names joined by dots, or a JSON pointer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub require: BTreeMap<String, Requirement>,
    /// Whom a token has to be for.
    #[serde(default)]
    pub audience: AudienceRule,
    /// The longest life (`exp` − `iat`) a token may have, in seconds. Default: an hour.
    #[serde(default = "max_lifetime")]
    pub max_lifetime_seconds: u32,
    /// How far the issuer's clock and ours may differ, in seconds; 60 at most. Default: 30.
    #[serde(default = "skew")]
    pub skew_seconds: u32,
    /// What is different where a token is opaque and its issuer is asked what it means.
    #[serde(default)]
    pub opaque: OpaqueRule,
    /// Claims that have to pass and claims that have to fail before the contract can be published.
    #[serde(default)]
    pub samples: Samples,
}

fn types() -> Vec<String> {
    vec!["at+jwt".into()]
}

fn algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]
}

const fn max_lifetime() -> u32 {
    3600
}

const fn skew() -> u32 {
    30
}

impl Document {
    /// Reads YAML, of which JSON is a part.
    ///
    /// # Errors
    /// What the reader says, with the line; a key that is not known is one of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > DOCUMENT_BYTES {
            return Err(format!("longer than {DOCUMENT_BYTES} bytes"));
        }
        serde_saphyr::from_str_with_options(text, serde_saphyr::options! { with_snippet: false })
            .map_err(|error| error.to_string())
    }

    /// A contract of nothing but an issuer: the defaults of every other key.
    pub fn of(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            resource: None,
            description: None,
            types: types(),
            nonce_allowed: false,
            algorithms: algorithms(),
            principal: Mapping::default(),
            require: BTreeMap::new(),
            audience: AudienceRule::default(),
            max_lifetime_seconds: max_lifetime(),
            skew_seconds: skew(),
            opaque: OpaqueRule::default(),
            samples: Samples::default(),
        }
    }

    /// The JSON schema of the document (draft 2020-12).
    pub fn schema() -> Value {
        let settings = schemars::generate::SchemaSettings::draft2020_12();
        settings
            .with(|s| s.inline_subschemas = true)
            .into_generator()
            .into_root_schema_for::<Self>()
            .to_value()
    }
}

/// Which claims say who is calling. Of each list of claims the first that is there counts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// The person or workflow; required. Default: sub.
    pub user: One,
    /// The OAuth client; required. Default: client_id, azp, cid, appid.
    pub client: One,
    /// The agent, if the issuer tells it apart from the client. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<One>,
    /// The tenant; required. Default: tenant_id, tid, org_id.
    pub tenant: Tenant,
    /// Roles. Default: roles, realm_access.roles.
    pub roles: Many,
    /// Groups. Default: groups.
    pub groups: Many,
    /// What to do where a token has too many groups and says where they are instead (`_claim_names`). Default: deny.
    pub groups_overage: Overage,
    /// Scopes. Default: scope, scp.
    pub scopes: Many,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            user: One { from: paths(&["sub"]) },
            client: One { from: paths(&["client_id", "azp", "cid", "appid"]) },
            agent: None,
            tenant: Tenant::default(),
            roles: Many::default(),
            groups: Many::default(),
            groups_overage: Overage::Deny,
            scopes: Many::default(),
        }
    }
}

/// The claims that hold roles unless a contract says which.
pub(super) const ROLES: [&str; 2] = ["roles", "realm_access.roles"];
/// The claims that hold groups unless a contract says which.
pub(super) const GROUPS: [&str; 1] = ["groups"];
/// The claims that hold scopes unless a contract says which.
pub(super) const SCOPES: [&str; 2] = ["scope", "scp"];

pub(super) fn paths(names: &[&str]) -> Vec<ClaimPath> {
    names.iter().map(|name| ClaimPath::new(name)).collect()
}

/// A claim of one text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct One {
    /// The claims that may hold it.
    pub from: Vec<ClaimPath>,
}

/// Where the tenant comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tenant {
    /// The claims that may hold it.
    pub from: Vec<ClaimPath>,
    /// The tenant of every token, instead of a claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// What the issuer's names of tenants are called here. A value that is not in it is refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub map: BTreeMap<String, String>,
}

impl Default for Tenant {
    fn default() -> Self {
        Self { from: paths(&["tenant_id", "tid", "org_id"]), fixed: None, map: BTreeMap::new() }
    }
}

/// A claim of several texts: a list, or words separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Many {
    /// The claims that may hold it. Default: those named above. An empty list: none is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<ClaimPath>>,
    /// What the issuer's values are called here; one may become several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub map: BTreeMap<String, Vec<String>>,
    /// What becomes of a value that is not in `map`, where there is one. Default: drop.
    pub unmapped: Unmapped,
    /// Whether a token without the claim is refused. Default: it has none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

/// What becomes of a value that a map does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Unmapped {
    /// It is left out.
    #[default]
    Drop,
    /// It is taken as it is.
    Keep,
    /// The token is refused.
    Refuse,
}

/// What to do where a token says that its groups are elsewhere (OpenID Connect Core §5.6.2; Entra above 200 groups).
/// It is never taken to have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Overage {
    /// The token is refused.
    #[default]
    Deny,
    /// The groups are asked for at the directory of this name in the configuration (`group_directories`).
    Lookup(String),
}

/// What a claim has to be. All that is said has to be true.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Requirement {
    /// Its JSON type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ClaimType>,
    /// Exactly this text, number or truth value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// One of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Value>,
    /// A text that this regular expression matches from its start to its end; of a list, every item. Written in the
    /// syntax of the Rust crate `regex`, which takes linear time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// A list, or words separated by spaces, that holds this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// It may be missing; if it is there, the rest has to be true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// It must not be there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// A JSON type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ClaimType {
    /// A text.
    String,
    /// A number.
    Number,
    /// A number without a fraction.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A list.
    Array,
    /// A list of texts.
    Strings,
    /// A mapping.
    Object,
}

/// Whom a token has to be for: one of its audiences has to be one of these, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AudienceRule {
    /// Whether the resource's own canonical URL counts. Default: it does.
    pub resource: bool,
    /// Audiences that count besides. A wider audience lets a token for one endpoint be used at another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

impl Default for AudienceRule {
    fn default() -> Self {
        Self { resource: true, also: Vec::new() }
    }
}

/// What is different where a token is opaque (RFC 7662).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpaqueRule {
    /// What the issuer's answers may leave out. Default: nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_omit: Vec<Omittable>,
    /// For answers without `aud`: which resources a client's tokens are for, by client and canonical URL.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<String, Vec<String>>,
}

/// What an introspection answer may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Omittable {
    /// The issuer is the one that was asked.
    Iss,
    /// The token is good for as long as an answer is remembered, 30 seconds.
    Exp,
}

/// What is tried before a contract is published: at least one of each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Samples {
    /// Claims that have to pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub good: Vec<Sample>,
    /// Claims that have to fail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bad: Vec<Sample>,
}

/// Claims as a token might have them. They are judged a second after their own `iat`, or a minute before their `exp`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// For messages.
    pub name: String,
    /// The claims.
    pub claims: Map<String, Value>,
    /// The header of the token. Default: the first accepted type and algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<TokenHeader>,
    /// Whether these are what an introspection answers about an opaque token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opaque: bool,
    /// The resource it is presented at. Default: the contract's own, or the first audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// When it is judged, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// Of a bad one: the claim that has to be the one it fails for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails: Option<String>,
}

/// The header of a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenHeader {
    /// `typ`; `none`: without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
    /// `alg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
}

/// The longest document, in bytes.
const DOCUMENT_BYTES: usize = 256 << 10;
