//! From a document, or from the configuration, to what is checked for every token that is not remembered.

use super::document::{Document, GROUPS, Many, Omittable, One, OpaqueRule, Overage, ROLES, SCOPES};
use super::fault::{ContractFault, Faults};
use super::mapping::{Several, Single, TenantRule};
use super::requirement::Required;
use crate::claims::{KINDS, is_access_kind};
use crate::{Algorithm, ClaimPath, IssuerConfig, Resource, TenantSource};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A contract, compiled. Cheap to check, and the same for all threads.
pub struct Contract {
    pub(crate) issuer: Arc<str>,
    /// The one resource it is about.
    pub(crate) resource: Option<String>,
    /// Of our own tokens, which no stored contract is about.
    pub(crate) own: bool,
    /// Zero: what the configuration says.
    pub(crate) version: i64,
    pub(super) types: Vec<String>,
    /// Whether a token without a `typ` header is accepted.
    pub(super) untyped: bool,
    /// Whether a `nonce` is no mark of an ID token.
    pub(super) nonce_allowed: bool,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) user: Single,
    pub(super) client: Single,
    pub(super) agent: Option<Single>,
    pub(super) tenant: TenantRule,
    pub(super) roles: Several,
    pub(super) groups: Several,
    pub(super) overage: Overage,
    pub(super) scopes: Several,
    pub(super) required: Vec<Required>,
    /// Whether the resource's own URL is an audience.
    pub(super) own_audience: bool,
    pub(super) audiences: Vec<String>,
    pub(super) max_lifetime: Duration,
    pub(super) skew: Duration,
    pub(super) opaque: OpaqueRule,
}

impl Contract {
    /// Compiles a document.
    ///
    /// # Errors
    /// Every fault there is.
    pub fn compile(document: &Document, version: i64) -> Result<Self, Vec<ContractFault>> {
        let mut faults = Faults::default();
        check(document, &mut faults);
        let who = &document.principal;
        let contract = Self {
            issuer: document.issuer.as_str().into(),
            resource: document.resource.clone(),
            own: false,
            version,
            types: types(&document.types),
            untyped: document.types.iter().any(|word| is_no_type(word)),
            nonce_allowed: document.nonce_allowed,
            algorithms: document.algorithms.clone(),
            user: Single::of(&who.user.from),
            client: Single::of(&who.client.from),
            agent: who.agent.as_ref().map(|agent| Single::of(&agent.from)),
            tenant: TenantRule::of(&who.tenant),
            roles: Several::of(&who.roles, &ROLES),
            groups: Several::of(&who.groups, &GROUPS),
            overage: who.groups_overage.clone(),
            scopes: Several::of(&who.scopes, &SCOPES),
            required: document
                .require
                .iter()
                .map(|(path, rule)| Required::new(path, rule, &mut faults))
                .collect(),
            own_audience: document.audience.resource,
            audiences: document.audience.also.clone(),
            max_lifetime: Duration::from_secs(document.max_lifetime_seconds.into()),
            skew: Duration::from_secs(document.skew_seconds.into()),
            opaque: document.opaque.clone(),
        };
        if faults.0.is_empty() { Ok(contract) } else { Err(faults.0) }
    }

    /// The contract that the configuration of an issuer is. It was checked as configuration already.
    pub fn of(config: &IssuerConfig, opaque: OpaqueRule) -> Self {
        let several = |name: &'static str, from: &[ClaimPath]| Several {
            name,
            ..Several::of(&Many { from: Some(from.to_vec()), ..Many::default() }, &[])
        };
        let single = |name: &'static str, from: &[ClaimPath]| Single { name, from: from.to_vec() };
        let names = &config.claims;
        Self {
            issuer: config.issuer.as_str().into(),
            resource: None,
            own: config.is_own(),
            version: 0,
            types: types(&config.token_types),
            untyped: config.token_types.iter().any(|word| is_no_type(word)),
            nonce_allowed: false,
            algorithms: config.algorithms.clone(),
            user: single("user", &names.user),
            client: single("client", &names.client),
            agent: (!names.agent.is_empty()).then(|| single("agent", &names.agent)),
            tenant: match &config.tenant {
                TenantSource::Fixed(tenant) => TenantRule::Fixed(Arc::clone(tenant)),
                TenantSource::Claims(paths) => {
                    TenantRule::Claim { from: single("tenant", paths), map: Default::default() }
                }
            },
            roles: several("roles", &names.roles),
            groups: several("groups", &names.groups),
            overage: Overage::Deny,
            scopes: several("scopes", &names.scopes),
            required: Vec::new(),
            own_audience: true,
            audiences: config.extra_audiences.clone(),
            max_lifetime: config.max_lifetime,
            skew: config.skew,
            opaque,
        }
    }

    /// The version; zero is what the configuration says.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The one resource it is about; `None`: all of them.
    pub fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    /// The directory that it looks groups up in.
    pub fn group_directory(&self) -> Option<&str> {
        match &self.overage {
            Overage::Deny => None,
            Overage::Lookup(name) => Some(name),
        }
    }

    /// `typ` without case and without `application/` (RFC 7515 §4.1.9).
    // SECURITY: a token without one has to be accepted by the word (test:
    // `a_token_without_a_type_passes_where_none_is_accepted_and_nowhere_else`).
    pub(crate) fn accepts_type(&self, token_type: Option<&str>) -> bool {
        token_type.map_or(self.untyped, |given| self.types.contains(&bare(given)))
    }

    pub(super) fn may_omit(&self, what: Omittable) -> bool {
        self.opaque.may_omit.contains(&what)
    }
}

