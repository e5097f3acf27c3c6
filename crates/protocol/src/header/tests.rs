use super::*;
use crate::raw::Raw;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

#[test]
fn values_are_coded_as_the_specification_shows() {
    for (text, value) in [
        ("us-west1", "us-west1"),
        ("a\tb c", "a\tb c"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("=?BASE64?YQ==?=", "=?BASE64?YQ==?="),
        ("=?base64?x", "=?base64?x"),
        ("", ""),
        ("\u{7f}", "=?base64?fw==?="),
        ("\0", "=?base64?AA==?="),
    ] {
        assert_eq!(encode(text), value, "{text}");
        assert_eq!(decode(&encode(text)).as_deref(), Some(text), "{text}");
    }
    for bad in ["=?base64?!!?=", "=?base64?YQ?=", "=?base64?/w==?=", "é"] {
        assert_eq!(decode(&HeaderValue::from_bytes(bad.as_bytes()).unwrap()), None, "{bad}");
    }
}

#[test]
fn standard_headers_agree_with_the_body() {
    let good = [
        ("mcp-protocol-version", "2026-07-28"),
        ("MCP-Method", "tools/call"),
        ("Mcp-Name", "=?base64?w6k=?="),
    ];
    let check = |pairs: &[(&str, &str)]| check_standard(&map(pairs), "2026-07-28", "tools/call", Some("é"));
    assert_eq!(check(&good), Ok(()));
    for (index, (name, _)) in good.iter().enumerate() {
        let mut less = good.to_vec();
        less.remove(index);
        assert_eq!(check(&less).unwrap_err().fault, "is missing", "{name}");
        let mut twice = good.to_vec();
        twice.push(good[index]);
        assert_eq!(check(&twice).unwrap_err().fault, "comes twice", "{name}");
        let mut other = good.to_vec();
        other[index].1 = "Tools/call";
        assert_eq!(check(&other).unwrap_err().fault, "differs from the body", "{name}");
    }
    let mut broken = good;
    broken[2].1 = "=?base64?w6?=";
    assert_eq!(check(&broken).unwrap_err().fault, "cannot be decoded");
    // Only Mcp-Name is coded.
    assert!(
        check_standard(
            &map(&[("mcp-protocol-version", "=?base64?YQ==?="), ("mcp-method", "x")]),
            "a",
            "x",
            None
        )
        .is_err()
    );
}

fn schema() -> Value {
    json!({"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "deep": {"type": "object", "properties": {"count": {"type": "integer", "x-mcp-header": "Count"}}},
        "dry": {"type": "boolean", "x-mcp-header": "Dry-Run"},
        "plain": {"type": "string"},
        "x-mcp-header": {"type": "string"},
    }})
}

fn params() -> Vec<HeaderParam> {
    params_of(&Raw::of_value(&schema())).unwrap()
}

#[test]
fn annotations_are_found_at_any_depth_of_properties() {
    let params = params();
    let mut names: Vec<_> =
        params.iter().map(|param| (param.header.as_str(), param.path.join("."))).collect();
    names.sort();
    let expect =
        [("mcp-param-count", "deep.count"), ("mcp-param-dry-run", "dry"), ("mcp-param-region", "region")];
    assert_eq!(names, expect.map(|(header, path)| (header, path.to_owned())));
}

