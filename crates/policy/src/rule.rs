//! Policies as read from their files, taken apart once so that deciding is cheap.

use crate::condition::{Condition, Reads, reads_var};
use crate::fault::Place;
use crate::{Lint, PolicyFault, PolicyFile};
use cedar_policy::pst;
use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, ResourceConstraint};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// One policy.
#[derive(Debug)]
pub(crate) struct Rule {
    /// `@id`, or `file#n` counting from 1.
    pub(crate) id: Arc<str>,
    pub(crate) file: Arc<str>,
    pub(crate) place: Place,
    pub(crate) permit: bool,
    /// `@obligation`: only on a forbid that lifts when `context.granted` holds it.
    pub(crate) obligation: Option<Arc<str>>,
    /// Which actions its scope names.
    pub(crate) scope: Scope,
    /// The only server its scope names, if it names one.
    pub(crate) server: Option<Arc<str>>,
    /// Principal and resource scope and all conditions, in the order Cedar evaluates them.
    pub(crate) condition: Condition,
    /// The same, as the parts an explanation shows.
    pub(crate) parts: Vec<Arc<pst::Expr>>,
    /// Whether the conditions speak about `action`.
    pub(crate) by_action: bool,
    /// The policy as parsed, with the rule's id.
    pub(crate) policy: Policy,
    /// Its text, to tell whether it changed.
    pub(crate) text: Box<str>,
}

impl Rule {
    /// What its scope and conditions read of the context.
    pub(crate) fn reads(&self) -> Reads {
        let mut reads = Reads::default();
        self.parts.iter().for_each(|part| reads.add(part));
        reads
    }

    /// Whether it reads `context.args`, so its validity depends on an action's arguments.
    pub(crate) fn reads_arguments(&self) -> bool {
        let reads = self.reads();
        reads.whole || reads.inner.contains_key("args")
    }
}

/// The action scope of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Any,
    /// `action == Action::"..."`.
    Exactly(String),
    /// `action in [...]`: groups, or actions themselves.
    In(Vec<String>),
}

/// The rules of all files, and what is suspicious about their texts.
pub(crate) type Reading = (Vec<Arc<Rule>>, Vec<Lint>);

