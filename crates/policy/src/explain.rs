//! Why, and what would change it.

use crate::action::Slice;
use crate::condition::reads_var;
use crate::context::{Unrepresentable, Wanted};
use crate::decide::{decide, holds};
use crate::rule::Rule;
use crate::subject::Subject;
use crate::{Decision, DenyReason, Environment, Zone};
use cedar_policy::pst::Var;
use cedar_policy_core::ast;
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use std::collections::HashMap;
use std::sync::Arc;

/// A decision, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The action's id.
    pub action: String,
    /// The decision as [`crate::Revision::decide`] makes it.
    pub decision: Decision,
    /// Whether the action would be listed for this principal.
    pub listed: bool,
    /// Every policy whose action scope reaches the action, permits first, by id.
    pub trials: Vec<Trial>,
    /// What would change a denial, most useful first; empty for a permit.
    pub would_change: Vec<String>,
}

/// One policy of the slice, tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The policy's id.
    pub rule: Arc<str>,
    /// File and line of the policy, `file:line`.
    pub place: String,
    /// Whether it is a permit (else a forbid).
    pub permit: bool,
    /// Its obligation, if it has one.
    pub obligation: Option<Arc<str>>,
    /// How it came out.
    pub verdict: Verdict,
    /// The parts of its scope and conditions, in order, up to the one that decided.
    pub clauses: Vec<Clause>,
    /// The attributes its conditions read, such as `context.args.amount`.
    pub reads: Vec<String>,
}

/// How a policy, or a part of one, came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Satisfied,
    /// It does not hold.
    Unsatisfied,
    /// It could not be evaluated, with the reason.
    Error(String),
}

/// One conjunct of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Its Cedar text.
    pub text: String,
    /// Whether it depends on the call (else on who calls what).
    pub of_call: bool,
    /// How it came out.
    pub verdict: Verdict,
}

/// A call as it is tried against one rule after the other.
struct Trier<'a> {
    subject: &'a Subject,
    slice: &'a Slice,
    arguments: &'a [u8],
    environment: &'a Environment<'a>,
    zone: &'a Zone,
}

pub(crate) fn explain(
    subject: &Subject,
    slice: &Slice,
    arguments: &[u8],
    environment: &Environment<'_>,
    zone: &Zone,
) -> Explanation {
    let trier = Trier { subject, slice, arguments, environment, zone };
    let mut trials: Vec<Trial> = slice.rules.iter().map(|rule| trier.attempt(rule)).collect();
    trials.sort_by(|a, b| (!a.permit, &a.rule).cmp(&(!b.permit, &b.rule)));
    let decision = decide(subject, slice, arguments, environment, zone);
    let would_change = match &decision {
        Decision::Permit { .. } => Vec::new(),
        Decision::Deny(denial) => match &denial.reason {
            DenyReason::Withheld => vec![format!(
                "nobody may call {} until a live policy validates against it; `portunus policy check` says which",
                slice.id
            )],
            DenyReason::Unrepresentable { pointer, reason } => {
                vec![format!("send a value a policy can judge at {pointer:?}: it is {reason}")]
            }
            DenyReason::Error(error) => vec![format!("a policy could not be evaluated: {error}")],
            DenyReason::Forbidden if !denial.obligations.is_empty() => {
                denial.obligations.iter().map(|name| format!("meet the obligation {name:?}")).collect()
            }
            DenyReason::Forbidden => {
                let mut lines = lifts(&trials);
                if !trials.iter().any(|trial| trial.permit && trial.verdict == Verdict::Satisfied) {
                    lines.extend(needs(slice, &trials));
                }
                lines
            }
            DenyReason::NoPermit => needs(slice, &trials),
        },
    };
    Explanation {
        action: slice.id.to_string(),
        decision,
        listed: subject.listed(slice),
        trials,
        would_change,
    }
}

