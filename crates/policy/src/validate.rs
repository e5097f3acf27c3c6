//! Strict validation, rule by rule and only against the actions in a rule's scope.
//!
//! Cedar's validator takes a whole schema and a whole policy set and does not say which action a policy failed
//! for. Here a rule is validated against one kind of arguments at a time, in a schema that holds no other, and
//! the answer is remembered: actions with arguments of the same types share it, and a server that lists anew
//! costs only what changed.

use crate::fault::{Place, help_of, place_of};
use crate::rule::{Rule, Scope};
use crate::rules::Rules;
use crate::schema::{Declared, Record, context_type, schema_json};
use crate::{PolicyFault, PolicyFile};
use cedar_policy::{PolicySet, Schema, ValidationError, ValidationMode, ValidationWarning, Validator};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError};

/// How a rule fits one kind of arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Valid,
    /// Valid, and never satisfied here.
    Never,
    Invalid(Arc<PolicyFault>),
}

/// What a rule was validated against.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    rule: Arc<str>,
    /// The number of the arguments' types ([`Memo::number`]).
    arguments: usize,
    /// The action's id for a rule whose conditions speak about `action`; any other rule cannot tell actions of
    /// the same arguments apart.
    action: Option<Box<str>>,
}

/// Answers so far.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    types: HashMap<Arc<Record>, usize>,
    answers: HashMap<Key, Fit>,
}

impl Memo {
    pub(crate) fn intern(&mut self, arguments: Record) -> Arc<Record> {
        if let Some((known, _)) = self.types.get_key_value(&arguments) {
            return Arc::clone(known);
        }
        let arguments = Arc::new(arguments);
        self.number(&arguments);
        arguments
    }

    /// A number that arguments share exactly if their types are equal.
    fn number(&mut self, arguments: &Arc<Record>) -> usize {
        let next = self.types.len();
        *self.types.entry(Arc::clone(arguments)).or_insert(next)
    }
}

/// An action to validate rules against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) id: &'a str,
    pub(crate) groups: &'a [String],
    pub(crate) arguments: &'a Arc<Record>,
}

