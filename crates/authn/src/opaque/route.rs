//! Which issuer an opaque token is from. It does not say so itself, so the operator does: by how such tokens begin,
//! and by the endpoints at which they are presented. SECURITY: a token is never shown to a second issuer to find out
//! (test: `an_opaque_token_is_shown_to_its_own_issuer_and_to_nobody_else`).

use super::ask::Introspector;
use super::credential::ClientAuth;
use crate::{OpaqueRule, Resource};
use model::Clock;
use net::egress::{Client, Rule};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How opaque tokens of one issuer are recognized and asked about.
#[derive(Clone, Debug)]
pub struct OpaqueConfig {
    /// The issuer, which is one of [`crate::Config::issuers`].
    pub issuer: String,
    /// How its opaque tokens begin; empty: anyhow.
    pub prefix: String,
    /// The paths of the endpoints at which they are presented, such as `/servers/git/mcp`; empty: at all of them.
    pub endpoints: Vec<String>,
    /// Where to ask.
    pub introspection: String,
    /// Which addresses that may have.
    pub rule: Rule,
    /// How we say who asks.
    pub client: ClientAuth,
    /// What is different for opaque tokens in the issuer's contract of version 0.
    pub contract: OpaqueRule,
}

/// Why opaque tokens cannot be told apart, or asked about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpaqueFault {
    /// Two routes would match the same token.
    #[error("an opaque token could be {0:?}'s or {1:?}'s: give them prefixes or endpoints that differ")]
    Ambiguous(String, String),
    /// The prefix is one of signed tokens, or of our own credentials.
    #[error(
        "opaque tokens of {0:?} cannot begin like that: signed tokens do, or credentials of this gateway"
    )]
    Prefix(String),
    /// The issuer is not configured.
    #[error("{0:?} is not one of the issuers")]
    NoIssuer(String),
    /// The endpoint is no URL that may be asked.
    #[error("the introspection endpoint of {issuer:?} cannot be asked: {reason}")]
    Endpoint {
        /// The issuer.
        issuer: String,
        /// Why.
        reason: String,
    },
}

/// The routes, each with the one who asks.
#[derive(Default)]
pub(crate) struct Routes {
    all: Vec<Arc<Introspector>>,
    /// The epoch of the list of revoked tokens that answers are remembered under.
    seen: AtomicU64,
}

impl OpaqueConfig {
    /// What is wrong with routes as such, whether or not anybody can be asked.
    pub fn faults(configs: &[Self], issuers: impl Fn(&str) -> bool) -> Vec<OpaqueFault> {
        let mut faults = Vec::new();
        for (index, config) in configs.iter().enumerate() {
            if !issuers(&config.issuer) {
                faults.push(OpaqueFault::NoIssuer(config.issuer.clone()));
            }
            let begins = |reserved: &str| {
                let prefix = config.prefix.as_str();
                !prefix.is_empty() && (reserved.starts_with(prefix) || prefix.starts_with(reserved))
            };
            if OWN.iter().chain([&SIGNED]).any(|reserved| begins(reserved)) {
                faults.push(OpaqueFault::Prefix(config.issuer.clone()));
            }
            for other in configs.iter().take(index).filter(|other| other.overlaps(config)) {
                faults.push(OpaqueFault::Ambiguous(other.issuer.clone(), config.issuer.clone()));
            }
        }
        faults
    }

    fn overlaps(&self, other: &Self) -> bool {
        let prefixes = self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix);
        let endpoints = self.endpoints.is_empty()
            || other.endpoints.is_empty()
            || self.endpoints.iter().any(|path| other.endpoints.contains(path));
        prefixes && endpoints
    }

    fn matches(&self, token: &[u8], resource: &Resource) -> bool {
        let here = self.endpoints.is_empty() || self.endpoints.iter().any(|path| path == resource.path());
        here && token.starts_with(self.prefix.as_bytes())
    }
}

impl Routes {
    /// Checks the routes against one another.
    pub(crate) fn new(
        configs: &[OpaqueConfig],
        issuers: impl Fn(&str) -> bool,
        egress: &Client,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Vec<OpaqueFault>> {
        let mut faults = OpaqueConfig::faults(configs, issuers);
        let mut routes = Vec::new();
        for config in configs {
            match Introspector::new(config.clone(), egress.clone(), Arc::clone(clock)) {
                Ok(introspector) => routes.push(Arc::new(introspector)),
                Err(reason) => {
                    faults.push(OpaqueFault::Endpoint { issuer: config.issuer.clone(), reason });
                }
            }
        }
        if faults.is_empty() { Ok(Self { all: routes, seen: AtomicU64::new(0) }) } else { Err(faults) }
    }

    /// Whom to ask about a token; `None` for one that is not opaque, or that nobody here knows.
    pub(crate) fn of(&self, token: &[u8], resource: &Resource) -> Option<&Arc<Introspector>> {
        // A signed token says itself who made it, and is not shown to anybody.
        if self.all.is_empty()
            || looks_signed(token)
            || OWN.iter().any(|own| token.starts_with(own.as_bytes()))
        {
            return None;
        }
        self.all.iter().find(|route| route.config.matches(token, resource))
    }

    /// What is different for opaque tokens of this issuer, in its contract of version 0.
    pub(crate) fn rule_of(configs: &[OpaqueConfig], issuer: &str) -> OpaqueRule {
        configs
            .iter()
            .find(|config| config.issuer == issuer)
            .map(|config| config.contract.clone())
            .unwrap_or_default()
    }

    /// Forgets every answer that is from before the list of revoked tokens was what it is now.
    pub(crate) fn forget_before(&self, epoch: u64) {
        if self.seen.swap(epoch, Ordering::AcqRel) != epoch {
            self.all.iter().for_each(|route| route.forget());
        }
    }
}

/// The compact form of a signed or encrypted token: a base64url JSON object first, and dots.
fn looks_signed(token: &[u8]) -> bool {
    let dots = token.iter().filter(|byte| **byte == b'.').count();
    token.starts_with(SIGNED.as_bytes()) && (dots == 2 || dots == 4)
}

/// `{"` in base64url: how every signed token begins.
const SIGNED: &str = "eyJ";
/// How credentials of this gateway begin: they are nobody else's to see.
const OWN: [&str; 2] = ["ptk_", "ptn_"];
