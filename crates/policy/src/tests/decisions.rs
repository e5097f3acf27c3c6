//! All four levels: agent, tool, parameter, context; obligations; names that try to collide.

use super::*;

#[test]
fn nothing_is_permitted_by_default() {
    let shapes = [tool("s", "t", Impact::Read, RICH), Shape::Server(server("s"))];
    assert_eq!(short(&judge(&compile("", &shapes), "s/t", "{}")), "no permit");
}

#[test]
fn the_agent_the_tool_and_the_impact_class_decide() {
    let revision = compile(
        r#"
        @id("readers") permit (principal, action in Action::"impact:read", resource) when { principal.roles.contains("engineer") };
        @id("claude") permit (principal, action == Action::"s/w", resource) when { principal.client == "claude" && principal has agent && principal.agent == "builder" };
        @id("no-bots") forbid (principal, action, resource) when { principal.groups.contains("bots") };
        @id("me") permit (principal == User::"https://id.example|alice", action == Action::"s/x", resource is Server);
        "#,
        &[
            tool("s", "r", Impact::Read, "{}"),
            tool("s", "w", Impact::ExternalOrRegulated, "{}"),
            tool("s", "x", Impact::ExternalOrRegulated, "{}"),
        ],
    );
    let builder = Principal { agent: Some("builder".into()), ..alice() };
    let bot = Principal { groups: vec!["bots".into()], ..builder.clone() };
    let stranger = Principal { roles: Vec::new(), user: "bob".into(), ..alice() };
    for (principal, action, expect) in [
        (&alice(), "s/r", "permit: readers"),
        (&alice(), "s/w", "no permit"),
        (&alice(), "s/x", "permit: me"),
        (&builder, "s/w", "permit: claude"),
        (&bot, "s/w", "forbidden: no-bots"),
        (&stranger, "s/r", "no permit"),
        (&stranger, "s/x", "no permit"),
    ] {
        assert_eq!(short(&judge_as(&revision, principal, action, "{}", &moment())), expect, "{action}");
    }
}

#[test]
fn time_zone_network_plan_and_conversation_decide() {
    let revision = compile(
        r#"
        @id("office") permit (principal, action == Action::"s/t", resource) when {
            context.time.hour >= 9 && context.time.hour < 17 && context.time.weekday <= 5 && context.time.zone == "Europe/Berlin" };
        @id("inside") forbid (principal, action, resource) unless { context.network.ip.isInRange(ip("10.0.0.0/8")) };
        @id("plan") forbid (principal, action, resource) when { context.plan has account && context.plan.account == "root" };
        @id("inferred") forbid (principal, action, resource) when { context.conversation.source == "inferred" };
        @id("freeze") forbid (principal, action, resource) when { context.time.now >= datetime("2026-12-24") && context.time.date != "2027-01-01" };
        "#,
        &[tool("s", "t", Impact::Read, "{}")],
    );
    let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let outside = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    for (environment, expect) in [
        (moment(), "permit: office"),
        // 16:30 UTC is 17:30 in Berlin; in summer 07:30 UTC is 09:30.
        (Environment { now: at("2026-11-20T16:30:00Z"), ..moment() }, "no permit"),
        (Environment { now: at("2026-07-17T07:30:00Z"), ..moment() }, "permit: office"),
        (Environment { now: at("2026-11-20T07:30:00Z"), ..moment() }, "no permit"),
        (Environment { now: at("2026-11-21T09:30:00Z"), ..moment() }, "no permit"),
        (Environment { now: at("2026-12-24T09:30:00Z"), ..moment() }, "forbidden: freeze"),
        (Environment { ip: outside, ..moment() }, "forbidden: inside"),
        (Environment { ip: "::1".parse().unwrap(), ..moment() }, "forbidden: inside"),
        (
            Environment {
                plan: Plan { strategy: "header", account: Some("root"), audience: None },
                ..moment()
            },
            "forbidden: plan",
        ),
        (
            Environment { plan: Plan { strategy: "none", account: None, audience: None }, ..moment() },
            "permit: office",
        ),
        (Environment { conversation_source: "inferred", ..moment() }, "forbidden: inferred"),
    ] {
        assert_eq!(
            short(&judge_as(&revision, &alice(), "s/t", "{}", &environment)),
            expect,
            "{environment:?}"
        );
    }
}

