//! What nobody edits leaves as it came; what is edited is edited as asked; no repeated key gets past.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests may; a helper outside of a test function is still one"
)]

use bytes::Bytes;
use proptest::prelude::*;
use protocol::frame::Fault;
use protocol::{Bounds, Edit, Members, Message, Raw, canonical, decode};
use serde_json::{Map, Value};

const BOUNDS: Bounds = Bounds { bytes: 1 << 20, depth: 32, items: 100_000 };

fn raw(text: &str) -> Raw {
    Raw::parse(Bytes::copy_from_slice(text.as_bytes()), &BOUNDS).unwrap()
}

/// A key or string in quotes, some of its characters spelled as escapes.
fn quoted(text: &str, escapes: u64) -> String {
    let mut out = String::from("\"");
    for (index, char) in text.chars().enumerate() {
        if escapes >> (index % 64) & 1 == 1 || matches!(char, '"' | '\\' | '\0'..='\u{1f}') {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04X}"));
            }
        } else {
            out.push(char);
        }
    }
    out + "\""
}

fn space() -> impl Strategy<Value = String> {
    "[ \n\t\r]{0,2}"
}

fn key() -> impl Strategy<Value = String> {
    "[a-c_é\"\\\\]{0,3}"
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1.50e-3".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        (".{0,8}", any::<u64>()).prop_map(|(text, escapes)| quoted(&text, escapes)),
    ]
}

/// The text of an object and its keys; keys are unique, everything is spelled at random.
fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (key(), any::<u64>(), space(), value, space());
    (prop::collection::vec(member, 0..6), space()).prop_map(|(members, inside)| {
        let mut seen = std::collections::HashSet::new();
        let members: Vec<String> = members
            .into_iter()
            .filter(|(key, ..)| seen.insert(key.clone()))
            .map(|(key, escapes, before, value, after)| {
                format!("{before}{}{after}:{before}{value}{after}", quoted(&key, escapes))
            })
            .collect();
        if members.is_empty() { format!("{{{inside}}}") } else { format!("{{{}}}", members.join(",")) }
    })
}

fn document() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        let array = (prop::collection::vec(inner.clone(), 0..5), space()).prop_map(|(values, space)| {
            format!("[{space}{}{space}]", values.join(&format!("{space},{space}")))
        });
        prop_oneof![array, object(inner)]
    })
}

fn params() -> impl Strategy<Value = String> {
    object(document())
}

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<String>, String),
    Remove(Vec<String>),
}

fn step() -> impl Strategy<Value = Step> {
    let path = || prop::collection::vec(key(), 1..4);
    prop_oneof![
        (path(), scalar()).prop_map(|(path, value)| Step::Set(path, value)),
        path().prop_map(Step::Remove)
    ]
}

/// What a step means, on a tree.
fn model(tree: &mut Map<String, Value>, path: &[String], value: Option<&Value>) {
    let (first, rest) = path.split_first().unwrap();
    if rest.is_empty() {
        match value {
            Some(value) => drop(tree.insert(first.clone(), value.clone())),
            None => drop(tree.remove(first)),
        }
        return;
    }
    match tree.get_mut(first) {
        Some(Value::Object(below)) => model(below, rest, value),
        _ if value.is_some() => {
            let mut below = Map::new();
            model(&mut below, rest, value);
            tree.insert(first.clone(), Value::Object(below));
        }
        _ => {}
    }
}

fn touched(step: &Step) -> &str {
    let (Step::Set(path, _) | Step::Remove(path)) = step;
    &path[0]
}