impl Trier<'_> {
    fn attempt(&self, rule: &Rule) -> Trial {
        let reads = rule.reads();
        let mut clauses = Vec::new();
        let wanted = Wanted::of(&reads, &self.slice.arguments);
        let context = wanted
            .read(self.arguments)
            .and_then(|read| wanted.context(&read, self.environment, self.zone, self.subject));
        let verdict = match context {
            Ok(context) => self.evaluate(rule, context, &mut clauses),
            Err(Unrepresentable { pointer, reason }) => {
                Verdict::Error(format!("argument {pointer:?} is {reason}"))
            }
        };
        Trial {
            rule: Arc::clone(&rule.id),
            place: format!("{}:{}", rule.file, rule.place.line),
            permit: rule.permit,
            obligation: rule.obligation.clone(),
            verdict,
            clauses,
            reads: if reads.inner.is_empty() && !reads.whole { Vec::new() } else { reads.paths() },
        }
    }

    /// The parts in order, up to the first that does not hold.
    fn evaluate(&self, rule: &Rule, context: ast::Context, clauses: &mut Vec<Clause>) -> Verdict {
        let entities = self.subject.entities(self.slice);
        let request = self.subject.request(self.slice, context);
        let evaluator = Evaluator::new(request, &entities, Extensions::all_available());
        for part in &rule.parts {
            let verdict = match holds(&evaluator, &part.as_ref().clone().into(), &HashMap::new()) {
                Ok(true) => Verdict::Satisfied,
                Ok(false) => Verdict::Unsatisfied,
                Err(error) => Verdict::Error(error),
            };
            let stop = verdict != Verdict::Satisfied;
            let of_call = reads_var(part, &Var::Context);
            clauses.push(Clause { text: part.to_string(), of_call, verdict: verdict.clone() });
            if stop {
                return verdict;
            }
        }
        Verdict::Satisfied
    }
}

/// What each forbid that holds rests on.
fn lifts(trials: &[Trial]) -> Vec<String> {
    let held = trials.iter().filter(|trial| !trial.permit && trial.verdict == Verdict::Satisfied);
    held.map(|trial| {
        let Trial { rule, place, clauses, .. } = trial;
        if let Some(name) = &trial.obligation {
            return format!("meet the obligation {name:?} of {rule} ({place})");
        }
        let of_call: Vec<&str> =
            clauses.iter().filter(|clause| clause.of_call).map(|clause| clause.text.as_str()).collect();
        if of_call.is_empty() {
            format!("{rule} ({place}) forbids this whatever the arguments are")
        } else {
            format!("{rule} ({place}) forbids this while {}", of_call.join(" && "))
        }
    })
    .collect()
}

/// What each permit that does not hold lacks; first those that other arguments or another moment could meet.
fn needs(slice: &Slice, trials: &[Trial]) -> Vec<String> {
    let mut lines: Vec<(bool, String)> = trials
        .iter()
        .filter(|trial| trial.permit)
        .filter_map(|trial| {
            let Trial { rule, place, clauses, .. } = trial;
            let (of_call, lack) = match (&trial.verdict, clauses.last()) {
                (Verdict::Satisfied, _) => return None,
                (Verdict::Error(error), _) => (true, format!("could not be evaluated: {error}")),
                (Verdict::Unsatisfied, Some(last)) => (last.of_call, format!("needs {}", last.text)),
                (Verdict::Unsatisfied, None) => (false, "does not hold".to_owned()),
            };
            Some((!of_call, format!("{rule} ({place}) {lack}")))
        })
        .collect();
    lines.sort();
    if lines.is_empty() {
        let groups: Vec<String> = slice.groups.iter().map(|group| format!("Action::{group:?}")).collect();
        return vec![format!(
            "no permit reaches Action::{:?}; one would name it, or one of {}",
            slice.id,
            groups.join(", ")
        )];
    }
    lines.into_iter().map(|(_, line)| line).collect()
}
