//! A policy's condition, split into what the principal alone settles and what needs the call.
//!
//! Cedar's `&&`, `||`, `!` and `if` are kept; every largest part that does not read `context` is an [`Atom`],
//! which Cedar itself evaluates once per subject. What remains is evaluated by Cedar for each call. Nothing here
//! gives an expression a meaning of its own: it only tells which outcomes are still possible.

use crate::schema::{Record, Type};
use cedar_policy::pst::{BinaryOp, Expr, Literal, UnaryOp, Var};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A set of outcomes that are still possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outcomes(u8);

impl Outcomes {
    pub(crate) const TRUE: Self = Self(1);
    pub(crate) const FALSE: Self = Self(2);
    pub(crate) const ERROR: Self = Self(4);
    pub(crate) const ANY: Self = Self(7);

    pub(crate) fn can(self, outcome: Self) -> bool {
        self.0 & outcome.0 != 0
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn only(self, mask: Self) -> Self {
        Self(self.0 & mask.0)
    }

    fn not(self) -> Self {
        let mut out = self.only(Self::ERROR);
        if self.can(Self::TRUE) {
            out = out.or(Self::FALSE);
        }
        if self.can(Self::FALSE) {
            out = out.or(Self::TRUE);
        }
        out
    }

    /// `self` first, then `next` where `self` came out as `goes_on`.
    fn then(self, goes_on: Self, next: Self) -> Self {
        let stays = Self(self.0 & !goes_on.0);
        if self.can(goes_on) { stays.or(next) } else { stays }
    }
}

/// A part that does not read `context`.
#[derive(Debug)]
pub(crate) struct Atom {
    pub(crate) expr: Arc<Expr>,
    /// For Cedar's evaluator, without source locations: copying those is most of its work.
    pub(crate) ast: cedar_policy_core::ast::Expr,
    /// Whether `action` or `resource` is read, so the outcome differs by action.
    pub(crate) by_action: bool,
    /// Its number among all atoms of the same rules; set by `number`.
    pub(crate) index: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Static(Arc<Atom>),
    /// `context.<base> has <rest>`.
    Has {
        base: Vec<Box<str>>,
        rest: Vec<Box<str>>,
        expr: Arc<Expr>,
    },
    /// Anything else that reads `context`.
    Open(Arc<Expr>),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    If(Box<Condition>, Box<Condition>, Box<Condition>),
}

/// A condition after what is settled has been settled.
#[derive(Clone, Debug)]
pub(crate) enum Rest {
    Known(bool),
    Open(Arc<Expr>),
}

impl Condition {
    /// The conjunction of `parts`, in order.
    pub(crate) fn all(parts: &[Arc<Expr>]) -> Self {
        let whole = parts.iter().cloned().reduce(and).unwrap_or_else(|| truth(true));
        Self::of(&whole)
    }

