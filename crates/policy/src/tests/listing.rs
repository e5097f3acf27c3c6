//! Listed if and only if something could permit it.

use super::*;

#[test]
fn listed_if_some_arguments_context_or_obligation_could_permit() {
    let shapes =
        [tool("s", "t", Impact::Read, RICH), tool("s", "bare", Impact::Read, "{\"type\":\"object\"}")];
    for (policies, tool, expect) in [
        ("", "s/t", false),
        (r#"permit (principal, action == Action::"s/t", resource);"#, "s/t", true),
        (r#"permit (principal, action == Action::"s/t", resource);"#, "s/bare", false),
        // Arguments and context may come out well.
        (
            r#"permit (principal, action == Action::"s/t", resource) when { context.args has amount && context.args.amount > 3 };"#,
            "s/t",
            true,
        ),
        (
            r#"permit (principal, action == Action::"s/t", resource) when { context.time.hour == 3 };"#,
            "s/t",
            true,
        ),
        // The principal is settled.
        (
            r#"permit (principal, action == Action::"s/t", resource) when { principal.tenant == "other" && context.time.hour == 3 };"#,
            "s/t",
            false,
        ),
        (
            r#"permit (principal, action == Action::"s/t", resource) unless { principal.tenant == "acme" || context.time.hour == 3 };"#,
            "s/t",
            false,
        ),
        (
            r#"permit (principal, action == Action::"s/t", resource) when { if principal.tenant == "acme" then false else context.time.hour == 3 };"#,
            "s/t",
            false,
        ),
        (
            r#"permit (principal == User::"https://id.example|bob", action == Action::"s/t", resource);"#,
            "s/t",
            false,
        ),
        // An argument the tool does not have is never there.
        (
            r#"permit (principal, action, resource) when { context.args has amount && context.args.amount > 3 };"#,
            "s/bare",
            false,
        ),
        (r#"permit (principal, action, resource) when { context.args has options.mode };"#, "s/bare", false),
        (r#"permit (principal, action, resource) when { context.args has options.mode };"#, "s/t", true),
        // A forbid hides only what it forbids whatever happens.
        (
            r#"permit (principal, action == Action::"s/t", resource); forbid (principal, action, resource) when { principal.groups.contains("staff") };"#,
            "s/t",
            false,
        ),
        (
            r#"permit (principal, action == Action::"s/t", resource); forbid (principal, action, resource) when { context has args };"#,
            "s/t",
            false,
        ),
        (
            r#"permit (principal, action == Action::"s/t", resource); forbid (principal, action == Action::"s/t", resource) when { context.args has amount };"#,
            "s/t",
            true,
        ),
        (
            r#"permit (principal, action == Action::"s/t", resource); @obligation("o") forbid (principal, action, resource) unless { context.granted.contains("o") };"#,
            "s/t",
            true,
        ),
    ] {
        let revision = compile(policies, &shapes);
        let subject = Subject::of(&alice());
        assert_eq!(revision.listable(&subject, &find(&revision, tool)), expect, "{tool}: {policies}");
        // Remembered the same.
        assert_eq!(revision.listable(&subject, &find(&revision, tool)), expect, "{tool}: {policies}");
    }
}
