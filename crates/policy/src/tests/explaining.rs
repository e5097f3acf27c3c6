//! Explanations say what would change a denial.

use super::*;
use crate::Verdict;

fn explain(policies: &str, arguments: &str) -> crate::Explanation {
    let revision = compile(policies, &[tool("s", "t", Impact::Read, RICH)]);
    revision.explain(&Subject::of(&alice()), &find(&revision, "s/t"), arguments.as_bytes(), &moment())
}

#[test]
fn a_denial_says_what_each_permit_lacks() {
    let said = explain(
        r#"
        @id("admins") permit (principal, action == Action::"s/t", resource) when { principal.roles.contains("admin") };
        @id("small") permit (principal, action == Action::"s/t", resource) when { principal.tenant == "acme" && context.args has amount && context.args.amount < 10 };
        "#,
        r#"{"amount":11}"#,
    );
    assert_eq!(
        said.would_change,
        [
            "small (p.cedar:3) needs context.args.amount < 10",
            r#"admins (p.cedar:2) needs principal.roles.contains("admin")"#,
        ]
    );
    assert!(said.listed);
    let small = &said.trials[1];
    assert_eq!((small.rule.as_ref(), &small.verdict), ("small", &Verdict::Unsatisfied));
    assert_eq!(small.reads, ["context.args.amount"]);
    assert_eq!(small.clauses.len(), 3);
}

#[test]
fn a_denial_says_what_forbids_and_what_would_lift_it() {
    let said = explain(
        r#"
        @id("all") permit (principal, action == Action::"s/t", resource);
        @id("big") forbid (principal, action, resource == Server::"s") when { context.args has amount && context.args.amount > 10 };
        "#,
        r#"{"amount":11}"#,
    );
    assert_eq!(
        said.would_change,
        ["big (p.cedar:3) forbids this while context.args has amount && context.args.amount > 10"]
    );
    let asked = explain(
        r#"
        @id("all") permit (principal, action == Action::"s/t", resource);
        @id("ask") @obligation("approval") forbid (principal, action, resource) unless { context.granted.contains("approval") };
        "#,
        "{}",
    );
    assert_eq!(asked.would_change, [r#"meet the obligation "approval""#]);
    assert!(explain("", "{}").would_change[0].contains(r#"Action::"s/t""#));
    assert!(
        explain("@id(\"a\") permit (principal, action == Action::\"s/t\", resource);", "{}")
            .would_change
            .is_empty()
    );
}