    fn of(expr: &Arc<Expr>) -> Self {
        if !reads_var(expr, &Var::Context) {
            let by_action = reads_var(expr, &Var::Action) || reads_var(expr, &Var::Resource);
            let ast = expr.as_ref().clone().into();
            return Self::Static(Arc::new(Atom { expr: Arc::clone(expr), ast, by_action, index: 0 }));
        }
        match expr.as_ref() {
            Expr::UnaryOp { op: UnaryOp::Not, expr } => Self::Not(Box::new(Self::of(expr))),
            Expr::BinaryOp { op: BinaryOp::And, left, right } => {
                Self::And(Box::new(Self::of(left)), Box::new(Self::of(right)))
            }
            Expr::BinaryOp { op: BinaryOp::Or, left, right } => {
                Self::Or(Box::new(Self::of(left)), Box::new(Self::of(right)))
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => Self::If(
                Box::new(Self::of(cond)),
                Box::new(Self::of(then_expr)),
                Box::new(Self::of(else_expr)),
            ),
            Expr::HasAttr { expr: base, attrs } => match path(base) {
                Some(base) => Self::Has {
                    base: base.into_iter().map(Into::into).collect(),
                    rest: attrs.iter().map(|attr| attr.as_str().into()).collect(),
                    expr: Arc::clone(expr),
                },
                None => Self::Open(Arc::clone(expr)),
            },
            _ => Self::Open(Arc::clone(expr)),
        }
    }

    /// The outcomes possible over all contexts, given what the atoms come to. Errors are kept apart, because
    /// an error is a denial: `context... && false` may still err.
    pub(crate) fn outcomes(&self, judge: &mut dyn FnMut(&Atom) -> Outcomes, arguments: &Record) -> Outcomes {
        match self {
            Self::Static(atom) => judge(atom),
            Self::Has { base, rest, .. } => presence(base, rest, arguments),
            Self::Open(_) => Outcomes::ANY,
            Self::Not(inner) => inner.outcomes(judge, arguments).not(),
            Self::And(left, right) => {
                let left = left.outcomes(judge, arguments);
                if !left.can(Outcomes::TRUE) {
                    return left;
                }
                left.then(Outcomes::TRUE, right.outcomes(judge, arguments))
            }
            Self::Or(left, right) => {
                let left = left.outcomes(judge, arguments);
                if !left.can(Outcomes::FALSE) {
                    return left;
                }
                left.then(Outcomes::FALSE, right.outcomes(judge, arguments))
            }
            Self::If(cond, yes, no) => {
                let cond = cond.outcomes(judge, arguments);
                let mut out = cond.only(Outcomes::ERROR);
                if cond.can(Outcomes::TRUE) {
                    out = out.or(yes.outcomes(judge, arguments));
                }
                if cond.can(Outcomes::FALSE) {
                    out = out.or(no.outcomes(judge, arguments));
                }
                out
            }
        }
    }

    /// What is left to evaluate. Equivalent for Cedar in every context that `arguments` types, errors included.
    pub(crate) fn rest(&self, judge: &mut dyn FnMut(&Atom) -> Outcomes, arguments: &Record) -> Rest {
        let settled = |outcomes: Outcomes, expr: &Arc<Expr>| match outcomes {
            Outcomes::TRUE => Rest::Known(true),
            Outcomes::FALSE => Rest::Known(false),
            _ => Rest::Open(Arc::clone(expr)),
        };
        match self {
            Self::Static(atom) => settled(judge(atom), &atom.expr),
            Self::Has { base, rest, expr } => settled(presence(base, rest, arguments), expr),
            Self::Open(expr) => Rest::Open(Arc::clone(expr)),
            Self::Not(inner) => match inner.rest(judge, arguments) {
                Rest::Known(known) => Rest::Known(!known),
                Rest::Open(expr) => Rest::Open(Arc::new(Expr::UnaryOp { op: UnaryOp::Not, expr })),
            },
            Self::And(left, right) => match left.rest(judge, arguments) {
                Rest::Known(false) => Rest::Known(false),
                Rest::Known(true) => right.rest(judge, arguments),
                // The right side stays even when it is known: only the left decides whether it is reached.
                Rest::Open(left) => match right.rest(judge, arguments) {
                    Rest::Known(true) => Rest::Open(left),
                    Rest::Known(false) => Rest::Open(and(left, truth(false))),
                    Rest::Open(right) => Rest::Open(and(left, right)),
                },
            },
            Self::Or(left, right) => match left.rest(judge, arguments) {
                Rest::Known(true) => Rest::Known(true),
                Rest::Known(false) => right.rest(judge, arguments),
                Rest::Open(left) => match right.rest(judge, arguments) {
                    Rest::Known(false) => Rest::Open(left),
                    Rest::Known(true) => Rest::Open(or(left, truth(true))),
                    Rest::Open(right) => Rest::Open(or(left, right)),
                },
            },
            Self::If(cond, yes, no) => match cond.rest(judge, arguments) {
                Rest::Known(true) => yes.rest(judge, arguments),
                Rest::Known(false) => no.rest(judge, arguments),
                Rest::Open(cond) => Rest::Open(Arc::new(Expr::IfThenElse {
                    cond,
                    then_expr: yes.rest(judge, arguments).expr(),
                    else_expr: no.rest(judge, arguments).expr(),
                })),
            },
        }
    }

    /// Calls `visit` for each atom.
    pub(crate) fn atoms_mut(&mut self, visit: &mut dyn FnMut(&mut Arc<Atom>)) {
        match self {
            Self::Static(atom) => visit(atom),
            Self::Has { .. } | Self::Open(_) => {}
            Self::Not(inner) => inner.atoms_mut(visit),
            Self::And(left, right) | Self::Or(left, right) => {
                left.atoms_mut(visit);
                right.atoms_mut(visit);
            }
            Self::If(cond, yes, no) => {
                cond.atoms_mut(visit);
                yes.atoms_mut(visit);
                no.atoms_mut(visit);
            }
        }
    }
}

impl Rest {
    fn expr(self) -> Arc<Expr> {
        match self {
            Self::Known(known) => truth(known),
            Self::Open(expr) => expr,
        }
    }
}

/// Whether `context.<base> has <rest>` can hold: an attribute without a type is never in the context.
fn presence(base: &[Box<str>], rest: &[Box<str>], arguments: &Record) -> Outcomes {
    let mut whole = base.iter().chain(rest).map(AsRef::as_ref);
    let first: &str = whole.next().unwrap_or_default();
    let depth = base.len().saturating_add(rest.len());
    if first != "args" {
        let alone = base.is_empty() && depth == 1;
        return match (alone, ALWAYS.contains(&first)) {
            (true, true) => Outcomes::TRUE,
            (true, false) => Outcomes::FALSE,
            (false, _) => Outcomes::ANY,
        };
    }
    if depth == 1 {
        return Outcomes::TRUE;
    }
    // Past `context.args`, reading the base itself may find nothing.
    let may_err = if base.len() > 1 { Outcomes::ERROR } else { Outcomes::FALSE };
    let mut record = arguments;
    let mut left = depth.saturating_sub(1);
    for name in whole {
        left = left.saturating_sub(1);
        match record.get(name).map(|field| &field.ty) {
            None if left >= rest.len() => return Outcomes::ANY,
            None => return Outcomes::FALSE.or(may_err),
            Some(Type::Record(inner)) => record = inner,
            Some(_) if left > 0 => return Outcomes::ANY,
            Some(_) => {}
        }
    }
    Outcomes::TRUE.or(Outcomes::FALSE).or(may_err)
}

/// What conditions read of the context, as a tree of attribute names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// The value itself is read, with all it holds. Otherwise only its presence and what `inner` names.
    pub(crate) whole: bool,
    pub(crate) inner: BTreeMap<Box<str>, Reads>,
}

impl Reads {
    /// Adds what `expr` reads.
    pub(crate) fn add(&mut self, expr: &Expr) {
        if let Some(path) = path(expr) {
            self.at(path).whole = true;
            return;
        }
        match expr {
            Expr::Literal(_) | Expr::Var(_) | Expr::Slot(_) => {}
            Expr::HasAttr { expr, attrs } => match path(expr) {
                Some(mut path) => {
                    path.extend(attrs.iter().map(|attr| attr.as_str()));
                    self.at(path);
                }
                None => self.add(expr),
            },
            Expr::UnaryOp { expr, .. } | Expr::GetAttr { expr, .. } | Expr::Like { expr, .. } => {
                self.add(expr)
            }
            Expr::BinaryOp { left, right, .. } => {
                self.add(left);
                self.add(right);
            }
            Expr::Is { expr, in_expr, .. } => {
                self.add(expr);
                if let Some(expr) = in_expr {
                    self.add(expr);
                }
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                for expr in [cond, then_expr, else_expr] {
                    self.add(expr);
                }
            }
            Expr::Set(items) => items.iter().for_each(|item| self.add(item)),
            Expr::Record(fields) => fields.values().for_each(|field| self.add(field)),
            // A kind of expression this version does not know may read anything.
            _ => self.whole = true,
        }
    }

