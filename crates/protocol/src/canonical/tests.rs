use super::*;
use crate::frame::Bounds;
use bytes::Bytes;

fn form(text: &str) -> Result<String, CanonicalError> {
    let bounds = Bounds { bytes: 1 << 16, depth: 64, items: 1 << 16 };
    let raw = Raw::parse(Bytes::copy_from_slice(text.as_bytes()), &bounds).unwrap();
    canonicalize(&raw).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn the_examples_of_the_rfc_come_out() {
    // RFC 8785 §3.2.2, but for its two numbers that are not exact as written.
    let text = r#"{ "numbers": [1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false] }"#;
    let expect = "{\"literals\":[null,true,false],\"numbers\":[1e+30,4.5,0.002,1e-27],\
        \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
    assert_eq!(form(text).unwrap(), expect);
    // §3.2.3: by UTF-16 code units.
    let text = r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#;
    let expect = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}";
    assert_eq!(form(text).unwrap(), expect);
}

#[test]
fn numbers_are_written_as_ecmascript_does() {
    // RFC 8785 appendix B, and the edges of each notation.
    for (text, expect) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e99999999999999999999", "0"),
        ("5e-324", "5e-324"),
        ("-5e-324", "-5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("-9007199254740992", "-9007199254740992"),
        ("295147905179352830000", "295147905179352830000"),
        ("9.999999999999997e22", "9.999999999999997e+22"),
        ("1e23", "1e+23"),
        ("1.0000000000000001E+23", "1.0000000000000001e+23"),
        ("999999999999999700000", "999999999999999700000"),
        ("999999999999999900000", "999999999999999900000"),
        ("1e21", "1e+21"),
        ("1e20", "100000000000000000000"),
        ("9.999999999999997e-7", "9.999999999999997e-7"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("333333333.3333332", "333333333.3333332"),
        ("-333333333.33333325", "-333333333.33333325"),
        ("1424953923781206.2", "1424953923781206.2"),
        ("10.0", "10"),
        ("1.0", "1"),
        ("0.10", "0.1"),
        ("123456789012345", "123456789012345"),
        ("1234567890123456", "1234567890123456"),
        ("12e1", "120"),
        ("-1.5E-7", "-1.5e-7"),
    ] {
        assert_eq!(form(text).as_deref(), Ok(expect), "{text}");
    }
}

#[test]
fn a_number_that_would_become_another_is_an_error() {
    for text in [
        "9007199254740993",
        "1e999",
        "-1e309",
        "1e99999999999999999999",
        "1e-400",
        "3.14159265358979323846264338327",
        "0.1000000000000000055511151231257827",
        "333333333.33333329",
        "1152921504606846976",
        "18446744073709551615",
    ] {
        assert_eq!(form(text).unwrap_err().number.as_ref(), text);
        assert!(form(&format!("{{\"a\":[{text}]}}")).is_err());
    }
}

#[test]
fn spellings_of_the_same_share_a_digest() {
    let digest = |text: &str| Digest::of(form(text).unwrap().as_bytes());
    let same = digest(r#"{"a":1,"b":["x",{}]}"#);
    for text in [r#"{"b":["\u0078",{ }],"a":1.0}"#, "{\n\t\"b\" : [ \"x\" , {} ] , \"a\" : 10e-1\n}"] {
        assert_eq!(digest(text), same, "{text}");
    }
    assert_ne!(digest(r#"{"a":1,"b":["x",[]]}"#), same);
}
