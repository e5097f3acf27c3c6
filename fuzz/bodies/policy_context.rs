//! Arguments as a context, and input schemas as types: any bytes, no panic, and nothing permitted that was hidden.

use model::{Impact, Principal, ServerName, Timestamp};
use policy::{
    ActionName, Decision, DenyReason, Environment, Plan, PolicyFile, Revision, Settings, Shape, Subject,
    ToolShape, Zone,
};
use serde_json::value::RawValue;
use std::sync::{Arc, LazyLock};

struct House {
    revision: Revision,
    subject: Subject,
    server: ServerName,
}

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let server = ServerName::new("s").expect("a name");
    let files = [PolicyFile { name: "fuzz.cedar".to_owned(), text: POLICIES.to_owned() }];
    let revision = Revision::compile(&files, &[shape(&server, SCHEMA)], &Settings { zone: Zone::utc() });
    let principal = Principal { roles: vec!["engineer".into()], ..Principal::service() };
    House { revision: revision.expect("valid policies"), subject: Subject::of(&principal), server }
});

/// The first byte says how the rest is read: as arguments, or as an input schema.
pub(crate) fn check(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let house = &*HOUSE;
    if kind % 2 == 0 {
        let decision = judge(&house.revision, rest);
        let json = serde_json::from_slice::<serde::de::IgnoredAny>(rest).is_ok();
        let object = json && rest.trim_ascii_start().first() == Some(&b'{');
        assert!(object || !decision.is_permit(), "permitted what is no object");
        if let Decision::Deny(denial) = &decision
            && let DenyReason::Unrepresentable { pointer, .. } = &denial.reason
        {
            assert!(pointer.is_empty() || pointer.starts_with('/'));
        }
        return;
    }
    let Ok(schema) = std::str::from_utf8(rest) else { return };
    if RawValue::from_string(schema.to_owned()).is_ok() {
        let changed = house.revision.with_server(&house.server, &[shape(&house.server, schema)]);
        let _ = changed.report();
        judge(&changed, b"{\"id\":\"a\",\"amount\":1}");
    }
}

fn judge(revision: &Revision, arguments: &[u8]) -> Decision {
    let house = &*HOUSE;
    let action = revision.action(&ActionName::Tool(&house.server, "t")).expect("the tool");
    let environment = Environment {
        now: Timestamp(0),
        ip: std::net::IpAddr::from([127, 0, 0, 1]),
        plan: Plan { strategy: "none", account: None, audience: None },
        conversation_source: "session",
        granted: &[],
    };
    let decision = revision.decide(&house.subject, &action, arguments, &environment);
    assert!(revision.listable(&house.subject, &action) || !decision.is_permit(), "permitted what is hidden");
    let explained = revision.explain(&house.subject, &action, arguments, &environment);
    assert_eq!(explained.decision, decision);
    decision
}

fn shape(server: &ServerName, schema: &str) -> Shape {
    Shape::Tool(Arc::new(ToolShape {
        server: server.clone(),
        name: "t".to_owned(),
        input_schema: RawValue::from_string(schema.to_owned()).ok(),
        impact: Impact::Read,
    }))
}

const POLICIES: &str = r#"
@id("all") permit (principal, action in Action::"method:tools/call", resource) when { principal.roles.contains("engineer") };
@id("whole") forbid (principal, action == Action::"s/t", resource) when { context.args != context.args };
@id("amount") forbid (principal, action == Action::"s/t", resource) when { context.args has amount && context.args.amount > 9 };
@id("price") forbid (principal, action == Action::"s/t", resource)
  when { context.args has price && context.args.price.greaterThan(decimal("9.99")) };
@id("nested") forbid (principal, action == Action::"s/t", resource)
  when { context.args has options.nested && context.args.options.nested.contains("x") };
"#;

const SCHEMA: &str = r#"{"type":"object","required":["id"],"properties":{
  "id":{"type":"string"},"amount":{"type":"integer"},"price":{"type":"number"},"flag":{"type":"boolean"},
  "note":{"type":["string","null"]},"a/b~c":{"type":"string"},
  "options":{"type":"object","properties":{"nested":{"type":"array","items":{"type":"string"}}}}}}"#;
