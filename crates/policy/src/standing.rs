//! Where a subject stands towards an action before any call: which rules are settled, and what is left to
//! evaluate for each call.

use crate::action::Slice;
use crate::condition::{Atom, Outcomes, Reads, Rest, reads_var};
use crate::constants::Constants;
use crate::context::Wanted;
use crate::plain::Plain;
use crate::rule::Rule;
use crate::subject::Subject;
use cedar_policy::pst::{Expr, Literal, Var};
use cedar_policy_core::ast;
use cedar_policy_core::entities::Entities;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The settled and the open part of a slice for one subject.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) parts: Arc<Parts>,
    /// What the open rules read of the principal, action and server; empty if they read nothing.
    pub(crate) entities: Entities,
}

/// The part of a standing that is the same for all subjects whose atoms come out alike.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Rules that hold in every context.
    pub(crate) settled: Vec<Arc<Rule>>,
    /// Rules that depend on the call.
    pub(crate) open: Vec<Open>,
    /// What the open rules read of the call.
    pub(crate) wanted: Wanted,
    /// Whether evaluating the open rules looks up entities.
    dereferences: bool,
}

/// A rule that depends on the call, with what is left of its condition: for Cedar, and in its plain form if it has
/// one.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) rule: Arc<Rule>,
    pub(crate) plain: Option<Plain>,
    pub(crate) expr: ast::Expr,
}

/// The parts worked out for a slice, by how its atoms came out, in the order they were asked.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<HashMap<Vec<Outcomes>, Arc<Parts>>>);

impl Standing {
    pub(crate) fn of(subject: &Subject, slice: &Slice, judge: &mut dyn FnMut(&Atom) -> Outcomes) -> Self {
        // What is left is a function of these answers, so they name it.
        let mut answers = Vec::new();
        let mut ask = |atom: &Atom| {
            let outcome = judge(atom);
            answers.push(outcome);
            outcome
        };
        let rests: Vec<(&Arc<Rule>, Rest)> =
            slice.rules.iter().map(|rule| (rule, rule.condition.rest(&mut ask, &slice.arguments))).collect();
        let mut shared = slice.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.len() >= SHARED && !shared.contains_key(&answers) {
            shared.clear();
        }
        let parts = shared.entry(answers).or_insert_with(|| Arc::new(Parts::of(slice, rests)));
        let parts = Arc::clone(parts);
        drop(shared);
        let entities = if parts.dereferences { subject.entities(slice) } else { Entities::new() };
        Self { parts, entities }
    }
}

impl Parts {
    fn of(slice: &Slice, rests: Vec<(&Arc<Rule>, Rest)>) -> Self {
        let (mut settled, mut open) = (Vec::new(), Vec::new());
        let mut reads = Reads::default();
        let mut dereferences = false;
        for (rule, rest) in rests {
            match rest {
                Rest::Known(true) => settled.push(Arc::clone(rule)),
                Rest::Known(false) => {}
                Rest::Open(expr) => {
                    reads.add(&expr);
                    dereferences |= names_entities(&expr);
                    open.push((Arc::clone(rule), expr));
                }
            }
        }
        let mut constants = Constants::default();
        let open = open
            .into_iter()
            .map(|(rule, expr)| {
                let plain = Plain::of(&expr);
                let lifted = if reads.whole { expr } else { constants.lift(&expr) };
                Open { rule, plain, expr: Arc::unwrap_or_clone(lifted).into() }
            })
            .collect();
        let wanted = Wanted::of(&reads, &slice.arguments).with(constants);
        Self { settled, open, wanted, dereferences }
    }
}

/// Whether evaluating `expr` may look up an entity.
fn names_entities(expr: &Expr) -> bool {
    [Var::Principal, Var::Action, Var::Resource].iter().any(|var| reads_var(expr, var))
        || expr.reduce(
            &|part| match part {
                Expr::Literal(Literal::EntityUID(_)) => Some(true),
                _ => None,
            },
            &|a, b| a || b,
            false,
        )
}

/// Different parts kept per slice: as many as there are kinds of principals.
const SHARED: usize = 64;
