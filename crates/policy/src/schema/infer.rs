//! From a tool's JSON Schema to the types its arguments have for policies.

use super::merge::{Guess, Known, both, either, escape};
use super::{Arguments, Field, Gap, Record, Type};
use serde_json::{Map, Value};

/// Reads an `inputSchema`. Never fails: what has no type is left out and named.
pub(crate) fn arguments_of(schema: &Value) -> Arguments {
    let mut reader = Reader { root: schema, gaps: Vec::new(), left: NODES };
    let record = match reader.guess(schema, "", &mut Vec::new()) {
        Ok(Guess { ty: Known::Type(Type::Record(record)), .. }) => record,
        Ok(Guess { ty: Known::Any, .. }) => Record::new(),
        Ok(_) => {
            reader.gap("", "arguments are an object, and this schema describes something else");
            Record::new()
        }
        Err(reason) => {
            reader.gap("", reason);
            Record::new()
        }
    };
    let mut gaps = reader.gaps;
    gaps.sort_by(|a, b| (&a.pointer, &a.reason).cmp(&(&b.pointer, &b.reason)));
    gaps.dedup();
    Arguments { record, gaps }
}

struct Reader<'a> {
    root: &'a Value,
    gaps: Vec<Gap>,
    /// Sub-schemas that may still be visited: references can multiply.
    left: usize,
}

impl<'a> Reader<'a> {
    /// What `schema` says. `Err` is why it has no type of ours; the caller leaves the attribute out.
    /// `refs` are the references being followed.
    fn guess(&mut self, schema: &'a Value, pointer: &str, refs: &mut Vec<&'a str>) -> Result<Guess, String> {
        let Some(left) = self.left.checked_sub(1) else {
            return Err(format!("the schema has more than {NODES} parts"));
        };
        self.left = left;
        if pointer.matches('/').count() > DEPTH {
            return Err(format!("the schema is nested deeper than {DEPTH} pointer steps"));
        }
        let object = match schema {
            Value::Object(object) => object,
            Value::Bool(true) => return Ok(Guess::ANY),
            Value::Bool(false) => return Err("no value is allowed".to_owned()),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err("it is not a schema".to_owned());
            }
        };
        let mut all = self.own(object, pointer, refs)?;
        if let Some(listed) = listed(object) {
            all = both(all, listed?, pointer, &mut self.gaps)?;
        }
        if let Some(target) = object.get("$ref") {
            let target = self.follow(target, pointer, refs)?;
            all = both(all, target, pointer, &mut self.gaps)?;
        }
        for keyword in ["$dynamicRef", "$recursiveRef"] {
            if object.contains_key(keyword) {
                return Err(format!("`{keyword}` is not followed"));
            }
        }
        for (index, part) in branches(object, "allOf").iter().enumerate() {
            let at = format!("{pointer}/allOf/{index}");
            let part = self.guess(part, &at, refs)?;
            all = both(all, part, &at, &mut self.gaps)?;
        }
        for keyword in ["anyOf", "oneOf"] {
            let mut one: Option<Guess> = None;
            for (index, part) in branches(object, keyword).iter().enumerate() {
                let at = format!("{pointer}/{keyword}/{index}");
                let part = self.guess(part, &at, refs)?;
                one = Some(match one {
                    None => part,
                    Some(one) => either(one, part, &at, &mut self.gaps)?,
                });
            }
            if let Some(one) = one {
                all = both(all, one, pointer, &mut self.gaps)?;
            }
        }
        for keyword in ["if", "dependentSchemas"] {
            if object.contains_key(keyword) {
                self.gap(&format!("{pointer}/{keyword}"), "conditional parts are not read");
            }
        }
        if object.get("nullable") == Some(&Value::Bool(true)) {
            all.nullable = true;
        }
        Ok(all)
    }

    /// What `type`, `properties` and `items` say.
    fn own(
        &mut self,
        object: &'a Map<String, Value>,
        pointer: &str,
        refs: &mut Vec<&'a str>,
    ) -> Result<Guess, String> {
        let kinds: Vec<&str> = match object.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            Some(_) => return Err("its `type` is neither a name nor a list of names".to_owned()),
            None if object.contains_key("properties") => vec!["object"],
            None if object.contains_key("items") || object.contains_key("prefixItems") => vec!["array"],
            None => return Ok(Guess::ANY),
        };
        let mut one: Option<Guess> = None;
        for kind in kinds {
            let guess = match kind {
                "string" => Guess::of(Type::Text),
                "boolean" => Guess::of(Type::Boolean),
                "integer" => Guess::of(Type::Long),
                "number" => Guess::of(Type::Decimal),
                "null" => Guess::NULL,
                "object" => Guess::of(Type::Record(self.record(object, pointer, refs))),
                "array" => Guess::of(self.set(object, pointer, refs)?),
                other => return Err(format!("unknown type `{other}`")),
            };
            one = Some(match one {
                None => guess,
                Some(one) => either(one, guess, pointer, &mut self.gaps)?,
            });
        }
        one.ok_or_else(|| "its list of types is empty".to_owned())
    }

    fn record(&mut self, object: &'a Map<String, Value>, pointer: &str, refs: &mut Vec<&'a str>) -> Record {
        let mut record = Record::new();
        let named = match object.get("properties") {
            Some(Value::Object(properties)) => Some(properties),
            Some(_) => {
                self.gap(&format!("{pointer}/properties"), "it is not an object");
                return record;
            }
            None => None,
        };
        let required: Vec<&str> = branches(object, "required").iter().filter_map(Value::as_str).collect();
        for (name, schema) in named.into_iter().flatten() {
            let at = format!("{pointer}/properties/{}", escape(name));
            match self.guess(schema, &at, refs) {
                Ok(Guess { ty: Known::Type(ty), nullable }) => {
                    record.insert(
                        name.clone(),
                        Field { ty, required: required.contains(&name.as_str()), nullable },
                    );
                }
                Ok(Guess { ty: Known::Any, .. }) => self.gap(&at, "it says no type"),
                Ok(Guess { ty: Known::Null, .. }) => self.gap(&at, "only null is allowed"),
                Err(reason) => self.gap(&at, reason),
            }
        }
        let open = match object.get("additionalProperties") {
            Some(Value::Bool(open)) => *open,
            Some(_) => true,
            None => false,
        };
        if open {
            self.gap(&format!("{pointer}/additionalProperties"), "members without a name cannot be read");
        }
        if object.contains_key("patternProperties") {
            self.gap(&format!("{pointer}/patternProperties"), "members without a name cannot be read");
        }
        if !open && named.is_none_or(Map::is_empty) && !pointer.is_empty() && !combined(object) {
            self.gap(pointer, "an object without named properties can only be tested for presence");
        }
        record
    }

    fn set(
        &mut self,
        object: &'a Map<String, Value>,
        pointer: &str,
        refs: &mut Vec<&'a str>,
    ) -> Result<Type, String> {
        if object.contains_key("prefixItems") || object.get("items").is_some_and(Value::is_array) {
            return Err("an array whose places have types of their own has no counterpart".to_owned());
        }
        let items = object.get("items").ok_or_else(|| "an array without `items`".to_owned())?;
        match self.guess(items, &format!("{pointer}/items"), refs)? {
            Guess { ty: Known::Type(ty), .. } => Ok(Type::Set(Box::new(ty))),
            Guess { ty: Known::Any | Known::Null, .. } => Err("its `items` say no type".to_owned()),
        }
    }

    fn follow(&mut self, target: &'a Value, pointer: &str, refs: &mut Vec<&'a str>) -> Result<Guess, String> {
        let target = target.as_str().ok_or_else(|| "its `$ref` is not a string".to_owned())?;
        if refs.contains(&target) {
            return Err(format!("`{target}` contains itself"));
        }
        let path = target.strip_prefix('#').ok_or_else(|| format!("`{target}` lies outside the schema"))?;
        let found = self.root.pointer(&unescape(path)).ok_or_else(|| format!("`{target}` leads nowhere"))?;
        if target == "#" && pointer.is_empty() {
            return Err("`#` contains itself".to_owned());
        }
        refs.push(target);
        let guess = self.guess(found, pointer, refs);
        refs.pop();
        guess
    }

    fn gap(&mut self, pointer: &str, reason: impl Into<String>) {
        self.gaps.push(Gap { pointer: pointer.to_owned(), reason: reason.into() });
    }
}

