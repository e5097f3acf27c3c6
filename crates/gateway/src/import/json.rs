//! A client's JSON as a tree that keeps the order of members, refuses a key that is there twice, and wipes its
//! texts: any of them may be a secret.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;
use zeroize::Zeroizing;

/// A text that may be a secret: wiped when dropped, never printed.
pub(super) type Text = Zeroizing<String>;

/// A value of the file. SECURITY: no `Debug`, for it holds secrets (test: no_output_holds_a_secret).
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A number, as it is printed.
    Number(String),
    Text(Text),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl Json {
    /// Reads JSON text.
    ///
    /// # Errors
    /// What is wrong and in which line and column; never what is written there, but for a key.
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let value = Tree.deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    /// A scalar as text: clients write ports and flags as numbers and booleans too.
    pub(super) fn into_scalar(self) -> Option<Text> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(number) => Some(number.into()),
            Self::Bool(flag) => Some(flag.to_string().into()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }
}

struct Tree;

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Tree)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let (mut members, mut seen) = (Vec::new(), HashSet::new());
        while let Some(key) = access.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                let shown: String = key.chars().take(64).collect();
                return Err(A::Error::custom(format!("the key {shown:?} is there twice")));
            }
            members.push((key, access.next_value_seed(Tree)?));
        }
        Ok(Json::Map(members))
    }
}
