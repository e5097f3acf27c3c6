//! The fast way against Cedar's own: the whole policy set, the whole context, Cedar's authorizer, entities and
//! context read from JSON against the schema. They differ in one thing only: here an error is a denial.

use super::*;
use cedar_policy::{Authorizer, Context, Entities, EntityUid, PolicySet, Request, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::str::FromStr;

const CONDITIONS: &[&str] = &[
    "true",
    "false",
    r#"principal.tenant == "acme""#,
    r#"principal.roles.contains("engineer")"#,
    r#"principal.roles.containsAny(["admin", "auditor"])"#,
    r#"principal has agent && principal.agent == "builder""#,
    r#"principal.groups.isEmpty()"#,
    r#"resource == Server::"s""#,
    r#"action in Action::"impact:read""#,
    r#"action == Action::"s/t""#,
    r#"context.args.id == "a""#,
    r#"context.args.id like "/x/*""#,
    r#"context.args has id && context.args.id == principal.tenant"#,
    r#"context.args has amount && context.args.amount > 5"#,
    r#"context.args has amount && context.args.amount + 1 > 0"#,
    r#"context.args has amount && context.args.amount * 2 < 9 && principal.tenant != "acme""#,
    r#"context.args has price && context.args.price.lessThan(decimal("0.5"))"#,
    r#"context.args has dry_run && context.args.dry_run"#,
    r#"context.args has tags && context.args.tags.containsAll(["a"])"#,
    r#"context.args has tags && principal.roles.containsAny(context.args.tags)"#,
    r#"context.args has note"#,
    r#"context.args has note && context.args.note != "a""#,
    r#"context.args has options.nested.priority && context.args.options.nested.priority >= 3"#,
    r#"context.args has options && context.args.options has mode && ["fast"].contains(context.args.options.mode)"#,
    r#"context.args has gone"#,
    r#"context has plan && context.plan has account && context.plan.account == "bot""#,
    r#"context.time.hour < 12"#,
    r#"context.time.weekday > 5"#,
    r#"context.time.now.toDate() == datetime("2026-11-20")"#,
    r#"context.network.ip.isInRange(ip("10.0.0.0/8"))"#,
    r#"context.network.ip.isLoopback() || context.conversation.source == "inferred""#,
    r#"context.granted.contains("o")"#,
    r#"context.args has amount && 3 <= context.args.amount && context.args.amount != 7"#,
    r#"context.args has dry_run && !context.args.dry_run"#,
    r#"context.args has dry_run && context.args.dry_run == true"#,
    r#"context.args has tags && context.args.tags.contains("a")"#,
    r#"context.args has note && context.args.note like "*c*e""#,
    r#"context.args has options.nested && context.args.options.nested has priority"#,
    r#"context.args has options.mode && ["fast", "acme"].contains(context.args.options.mode)"#,
    r#"context.args.id != "/x/y""#,
    r#"context.time.hour >= 9 && 17 > context.time.hour && context.time.minute < 30"#,
    r#"context.network.ip.isInRange(ip("127.0.0.1"))"#,
    r#"context.network.ip.isInRange(ip("2001:db8::/33"))"#,
    r#"context.network.ip.isInRange(ip("192.0.2.7/29"))"#,
    r#"context.network.ip.isInRange(ip("0.0.0.0/0"))"#,
];

const SCOPES: &[(&str, &str)] = &[
    ("principal, action, resource", ""),
    (r#"principal, action == Action::"s/t", resource"#, ""),
    (r#"principal, action == Action::"s/other", resource"#, ""),
    (r#"principal, action in Action::"server:s", resource"#, ""),
    (r#"principal, action in [Action::"impact:read", Action::"impact:read-sensitive"], resource"#, ""),
    (r#"principal is User, action in Action::"method:tools/call", resource == Server::"s""#, ""),
    (r#"principal == User::"https://id.example|alice", action, resource is Server"#, ""),
    (r#"principal, action, resource == Server::"elsewhere""#, ""),
];

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(CONDITIONS).prop_map(|text| format!("({text})"));
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("(!{a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
        ]
    })
}

fn policy() -> impl Strategy<Value = String> {
    prop_oneof![3 => policy_of("permit"), 2 => policy_of("forbid"), 1 => policy_of(ASKS)]
}

const ASKS: &str = "@obligation(\"o\") forbid";

fn policy_of(effect: &'static str) -> impl Strategy<Value = String> {
    let clause = prop_oneof![Just("when"), Just("unless")];
    (prop::sample::select(SCOPES), clause, condition()).prop_map(move |((scope, _), clause, condition)| {
        let lift =
            if effect.contains("obligation") { "unless { context.granted.contains(\"o\") }" } else { "" };
        format!("{effect} ({scope}) {clause} {{ {condition} }} {lift};")
    })
}

fn policies() -> impl Strategy<Value = String> {
    prop::collection::vec(policy(), 1..7).prop_map(|policies| {
        policies.into_iter().enumerate().map(|(n, text)| format!("@id(\"p{n}\") {text}\n")).collect()
    })
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(&["a", "b", "/x/y", "acme", "engineer", ""][..]).prop_map(str::to_owned)
}

/// The arguments as the wire has them, and as Cedar's JSON wants them for the schema.
fn arguments() -> impl Strategy<Value = (Value, Value)> {
    let amount = prop_oneof![-2_i64..12, Just(i64::MAX), Just(i64::MIN)];
    let options = (prop::option::of(prop::option::of(0_i64..6)), prop::option::of(text()));
    (
        prop::option::weighted(0.8, text()),
        prop::option::of(amount),
        prop::option::of(-20_000_i64..20_000),
        prop::option::of(any::<bool>()),
        prop::option::of(prop::collection::vec(text(), 0..4)),
        prop::option::of(prop::option::of(text())),
        prop::option::of(options),
    )
        .prop_map(|(id, amount, price, dry_run, tags, note, options)| {
            let (mut wire, mut cedar) = (serde_json::Map::new(), serde_json::Map::new());
            let mut put = |name: &str, on_wire: Value, in_cedar: Option<Value>| {
                wire.insert(name.to_owned(), on_wire);
                if let Some(in_cedar) = in_cedar {
                    cedar.insert(name.to_owned(), in_cedar);
                }
            };
            let mut plain = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    put(name, value.clone(), Some(value));
                }
            };
            plain("id", id.map(Value::from));
            plain("amount", amount.map(Value::from));
            plain("dry_run", dry_run.map(Value::from));
            plain("tags", tags.map(Value::from));
            plain(
                "options",
                options.map(|(nested, mode)| {
                    let mut options = serde_json::Map::new();
                    if let Some(priority) = nested {
                        let nested = priority.map_or(json!({}), |priority| json!({ "priority": priority }));
                        options.insert("nested".to_owned(), nested);
                    }
                    options.extend(mode.map(|mode| ("mode".to_owned(), Value::from(mode))));
                    Value::Object(options)
                }),
            );
            if let Some(note) = note {
                put("note", json!(note), note.as_ref().map(|note| json!(note)));
            }
            if let Some(price) = price {
                let text = crate::number::decimal_text(price);
                put("price", serde_json::from_str(&text).unwrap(), Some(json!(text)));
            }
            // What has no type is nobody's business.
            wire.insert("anything".to_owned(), json!([1e300, {"id": "b"}]));
            (Value::Object(wire), Value::Object(cedar))
        })
}

fn principal() -> impl Strategy<Value = Principal> {
    let roles = prop::sample::subsequence(vec!["admin", "auditor", "engineer"], 0..=3);
    let tenant = prop::sample::select(&["acme", "a", "other"][..]);
    (roles, tenant, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(roles, tenant, agent, staff, named)| Principal {
            user: if named { "alice" } else { "bob" }.into(),
            tenant: tenant.into(),
            agent: agent.then(|| "builder".into()),
            actors: Vec::new(),
            roles: roles.into_iter().map(Into::into).collect(),
            groups: if staff { vec!["staff".into()] } else { Vec::new() },
            ..alice()
        },
    )
}

#[derive(Clone, Debug)]
struct Moment {
    now: Timestamp,
    ip: IpAddr,
    account: Option<&'static str>,
    source: &'static str,
    granted: Vec<Arc<str>>,
}

fn moments() -> impl Strategy<Value = Moment> {
    let ip = prop::sample::select(
        &["10.1.2.3", "127.0.0.1", "192.0.2.1", "192.0.2.8", "::1", "2001:db8:7fff::1", "2001:db8:8000::"][..],
    );
    let account = prop::sample::select(&[None, Some("bot"), Some("root")][..]);
    let source = prop::sample::select(&["session", "inferred"][..]);
    (0_i64..96, ip, account, source, any::<bool>()).prop_map(|(hours, ip, account, source, granted)| Moment {
        now: Timestamp(FRIDAY.0 + hours * 3_600_000),
        ip: ip.parse().unwrap(),
        account,
        source,
        granted: if granted { vec!["o".into()] } else { Vec::new() },
    })
}

impl Moment {
    fn environment(&self) -> Environment<'_> {
        Environment {
            now: self.now,
            ip: self.ip,
            plan: Plan { strategy: "header", account: self.account, audience: None },
            conversation_source: self.source,
            granted: &self.granted,
        }
    }

    fn context(&self, arguments: &Value) -> Value {
        let zoned = jiff::Timestamp::from_millisecond(self.now.0).unwrap().in_tz("Europe/Berlin").unwrap();
        let mut plan = json!({ "strategy": "header" });
        if let Some(account) = self.account {
            plan["account"] = json!(account);
        }
        json!({
            "args": arguments,
            "time": {
                "now": self.now.to_string(), "hour": zoned.hour(), "minute": zoned.minute(),
                "weekday": zoned.weekday().to_monday_one_offset(), "date": zoned.strftime("%Y-%m-%d").to_string(),
                "zone": "Europe/Berlin",
            },
            "network": { "ip": self.ip.to_string() },
            "plan": plan,
            "conversation": { "source": self.source },
            "granted": self.granted,
        })
    }
}

/// Cedar's own answer, in our words.
fn plainly(
    policies: &str,
    revision: &Revision,
    who: &Principal,
    arguments: &Value,
    moment: &Moment,
) -> String {
    let schema = Schema::from_json_value(revision.cedar_schema()).unwrap();
    let set = PolicySet::from_str(policies).unwrap();
    let id = format!("{}|{}", who.issuer, who.user);
    let mut attributes = json!({
        "user": who.user, "tenant": who.tenant, "client": who.client, "issuer": who.issuer,
        "roles": who.roles, "groups": who.groups, "scopes": who.scopes,
    });
    if let Some(agent) = &who.agent {
        attributes["agent"] = json!(agent);
    }
    let entities = json!([
        { "uid": { "type": "User", "id": id }, "attrs": attributes, "parents": [] },
        { "uid": { "type": "Server", "id": "s" }, "attrs": {}, "parents": [] },
    ]);
    let entities = Entities::from_json_value(entities, Some(&schema)).unwrap();
    let uid = |ty: &str, id: &str| {
        EntityUid::from_type_name_and_id(ty.parse().unwrap(), cedar_policy::EntityId::new(id))
    };
    let (principal, action, resource) = (uid("User", &id), uid("Action", "s/t"), uid("Server", "s"));
    let context = moment.context(arguments);
    // A required argument that is missing is no error of the request here: callers may leave it out.
    let context = Context::from_json_value(context.clone(), Some((&schema, &action)))
        .unwrap_or_else(|_| relaxed(context, &action, revision));
    let request = Request::new(principal, action, resource, context, None).unwrap();
    let response = Authorizer::new().is_authorized(&request, &set, &entities);
    let named = |ids: Vec<&cedar_policy::PolicyId>, key: &str| -> BTreeSet<String> {
        ids.into_iter().filter_map(|id| set.annotation(id, key)).map(str::to_owned).collect()
    };
    let reasons = named(response.diagnostics().reason().collect(), "id");
    let words = |ids: BTreeSet<String>| ids.into_iter().collect::<Vec<_>>().join(" ");
    let denied = response.decision() == cedar_policy::Decision::Deny;
    let plain_forbid =
        denied && response.diagnostics().reason().any(|id| set.annotation(id, "obligation").is_none());
    let errors: Vec<_> = response
        .diagnostics()
        .errors()
        .map(|cedar_policy::AuthorizationError::PolicyEvaluationError(error)| error.policy_id())
        .collect();
    if !errors.is_empty() && !plain_forbid {
        return format!("error: {}", words(named(errors, "id")));
    }
    match (denied, reasons.is_empty()) {
        (false, _) => format!("permit: {}", words(reasons)),
        (true, true) => "no permit".to_owned(),
        (true, false) => format!("forbidden: {}", words(reasons)),
    }
}

/// The same context read without insisting on required arguments: from a schema where none is.
fn relaxed(context: Value, action: &EntityUid, revision: &Revision) -> Context {
    let mut schema = revision.cedar_schema();
    for ty in schema[""]["commonTypes"].as_object_mut().unwrap().values_mut() {
        for argument in ty["attributes"]["args"]["attributes"].as_object_mut().unwrap().values_mut() {
            argument["required"] = json!(false);
        }
    }
    let schema = Schema::from_json_value(schema).unwrap();
    Context::from_json_value(context, Some((&schema, action))).unwrap()
}

fn shapes() -> [Shape; 2] {
    [tool("s", "t", Impact::Read, RICH), tool("s", "other", Impact::WriteReversible, RICH)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, max_global_rejects: 65_536, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_cedars_save_that_an_error_denies(
        policies in policies(),
        who in principal(),
        calls in prop::collection::vec((arguments(), moments()), 1..4),
    ) {
        // Some policies do not fit the server's own actions, which have no such arguments.
        let revision = Revision::compile(&file(&policies), &shapes(), &settings());
        prop_assume!(revision.is_ok());
        let revision = revision.unwrap();
        let subject = Subject::of(&who);
        let action = find(&revision, "s/t");
        let listed = revision.listable(&subject, &action);
        for ((wire, cedar), moment) in calls {
            let decision = revision.decide(&subject, &action, wire.to_string().as_bytes(), &moment.environment());
            let expect = plainly(&policies, &revision, &who, &cedar, &moment);
            let short = short(&decision);
            let found = short.split(" [").next().unwrap();
            prop_assert_eq!(found, expect, "{} {}", policies, wire);
            // INVARIANT: what is permitted was listable.
            prop_assert!(listed || !decision.is_permit(), "{} {}", policies, wire);
            let explanation = revision.explain(&subject, &action, wire.to_string().as_bytes(), &moment.environment());
            prop_assert_eq!(&explanation.decision, &decision);
            let holding: Vec<_> = explanation.trials.iter().filter(|t| t.verdict == crate::Verdict::Satisfied).collect();
            if let Decision::Permit { rules } = &decision {
                prop_assert!(holding.iter().map(|trial| &trial.rule).eq(rules));
            } else {
                prop_assert!(!explanation.would_change.is_empty());
            }
        }
    }

    #[test]
    fn a_forbid_more_never_permits_more(policies in policies(), more in prop_oneof![2 => policy_of("forbid"), 1 => policy_of(ASKS)], who in principal(), (wire, _) in arguments(), moment in moments()) {
        let more = format!("{policies}\n@id(\"more\") {more}");
        let revisions = [&policies, &more].map(|text| Revision::compile(&file(text), &shapes(), &settings()));
        let [Ok(before), Ok(after)] = revisions else { return Err(TestCaseError::reject("does not fit")) };
        let before = judge_as(&before, &who, "s/t", &wire.to_string(), &moment.environment());
        let after = judge_as(&after, &who, "s/t", &wire.to_string(), &moment.environment());
        prop_assert!(before.is_permit() || !after.is_permit());
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes: Vec<u8>, who in principal()) {
        let revision = compile("@id(\"a\") permit (principal, action == Action::\"s/t\", resource) when { context.args == context.args };", &shapes());
        let decision = revision.decide(&Subject::of(&who), &find(&revision, "s/t"), &bytes, &moment());
        prop_assert!(!decision.is_permit() || serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes).is_ok());
    }
}