    fn at(&mut self, path: Vec<&str>) -> &mut Self {
        path.into_iter().fold(self, |node, name| node.inner.entry(name.into()).or_default())
    }

    /// The paths read, such as `context.args.amount`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.walk("context", &mut out);
        out
    }

    fn walk(&self, at: &str, out: &mut Vec<String>) {
        if self.whole || self.inner.is_empty() {
            out.push(at.to_owned());
            return;
        }
        for (name, inner) in &self.inner {
            inner.walk(&format!("{at}.{name}"), out);
        }
    }
}

/// `context.a.b` as `[a, b]`; `None` for anything else.
pub(crate) fn path(expr: &Expr) -> Option<Vec<&str>> {
    match expr {
        Expr::Var(Var::Context) => Some(Vec::new()),
        Expr::GetAttr { expr, attr } => {
            let mut path = path(expr)?;
            path.push(attr.as_str());
            Some(path)
        }
        _ => None,
    }
}

/// Whether `var` appears in `expr`.
pub(crate) fn reads_var(expr: &Expr, var: &Var) -> bool {
    expr.reduce(
        &|part| match part {
            Expr::Var(found) => Some(found == var),
            _ => None,
        },
        &|a, b| a || b,
        false,
    )
}

fn and(left: Arc<Expr>, right: Arc<Expr>) -> Arc<Expr> {
    Arc::new(Expr::BinaryOp { op: BinaryOp::And, left, right })
}

fn or(left: Arc<Expr>, right: Arc<Expr>) -> Arc<Expr> {
    Arc::new(Expr::BinaryOp { op: BinaryOp::Or, left, right })
}

fn truth(known: bool) -> Arc<Expr> {
    Arc::new(Expr::Literal(Literal::Bool(known)))
}

/// What every context holds.
const ALWAYS: [&str; 6] = ["args", "time", "network", "plan", "conversation", "granted"];
