//! A bad policy is refused with its place and a fix; a suspicious one is pointed out.

use super::*;

fn check(text: &str, code: &str, line: usize, column: usize) {
    let shapes = [tool("s", "t", Impact::Read, RICH)];
    let faults = Revision::compile(&file(text), &shapes, &settings()).unwrap_err();
    let found: Vec<_> = faults.iter().map(|fault| (fault.code, fault.line, fault.column)).collect();
    assert_eq!(found, [(code, line, column)], "{faults:?}");
    assert!(!faults[0].fix.is_empty() && !faults[0].message.is_empty(), "{faults:?}");
}

#[test]
fn faults_have_a_place_and_a_fix() {
    check("permit (principal, action, resource)\nwhen { ü oops };", "syntax", 2, 8);
    check("permit (principal == ?principal, action, resource);", "template", 1, 1);
    check(
        "\n@id(\"a\") permit (principal, action, resource) when { principal.rolez == 1 };",
        "invalid",
        2,
        54,
    );
    check(
        "@id(\"a\") permit (principal, action == Action::\"s/t\", resource)\nwhen { context.args.amount > 1 };",
        "invalid",
        2,
        8,
    );
    check(
        "@id(\"a\") permit (principal, action == Action::\"s/t\", resource)\nwhen { context.args.amout > 1 };",
        "invalid",
        2,
        8,
    );
    check("@id(\"a\") permit (principal in Role::\"x\", action, resource);", "invalid", 1, 31);
    check(
        "@id(\"a\")\npermit (principal, action, resource);\n  @id(\"a\")\nforbid (principal, action, resource);",
        "duplicate-id",
        3,
        3,
    );
    check(
        "@obligation(\"o\") permit (principal, action, resource) when { context.granted.contains(\"o\") };",
        "obligation",
        1,
        1,
    );
    check("@obligation(\"o\") forbid (principal, action, resource);", "obligation", 1, 1);
    check(
        "@obligation(\"o\") forbid (principal, action, resource) unless { context.granted.contains(\"other\") };",
        "obligation",
        1,
        1,
    );
}

#[test]
fn every_fault_is_told_at_once() {
    let files = [
        PolicyFile { name: "a.cedar".to_owned(), text: "permit (".to_owned() },
        PolicyFile {
            name: "b.cedar".to_owned(),
            text: "@obligation(\"\") forbid (principal, action, resource);".to_owned(),
        },
    ];
    let faults = Revision::compile(&files, &[], &settings()).unwrap_err();
    let found: Vec<&str> = faults.iter().map(|fault| fault.file.as_str()).collect();
    assert_eq!(found, ["a.cedar", "b.cedar"]);
}

#[test]
fn what_reads_no_argument_is_checked_before_any_tool_is_known() {
    assert!(
        Revision::compile(
            &file("permit (principal, action == Action::\"x/y\", resource) when { principal.rolez };"),
            &[],
            &settings()
        )
        .is_err()
    );
    assert!(
        Revision::compile(
            &file("permit (principal, action == Action::\"x/y\", resource) when { context.args.a };"),
            &[],
            &settings()
        )
        .is_ok()
    );
    assert!(
        Revision::compile(
            &file("permit (principal, action in [Action::\"impact:read\", Action::\"x/y\"], resource);"),
            &[],
            &settings()
        )
        .is_ok()
    );
}

#[test]
fn suspicious_policies_are_pointed_out() {
    for (text, expect) in [
        ("permit (principal, action == Action::\"s/t\", resource);", "no-id"),
        (
            "@id(\"a\") @advise(\"x\") permit (principal, action == Action::\"s/t\", resource);",
            "unknown-annotation",
        ),
        ("@id(\"a\") permit (principal, action, resource);", "unconstrained-permit"),
        ("@id(\"a\") permit (principal, action == Action::\"s/typo\", resource);", "no-such-action"),
        ("@id(\"a\") permit (principal, action in Action::\"server:typo\", resource);", "no-such-action"),
        (
            "@id(\"a\") permit (principal, action == Action::\"s/t\", resource) when { context.args has amuont };",
            "never-applies",
        ),
    ] {
        let report = compile(text, &[tool("s", "t", Impact::Read, RICH)]).report();
        let codes: Vec<&str> = report.lints.iter().map(|lint| lint.code).collect();
        assert_eq!(codes, [expect], "{text}");
    }
    let partly = compile("", &[tool("s", "t", Impact::Read, RICH)]).report().partly_typed;
    let pointers: Vec<&str> = partly.iter().map(|gap| gap.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        ["/properties/anything", "/properties/tree/properties/anything", "/properties/tree/properties/tree"]
    );
}
