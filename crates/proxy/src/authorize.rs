//! Policy decides. Nothing is permitted by default, and an error is a denial.

mod asking;

use crate::house::House;
use crate::resolve::{Named, Target};
use crate::stop::{Denied, Refusal, Stop, Why};
use crate::trail::{Stage, Trail};
use model::{Code, ErrorKind};
use policy::{ActionName, Decision, DenyReason, Environment};
use protocol::Raw;
use std::sync::Arc;

/// A target that policy permits, and what it judged.
pub(crate) struct Permit {
    target: Target,
    judged: Raw,
}

impl Permit {
    /// The target and the arguments that were judged.
    pub(crate) fn into_parts(self) -> (Target, Raw) {
        (self.target, self.judged)
    }
}

/// Asks policy.
pub(crate) fn authorize(house: &House, mut target: Target) -> Result<Permit, Stop> {
    let rules = house.rules.current();
    let trail = &mut target.call.trail;
    let (Some(principal), Some(key), Some(name)) = (trail.principal.clone(), trail.key, trail.item.clone())
    else {
        return Err(hidden(target, "the request is not resolved"));
    };
    trail.revision = Some(rules.revision.digest());
    let action = match &target.named {
        Named::Tool(_) => ActionName::Tool(&target.server, &name),
        Named::Prompt(_) => ActionName::Prompt(&target.server, &name),
        Named::Resource => ActionName::Resource(&target.server),
    };
    let Some(action) = rules.revision.action(&action) else {
        return Err(hidden(target, "policy does not know this action"));
    };
    let subject = rules.subject(key, &principal);
    let decision =
        Arc::new(rules.revision.decide(&subject, &action, target.arguments.as_bytes(), &environment(trail)));
    trail.decision = Some(Arc::clone(&decision));
    trail.mark(house, Stage::Authorize);
    match &*decision {
        Decision::Permit { .. } => {
            if let Some((code, reason)) = unfit(house, &target) {
                return Err(Stop::fault(target.call.trail, ErrorKind::Unavailable, code, reason));
            }
            asking::narrow(house, &rules, &subject, &mut target);
            Ok(Permit { judged: target.arguments.clone(), target })
        }
        Decision::Deny(denial) if rules.revision.listable(&subject, &action) => {
            let why = if denial.obligations.is_empty() {
                Why::Denied(Denied { message: words(&denial.reason), reason: reason(&denial.reason) })
            } else {
                Why::AskFirst(denial.obligations.clone())
            };
            Err(Stop::new(target.call.trail, why))
        }
        Decision::Deny(denial) => {
            let reason = format!("not visible to the caller: {}", reason(&denial.reason));
            Err(hidden(target, &reason))
        }
    }
}

/// Why a permitted call may not be sent all the same: its server is contained, or it is not known well enough what has
/// been revoked to let it have an effect.
fn unfit(house: &House, target: &Target) -> Option<(Code, &'static str)> {
    let tenant = &target.call.caller.verified.principal.tenant;
    // SECURITY: `a_contained_server_gets_nothing`.
    if house.authn.contains(target.server.as_str(), Some(tenant)) {
        return Some((Code::SERVER_CONTAINED, "the server is contained"));
    }
    if target.plain_read { None } else { house.unsure() }
}

/// The facts of the moment, as policy reads them.
pub(crate) fn environment(trail: &Trail) -> Environment<'_> {
    Environment {
        now: trail.at,
        ip: trail.peer.ip(),
        plan: plan(trail.plan.as_deref()),
        conversation_source: trail
            .conversation
            .as_ref()
            .map_or("inferred", |conversation| conversation.source.as_str()),
        granted: &[],
    }
}

/// The downstream identity, as policy reads it.
pub(crate) fn plan(plan: Option<&broker::Plan>) -> policy::Plan<'_> {
    policy::Plan {
        strategy: plan.map_or(broker::Strategy::None, broker::Plan::strategy).as_str(),
        account: plan.map(broker::Plan::account).filter(|account| !account.is_empty()),
        audience: plan.and_then(broker::Plan::audience),
    }
}

/// What the caller may not see answers exactly as what is not there.
fn hidden(target: Target, reason: &str) -> Stop {
    let what = match &target.named {
        Named::Tool(_) => "tool",
        Named::Prompt(_) => "prompt",
        Named::Resource => "resource",
    };
    Stop::refused(target.call.trail, Refusal::unknown(what, &target.shown, reason))
}

/// What the caller reads: which kind of no, never which rule or value.
fn words(reason: &DenyReason) -> String {
    match reason {
        DenyReason::Forbidden => "a rule forbids this call with these arguments in this context".to_owned(),
        DenyReason::NoPermit => "no rule permits this call with these arguments in this context".to_owned(),
        DenyReason::Unrepresentable { pointer, .. } => {
            format!("the argument at {pointer} cannot be judged exactly")
        }
        DenyReason::Error(_) | DenyReason::Withheld => {
            "the rules for this call cannot be evaluated".to_owned()
        }
    }
}

/// What the operator reads.
fn reason(reason: &DenyReason) -> Arc<str> {
    match reason {
        DenyReason::Forbidden => "a forbid is satisfied".into(),
        DenyReason::NoPermit => "no permit is satisfied".into(),
        DenyReason::Error(text) => format!("a rule erred: {text}").into(),
        DenyReason::Unrepresentable { pointer, reason } => format!("{pointer}: {reason}").into(),
        DenyReason::Withheld => "a live policy does not validate against the tool".into(),
    }
}
