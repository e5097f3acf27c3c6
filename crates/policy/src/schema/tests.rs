//! The shapes of schemas that tools really have, and those that try to hurt.

use super::*;
use cedar_policy::Schema;
use serde_json::{Value, json};

/// The types as short text, and where something was left out.
fn check(schema: &Value, expect: &str, gaps: &[&str]) {
    let arguments = arguments_of(schema);
    assert_eq!(show(&Type::Record(arguments.record.clone())), expect, "{schema}");
    let found: Vec<&str> = arguments.gaps.iter().map(|gap| gap.pointer.as_str()).collect();
    assert_eq!(found, gaps, "{schema}: {:?}", arguments.gaps);
    let contexts = [("Context".to_owned(), context_type(&arguments.record))];
    let declared = [Declared { id: "a/b", groups: &[], context: Some("Context") }];
    let made = Schema::from_json_value(schema_json(&contexts, &declared));
    assert!(made.is_ok(), "{schema}: {:?}", made.err().map(|error| error.to_string()));
}

fn show(ty: &Type) -> String {
    match ty {
        Type::Boolean => "bool".to_owned(),
        Type::Long => "long".to_owned(),
        Type::Decimal => "decimal".to_owned(),
        Type::Text => "text".to_owned(),
        Type::Set(element) => format!("[{}]", show(element)),
        Type::Record(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, field)| {
                    let optional = if field.always_there() { "" } else { "?" };
                    let null = if field.nullable { "0" } else { "" };
                    format!("{name}{optional}{null}:{}", show(&field.ty))
                })
                .collect();
            format!("{{{}}}", fields.join(" "))
        }
    }
}

fn object(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties })
}

#[test]
fn plain_types_have_their_counterparts() {
    check(
        &json!({"type": "object", "required": ["s", "n"], "properties": {
            "s": {"type": "string"}, "b": {"type": "boolean"}, "i": {"type": "integer"},
            "n": {"type": "number"}, "a": {"type": "array", "items": {"type": "string"}},
        }}),
        "{a?:[text] b?:bool i?:long n:decimal s:text}",
        &[],
    );
    check(&json!({"type": "object"}), "{}", &[]);
    check(&json!({}), "{}", &[]);
    check(&json!(true), "{}", &[]);
}

#[test]
fn any_property_name_is_a_name() {
    check(
        &object(json!({
            "a-b": {"type": "string"}, "": {"type": "string"}, "a.b c": {"type": "string"},
            "__entity": {"type": "string"}, "__cedar::x": {"type": "string"}, "ü\"\\\n": {"type": "string"},
            "if": {"type": "string"}, "$ref": {"type": "string"},
        })),
        "{?:text $ref?:text __cedar::x?:text __entity?:text a-b?:text a.b c?:text if?:text ü\"\\\n?:text}",
        &[],
    );
}

#[test]
fn references_are_followed_and_recursion_stops() {
    check(
        &json!({"type": "object", "$defs": {"p": {"type": "string"}, "a/b": {"type": "integer"}},
            "properties": {"x": {"$ref": "#/$defs/p"}, "y": {"$ref": "#/$defs/a~1b"}, "z": {"$ref": "#/%24defs/p"}}}),
        "{x?:text y?:long z?:text}",
        &[],
    );
    check(
        &json!({"type": "object", "definitions": {"node": {"type": "object", "properties": {
            "name": {"type": "string"}, "child": {"$ref": "#/definitions/node"}}}},
            "properties": {"root": {"$ref": "#/definitions/node"}}}),
        "{root?:{name?:text}}",
        &["/properties/root/properties/child"],
    );
    check(&object(json!({"me": {"$ref": "#"}})), "{me?:{}}", &["/properties/me/properties/me"]);
    check(
        &object(json!({
            "far": {"$ref": "https://example.com/s"}, "gone": {"$ref": "#/$defs/x"}, "odd": {"$ref": 1},
            "dyn": {"$dynamicRef": "#x", "type": "string"},
        })),
        "{}",
        &["/properties/dyn", "/properties/far", "/properties/gone", "/properties/odd"],
    );
}

