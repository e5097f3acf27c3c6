//! Where a subject stands towards an action before any call: which rules are settled, and what is left to
//! evaluate for each call.

use crate::action::Slice;
use crate::condition::{Atom, Outcomes, Reads, Rest, reads_var};
use crate::context::Wanted;
use crate::rule::Rule;
use crate::subject::Subject;
use cedar_policy::pst::{Expr, Var};
use cedar_policy_core::ast;
use cedar_policy_core::entities::Entities;
use std::sync::Arc;

/// The settled and the open part of a slice for one subject.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Rules that hold in every context.
    pub(crate) settled: Vec<Arc<Rule>>,
    /// Rules that depend on the call, with what is left of their condition.
    pub(crate) open: Vec<(Arc<Rule>, ast::Expr)>,
    /// What the open rules read of the call.
    pub(crate) wanted: Wanted,
    /// What the open rules read of the principal, action and server; empty if they read nothing.
    pub(crate) entities: Entities,
}

impl Standing {
    pub(crate) fn of(subject: &Subject, slice: &Slice, judge: &mut dyn FnMut(&Atom) -> Outcomes) -> Self {
        let (mut settled, mut open) = (Vec::new(), Vec::new());
        let mut reads = Reads::default();
        let mut dereferences = false;
        for rule in &slice.rules {
            match rule.condition.rest(judge, &slice.arguments) {
                Rest::Known(true) => settled.push(Arc::clone(rule)),
                Rest::Known(false) => {}
                Rest::Open(expr) => {
                    reads.add(&expr);
                    dereferences |= names_entities(&expr);
                    open.push((Arc::clone(rule), expr.as_ref().clone().into()));
                }
            }
        }
        Self {
            settled,
            open,
            wanted: Wanted::of(&reads, &slice.arguments),
            entities: if dereferences { subject.entities(slice) } else { Entities::new() },
        }
    }
}

/// Whether evaluating `expr` may look up an entity.
fn names_entities(expr: &Expr) -> bool {
    [Var::Principal, Var::Action, Var::Resource].iter().any(|var| reads_var(expr, var))
        || expr.reduce(
            &|part| match part {
                Expr::Literal(cedar_policy::pst::Literal::EntityUID(_)) => Some(true),
                _ => None,
            },
            &|a, b| a || b,
            false,
        )
}