#[test]
fn a_misplaced_annotation_makes_the_tool_invalid() {
    let of =
        |properties: Value| params_of(&Raw::of_value(&json!({"type": "object", "properties": properties})));
    let annotated = |kind: &str, name: Value| json!({"type": kind, "x-mcp-header": name});
    let table = [
        json!({"a": annotated("string", json!(""))}),
        json!({"a": annotated("string", json!("a b"))}),
        json!({"a": annotated("string", json!("a\r\nb"))}),
        json!({"a": annotated("string", json!("é"))}),
        json!({"a": annotated("string", json!("a:b"))}),
        json!({"a": annotated("string", json!(5))}),
        json!({"a": annotated("number", json!("A"))}),
        json!({"a": annotated("object", json!("A"))}),
        json!({"a": annotated("array", json!("A"))}),
        json!({"a": annotated("null", json!("A"))}),
        json!({"a": {"type": ["string", "null"], "x-mcp-header": "A"}}),
        json!({"a": {"x-mcp-header": "A"}}),
        json!({"a": annotated("string", json!("A")), "b": annotated("string", json!("a"))}),
        json!({"a": {"type": "array", "items": annotated("string", json!("A"))}}),
        json!({"a": {"type": "array", "items": {"type": "object", "properties": {"b": annotated("string", json!("A"))}}}}),
        json!({"a": {"anyOf": [annotated("string", json!("A"))]}}),
        json!({"a": {"allOf": [{"properties": {"b": annotated("string", json!("A"))}}]}}),
        json!({"a": {"not": annotated("string", json!("A"))}}),
        json!({"a": {"additionalProperties": annotated("string", json!("A"))}}),
        json!({"a": {"$defs": {"b": annotated("string", json!("A"))}}}),
    ];
    for properties in table {
        assert!(of(properties.clone()).is_err(), "{properties}");
    }
    let root = json!({"type": "object", "x-mcp-header": "A"});
    assert!(params_of(&Raw::of_value(&root)).is_err());
    let conditional = json!({"type": "object", "if": {"properties": {"a": annotated("string", json!("A"))}}});
    let error = params_of(&Raw::of_value(&conditional)).unwrap_err();
    assert_eq!(error.pointer, "/if/properties/a");
    let hidden = br#"{"type":"object","items":{"x-mcp-h\u0065ader":"A"}}"#;
    let bounds = crate::Bounds { bytes: 999, depth: 9, items: 99 };
    assert!(params_of(&Raw::parse(bytes::Bytes::from_static(hidden), &bounds).unwrap()).is_err());
    // Data that looks like an annotation is none.
    assert_eq!(of(json!({"a": {"type": "object", "default": {"x-mcp-header": "A"}}})), Ok(Vec::new()));
}

#[test]
fn arguments_and_their_headers_agree() {
    let all = json!({"region": "é", "deep": {"count": 42}, "dry": false});
    let good = [
        ("mcp-param-region", "=?base64?w6k=?="),
        ("mcp-param-count", "42.0"),
        ("mcp-param-dry-run", "false"),
    ];
    let check = |pairs: &[(&str, &str)], arguments: &Value| {
        check_params(&map(pairs), &params(), &Raw::of_value(arguments))
    };
    assert_eq!(check(&good, &all), Ok(()));
    assert_eq!(check(&[("mcp-param-other", "x")], &json!({"region": null, "deep": 1})), Ok(()));
    for (index, (name, _)) in good.iter().enumerate() {
        let mut less = good.to_vec();
        less.remove(index);
        assert_eq!(check(&less, &all).unwrap_err().fault, "is missing", "{name}");
        let mut twice = good.to_vec();
        twice.push(good[index]);
        assert_eq!(check(&twice, &all).unwrap_err().fault, "comes twice", "{name}");
        let mut other = good.to_vec();
        other[index].1 = "43";
        assert_eq!(check(&other, &all).unwrap_err().fault, "differs from the body", "{name}");
    }
    assert!(check(&good[..1], &json!({})).is_err(), "a header without its argument");
    assert!(check(&[("mcp-param-other", "x"), ("mcp-param-other", "x")], &json!({})).is_err());
    assert!(check(&[("mcp-param-region", "1")], &json!({"region": [1]})).is_err());
}

#[test]
fn headers_built_from_a_body_pass_its_check() {
    let arguments = Raw::of_value(&json!({"region": " a\n", "deep": {"count": -7.0}, "dry": true}));
    let built = build("2026-07-28", "tools/call", Some("=?base64?x?="), &params(), Some(&arguments)).unwrap();
    let headers: HeaderMap = built.into_iter().collect();
    assert_eq!(check_standard(&headers, "2026-07-28", "tools/call", Some("=?base64?x?=")), Ok(()));
    assert_eq!(check_params(&headers, &params(), &arguments), Ok(()));
    assert_eq!(headers["mcp-param-count"], "-7");
    for bad in [json!(9_007_199_254_740_992_i64), json!(1.5), json!([1]), json!(1e300)] {
        let arguments = Raw::of_value(&json!({"deep": {"count": bad}}));
        assert!(build("v", "m", None, &params(), Some(&arguments)).is_err(), "{bad}");
    }
    let none = build("v", "m", None, &params(), None).unwrap();
    assert_eq!(none.len(), 2);
    let mut unknown = map(&[("mcp-param-x", "1"), ("mcp-param-region", "2"), ("accept", "3")]);
    unknown.append("mcp-param-x", HeaderValue::from_static("4"));
    assert_eq!(unknown_params(&unknown, &params()).count(), 2);
}