#[test]
fn alternatives_agree_or_are_left_out() {
    check(
        &object(json!({
            "opt": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "num": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
            "mix": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "list": {"type": ["string", "null"]},
            "both": {"type": ["string", "integer"]},
            "or": {"type": ["integer", "number"]},
            "api": {"type": "string", "nullable": true},
        })),
        "{api?0:text list?0:text num?:decimal opt?0:text or?:decimal}",
        &["/properties/both", "/properties/mix"],
    );
    check(
        &object(json!({"shape": {"oneOf": [
            {"type": "object", "required": ["kind", "r"], "properties": {"kind": {"const": "circle"}, "r": {"type": "number"}, "t": {"type": "string"}}},
            {"type": "object", "required": ["kind", "w"], "properties": {"kind": {"const": "square"}, "w": {"type": "number"}, "t": {"type": "integer"}}},
        ]}})),
        "{shape?:{kind:text r?:decimal w?:decimal}}",
        &["/properties/shape/oneOf/1/properties/t"],
    );
    // Top-level alternatives.
    check(
        &json!({"type": "object", "oneOf": [
            {"required": ["a"], "properties": {"a": {"type": "string"}}},
            {"required": ["b"], "properties": {"b": {"type": "integer"}}},
        ]}),
        "{a?:text b?:long}",
        &[],
    );
    // Alternatives that only constrain leave the properties alone.
    check(
        &json!({"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}, {"maxProperties": 0}]}),
        "{a?:text}",
        &[],
    );
}

#[test]
fn conjunctions_merge() {
    check(
        &json!({"allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}, "n": {"type": "number"}}},
            {"required": ["a"], "type": "object", "properties": {"a": {"type": "string"}, "n": {"type": "integer"}, "b": {"type": "boolean"}}},
        ]}),
        "{a:text b?:bool n?:long}",
        &[],
    );
    check(
        &object(
            json!({"x": {"allOf": [{"type": "string"}, {"type": "integer"}]}, "y": {"$ref": "#/$defs/t", "description": "d"}}),
        ),
        "{}",
        &["/properties/x", "/properties/y"],
    );
}

#[test]
fn listed_values_tell_the_type() {
    check(
        &object(json!({
            "c": {"const": "x"}, "e": {"enum": ["a", "b"]}, "i": {"enum": [1, 2]}, "n": {"enum": [1, 2.5]},
            "z": {"enum": ["a", null]}, "b": {"const": true}, "mix": {"enum": ["a", 1]}, "none": {"enum": []},
            "obj": {"const": {}}, "typed": {"type": "number", "enum": [1, 2]}, "clash": {"type": "string", "enum": [1]},
        })),
        "{b?:bool c?:text e?:text i?:long n?:decimal typed?:long z?0:text}",
        &["/properties/clash", "/properties/mix", "/properties/none", "/properties/obj"],
    );
}

#[test]
fn what_has_no_counterpart_is_left_out_and_named() {
    check(
        &json!({"type": "object", "properties": {
            "any": {}, "yes": true, "no": false, "null": {"type": "null"}, "list": {"type": "array"},
            "tuple": {"type": "array", "prefixItems": [{"type": "string"}]},
            "pair": {"type": "array", "items": [{"type": "string"}]},
            "loose": {"type": "array", "items": {}},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "blob": {"type": "object"}, "new": {"type": "tensor"}, "bad": 7, "kind": {"type": 3},
        }, "patternProperties": {"^x": {}}}),
        "{blob?:{} map?:{}}",
        &[
            "/patternProperties",
            "/properties/any",
            "/properties/bad",
            "/properties/blob",
            "/properties/kind",
            "/properties/list",
            "/properties/loose",
            "/properties/map/additionalProperties",
            "/properties/new",
            "/properties/no",
            "/properties/null",
            "/properties/pair",
            "/properties/tuple",
            "/properties/yes",
        ],
    );
    check(
        &json!({"type": "object", "properties": {"a": {"type": "string"}}, "if": {}, "then": {"required": ["a"]}}),
        "{a?:text}",
        &["/if"],
    );
    check(&json!({"type": "string"}), "{}", &[""]);
    check(&json!({"type": "object", "properties": []}), "{}", &["/properties"]);
    // A missing type is told by what is there.
    check(
        &json!({"properties": {"o": {"properties": {"x": {"type": "string"}}}, "l": {"items": {"type": "integer"}}}}),
        "{l?:[long] o?:{x?:text}}",
        &[],
    );
}

#[test]
fn schemas_that_multiply_are_cut_off() {
    // Each definition names the next twice: 2^40 parts if followed blindly.
    let mut definitions = serde_json::Map::new();
    for n in 0..40 {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        definitions.insert(format!("d{n}"), object(json!({"a": next, "b": next})));
    }
    definitions.insert("d40".to_owned(), json!({"type": "string"}));
    let bomb = json!({"type": "object", "$defs": definitions, "properties": {"x": {"$ref": "#/$defs/d0"}}});
    let arguments = arguments_of(&bomb);
    assert!(arguments.gaps.len() < 5000 && !arguments.gaps.is_empty());
    let mut deep = json!({"type": "string"});
    for _ in 0..60 {
        deep = object(json!({ "d": deep }));
    }
    assert!(!arguments_of(&deep).gaps.is_empty());
}