/// Validates each rule against its target; the answers are in the same order.
pub(crate) fn validate(rules: &Rules, pairs: &[(Arc<Rule>, Target<'_>)]) -> Vec<Fit> {
    let mut memo = rules.memo.lock().unwrap_or_else(PoisonError::into_inner);
    if memo.answers.len() > REMEMBERED {
        *memo = Memo::default();
    }
    // One schema per kind of arguments and action: the first action that asks stands for all like it.
    let mut batches: BTreeMap<(usize, &str), Batch<'_>> = BTreeMap::new();
    let mut asked: HashSet<Key> = HashSet::new();
    let mut keys = Vec::with_capacity(pairs.len());
    // Hashing types is dear, and interned ones repeat.
    let mut numbers: HashMap<*const Record, usize> = HashMap::new();
    for (rule, target) in pairs {
        let number = numbers.entry(Arc::as_ptr(target.arguments));
        let arguments = *number.or_insert_with(|| memo.number(target.arguments));
        let action = rule.by_action.then(|| target.id.into());
        let key = Key { rule: Arc::clone(&rule.id), arguments, action };
        if !memo.answers.contains_key(&key) && asked.insert(key.clone()) {
            batches.entry((arguments, target.id)).or_default().push((key.clone(), Arc::clone(rule), *target));
        }
        keys.push(key);
    }
    // A rule that names one action is seen by no other action of the schema, so those share a schema.
    let mut exact: BTreeMap<usize, Batch<'_>> = BTreeMap::new();
    for ((arguments, _), batch) in batches {
        let (named, wide): (Batch<'_>, Batch<'_>) =
            batch.into_iter().partition(|(_, rule, _)| matches!(rule.scope, Scope::Exactly(_)));
        memo.answers.extend(run(rules, wide));
        exact.entry(arguments).or_default().extend(named);
    }
    for batch in exact.into_values() {
        memo.answers.extend(run(rules, batch));
    }
    keys.iter().map(|key| memo.answers.get(key).cloned().unwrap_or_else(unanswered)).collect()
}

type Batch<'a> = Vec<(Key, Arc<Rule>, Target<'a>)>;

/// Validates a batch in one schema. All targets have arguments of the same types.
fn run(rules: &Rules, batch: Batch<'_>) -> Vec<(Key, Fit)> {
    let Some((_, _, Target { arguments, .. })) = batch.first() else { return Vec::new() };
    let contexts = [(CONTEXT.to_owned(), context_type(arguments))];
    let literals: Vec<String> = batch.iter().flat_map(|(_, rule, _)| actions_named(rule)).collect();
    let mut declared: BTreeMap<&str, Declared<'_>> = BTreeMap::new();
    let bare = literals.iter().chain(batch.iter().flat_map(|(_, _, target)| target.groups));
    for id in bare {
        declared.insert(id, Declared { id, groups: &[], context: None });
    }
    for (_, _, Target { id, groups, .. }) in &batch {
        declared.insert(id, Declared { id, groups, context: Some(CONTEXT) });
    }
    let declared: Vec<Declared<'_>> = declared.into_values().collect();
    let policies = PolicySet::from_policies(batch.iter().map(|(_, rule, _)| rule.policy.clone()));
    let schema = Schema::from_json_value(schema_json(&contexts, &declared));
    let (schema, policies) = match (schema, policies) {
        (Ok(schema), Ok(policies)) => (schema, policies),
        (schema, policies) => {
            let why = [schema.err().map(|e| e.to_string()), policies.err().map(|e| e.to_string())];
            let why = why.into_iter().flatten().collect::<Vec<_>>().join("; ");
            return batch.into_iter().map(|(key, rule, _)| (key, Fit::invalid(&rule, &why))).collect();
        }
    };
    let result = Validator::new(schema).validate(&policies, ValidationMode::Strict);
    let mut found: HashMap<String, Fit> = HashMap::new();
    for warning in result.validation_warnings() {
        if let ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) =
            warning
        {
            found.insert(warning.policy_id().to_string(), Fit::Never);
        }
    }
    // The first error of a policy is the one that the others follow from.
    let mut errors: Vec<&ValidationError> = result.validation_errors().collect();
    errors.reverse();
    for error in errors {
        let id = error.policy_id().to_string();
        if let Some((_, rule, _)) = batch.iter().find(|(_, rule, _)| rule.id.as_ref() == id) {
            found.insert(id, Fit::failed(rules.file(&rule.file), rule, error));
        }
    }
    batch
        .into_iter()
        .map(|(key, rule, _)| {
            let fit = found.get(rule.id.as_ref()).cloned().unwrap_or(Fit::Valid);
            (key, fit)
        })
        .collect()
}

impl Fit {
    fn failed(file: Option<&PolicyFile>, rule: &Rule, error: &ValidationError) -> Self {
        let place = file.map_or(rule.place, |file| place_of(file, error));
        let fix = help_of(error).unwrap_or_else(|| {
            "guard an optional attribute with `has`, or name only actions that have it in the scope"
                .to_owned()
        });
        let (file, message) = (rule.file.to_string(), error.to_string());
        let Place { line, column } = place;
        Self::Invalid(Arc::new(PolicyFault { file, line, column, code: "invalid", message, fix }))
    }

    fn invalid(rule: &Rule, message: &str) -> Self {
        let fix = "rename the actions the policy speaks of".to_owned();
        let (file, message) = (rule.file.to_string(), message.to_owned());
        let Place { line, column } = rule.place;
        Self::Invalid(Arc::new(PolicyFault { file, line, column, code: "invalid", message, fix }))
    }
}

/// What was never answered is not valid.
fn unanswered() -> Fit {
    let message = "the validator said nothing about this policy".to_owned();
    let (file, fix) = (String::new(), String::new());
    Fit::Invalid(Arc::new(PolicyFault { file, line: 1, column: 1, code: "invalid", message, fix }))
}

/// The actions a policy names, in scope and conditions: they must exist in the schema.
fn actions_named(rule: &Rule) -> Vec<String> {
    let literals = rule.policy.entity_literals();
    literals
        .iter()
        .filter(|uid| uid.type_name().to_string() == "Action")
        .map(|uid| {
            let id: &str = uid.id().as_ref();
            id.to_owned()
        })
        .collect()
}

const CONTEXT: &str = "Context";
/// Answers remembered before all are forgotten.
const REMEMBERED: usize = 200_000;
