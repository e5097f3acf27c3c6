//! Constants of open conditions, made once instead of for every call: `ip("10.0.0.0/8")` is parsed anew each
//! time Cedar evaluates it, and a list is built anew.
//!
//! They ride in the context under names no policy can say: validation refuses attributes the schema does not
//! declare. A condition that reads the context as a whole is left as it is.

use crate::context;
use cedar_policy::RestrictedExpression;
use cedar_policy::pst::{Expr, Literal, UnaryOp, Var};
use cedar_policy_core::ast::Value;
use std::sync::Arc;

/// Constants by the name they have in the context.
#[derive(Clone, Debug, Default)]
pub(crate) struct Constants(Vec<(String, Value)>);

impl Constants {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.clone()))
    }

    /// `expr` with its constants replaced by reads of the context.
    pub(crate) fn lift(&mut self, expr: &Arc<Expr>) -> Arc<Expr> {
        if let Some(value) = constant(expr) {
            let name = format!("#{}", self.0.len());
            self.0.push((name.clone(), value));
            let context = Arc::new(Expr::Var(Var::Context));
            return Arc::new(Expr::GetAttr { expr: context, attr: name.into() });
        }
        Arc::new(match expr.as_ref() {
            Expr::UnaryOp { op, expr } => Expr::UnaryOp { op: *op, expr: self.lift(expr) },
            Expr::BinaryOp { op, left, right } => {
                Expr::BinaryOp { op: *op, left: self.lift(left), right: self.lift(right) }
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => Expr::IfThenElse {
                cond: self.lift(cond),
                then_expr: self.lift(then_expr),
                else_expr: self.lift(else_expr),
            },
            // Elsewhere constants are rare; leaving them is always right.
            _ => return Arc::clone(expr),
        })
    }
}

/// The value of a literal that Cedar would make anew for every call.
fn constant(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::UnaryOp { op, expr } => {
            let Expr::Literal(Literal::String(text)) = expr.as_ref() else { return None };
            let made = match op {
                UnaryOp::Ip => RestrictedExpression::new_ip(text),
                UnaryOp::Decimal => RestrictedExpression::new_decimal(text),
                UnaryOp::Datetime => RestrictedExpression::new_datetime(text),
                UnaryOp::Duration => RestrictedExpression::new_duration(text),
                _ => return None,
            };
            context::value(made)
        }
        Expr::Set(items) if !items.is_empty() => {
            let items: Option<Vec<Value>> = items.iter().map(|item| scalar(item)).collect();
            items.map(|items| Value::set(items, None))
        }
        _ => None,
    }
}

fn scalar(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::Literal(Literal::String(text)) => Some(Value::from(text.as_str())),
        Expr::Literal(Literal::Long(number)) => Some(Value::from(*number)),
        _ => None,
    }
}
