//! One requirement about one claim, compiled.

use super::document::{ClaimType, Requirement};
use super::fault::Faults;
use crate::claims::{LIST_ITEMS, TEXT_BYTES, find};
use crate::{AuthnError, ClaimPath};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

/// A requirement fit for checking.
pub(super) struct Required {
    pub(super) name: &'static str,
    path: ClaimPath,
    rule: Requirement,
    pattern: Option<Regex>,
}

impl Required {
    /// Compiles it, noting every fault.
    pub(super) fn new(path: &str, rule: &Requirement, faults: &mut Faults) -> Self {
        let at = |key: &str| format!("require.{path}.{key}");
        if rule.absent && *rule != (Requirement { absent: true, ..Requirement::default() }) {
            faults.add(at("absent"), "a claim that must not be there cannot have to be anything besides");
        }
        let says_nothing = Requirement { optional: true, ..Requirement::default() };
        if *rule == says_nothing {
            faults.add(format!("require.{path}"), "an optional claim of any kind is no requirement");
        }
        for (index, value) in rule.one_of.iter().chain(&rule.equals).enumerate() {
            if value.is_array() || value.is_object() || value.is_null() {
                let key = if index < rule.one_of.len() { "one_of" } else { "equals" };
                faults.add(at(key), "neither a text nor a number nor a truth value");
            }
        }
        let pattern = rule.pattern.as_deref().and_then(|text| match compile(text) {
            Ok(pattern) => Some(pattern),
            Err(what) => {
                faults.add(at("pattern"), what);
                None
            }
        });
        Self { name: super::interned(path), path: ClaimPath::new(path), rule: rule.clone(), pattern }
    }

    /// Whether the claims are what is required.
    pub(super) fn check(&self, claims: &Map<String, Value>) -> Result<(), AuthnError> {
        let missing = Err(AuthnError::BadClaim(self.name));
        let refused = Err(AuthnError::ClaimRefused(self.name));
        let Some(value) = find(claims, &self.path) else {
            return if self.rule.absent || self.rule.optional { Ok(()) } else { missing };
        };
        if self.rule.absent {
            return refused;
        }
        if self.rule.kind.is_some_and(|kind| !is(value, kind)) {
            return missing;
        }
        let fits = self.rule.equals.as_ref().is_none_or(|wanted| same(value, wanted))
            && (self.rule.one_of.is_empty() || self.rule.one_of.iter().any(|wanted| same(value, wanted)))
            && self.rule.contains.as_ref().is_none_or(|wanted| words(value).any(|word| word == wanted))
            && self.rule.pattern.as_ref().is_none_or(|_| self.matches(value));
        if fits { Ok(()) } else { refused }
    }

    fn matches(&self, value: &Value) -> bool {
        let one = |value: &Value| {
            let text = value.as_str().filter(|text| text.len() <= TEXT_BYTES);
            text.zip(self.pattern.as_ref()).is_some_and(|(text, pattern)| pattern.is_match(text))
        };
        match value {
            Value::Array(items) => items.len() <= LIST_ITEMS && items.iter().all(one),
            value => one(value),
        }
    }
}

/// From start to end, in linear time, and of a bounded size.
fn compile(text: &str) -> Result<Regex, String> {
    if text.len() > PATTERN_BYTES {
        return Err(format!("longer than {PATTERN_BYTES} bytes"));
    }
    let whole = format!("^(?:{text})$");
    // By itself first: `a)|(b` would be balanced by the group around it.
    let built = RegexBuilder::new(text).size_limit(COMPILED_BYTES).build().and_then(|_| {
        RegexBuilder::new(&whole).size_limit(COMPILED_BYTES).dfa_size_limit(COMPILED_BYTES).build()
    });
    built.map_err(|error| error.to_string().lines().last().unwrap_or("no regular expression").to_owned())
}

fn is(value: &Value, kind: ClaimType) -> bool {
    match kind {
        ClaimType::String => value.is_string(),
        ClaimType::Number => value.is_number(),
        ClaimType::Integer => value.is_i64() || value.is_u64(),
        ClaimType::Boolean => value.is_boolean(),
        ClaimType::Array => value.is_array(),
        ClaimType::Strings => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        ClaimType::Object => value.is_object(),
    }
}

/// The same type and the same value: `"1"` is not `1`.
fn same(value: &Value, wanted: &Value) -> bool {
    value == wanted
}

fn words(value: &Value) -> impl Iterator<Item = &str> {
    let items = value.as_array().into_iter().flatten().take(LIST_ITEMS).filter_map(Value::as_str);
    let words = value.as_str().into_iter().flat_map(|text| text.split(' '));
    items.chain(words)
}

/// The longest pattern, in bytes.
const PATTERN_BYTES: usize = 512;
/// The most memory of a compiled pattern.
const COMPILED_BYTES: usize = 256 << 10;