/// What `const` and `enum` say.
fn listed(object: &Map<String, Value>) -> Option<Result<Guess, String>> {
    let values = match (object.get("const"), object.get("enum")) {
        (Some(value), _) => std::slice::from_ref(value),
        (None, Some(Value::Array(values))) => values.as_slice(),
        (None, Some(_)) => return Some(Err("its `enum` is not a list".to_owned())),
        (None, None) => return None,
    };
    let mut one: Option<Guess> = None;
    for value in values {
        let guess = match value {
            Value::Null => Guess::NULL,
            Value::Bool(_) => Guess::of(Type::Boolean),
            Value::String(_) => Guess::of(Type::Text),
            Value::Number(number) if number.is_i64() => Guess::of(Type::Long),
            Value::Number(_) => Guess::of(Type::Decimal),
            Value::Array(_) | Value::Object(_) => {
                return Some(Err("a listed value is not a scalar".to_owned()));
            }
        };
        one = match one.map(|one| either(one, guess.clone(), "", &mut Vec::new())) {
            None => Some(guess),
            Some(Ok(one)) => Some(one),
            Some(Err(_)) => return Some(Err("its listed values have different types".to_owned())),
        };
    }
    Some(one.ok_or_else(|| "it lists no value".to_owned()))
}

fn branches<'a>(object: &'a Map<String, Value>, keyword: &str) -> &'a [Value] {
    object.get(keyword).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Whether another keyword may bring the properties.
fn combined(object: &Map<String, Value>) -> bool {
    ["$ref", "allOf", "anyOf", "oneOf"].iter().any(|keyword| object.contains_key(*keyword))
}

/// A URI fragment as a JSON pointer (RFC 6901 §6): percent-decoding; broken escapes stay as they are.
fn unescape(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if let (b'%', [high, low, after @ ..]) = (*first, tail)
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sub-schemas visited per tool.
const NODES: usize = 4096;
/// Steps of a pointer; two or three per level of nesting.
const DEPTH: usize = 48;
