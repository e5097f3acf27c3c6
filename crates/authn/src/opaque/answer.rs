//! What an introspection endpoint answered, read in its one strict form (RFC 7662 §2.2).

use crate::strict;
use model::Timestamp;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What a token means.
#[derive(Clone)]
pub(crate) enum Meaning {
    /// It is good, and this is what its issuer says of it.
    Active(Arc<Map<String, Value>>),
    /// It is not.
    Inactive,
    /// Nobody knows: the endpoint did not answer, or not in a way that could be understood.
    Unknown,
}

/// A meaning and for how long it is believed.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) meaning: Meaning,
    pub(crate) until: Timestamp,
}

/// Reads an answer. `active` is a truth value, and nothing that merely looks like one.
///
/// # Errors
/// What is wrong with it, without any of it.
pub(super) fn read(body: &[u8]) -> Result<Meaning, &'static str> {
    let mut members = strict::object(body).ok_or("it is not one strict JSON object")?;
    match members.remove("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(Meaning::Inactive),
        Some(_) => return Err("`active` is neither true nor false"),
        None => return Err("it has no `active`"),
    }
    // Of tokens that are bound to a key, whose possession is not checked here (RFC 9449 §6.2).
    let kind = members.remove("token_type");
    if kind.is_some_and(|kind| kind.as_str().is_none_or(|kind| !is_bearer(kind))) {
        members.insert("cnf".to_owned(), Value::Object(Map::new()));
    }
    Ok(Meaning::Active(Arc::new(members)))
}

/// The words for a token that whoever has it may use; some servers tell the kind of grant here.
fn is_bearer(kind: &str) -> bool {
    ["bearer", "access_token"].iter().any(|known| known.eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_is_a_truth_value_and_nothing_like_one() {
        assert!(matches!(read(br#"{"active":true,"sub":"a"}"#), Ok(Meaning::Active(_))));
        assert!(matches!(read(br#"{"active":false,"sub":"a"}"#), Ok(Meaning::Inactive)));
        for bad in [
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":null}"#,
            r#"{"active":[true]}"#,
            r#"{"Active":true}"#,
            r#"{"active":false,"active":true}"#,
            r#"{"sub":"a"}"#,
            r#"[{"active":true}]"#,
            r#"true"#,
            "",
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_that_is_bound_to_a_key_is_no_bearer_token() {
        let bound = |body: &[u8]| match read(body) {
            Ok(Meaning::Active(claims)) => claims.contains_key("cnf"),
            _ => panic!("not active"),
        };
        assert!(bound(br#"{"active":true,"token_type":"DPoP"}"#));
        assert!(bound(br#"{"active":true,"token_type":1}"#));
        assert!(!bound(br#"{"active":true,"token_type":"Bearer"}"#));
        assert!(!bound(br#"{"active":true}"#));
    }
}
