//! The policies of `bench/policies` are what the bench says they are.

use super::shipped::folder;
use super::*;

const SCHEMA: &str = r#"{"type":"object","properties":{
    "text":{"type":"string"},"amount":{"type":"integer"},"region":{"type":"string"},"path":{"type":"string"},
    "limit":{"type":"integer"},
    "options":{"type":"object","properties":{"nested":{"type":"object","properties":{
        "priority":{"type":"integer"},"tag":{"type":"string"}}}}}}}"#;

fn bench() -> Revision {
    let shapes: Vec<Shape> = (0..40)
        .map(|n| {
            let impact = if n < 20 { Impact::Read } else { Impact::WriteReversible };
            tool("bench", &format!("tool_{n:02}"), impact, SCHEMA)
        })
        .collect();
    Revision::compile(&folder("bench/policies"), &shapes, &settings()).unwrap()
}

#[test]
fn a_hundred_policies_of_which_eight_reach_a_called_tool() {
    let revision = bench();
    assert_eq!(revision.policies(), 100);
    let report = revision.report();
    assert_eq!(
        (report.withheld.len(), report.lints.len(), report.partly_typed.len()),
        (0, 0, 0),
        "{report:?}"
    );
    for called in ["bench/tool_00", "bench/tool_20"] {
        let slice = find(&revision, called).0;
        assert_eq!(slice.rules.len(), 8, "{called}");
        let reads: Vec<Vec<String>> = slice
            .rules
            .iter()
            .filter(|rule| rule.reads_arguments())
            .map(|rule| rule.reads().paths())
            .collect();
        assert_eq!(reads.len(), 3, "{called}: {reads:?}");
        let nested =
            reads.iter().filter(|paths| paths.iter().any(|path| path.matches('.').count() > 2)).count();
        assert_eq!(nested, 1, "{called}: {reads:?}");
    }
}

#[test]
fn the_bench_principal_is_permitted_and_its_bounds_hold() {
    let revision = bench();
    // As crates/bench/src/issuer.rs signs it.
    let principal = Principal {
        user: "bench".into(),
        client: "bench-client".into(),
        roles: vec!["analyst".into(), "reader".into()],
        ..alice()
    };
    for called in ["bench/tool_00", "bench/tool_20"] {
        let ask = |arguments: &str| judge_as(&revision, &principal, called, arguments, &moment()).is_permit();
        assert!(ask(
            r#"{"text":"x","amount":5,"region":"eu","path":"/a","limit":1,"options":{"nested":{"priority":3,"tag":"t"}}}"#
        ));
        assert!(!ask(r#"{"amount":1000001}"#));
        assert!(!ask(r#"{"path":"/secret/a"}"#));
        assert!(!ask(r#"{"options":{"nested":{"priority":10}}}"#));
    }
}
