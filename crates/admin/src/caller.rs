//! Who asks, and how far their hand reaches.

use crate::Config;
use crate::admin::Rooms;
use crate::need::Need;
use crate::problem::Problem;
use axum::extract::FromRequestParts;
use http::request::Parts;
use model::{CallId, Code, Principal};
use std::sync::Arc;

/// A caller whom the door let through to the operation. Only the door makes one.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Who it is.
    pub(crate) principal: Arc<Principal>,
    /// How far their hand reaches in this operation.
    pub(crate) reach: Reach,
    /// The id of this request, on record and in every problem.
    pub(crate) reference: CallId,
}

/// Whose rows a caller may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everybody's.
    House,
    /// Those of one tenant.
    Tenant(Arc<str>),
    /// Their own.
    Own,
}

impl Reach {
    /// The one tenant whose rows may be seen; `None` for all of them.
    pub(crate) fn tenant(&self, who: &Principal) -> Option<Arc<str>> {
        match self {
            Self::House => None,
            Self::Tenant(tenant) => Some(Arc::clone(tenant)),
            Self::Own => Some(Arc::clone(&who.tenant)),
        }
    }
}

impl Caller {
    /// Judges a verified principal by what an operation needs of them.
    ///
    /// # Errors
    /// The problem to answer with. A missing scope comes before a missing role: the caller can mend only the first.
    pub(crate) fn judge(
        who: &Arc<Principal>,
        need: Need,
        config: &Config,
        reference: CallId,
    ) -> Result<Self, Problem> {
        if let Some(scope) = need.scope()
            && !who.scopes.iter().any(|held| **held == *scope)
        {
            return Err(Problem::scope(scope));
        }
        let alone = is_alone(who);
        let reach = match need {
            Need::Nothing | Need::Token => Reach::Own,
            // What is an agent's own is its registrar's to look after.
            Need::SelfRead | Need::SelfWrite if alone => return Err(Problem::of(Code::ADMIN_PERSON)),
            Need::SelfRead | Need::SelfWrite => Reach::Own,
            _ if config.is_operator(who) => Reach::House,
            Need::AdminRead | Need::AdminWrite if config.is_tenant_admin(who) => {
                Reach::Tenant(Arc::clone(&who.tenant))
            }
            _ => return Err(Problem::of(Code::ADMIN_ROLE)),
        };
        // SECURITY: an agent that was talked into it changes nothing: `an_agent_alone_changes_nothing_unless_configured`.
        if alone && need.writes() && !config.agents_may_write {
            return Err(Problem::of(Code::ADMIN_PERSON));
        }
        Ok(Self { principal: Arc::clone(who), reach, reference })
    }

    /// Whether it is an agent without a person behind it.
    pub(crate) fn is_alone(&self) -> bool {
        is_alone(&self.principal)
    }

    /// The tenant a list is bound to: the one asked for if it is within reach, else the caller's own; `None` for all.
    ///
    /// # Errors
    /// Not found, for a tenant out of reach.
    pub(crate) fn tenant(&self, asked: Option<&str>) -> Result<Option<Arc<str>>, Problem> {
        let bound = self.reach.tenant(&self.principal);
        match (bound, asked) {
            (bound, None) => Ok(bound),
            (None, Some(asked)) => Ok(Some(asked.into())),
            (Some(bound), Some(asked)) if *bound == *asked => Ok(Some(bound)),
            (Some(_), Some(_)) => Err(Problem::of(Code::ADMIN_NOT_FOUND)),
        }
    }

    /// The tenant a new row belongs to: as [`Caller::tenant`], and the caller's own where nothing says otherwise.
    ///
    /// # Errors
    /// Not found, for a tenant out of reach.
    pub(crate) fn home(&self, asked: Option<&str>) -> Result<Arc<str>, Problem> {
        Ok(self.tenant(asked)?.unwrap_or_else(|| Arc::clone(&self.principal.tenant)))
    }

    /// A row that was found, if its tenant is within reach. This is the one place where a row's tenant is judged.
    ///
    /// # Errors
    /// Not found: for a row that is not there and for one of another tenant alike.
    // SECURITY: `rows_of_another_tenant_are_not_there`, and for every operation `every_operation_is_refused_to_all_but_those_who_may`.
    pub(crate) fn reached<T>(&self, found: Option<T>, tenant: impl FnOnce(&T) -> &str) -> Result<T, Problem> {
        let bound = self.reach.tenant(&self.principal);
        found
            .filter(|row| bound.is_none_or(|bound| *bound == *tenant(row)))
            .ok_or_else(|| Problem::of(Code::ADMIN_NOT_FOUND))
    }
}

/// Our own agents are subject and agent at once; a client of another issuer that acts for itself is subject and client at
/// once (RFC 9068 §2.2).
fn is_alone(who: &Principal) -> bool {
    who.user == who.client || who.agent.as_ref().is_some_and(|agent| *agent == who.user)
}

impl FromRequestParts<Rooms> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Rooms) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::of(Code::ADMIN_ROLE))
    }
}

#[cfg(test)]
mod tests;
