//! The frame parser against serde_json and against itself.

use bytes::Bytes;
use protocol::frame::{Fault, one_line};
use protocol::{Bounds, Edit, Members, Message, Outcome, Raw, canonical, decode, header, view};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;

const BOUNDS: Bounds = Bounds { bytes: 1 << 16, depth: 48, items: 4096 };

pub(crate) fn check(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    match decode(body.clone(), &BOUNDS) {
        Ok(message) => {
            assert!(
                serde_json::from_slice::<&serde_json::value::RawValue>(data).is_ok(),
                "accepted what is not JSON"
            );
            // serde_json refuses numbers beyond a double; where it reads on, it must agree.
            let unique = serde_json::from_slice::<Unique>(data);
            assert!(unique.is_ok_and(|unique| unique.0) || out_of_range(data), "accepted a repeated key");
            match &message {
                Message::Request(request) => params(request.params.as_ref()),
                Message::Notification(notification) => params(notification.params.as_ref()),
                Message::Response(response) => match &response.outcome {
                    Outcome::Result(result) => params(Some(result)),
                    Outcome::Error(error) => value(&error.raw),
                },
            }
            let line = one_line(body);
            assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
            assert!(decode(line, &BOUNDS).is_ok(), "one line is another message");
        }
        Err(error) => match error.fault {
            Fault::NotUtf8 { .. } => assert!(std::str::from_utf8(data).is_err()),
            Fault::Syntax { .. } => {
                assert!(serde_json::from_slice::<serde_json::Value>(data).is_err(), "refused what is JSON");
            }
            Fault::DuplicateKey { .. } => {
                // serde_json stops at a later fault; without one it must agree that a key is repeated.
                let unique = serde_json::from_slice::<Unique>(data);
                assert!(unique.map_or(true, |unique| !unique.0), "saw a repeated key that is none");
            }
            _ => {}
        },
    }
    if let Ok(raw) = Raw::parse(Bytes::copy_from_slice(data), &BOUNDS) {
        value(&raw);
    }
}

fn out_of_range(data: &[u8]) -> bool {
    let error = serde_json::from_slice::<serde_json::Value>(data).err();
    error.is_some_and(|error| error.to_string().starts_with("number out of range"))
}

fn params(members: Option<&Members>) {
    let Some(members) = members else { return };
    assert_eq!(Members::of(members.raw()).as_ref(), Some(members), "the pass and the walk disagree");
    let _ = (
        view::ToolCall::of(Some(members)),
        view::Completion::of(Some(members)),
        view::Listen::of(Some(members)),
    );
    let _ = (view::result_type(members), view::InputRequired::of(members), view::Page::of(members, "tools"));
    let _ = protocol::meta::RequestMeta::read(Some(members));
    value(members.raw());
}

fn value(raw: &Raw) {
    let _ = header::params_of(raw);
    if let Ok(form) = canonical::canonicalize(raw) {
        let form =
            Raw::parse(form.into(), &Bounds { bytes: usize::MAX, ..BOUNDS }).expect("canonical form is JSON");
        assert_eq!(
            canonical::canonicalize(&form).as_deref(),
            Ok(form.as_bytes()),
            "canonical form changes again"
        );
    }
    let Some(members) = raw.members() else { return };
    assert_eq!(Edit::new().apply(&members), *raw, "no edit is an edit");
    for (key, value) in members.iter() {
        assert_eq!(members.get(&key), Some(value));
        let less = Edit::new().remove(&[&key]).apply(&members);
        let less =
            Raw::parse(less.bytes(), &BOUNDS).expect("an edit keeps JSON").members().expect("an object");
        assert_eq!((less.len(), less.contains(&key)), (members.len() - 1, false));
    }
}

/// Whether no object has a key twice, as serde_json sees it.
struct Unique(bool);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

macro_rules! leaves {
    ($($visit:ident: $kind:ty),*) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Unique, E> { Ok(Unique(true)) })*
    };
}

impl<'de> Visitor<'de> for Look {
    type Value = Unique;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    leaves!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique(true))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        let mut unique = true;
        while let Some(element) = seq.next_element::<Unique>()? {
            unique &= element.0;
        }
        Ok(Unique(unique))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut seen = HashSet::new();
        let mut unique = true;
        while let Some(key) = map.next_key::<String>()? {
            unique &= seen.insert(key);
            unique &= map.next_value::<Unique>()?.0;
        }
        Ok(Unique(unique))
    }
}
