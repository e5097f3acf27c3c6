//! The file as a tree with places. Read only once something is wrong: a good file never pays for it.

use super::check::At;
use super::fault::Place;
use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use std::fmt;

/// A node of the document.
#[derive(Debug)]
pub(super) enum Tree {
    /// A scalar.
    Leaf(Value),
    /// A list.
    List(Vec<Spanned<Tree>>),
    /// A mapping, with the place of each key.
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl Tree {
    /// The tree as JSON.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Leaf(value) => value.clone(),
            Self::List(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Map(members) => members
                .iter()
                .map(|(key, value)| (key.value.clone(), value.value.to_json()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    /// The place of the deepest node on the way to `at` that is in the text.
    pub(super) fn place(&self, at: &At) -> Option<Place> {
        let mut node = self;
        let mut found = None;
        for step in &at.0 {
            let next = match node {
                Self::Leaf(_) => None,
                Self::List(items) => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|i| items.get(i))
                    .map(|item| (place(item), &item.value)),
                Self::Map(members) => members
                    .iter()
                    .find(|(key, _)| key.value == *step)
                    .map(|(key, value)| (place(key), &value.value)),
            };
            let Some((here, below)) = next else { break };
            found = here.or(found);
            node = below;
        }
        found
    }

    /// What is written at `at`, short enough for a message; never below a key that may hold a secret.
    pub(super) fn shown(&self, at: &At) -> Option<String> {
        // SECURITY: a pasted secret is not repeated (test: a_pasted_secret_is_not_repeated).
        if at.0.iter().any(|step| ["value", "env", "headers", "prefix"].contains(&step.as_str())) {
            return None;
        }
        let value = self.to_json();
        let value = value.pointer(&at.pointer())?;
        let text = match value {
            Value::Object(_) | Value::Array(_) => return None,
            scalar => scalar.to_string(),
        };
        Some(if text.chars().count() > 80 {
            text.chars().take(77).chain("...".chars()).collect()
        } else {
            text
        })
    }
}

fn place<T>(spanned: &Spanned<T>) -> Option<Place> {
    let location = spanned.referenced;
    let offset = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    Some(Place { line: location.line(), column: location.column(), offset, length: length.clamp(1, 120) })
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Map(members))
    }
}
