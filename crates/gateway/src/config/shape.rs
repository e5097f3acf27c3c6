//! Faults of shape: unknown keys, wrong kinds, missing parts, by the JSON schema of the file.

use super::check::At;
use super::fault::Fault;
use super::units::{SIZE_ACCEPTS, SIZE_PATTERN, SPAN_ACCEPTS, SPAN_PATTERN};
use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

/// Every place where `document` differs from the schema.
pub(super) fn faults(schema: &Value, document: &Value) -> Vec<Fault> {
    let Ok(validator) = jsonschema::validator_for(schema) else {
        return Vec::new();
    };
    validator.iter_errors(document).flat_map(|error| said(schema, &error)).collect()
}

/// One validation error in the words of this file format.
fn said(schema: &Value, error: &ValidationError<'_>) -> Vec<Fault> {
    let at = At(steps(error.instance_path().as_str()));
    let holder = error.schema_path().as_str().rsplit_once('/').and_then(|(head, _)| schema.pointer(head));
    let one = |what: String, accepts: String| vec![Fault::new(at.clone(), what, accepts)];
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = keys(holder.and_then(|holder| holder.get("properties")));
            unexpected
                .iter()
                .map(|name| {
                    let what = format!("unknown key `{name}`");
                    let fault = Fault::new(at.key(name), what, Fault::one_of(&known)).meant(name, &known);
                    Fault { surplus: true, ..fault }
                })
                .collect()
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            one(format!("`{name}` is missing"), format!("a `{name}` here"))
        }
        ValidationErrorKind::Type { kind } => {
            let kinds = match kind {
                TypeKind::Single(kind) => vec![words(&kind.to_string())],
                TypeKind::Multiple(many) => many
                    .iter()
                    .map(|kind| words(&kind.to_string()))
                    .filter(|word| *word != "nothing")
                    .collect(),
            };
            let accepts = match holder.and_then(|holder| holder.get("pattern")) {
                Some(pattern) => by_pattern(pattern.as_str().unwrap_or_default()),
                None => kinds.join(" or "),
            };
            one(format!("{} where it does not belong", kind_of(error.instance())), accepts)
        }
        ValidationErrorKind::Pattern { pattern } => {
            one("the value is not of the right form".to_owned(), by_pattern(pattern))
        }
        ValidationErrorKind::Enum { .. }
        | ValidationErrorKind::OneOfNotValid { .. }
        | ValidationErrorKind::AnyOf { .. } => {
            let known = choices(holder);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let written = error.instance().as_str().unwrap_or_default().to_owned();
            vec![Fault::new(at, "no such choice", Fault::one_of(&known)).meant(&written, &known)]
        }
        ValidationErrorKind::Minimum { limit } => {
            one("the number is too small".to_owned(), format!("at least {limit}"))
        }
        ValidationErrorKind::Maximum { limit } => {
            one("the number is too large".to_owned(), format!("at most {limit}"))
        }
        other => {
            one(format!("not accepted ({})", other.keyword()), "see the schema: `portunus schema`".to_owned())
        }
    }
}

fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

fn keys(properties: Option<&Value>) -> Vec<&str> {
    let mut keys: Vec<&str> = properties
        .and_then(Value::as_object)
        .map(|map| map.keys().map(String::as_str).collect())
        .unwrap_or_default();
    keys.sort_unstable();
    keys
}

/// The words an enumeration accepts, whether it is written as `enum` or as `oneOf` constants.
fn choices(holder: Option<&Value>) -> Vec<String> {
    let listed = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let Some(holder) = holder else { return Vec::new() };
    let mut found = holder.get("enum").map(listed).unwrap_or_default();
    for key in ["oneOf", "anyOf"] {
        for branch in holder.get(key).and_then(Value::as_array).into_iter().flatten() {
            found.extend(branch.get("const").and_then(Value::as_str).map(str::to_owned));
            found.extend(branch.get("enum").map(listed).unwrap_or_default());
        }
    }
    found
}

fn by_pattern(pattern: &str) -> String {
    match pattern {
        SPAN_PATTERN => SPAN_ACCEPTS.to_owned(),
        SIZE_PATTERN => SIZE_ACCEPTS.to_owned(),
        other => format!("text that matches {other}"),
    }
}

fn words(kind: &str) -> &'static str {
    match kind {
        "object" => "a mapping (key: value)",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        _ => "nothing",
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