/// Reads all files. Every fault is reported; the rules are in the order of files and texts.
pub(crate) fn read(files: &[PolicyFile]) -> Result<Reading, Vec<PolicyFault>> {
    let (mut rules, mut lints, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen: BTreeMap<Arc<str>, String> = BTreeMap::new();
    for file in files {
        let set = match PolicySet::from_str(&file.text) {
            Ok(set) => set,
            Err(errors) => {
                faults.extend(errors.iter().map(|error| PolicyFault::syntax(file, error)));
                continue;
            }
        };
        for template in set.templates() {
            let ast: &cedar_policy_core::ast::Template = template.as_ref();
            let place = ast.loc().map_or(Place::START, |loc| Place::of(&file.text, loc.start()));
            faults.push(
                PolicyFault::new(file, place, "template", "a template has no caller here")
                    .fix("write a policy: put an entity in place of `?principal` or `?resource`"),
            );
        }
        let mut policies: Vec<(usize, &Policy)> =
            set.policies().map(|policy| (start(policy), policy)).collect();
        policies.sort_by_key(|(start, _)| *start);
        for (index, (start, policy)) in policies.into_iter().enumerate() {
            let place = Place::of(&file.text, start);
            match rule(file, place, index.saturating_add(1), policy, &mut lints) {
                Err(fault) => faults.push(fault),
                Ok(rule) => {
                    if let Some(first) = seen.get(&rule.id) {
                        faults.push(
                            PolicyFault::new(
                                file,
                                place,
                                "duplicate-id",
                                format!("`{}` is taken by {first}", rule.id),
                            )
                            .fix("give each policy its own @id"),
                        );
                    } else {
                        seen.insert(Arc::clone(&rule.id), format!("{}:{}", file.name, place.line));
                        rules.push(Arc::new(rule));
                    }
                }
            }
        }
    }
    if faults.is_empty() { Ok((rules, lints)) } else { Err(faults) }
}

fn start(policy: &Policy) -> usize {
    let ast: &cedar_policy_core::ast::Policy = policy.as_ref();
    ast.loc().map_or(0, cedar_policy_core::parser::Loc::start)
}

fn rule(
    file: &PolicyFile,
    place: Place,
    number: usize,
    policy: &Policy,
    lints: &mut Vec<Lint>,
) -> Result<Rule, PolicyFault> {
    let id: Arc<str> = match policy.annotation("id").filter(|id| !id.trim().is_empty()) {
        Some(id) => id.into(),
        None => format!("{}#{number}", file.name).into(),
    };
    let mut lint = |code, message: String| {
        lints.push(Lint { file: file.name.clone(), line: place.line, rule: Arc::clone(&id), code, message });
    };
    if policy.annotation("id").is_none_or(|id| id.trim().is_empty()) {
        lint("no-id", "it has no @id, so records name it by its place; add @id(\"...\")".to_owned());
    }
    for (name, _) in policy.annotations() {
        if !KNOWN_ANNOTATIONS.contains(&name) {
            lint(
                "unknown-annotation",
                format!("@{name} means nothing here; known are {}", KNOWN_ANNOTATIONS.join(", ")),
            );
        }
    }
    let permit = policy.effect() == Effect::Permit;
    if permit && !constrained(policy) {
        lint(
            "unconstrained-permit",
            "it permits everything to everyone; name an action or add a condition".to_owned(),
        );
    }
    let broken = |message: String| {
        PolicyFault::new(file, place, "invalid", message).fix("write it in plain Cedar policy syntax")
    };
    let body = policy.to_pst().map_err(|error| broken(error.to_string()))?;
    let parts = parts(body.body());
    let condition = Condition::all(&parts);
    let obligation = policy.annotation("obligation").map(str::trim);
    if let Some(name) = obligation {
        let mut reads = Reads::default();
        parts.iter().for_each(|part| reads.add(part));
        let lifts = parts.iter().any(|part| mentions(part, name)) && reads.inner.contains_key("granted");
        if permit || name.is_empty() || !lifts {
            return Err(PolicyFault::new(
                file,
                place,
                "obligation",
                "@obligation belongs on a forbid that lifts when it is met".to_owned(),
            )
            .fix(&format!("write `forbid (...) unless {{ context.granted.contains({name:?}) }};`")));
        }
    }
    Ok(Rule {
        file: file.name.as_str().into(),
        place,
        permit,
        obligation: obligation.map(Into::into),
        scope: match policy.action_constraint() {
            ActionConstraint::Any => Scope::Any,
            ActionConstraint::Eq(action) => Scope::Exactly(eid(&action)),
            ActionConstraint::In(actions) => Scope::In(actions.iter().map(eid).collect()),
        },
        server: match policy.resource_constraint() {
            ResourceConstraint::Eq(server)
            | ResourceConstraint::In(server)
            | ResourceConstraint::IsIn(_, server) => Some(eid(&server).into()),
            ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
        },
        condition,
        by_action: parts.iter().any(|part| reads_var(part, &pst::Var::Action)),
        parts,
        policy: policy.new_id(PolicyId::new(&id)),
        text: policy.to_cedar().unwrap_or_default().into(),
        id,
    })
}

fn constrained(policy: &Policy) -> bool {
    policy.has_non_scope_constraint()
        || policy.action_constraint() != ActionConstraint::Any
        || policy.principal_constraint() != cedar_policy::PrincipalConstraint::Any
        || policy.resource_constraint() != ResourceConstraint::Any
}

fn eid(uid: &EntityUid) -> String {
    let id: &str = uid.id().as_ref();
    id.to_owned()
}

/// Scope and conditions as one conjunction, in Cedar's order: principal, (action,) resource, then each clause.
/// The action scope is left to the index that found the rule.
fn parts(body: &pst::Template) -> Vec<Arc<pst::Expr>> {
    let mut parts = Vec::new();
    match &body.principal {
        pst::PrincipalConstraint::Any => {}
        pst::PrincipalConstraint::Eq(entity) => parts.extend(equals(pst::Var::Principal, entity)),
        pst::PrincipalConstraint::In(entity) => parts.extend(within(pst::Var::Principal, entity)),
        pst::PrincipalConstraint::Is(ty) => parts.push(is(pst::Var::Principal, ty, None)),
        pst::PrincipalConstraint::IsIn(ty, entity) => {
            parts.push(is(pst::Var::Principal, ty, literal(entity)))
        }
    }
    match &body.resource {
        pst::ResourceConstraint::Any => {}
        pst::ResourceConstraint::Eq(entity) => parts.extend(equals(pst::Var::Resource, entity)),
        pst::ResourceConstraint::In(entity) => parts.extend(within(pst::Var::Resource, entity)),
        pst::ResourceConstraint::Is(ty) => parts.push(is(pst::Var::Resource, ty, None)),
        pst::ResourceConstraint::IsIn(ty, entity) => parts.push(is(pst::Var::Resource, ty, literal(entity))),
    }
    for clause in body.clauses() {
        match clause {
            pst::Clause::When(expr) => conjuncts(expr, &mut parts),
            pst::Clause::Unless(expr) => {
                parts.push(Arc::new(pst::Expr::UnaryOp { op: pst::UnaryOp::Not, expr: Arc::clone(expr) }))
            }
        }
    }
    parts
}

/// `a && b && c` as its three parts, in order.
fn conjuncts(expr: &Arc<pst::Expr>, parts: &mut Vec<Arc<pst::Expr>>) {
    if let pst::Expr::BinaryOp { op: pst::BinaryOp::And, left, right } = expr.as_ref() {
        conjuncts(left, parts);
        conjuncts(right, parts);
    } else {
        parts.push(Arc::clone(expr));
    }
}

fn literal(entity: &pst::EntityOrSlot) -> Option<Arc<pst::Expr>> {
    match entity {
        pst::EntityOrSlot::Entity(uid) => {
            Some(Arc::new(pst::Expr::Literal(pst::Literal::EntityUID(uid.clone()))))
        }
        // Templates are refused before.
        pst::EntityOrSlot::Slot(_) => None,
    }
}

fn binary(op: pst::BinaryOp, var: pst::Var, entity: &pst::EntityOrSlot) -> Option<Arc<pst::Expr>> {
    let right = literal(entity)?;
    Some(Arc::new(pst::Expr::BinaryOp { op, left: Arc::new(pst::Expr::Var(var)), right }))
}

fn equals(var: pst::Var, entity: &pst::EntityOrSlot) -> Option<Arc<pst::Expr>> {
    binary(pst::BinaryOp::Eq, var, entity)
}

fn within(var: pst::Var, entity: &pst::EntityOrSlot) -> Option<Arc<pst::Expr>> {
    binary(pst::BinaryOp::In, var, entity)
}

fn is(var: pst::Var, ty: &pst::EntityType, in_expr: Option<Arc<pst::Expr>>) -> Arc<pst::Expr> {
    Arc::new(pst::Expr::Is { expr: Arc::new(pst::Expr::Var(var)), entity_type: ty.clone(), in_expr })
}

/// Whether `text` appears as a string in `expr`.
fn mentions(expr: &pst::Expr, text: &str) -> bool {
    expr.reduce(
        &|part| match part {
            pst::Expr::Literal(pst::Literal::String(found)) => Some(found.as_str() == text),
            _ => None,
        },
        &|a, b| a || b,
        false,
    )
}

/// Annotations with a meaning. `advice` and `description` are for people.
const KNOWN_ANNOTATIONS: [&str; 4] = ["id", "obligation", "description", "advice"];
