//! The header codec: values survive it, and headers built from a body pass the check against it.
//!
//! Input: up to three parts split by a zero byte: a text, an input schema, arguments.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use protocol::header::{build, check_params, check_standard, decode, encode, params_of, unknown_params};
use protocol::{Bounds, Raw};

const BOUNDS: Bounds = Bounds { bytes: 1 << 16, depth: 48, items: 4096 };

pub(crate) fn check(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let first = parts.next().unwrap_or_default();
    if let Ok(value) = HeaderValue::from_bytes(first)
        && let Some(text) = decode(&value)
    {
        assert_eq!(decode(&encode(&text)).as_deref(), Some(text.as_ref()));
    }
    let text = String::from_utf8_lossy(first);
    assert_eq!(decode(&encode(&text)).as_deref(), Some(text.as_ref()), "a value changed");
    let mut json = || Raw::parse(Bytes::copy_from_slice(parts.next().unwrap_or_default()), &BOUNDS).ok();
    let (schema, arguments) = (json(), json());
    let params = schema.and_then(|schema| params_of(&schema).ok()).unwrap_or_default();
    for (index, param) in params.iter().enumerate() {
        assert!(param.header.as_str().starts_with("mcp-param-") && !param.path.is_empty());
        assert!(params[..index].iter().all(|other| other.header != param.header));
    }
    let Ok(built) = build("2026-07-28", "tools/call", Some(&text), &params, arguments.as_ref()) else {
        return;
    };
    let headers: HeaderMap = built.into_iter().collect();
    assert_eq!(check_standard(&headers, "2026-07-28", "tools/call", Some(&text)), Ok(()));
    let arguments = arguments.unwrap_or_else(Raw::empty_object);
    assert_eq!(check_params(&headers, &params, &arguments), Ok(()), "our own headers differ from the body");
    assert_eq!(unknown_params(&headers, &params).count(), 0);
    for param in params.iter().filter(|param| headers.contains_key(&param.header)) {
        let mut less = headers.clone();
        less.remove(&param.header);
        assert!(check_params(&less, &params, &arguments).is_err(), "a missing header passed");
    }
}
