//! From claims to the principal's members.

use super::document::{Many, Tenant, Unmapped, paths};
use crate::claims::{find, is_named_elsewhere, list, may_begin_at, text};
use crate::{AuthnError, ClaimPath};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A member of one text.
pub(super) struct Single {
    /// What a refusal calls it.
    pub(super) name: &'static str,
    pub(super) from: Vec<ClaimPath>,
}

/// The tenant.
pub(super) enum TenantRule {
    Fixed(Arc<str>),
    Claim { from: Single, map: BTreeMap<String, Arc<str>> },
}

/// A member of several texts.
pub(super) struct Several {
    pub(super) name: &'static str,
    pub(super) from: Vec<ClaimPath>,
    pub(super) map: BTreeMap<String, Vec<Arc<str>>>,
    pub(super) unmapped: Unmapped,
    pub(super) required: bool,
}

impl Single {
    /// Called by its first claim.
    pub(super) fn of(from: &[ClaimPath]) -> Self {
        let name = from.first().map_or("claim", |path| super::interned(path.as_str()));
        Self { name, from: from.to_vec() }
    }

    pub(super) fn read(&self, claims: &Map<String, Value>) -> Result<Option<Arc<str>>, AuthnError> {
        match first(claims, &self.from) {
            None => Ok(None),
            Some(value) => {
                text(value).map(|text| Some(Arc::from(text))).ok_or(AuthnError::BadClaim(self.name))
            }
        }
    }

    pub(super) fn needed(&self, claims: &Map<String, Value>) -> Result<Arc<str>, AuthnError> {
        self.read(claims)?.ok_or(AuthnError::BadClaim(self.name))
    }
}

impl TenantRule {
    pub(super) fn of(tenant: &Tenant) -> Self {
        match &tenant.fixed {
            Some(fixed) => Self::Fixed(fixed.as_str().into()),
            None => Self::Claim {
                from: Single::of(&tenant.from),
                map: tenant.map.iter().map(|(from, to)| (from.clone(), to.as_str().into())).collect(),
            },
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Fixed(_) => "tenant",
            Self::Claim { from, .. } => from.name,
        }
    }

    pub(super) fn read(&self, claims: &Map<String, Value>) -> Result<Arc<str>, AuthnError> {
        match self {
            Self::Fixed(tenant) => Ok(Arc::clone(tenant)),
            Self::Claim { from, map } if map.is_empty() => from.needed(claims),
            Self::Claim { from, map } => {
                let value = from.needed(claims)?;
                map.get(value.as_ref()).cloned().ok_or(AuthnError::ClaimRefused(from.name))
            }
        }
    }
}

impl Several {
    pub(super) fn of(many: &Many, usual: &[&str]) -> Self {
        let from = many.from.clone().unwrap_or_else(|| paths(usual));
        let to = |values: &Vec<String>| values.iter().map(|value| value.as_str().into()).collect();
        Self {
            name: from.first().map_or("claim", |path| super::interned(path.as_str())),
            from,
            map: many.map.iter().map(|(from, values)| (from.clone(), to(values))).collect(),
            unmapped: if many.map.is_empty() { Unmapped::Keep } else { many.unmapped },
            required: many.required,
        }
    }

    /// The values; `None` where the token says that they are elsewhere.
    pub(super) fn read(&self, claims: &Map<String, Value>) -> Result<Option<Vec<Arc<str>>>, AuthnError> {
        let bad = AuthnError::BadClaim(self.name);
        match first(claims, &self.from) {
            // SECURITY: too many to name is not none (tests: `groups_that_are_elsewhere_are_never_none`,
            // `groups_that_are_elsewhere_are_never_none_however_their_claim_is_written`).
            _ if self.is_elsewhere(claims) => Ok(None),
            None if self.required => Err(bad),
            None => Ok(Some(Vec::new())),
            Some(value) => self.mapped(list(value).ok_or(bad)?).map(Some),
        }
    }

    /// The values under their names here, sorted, without repeats.
    pub(super) fn mapped(&self, values: Vec<Arc<str>>) -> Result<Vec<Arc<str>>, AuthnError> {
        if self.map.is_empty() {
            return Ok(values);
        }
        let mut mapped = Vec::with_capacity(values.len());
        for value in values {
            match (self.map.get(value.as_ref()), self.unmapped) {
                (Some(names), _) => mapped.extend(names.iter().cloned()),
                (None, Unmapped::Keep) => mapped.push(value),
                (None, Unmapped::Drop) => {}
                (None, Unmapped::Refuse) => return Err(AuthnError::ClaimRefused(self.name)),
            }
        }
        mapped.sort_unstable();
        mapped.dedup();
        Ok(mapped)
    }

    /// A provider that has too many groups for a token says where they are instead (OpenID Connect Core §5.6.2).
    /// Entra says so by `hasgroups` where a token came by the browser's address.
    fn is_elsewhere(&self, claims: &Map<String, Value>) -> bool {
        let hinted = claims.get("hasgroups").is_some_and(|has| has != &Value::Bool(false))
            && self.from.iter().any(|path| may_begin_at(path, "groups"));
        hinted || is_named_elsewhere(claims, &self.from)
    }
}

fn first<'a>(claims: &'a Map<String, Value>, paths: &[ClaimPath]) -> Option<&'a Value> {
    paths.iter().find_map(|path| find(claims, path))
}
