//! The traps of Cedar and of JSON that would turn a denial into a permit. One test each.

use super::*;

const ALL: &str = r#"@id("all") permit (principal, action in Action::"server:s", resource) when { principal.tenant == "acme" };"#;

fn rich(policies: &str) -> Revision {
    compile(&format!("{ALL}\n{policies}"), &[tool("s", "t", Impact::Read, RICH)])
}

fn check(policies: &str, arguments: &str, expect: &str) {
    assert_eq!(short(&judge(&rich(policies), "s/t", arguments)), expect, "{policies} {arguments}");
}

#[test]
fn a_forbid_that_errs_denies_where_cedar_would_skip_it() {
    // `id` is required by the definition, so the policy is valid; a caller leaves it out all the same.
    let forbid = r#"@id("no-root") forbid (principal, action, resource == Server::"s") when { context.args has id && context.args.id == "root" };"#;
    check(forbid, r#"{"id":"root"}"#, "forbidden: no-root");
    check(forbid, "{}", "permit: all");
    let careless = r#"@id("no-root") forbid (principal, action == Action::"s/t", resource) when { context.args.id == "root" };"#;
    check(careless, r#"{"id":"x"}"#, "permit: all");
    check(careless, "{}", "error: no-root");
    let overflow = r#"@id("sum") forbid (principal, action == Action::"s/t", resource) when { context.args has amount && context.args.amount + 9223372036854775807 > 0 };"#;
    check(overflow, r#"{"amount":-1}"#, "forbidden: sum");
    check(overflow, r#"{"amount":1}"#, "error: sum");
}

#[test]
fn a_permit_that_errs_spoils_the_others() {
    let permit = r#"@id("small") permit (principal, action == Action::"s/t", resource) when { context.args.id like "a*" };"#;
    check(permit, r#"{"id":"ab"}"#, "permit: all small");
    check(permit, "{}", "error: small");
}

#[test]
fn numbers_are_exact_or_denied() {
    let forbid = r#"@id("big") forbid (principal, action == Action::"s/t", resource) when { context.args has amount && context.args.amount > 1000 };"#;
    check(forbid, r#"{"amount":1000}"#, "permit: all");
    check(forbid, r#"{"amount":1000.0}"#, "permit: all");
    check(forbid, r#"{"amount":1001}"#, "forbidden: big");
    check(forbid, r#"{"amount":1e4}"#, "forbidden: big");
    check(forbid, r#"{"amount":1000.5}"#, "unrepresentable: /amount");
    check(forbid, r#"{"amount":9223372036854775808}"#, "unrepresentable: /amount");
    check(forbid, r#"{"amount":1e400}"#, "unrepresentable: /amount");
    check(forbid, r#"{"amount":"1001"}"#, "unrepresentable: /amount");
    check(forbid, r#"{"amount":null}"#, "unrepresentable: /amount");
    check(forbid, r#"{"amount":[1001]}"#, "unrepresentable: /amount");
    let price = r#"@id("dear") forbid (principal, action == Action::"s/t", resource) when { context.args has price && context.args.price.greaterThan(decimal("9.99")) };"#;
    check(price, r#"{"price":9.99}"#, "permit: all");
    check(price, r#"{"price":9.9901}"#, "forbidden: dear");
    check(price, r#"{"price":9.99001}"#, "unrepresentable: /price");
    check(price, r#"{"price":10}"#, "forbidden: dear");
    // What no policy reads may be anything.
    check(price, r#"{"amount":1e400,"price":1}"#, "permit: all");
}

#[test]
fn a_value_of_another_type_is_denied_even_for_equality() {
    let forbid =
        r#"@id("eu") forbid (principal, action == Action::"s/t", resource) when { context.args.id == "5" };"#;
    check(forbid, r#"{"id":5}"#, "unrepresentable: /id");
    check(forbid, r#"{"id":{"__entity":{"type":"User","id":"5"}}}"#, "unrepresentable: /id");
    check(forbid, r#"{"id":true}"#, "unrepresentable: /id");
}

#[test]
fn a_repeated_name_is_denied() {
    let forbid = r#"@id("big") forbid (principal, action == Action::"s/t", resource) when { context.args has amount && context.args.amount > 1000 };"#;
    check(forbid, r#"{"amount":1,"amount":2000}"#, "unrepresentable: /amount");
    check(forbid, r#"{"amount":1,"\u0061mount":2000}"#, "unrepresentable: /amount");
    let note = r#"@id("n") forbid (principal, action == Action::"s/t", resource) when { context.args has note && context.args.note == "x" };"#;
    check(note, r#"{"note":null,"note":"x"}"#, "unrepresentable: /note");
}

#[test]
fn null_is_absent_where_it_is_allowed() {
    let forbid =
        r#"@id("n") forbid (principal, action == Action::"s/t", resource) when { context.args has note };"#;
    check(forbid, r#"{"note":null}"#, "permit: all");
    check(forbid, r#"{"note":"x"}"#, "forbidden: n");
}

#[test]
fn sets_lose_order_and_repeats() {
    let forbid = r#"@id("t") forbid (principal, action == Action::"s/t", resource) when { context.args has tags && context.args.tags == ["a", "b"] };"#;
    check(forbid, r#"{"tags":["b","a","a"]}"#, "forbidden: t");
    check(forbid, r#"{"tags":["a"]}"#, "permit: all");
    check(forbid, r#"{"tags":["a",null]}"#, "unrepresentable: /tags/1");
    check(forbid, r#"{"tags":"a"}"#, "unrepresentable: /tags");
}

#[test]
fn nested_arguments_and_odd_names_are_read() {
    let forbid = r#"@id("p") forbid (principal, action == Action::"s/t", resource) when {
        context.args has options && context.args.options has nested && context.args.options.nested has priority
        && context.args.options.nested.priority > 5 };"#;
    check(forbid, r#"{"options":{"nested":{"priority":6}}}"#, "forbidden: p");
    check(forbid, r#"{"options":{"nested":{"priority":5}}}"#, "permit: all");
    check(forbid, r#"{"options":{"nested":{"priority":"6"}}}"#, "unrepresentable: /options/nested/priority");
    check(forbid, r#"{"options":null}"#, "unrepresentable: /options");
    check(forbid, r#"{"options":{"mode":"fast","other":[1,{"a":2}]}}"#, "permit: all");
    let extended = r#"@id("p") forbid (principal, action == Action::"s/t", resource) when { context.args has options.nested.priority && context.args.options.nested.priority > 5 };"#;
    check(extended, r#"{"options":{"nested":{"priority":6}}}"#, "forbidden: p");
    check(extended, r#"{"options":{}}"#, "permit: all");
    let odd = r#"@id("o") forbid (principal, action == Action::"s/t", resource) when { context.args has "x-y" && context.args["x-y"] == "1" };"#;
    check(odd, r#"{"x-y":"1"}"#, "forbidden: o");
}

#[test]
fn escapes_are_read_as_the_text_they_mean() {
    let forbid = r#"@id("etc") forbid (principal, action == Action::"s/t", resource) when { context.args has id && context.args.id like "/etc/*" };"#;
    check(forbid, r#"{"id":"\u002fetc\/passwd"}"#, "forbidden: etc");
    check(forbid, r#"{"\u0069d":"/etc/passwd"}"#, "forbidden: etc");
}

#[test]
fn arguments_that_are_no_object_are_denied() {
    let forbid = r#"@id("f") forbid (principal, action == Action::"s/t", resource) when { context.args has id && context.args.id == "x" };"#;
    for broken in
        ["", "[]", "null", "\"x\"", "{", r#"{"id":"y"} {"id":"x"}"#, r#"{"id":"y",}"#, "{\"id\":\"\u{0}\"}"]
    {
        check(
            forbid,
            broken,
            if broken.contains('\u{0}') { "unrepresentable: /id" } else { "unrepresentable: " },
        );
    }
}

#[test]
fn what_has_no_type_cannot_be_named() {
    for condition in
        ["context.args.anything == 1", "context.args.nothing == 1", "context.args.tree.tree.id == \"x\""]
    {
        let text = format!(
            "{ALL} @id(\"x\") forbid (principal, action == Action::\"s/t\", resource) when {{ {condition} }};"
        );
        let faults =
            Revision::compile(&file(&text), &[tool("s", "t", Impact::Read, RICH)], &settings()).unwrap_err();
        assert_eq!(faults.len(), 1, "{condition}: {faults:?}");
        assert!(faults[0].message.contains("Action::\"s/t\""), "{}", faults[0]);
    }
}