#[test]
fn an_obligation_denies_until_it_is_met() {
    let revision = compile(
        r#"
        @id("all") permit (principal, action in Action::"server:s", resource) when { principal.tenant == "acme" };
        @id("big") @obligation("approval:finance") forbid (principal, action == Action::"s/t", resource)
          when { context.args has amount && context.args.amount > 100 } unless { context.granted.contains("approval:finance") };
        @id("mfa") @obligation("step-up") forbid (principal, action == Action::"s/t", resource) unless { context.granted.contains("step-up") };
        @id("never") forbid (principal, action == Action::"s/t", resource) when { context.args has id && context.args.id == "root" };
        "#,
        &[tool("s", "t", Impact::Read, RICH)],
    );
    let finance: [Arc<str>; 1] = ["approval:finance".into()];
    let both: [Arc<str>; 2] = ["approval:finance".into(), "step-up".into()];
    let poor = Principal { tenant: "other".into(), ..alice() };
    for (principal, arguments, granted, expect) in [
        (&alice(), r#"{"amount":101}"#, &[][..], "forbidden: big mfa [approval:finance step-up]"),
        (&alice(), r#"{"amount":101}"#, &finance, "forbidden: mfa [step-up]"),
        (&alice(), r#"{"amount":101}"#, &both, "permit: all"),
        // A plain forbid is not lifted by any obligation.
        (&alice(), r#"{"id":"root"}"#, &[][..], "forbidden: mfa never"),
        // Nothing would permit it, so nobody is asked.
        (&poor, r#"{"amount":101}"#, &[][..], "forbidden: big mfa"),
    ] {
        let environment = Environment { granted, ..moment() };
        assert_eq!(
            short(&judge_as(&revision, principal, "s/t", arguments, &environment)),
            expect,
            "{arguments}"
        );
    }
}

#[test]
fn names_cannot_collide() {
    let shapes = [
        tool("prompt", "get", Impact::Read, "{}"),
        tool("s", "prompt:s/p", Impact::Read, "{}"),
        tool("s", "ü \"quoted\" \\ /slash/", Impact::Read, "{}"),
        tool("s", "server:s", Impact::Read, "{}"),
        prompt("s", "p"),
        prompt("s", "p/q"),
    ];
    let revision = compile(
        r#"
        @id("p") permit (principal, action == Action::"prompt:s/p", resource) when { context.args.topic != "secret" };
        @id("odd") permit (principal, action == Action::"s/ü \"quoted\" \\ /slash/", resource);
        @id("uri") permit (principal, action in Action::"method:resources/read", resource) when { context.args.uri like "file:///pub/*" };
        @id("find") permit (principal, action == Action::"discover:s", resource);
        "#,
        &shapes,
    );
    let s = server("s");
    let subject = Subject::of(&alice());
    let ask = |name: &ActionName<'_>, arguments: &str| {
        short(&revision.decide(&subject, &revision.action(name).unwrap(), arguments.as_bytes(), &moment()))
    };
    assert_eq!(ask(&ActionName::Prompt(&s, "p"), r#"{"topic":"x"}"#), "permit: p");
    assert_eq!(ask(&ActionName::Prompt(&s, "p"), r#"{"topic":"secret"}"#), "no permit");
    assert_eq!(ask(&ActionName::Prompt(&s, "p/q"), r#"{"topic":"x"}"#), "no permit");
    assert_eq!(ask(&ActionName::Tool(&s, "prompt:s/p"), "{}"), "no permit");
    assert_eq!(ask(&ActionName::Tool(&s, "ü \"quoted\" \\ /slash/"), "{}"), "permit: odd");
    assert_eq!(ask(&ActionName::Tool(&s, "server:s"), "{}"), "no permit");
    assert_eq!(ask(&ActionName::Resource(&s), r#"{"uri":"file:///pub/a"}"#), "permit: uri");
    assert_eq!(ask(&ActionName::Resource(&s), r#"{"uri":"file:///etc"}"#), "no permit");
    assert_eq!(ask(&ActionName::Discover(&s), "{}"), "permit: find");
    assert!(revision.action(&ActionName::Tool(&s, "gone")).is_none());
    assert!(revision.action(&ActionName::Discover(&server("gone"))).is_none());
}

#[test]
fn a_kept_subject_and_action_stay_right_as_revisions_change() {
    let shapes = [tool("s", "t", Impact::Read, RICH)];
    let (yes, no) = (
        compile(r#"@id("y") permit (principal, action == Action::"s/t", resource);"#, &shapes),
        compile(r#"@id("n") forbid (principal, action == Action::"s/t", resource);"#, &shapes),
    );
    let subject = Subject::of(&alice());
    for _ in 0..3 {
        for (revision, expect) in [(&yes, "permit: y"), (&no, "forbidden: n")] {
            let action = find(revision, "s/t");
            assert_eq!(short(&revision.decide(&subject, &action, b"{}", &moment())), expect);
            assert_eq!(revision.listable(&subject, &action), expect.starts_with("permit"));
        }
    }
}

#[test]
fn principals_alike_share_what_was_worked_out() {
    let revision = compile(
        r#"@id("a") permit (principal, action == Action::"s/t", resource) when { principal.roles.contains("engineer") && context.args.id != "x" };"#,
        &[tool("s", "t", Impact::Read, RICH)],
    );
    let slice = find(&revision, "s/t").0;
    let standing = |principal: &Principal| Subject::of(principal).standing(&slice);
    let bob = Principal { user: "bob".into(), ..alice() };
    let guest = Principal { roles: Vec::new(), ..alice() };
    assert!(Arc::ptr_eq(&standing(&alice()).parts, &standing(&bob).parts));
    assert!(standing(&guest).parts.open.is_empty());
    let subjects = crate::Subjects::new(2);
    let first = subjects.of(alice().key(), &alice());
    assert!(Arc::ptr_eq(&first, &subjects.of(alice().key(), &alice())));
    for n in 0..4 {
        let other = Principal { user: format!("u{n}").into(), ..alice() };
        subjects.of(other.key(), &other);
    }
    assert!(!Arc::ptr_eq(&first, &subjects.of(alice().key(), &alice())));
}

#[test]
fn constants_are_made_once_and_cannot_be_named() {
    let revision = compile(
        r##"@id("in") permit (principal, action == Action::"s/t", resource) when { context.network.ip.isInRange(ip("10.0.0.0/8")) && ["a", "b"].contains(context.args.id) };
        @id("named") forbid (principal, action == Action::"s/t", resource) when { context has "#0" };
        @id("whole") forbid (principal, action == Action::"s/t", resource) when { (if context.time.hour > 30 then context.args else context.args) has "#0" };"##,
        &[tool("s", "t", Impact::Read, RICH)],
    );
    let subject = Subject::of(&alice());
    let action = find(&revision, "s/t");
    for (ip, expect) in [("10.9.9.9", "permit: in"), ("192.0.2.1", "no permit"), ("10.9.9.9", "permit: in")] {
        let environment = Environment { ip: ip.parse().unwrap(), ..moment() };
        let decision = revision.decide(&subject, &action, br#"{"id":"b"}"#, &environment);
        assert_eq!(short(&decision), expect, "{ip}");
    }
}
