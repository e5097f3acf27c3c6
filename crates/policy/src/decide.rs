//! The decision.

use crate::action::Slice;
use crate::context::Unrepresentable;
use crate::plain::Facts;
use crate::rule::Rule;
use crate::standing::Open;
use crate::subject::Subject;
use crate::{Environment, Zone};
use cedar_policy_core::ast::{self, Literal, Value, ValueKind};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use std::collections::HashMap;
use std::sync::Arc;

/// What policy says about one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Permitted by these rules (at least one).
    Permit {
        /// Ids of the satisfied permits, sorted.
        rules: Vec<Arc<str>>,
    },
    /// Not permitted.
    Deny(Denial),
}

/// Why a call is not permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Ids of the satisfied forbids, or of the rules that erred; sorted. Empty if nothing permits.
    pub rules: Vec<Arc<str>>,
    /// The kind of reason.
    pub reason: DenyReason,
    /// If every satisfied forbid carries `@obligation`: their names, sorted, without repeats. Meeting all of
    /// them and judging again may permit. Otherwise empty.
    pub obligations: Vec<Arc<str>>,
}

/// The kind of reason. Texts are for operators, never for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DenyReason {
    /// A forbid is satisfied.
    Forbidden,
    /// No permit is satisfied.
    NoPermit,
    /// A rule could not be evaluated.
    Error(String),
    /// An argument that a rule reads has no exact value of its declared type.
    Unrepresentable {
        /// JSON pointer into the arguments (RFC 6901).
        pointer: String,
        /// Why.
        reason: &'static str,
    },
    /// A live policy does not validate against this tool ([`crate::Withheld`]).
    Withheld,
}

impl Decision {
    /// Whether the call is permitted.
    pub fn is_permit(&self) -> bool {
        matches!(self, Self::Permit { .. })
    }
}

/// The judgement itself: what is settled for the subject, then what is open, with Cedar's own semantics save
/// one: an error is a denial (Cedar would skip the rule, and a forbid that errs would not forbid).
pub(crate) fn decide(
    subject: &Subject,
    slice: &Slice,
    arguments: &[u8],
    environment: &Environment<'_>,
    zone: &Zone,
) -> Decision {
    if slice.withheld {
        return deny(DenyReason::Withheld);
    }
    let standing = subject.standing(slice);
    let mut tally = Tally::default();
    let parts = &standing.parts;
    for rule in &parts.settled {
        tally.holds(rule);
    }
    if parts.open.is_empty() {
        return tally.decision();
    }
    let arguments = match parts.wanted.read(arguments) {
        Ok(arguments) => arguments,
        // Forbidden whatever the arguments are.
        Err(_) if tally.forbids() => return tally.decision(),
        Err(Unrepresentable { pointer, reason }) => {
            return deny(DenyReason::Unrepresentable { pointer, reason });
        }
    };
    let facts = Facts::new(&arguments, environment, zone);
    // Made for the first rule that is not plain.
    let mut cedar: Option<Evaluator<'_>> = None;
    let slots = HashMap::new();
    for Open { rule, plain, expr } in &parts.open {
        let answer = match plain.as_ref().and_then(|plain| plain.answer(&facts)) {
            Some(holds) => Ok(holds),
            None => {
                let evaluator = match &mut cedar {
                    Some(evaluator) => evaluator,
                    None => match parts.wanted.context(&arguments, environment, zone, subject) {
                        Ok(context) => cedar.insert(Evaluator::new(
                            subject.request(slice, context),
                            &standing.entities,
                            Extensions::all_available(),
                        )),
                        Err(Unrepresentable { pointer, reason }) => {
                            return deny(DenyReason::Unrepresentable { pointer, reason });
                        }
                    },
                };
                holds(evaluator, expr, &slots)
            }
        };
        match answer {
            Ok(true) => tally.holds(rule),
            Ok(false) => {}
            Err(error) => tally.errs(rule, &error),
        }
    }
    tally.decision()
}

/// Whether `condition` holds; what is not a boolean is an error.
pub(crate) fn holds(
    evaluator: &Evaluator<'_>,
    condition: &ast::Expr,
    slots: &ast::SlotEnv,
) -> Result<bool, String> {
    match evaluator.interpret(condition, slots) {
        Ok(Value { value: ValueKind::Lit(Literal::Bool(holds)), .. }) => Ok(holds),
        Ok(_) => Err("the condition is neither true nor false".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The rules that hold or err.
#[derive(Default)]
pub(crate) struct Tally<'a> {
    permits: Vec<&'a Arc<str>>,
    forbids: Vec<&'a Arc<str>>,
    /// `None` as soon as one of the forbids has no obligation.
    obligations: Option<Vec<&'a Arc<str>>>,
    errors: Vec<&'a Arc<str>>,
    error: Option<String>,
}

impl<'a> Tally<'a> {
    pub(crate) fn holds(&mut self, rule: &'a Rule) {
        if rule.permit {
            self.permits.push(&rule.id);
            return;
        }
        self.obligations = match (&rule.obligation, self.obligations.take(), self.forbids.is_empty()) {
            (Some(name), None, true) => Some(vec![name]),
            (Some(name), Some(mut names), _) => {
                names.push(name);
                Some(names)
            }
            _ => None,
        };
        self.forbids.push(&rule.id);
    }

    pub(crate) fn errs(&mut self, rule: &'a Rule, error: &str) {
        self.errors.push(&rule.id);
        self.error.get_or_insert_with(|| format!("{}: {error}", rule.id));
    }

    fn forbids(&self) -> bool {
        !self.forbids.is_empty()
    }

    pub(crate) fn decision(self) -> Decision {
        let Self { permits, forbids, obligations, errors, error } = self;
        if let Some(error) = error {
            // Not to be lifted by an obligation: nobody knows what the erring rule would have said.
            let plainly = obligations.is_none() && !forbids.is_empty();
            let (rules, reason) =
                if plainly { (forbids, DenyReason::Forbidden) } else { (errors, DenyReason::Error(error)) };
            return Decision::Deny(Denial { rules: sorted(rules), reason, obligations: Vec::new() });
        }
        if !forbids.is_empty() {
            // Without a permit, meeting the obligations would change nothing.
            let obligations = if permits.is_empty() { None } else { obligations };
            return Decision::Deny(Denial {
                rules: sorted(forbids),
                reason: DenyReason::Forbidden,
                obligations: sorted(obligations.unwrap_or_default()),
            });
        }
        if permits.is_empty() {
            deny(DenyReason::NoPermit)
        } else {
            Decision::Permit { rules: sorted(permits) }
        }
    }
}

pub(crate) fn deny(reason: DenyReason) -> Decision {
    Decision::Deny(Denial { rules: Vec::new(), reason, obligations: Vec::new() })
}

fn sorted(ids: Vec<&Arc<str>>) -> Vec<Arc<str>> {
    let mut ids: Vec<Arc<str>> = ids.into_iter().cloned().collect();
    ids.sort();
    ids.dedup();
    ids
}
