//! Texts and shapes change while calls are judged.

use super::*;

const READS: &str = r#"@id("small") permit (principal, action in Action::"server:s", resource) when { context.args.amount < 10 };"#;
const GOOD: &str = r#"{"type":"object","required":["amount"],"properties":{"amount":{"type":"integer"}}}"#;
const BAD: &str = r#"{"type":"object","properties":{"amount":{"type":"string"}}}"#;

fn only_tools(policies: &str, shapes: &[Shape]) -> Revision {
    // The server's own actions have no arguments, so the policy is kept to tools.
    compile(&policies.replace("Action::\"server:s\"", "Action::\"method:tools/call\""), shapes)
}

#[test]
fn a_tool_that_no_longer_fits_is_withheld_and_blocks_nothing() {
    let s = server("s");
    let revision =
        only_tools(READS, &[tool("s", "a", Impact::Read, GOOD), tool("z", "b", Impact::Read, GOOD)]);
    let changed =
        revision.with_server(&s, &[tool("s", "a", Impact::Read, BAD), tool("s", "new", Impact::Read, GOOD)]);
    assert_eq!(short(&judge(&changed, "s/a", r#"{"amount":1}"#)), "withheld");
    assert!(find(&changed, "s/a").is_withheld());
    assert!(!changed.listable(&Subject::of(&alice()), &find(&changed, "s/a")));
    assert_eq!(short(&judge(&changed, "s/new", r#"{"amount":1}"#)), "permit: small");
    assert_eq!(short(&judge(&changed, "z/b", r#"{"amount":1}"#)), "permit: small");
    let withheld = changed.report().withheld;
    assert_eq!(withheld.len(), 1);
    assert_eq!((withheld[0].action.as_str(), withheld[0].rule.as_ref()), ("s/a", "small"));
    // The old revision goes on as it was; mending the tool mends the new one.
    assert_eq!(short(&judge(&revision, "s/a", r#"{"amount":1}"#)), "permit: small");
    let mended = changed.with_server(&s, &[tool("s", "a", Impact::Read, GOOD)]);
    assert_eq!(short(&judge(&mended, "s/a", r#"{"amount":1}"#)), "permit: small");
    assert!(mended.action(&ActionName::Tool(&s, "new")).is_none());
    assert!(mended.with_server(&s, &[]).action(&ActionName::Discover(&s)).is_none());
    assert_eq!(revision.digest(), mended.digest());
}

#[test]
fn a_reload_is_refused_for_new_faults_and_never_for_old_ones() {
    let texts = |text: &str| file(&text.replace("Action::\"server:s\"", "Action::\"method:tools/call\""));
    let revision = only_tools(READS, &[tool("s", "a", Impact::Read, GOOD)])
        .with_server(&server("s"), &[tool("s", "a", Impact::Read, BAD)]);
    // Unchanged policies: the tool stays withheld, and the reload goes through.
    let more =
        format!("{READS}\n@id(\"more\") permit (principal, action == Action::\"discover:s\", resource);");
    let next = revision.recompile(&texts(&more), &settings()).unwrap();
    assert_eq!(short(&judge(&next, "s/a", r#"{"amount":1}"#)), "withheld");
    assert_ne!(next.digest(), revision.digest());
    // A changed policy must fit what it reaches.
    let changed = READS.replace("< 10", "< 11");
    let faults = revision.recompile(&texts(&changed), &settings()).unwrap_err();
    assert_eq!((faults.len(), faults[0].code, faults[0].line), (1, "invalid", 1));
    // A fault of syntax is refused whatever else is there.
    assert!(revision.recompile(&texts("permit"), &settings()).is_err());
    // Mending it is accepted.
    let guarded =
        READS.replace("context.args.amount < 10", "context.args has amount && context.args.amount == \"1\"");
    let mended = revision.recompile(&texts(&guarded), &settings()).unwrap();
    assert_eq!(short(&judge(&mended, "s/a", r#"{"amount":"1"}"#)), "permit: small");
}

#[test]
fn a_fault_of_one_server_is_none_of_another() {
    let scoped = r#"@id("p") forbid (principal, action, resource == Server::"s") when { context.args has amount && context.args.amount > 5 };"#;
    let revision = compile(scoped, &[tool("s", "a", Impact::Read, GOOD), tool("z", "b", Impact::Read, BAD)]);
    assert!(revision.report().withheld.is_empty());
}

#[test]
fn broken_definitions_are_no_trouble() {
    let shapes = [
        tool("s", "deep", Impact::Read, &format!("{}{}", "[".repeat(200), "]".repeat(200))),
        tool("s", "list", Impact::Read, "[]"),
        tool("s", "twice", Impact::Read, GOOD),
        tool("s", "twice", Impact::Read, BAD),
        Shape::Tool(Arc::new(ToolShape {
            server: server("s"),
            name: String::new(),
            input_schema: None,
            impact: Impact::Read,
        })),
    ];
    let revision = compile(
        r#"@id("a") permit (principal, action in Action::"server:s", resource) when { principal.tenant == "acme" };"#,
        &shapes,
    );
    for name in ["s/deep", "s/list", "s/twice", "s/"] {
        assert_eq!(short(&judge(&revision, name, "{}")), "permit: a", "{name}");
    }
    assert!(revision.report().partly_typed.iter().any(|gap| gap.action == "s/deep"));
}