/// The types among accepted ones, as they are compared.
fn types(accepted: &[String]) -> Vec<String> {
    accepted.iter().filter(|word| !is_no_type(word)).map(|name| bare(name)).collect()
}

/// Whether an accepted type is the word for a token without a `typ` header.
pub(super) fn is_no_type(word: &str) -> bool {
    word.eq_ignore_ascii_case(NO_TYPE)
}

/// Whether every token has to say that it is an access token, by a claim.
fn asks_for_the_kind(document: &Document) -> bool {
    document.require.iter().any(|(path, rule)| {
        let claim = path.strip_prefix('/').unwrap_or(path);
        let said = rule.equals.as_ref().is_some_and(|kind| is_access_kind(claim, kind));
        KINDS.contains(&claim) && said && !rule.optional
    })
}

/// A media type as it is compared.
fn bare(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    text.strip_prefix("application/").map_or(text.clone(), str::to_owned)
}

/// What does not depend on compiling.
fn check(document: &Document, faults: &mut Faults) {
    if document.issuer.is_empty() || document.issuer.len() > NAME_BYTES {
        faults.add("issuer", "no issuer: exactly what its tokens say in `iss`");
    }
    if let Some(resource) = &document.resource
        && let Err(error) = Resource::new(resource, Vec::new(), Vec::new(), Vec::new())
    {
        faults.add("resource", error.to_string());
    }
    if document.types.is_empty() {
        faults.add("types", "a list of nothing accepts nothing");
    }
    // SECURITY: without it an ID token would be told apart by nothing (test:
    // `every_fault_of_a_contract_is_told_and_unknown_keys_are_faults`).
    if document.nonce_allowed && !asks_for_the_kind(document) {
        faults.add(
            "nonce_allowed",
            "only where `require` has `typ: { equals: Bearer }`, or `token_use` likewise",
        );
    }
    if document.algorithms.is_empty() {
        faults.add("algorithms", "a list of nothing accepts nothing");
    }
    if document.skew_seconds > MOST_SKEW_SECONDS {
        faults.add("skew_seconds", format!("more than {MOST_SKEW_SECONDS}"));
    }
    if document.max_lifetime_seconds == 0 || document.max_lifetime_seconds > MOST_LIFETIME_SECONDS {
        faults.add("max_lifetime_seconds", format!("not 1 to {MOST_LIFETIME_SECONDS}"));
    }
    if !document.audience.resource && document.audience.also.is_empty() {
        faults.add("audience", "for nobody: `resource: true`, or at least one under `also`");
    }
    if document.audience.also.iter().any(String::is_empty) {
        faults.add("audience.also", "an empty audience");
    }
    if document.require.len() > MOST_REQUIREMENTS {
        faults.add("require", format!("more than {MOST_REQUIREMENTS} requirements"));
    }
    let who = &document.principal;
    let one = |at: &str, one: &One, faults: &mut Faults| {
        if one.from.is_empty() {
            faults.add(format!("principal.{at}.from"), "no claim");
        }
    };
    one("user", &who.user, faults);
    one("client", &who.client, faults);
    who.agent.iter().for_each(|agent| one("agent", agent, faults));
    match &who.tenant.fixed {
        Some(fixed) if fixed.is_empty() => faults.add("principal.tenant.fixed", "an empty tenant"),
        Some(_) if !who.tenant.map.is_empty() => {
            faults.add("principal.tenant.map", "a tenant that is fixed is not mapped");
        }
        None if who.tenant.from.is_empty() => faults.add("principal.tenant.from", "no claim"),
        _ => {}
    }
    if who.tenant.map.values().any(String::is_empty) {
        faults.add("principal.tenant.map", "an empty tenant");
    }
    for (at, many) in [("roles", &who.roles), ("groups", &who.groups), ("scopes", &who.scopes)] {
        if many.map.is_empty() && many.unmapped != super::Unmapped::Drop {
            faults.add(format!("principal.{at}.unmapped"), "without a `map` every value is taken as it is");
        }
        if many.required && many.from.as_ref().is_some_and(Vec::is_empty) {
            faults.add(format!("principal.{at}.required"), "required, and no claim is looked at");
        }
    }
    let all = who.user.from.iter().chain(&who.client.from).chain(&who.tenant.from);
    let all = all.chain(who.agent.iter().flat_map(|agent| &agent.from));
    let many =
        [&who.roles, &who.groups, &who.scopes].into_iter().filter_map(|many| many.from.as_ref()).flatten();
    let all = all.chain(many).map(ClaimPath::as_str);
    if all
        .chain(document.require.keys().map(String::as_str))
        .any(|path| path.is_empty() || path.len() > NAME_BYTES)
    {
        faults.add("(claims)", format!("a claim's name is 1 to {NAME_BYTES} bytes"));
    }
    let names = document.samples.good.iter().chain(&document.samples.bad).map(|sample| sample.name.as_str());
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            faults.add("samples", format!("two samples are called {name:?}"));
        }
    }
}

/// Among accepted types: a token without a `typ` header.
const NO_TYPE: &str = "none";
/// The longest name of a claim, in bytes.
pub(super) const NAME_BYTES: usize = 256;
/// The most that clocks may differ (the notes of OAuth profiles agree on a minute).
const MOST_SKEW_SECONDS: u32 = 60;
/// A day: what configured issuers have by default.
const MOST_LIFETIME_SECONDS: u32 = 24 * 3600;
const MOST_REQUIREMENTS: usize = 64;