#[test]
fn nothing_is_left_of_what_was_made_for_a_member_that_is_removed_again() {
    for (before, after) in [("{}", "{}"), (r#"{"a":7}"#, "{}")] {
        let mut edit = Edit::new();
        edit.remove(&["a"]).set(&["a", "b"], raw("1")).remove(&["a", "b"]);
        assert_eq!(edit.apply(&raw(before).members().unwrap()).as_json(), after);
    }
    let mut edit = Edit::new();
    edit.set(&["a"], raw("7")).set(&["a", "b"], raw("1")).remove(&["a", "b"]);
    assert_eq!(edit.apply(&raw("{}").members().unwrap()).as_json(), r#"{"a":7}"#);
}

proptest! {
    #[test]
    fn a_request_keeps_its_params_byte_for_byte(params in params(), space in space()) {
        let body = format!("{space}{{\"jsonrpc\":\"2.0\",{space}\"id\":1,\"method\":\"tools/call\",\"params\":{params}}}");
        let Ok(Message::Request(request)) = decode(body.clone().into(), &BOUNDS) else { panic!("{body}") };
        let found = request.params.unwrap();
        prop_assert_eq!(found.raw().as_json(), &params);
        prop_assert_eq!(&found, &Members::of(found.raw()).unwrap());
        prop_assert_eq!(request.bytes.as_ref(), body.as_bytes());
        prop_assert_eq!(&Edit::new().apply(&found), found.raw());
        let tree: Map<String, Value> = serde_json::from_str(&params).unwrap();
        prop_assert_eq!(tree.len(), found.len());
        for (key, value) in found.iter() {
            prop_assert_eq!(&value.to_value().unwrap(), &tree[key.as_ref()]);
            prop_assert!(params.contains(value.as_json()));
        }
    }

    #[test]
    fn unknown_members_survive_edits_byte_for_byte(params in params(), steps in prop::collection::vec(step(), 0..6)) {
        let before = raw(&params).members().unwrap();
        let mut tree: Map<String, Value> = serde_json::from_str(&params).unwrap();
        let mut edit = Edit::new();
        for (number, step) in steps.iter().enumerate() {
            let (Step::Set(path, _) | Step::Remove(path)) = step;
            let at: Vec<&str> = path.iter().map(String::as_str).collect();
            // What a later step removes was never there: no empty parents are left behind.
            let removed = |later: &Step| matches!(later, Step::Remove(gone) if path.starts_with(gone));
            match step {
                Step::Set(_, value) => {
                    edit.set(&at, raw(value));
                    if !steps[number + 1..].iter().any(removed) {
                        model(&mut tree, path, Some(&raw(value).to_value().unwrap()));
                    }
                }
                Step::Remove(_) => {
                    edit.remove(&at);
                    model(&mut tree, path, None);
                }
            }
        }
        let after = edit.apply(&before);
        prop_assert_eq!(after.to_value().unwrap(), Value::Object(tree));
        prop_assert_eq!(&raw(after.as_json()), &after, "the result passes the strict pass");
        let after = after.members().unwrap();
        let kept: Vec<_> = before.iter().filter(|(key, _)| steps.iter().all(|step| touched(step) != key)).collect();
        let still: Vec<_> = after.iter().filter(|(key, _)| kept.iter().any(|(kept, _)| kept == key)).collect();
        prop_assert_eq!(kept, still, "in order, the same bytes");
    }

    #[test]
    fn a_repeated_key_is_found_wherever_it_is(
        params in params(), place in any::<prop::sample::Index>(), escapes in any::<[u64; 2]>(), key in key(), value in scalar(),
    ) {
        // Every brace outside of strings opens an object: give one of them the same key twice.
        let braces: Vec<usize> = openings(&params);
        let at = braces[place.index(braces.len())] + 1;
        let (head, tail) = params.split_at(at);
        let rest = if tail.trim_start().starts_with('}') { "" } else { "," };
        let twice = format!("{head}{}:{value},{}:{value}{rest}{tail}", quoted(&key, escapes[0]), quoted(&key, escapes[1]));
        let error = Raw::parse(twice.clone().into(), &BOUNDS).unwrap_err();
        prop_assert!(repeated(&error), "{}", twice);
        let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{twice}}}");
        let error = decode(body.into(), &BOUNDS).unwrap_err();
        prop_assert!(repeated(&error));
    }

    #[test]
    fn any_text_is_read_as_serde_json_reads_it_or_refused(params in params(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = params.into_bytes();
        let at = cut.index(bytes.len());
        bytes[at] = byte;
        let theirs = serde_json::from_slice::<Value>(&bytes);
        match Raw::parse(bytes.into(), &BOUNDS) {
            // A number beyond every float is good JSON (RFC 8259 §6) that serde_json cannot hold.
            Ok(raw) => match theirs {
                Ok(theirs) => prop_assert_eq!(raw.to_value().unwrap(), theirs),
                Err(error) => prop_assert!(error.to_string().starts_with("number out of range"), "{}", error),
            },
            Err(error) => prop_assert!(theirs.is_err() || repeated(&error)),
        }
    }

    #[test]
    fn the_canonical_form_is_its_own_and_means_the_same(params in params()) {
        let before = raw(&params);
        if let Ok(form) = canonical::canonicalize(&before) {
            let form = Raw::parse(form.into(), &BOUNDS).unwrap();
            let again = canonical::canonicalize(&form).unwrap();
            prop_assert_eq!(form.as_bytes(), &again);
            prop_assert_eq!(numbers_as_doubles(form.to_value().unwrap()), numbers_as_doubles(before.to_value().unwrap()));
        }
    }
}

fn repeated(error: &protocol::FrameError) -> bool {
    matches!(error.fault, Fault::DuplicateKey { .. })
}

fn openings(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let (mut inside, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'{' if !inside => found.push(at),
            _ => {}
        }
    }
    found
}

fn numbers_as_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map(|number| number + 0.0).into(),
        Value::Array(values) => values.into_iter().map(numbers_as_doubles).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, numbers_as_doubles(value))).collect()
        }
        other => other,
    }
}
