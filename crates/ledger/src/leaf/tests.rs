//! Leaves survive their encoding, whatever is in them, and stay within their bounds.

use crate::*;
use model::{CallId, Code, Digest, ErrorKind, Impact, SeededDice, Timestamp};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use std::borrow::Cow;

type Text = Cow<'static, str>;

fn text() -> BoxedStrategy<Text> {
    prop_oneof!["[a-z0-9_/.:-]{0,30}", any::<String>(), Just("\"\\\n\r\t\u{1}\u{7f}\u{2028}é😀".to_owned())]
        .prop_map(Cow::Owned)
        .boxed()
}

fn texts() -> BoxedStrategy<Vec<Text>> {
    prop::collection::vec(text(), 0..4).boxed()
}

fn digest() -> BoxedStrategy<Digest> {
    any::<[u8; 32]>().prop_map(Digest).boxed()
}

fn call_id() -> BoxedStrategy<CallId> {
    (0..i64::MAX >> 16, any::<u64>())
        .prop_map(|(ms, seed)| CallId::new(Timestamp(ms), &SeededDice::new(seed)))
        .boxed()
}

fn kind() -> BoxedStrategy<ErrorKind> {
    use ErrorKind::*;
    select(vec![
        Unauthenticated,
        Denied,
        Invalid,
        NotFound,
        TooMuch,
        TimedOut,
        Cancelled,
        Upstream,
        Unavailable,
        Internal,
    ])
    .boxed()
}

fn call() -> BoxedStrategy<Call<'static>> {
    let caller = (text(), of(text()), text(), text(), text())
        .prop_map(|(user, agent, client, tenant, issuer)| Caller { user, agent, client, tenant, issuer });
    let conversation =
        (text(), select(ConversationSource::ALL)).prop_map(|(id, source)| Conversation { id, source });
    let target = (text(), of(select(Named::ALL)), of(text()), of(digest()))
        .prop_map(|(server, named, name, definition)| Target { server, named, name, definition });
    let downstream = (text(), of(text()), of(text())).prop_map(|(strategy, account, audience)| Downstream {
        strategy,
        account,
        audience,
    });
    let impact = select(vec![
        Impact::Read,
        Impact::ReadSensitive,
        Impact::WriteReversible,
        Impact::ExternalOrRegulated,
    ]);
    let value = select(vec![r#"{"seq":1,"b":[1.0, 2e3,"\u0000"]}"#, "{}", "[ ]"]);
    let value = value
        .prop_map(|json| Json(Cow::Owned(serde_json::value::RawValue::from_string(json.into()).unwrap())));
    let arguments = (digest(), any::<u64>(), of(value)).prop_map(|(digest, bytes, value)| Arguments {
        digest,
        bytes,
        value,
    });
    (
        (call_id(), caller, of(conversation), text(), text()),
        (of(target), of(downstream), of(impact), of(text()), any::<u64>(), of(arguments)),
    )
        .prop_map(|((id, caller, conversation, endpoint, method), rest)| {
            let (target, downstream, impact, trace, request_bytes, arguments) = rest;
            Call {
                id,
                caller,
                conversation,
                endpoint,
                method,
                target,
                downstream,
                impact,
                trace,
                request_bytes,
                arguments,
            }
        })
        .boxed()
}

fn decision() -> BoxedStrategy<Decision<'static>> {
    (select(Effect::ALL), texts(), texts(), of(digest()))
        .prop_map(|(effect, rules, obligations, policy)| Decision { effect, rules, obligations, policy })
        .boxed()
}

fn latency() -> BoxedStrategy<Latency> {
    prop::array::uniform10(prop_oneof![Just(0), any::<u32>()])
        .prop_map(|a| Latency {
            authenticate: a[0],
            admit: a[1],
            resolve: a[2],
            authorize: a[3],
            inspect: a[4],
            record: a[5],
            attach: a[6],
            upstream: a[7],
            release: a[8],
            total: a[9],
        })
        .boxed()
}

fn leaf() -> BoxedStrategy<Leaf<'static>> {
    let code = any::<u16>().prop_map(Code);
    let status = prop_oneof![
        select(vec![Status::Ok, Status::ToolError, Status::InputRequired, Status::Unknown]),
        kind().prop_map(Status::Failed),
    ];
    let outcome = (
        (call_id(), status, select(Attempt::ALL), of(code.clone()), of(text()), of(text())),
        (texts(), any::<u64>(), any::<u64>(), latency(), of((text(), text()))),
    )
        .prop_map(
            |(
                (call, status, attempt, code, reason, upstream),
                (findings, answer_bytes, reply_bytes, latency, token),
            )| {
                Leaf::Outcome(Outcome {
                    call,
                    status,
                    attempt,
                    code,
                    reason,
                    upstream,
                    token: token.map(|(kid, jti)| Token { kid, jti }),
                    findings,
                    answer_bytes,
                    reply_bytes,
                    latency,
                })
            },
        );
    let denial = (call(), of(decision()), kind(), code.clone(), of(text()), latency()).prop_map(
        |(call, decision, kind, code, reason, latency)| {
            Leaf::Denial(Denial { call, decision, kind, code, reason, latency })
        },
    );
    let row = (text(), code.clone(), of(text()), any::<u64>())
        .prop_map(|(source, code, issuer, count)| AuthnFailure { source, code, issuer, count });
    let failures = (any::<i64>(), prop::collection::vec(row, 0..4), any::<u64>()).prop_map(
        |(from, failures, uncounted)| {
            Leaf::AuthnFailures(AuthnFailures { from: Timestamp(from), failures, uncounted })
        },
    );
    let about = (text(), text()).prop_map(|(kind, id)| About { kind, id });
    let event = (
        (select(What::ALL), of(text()), of(text()), of(about)),
        (of(text()), of(text()), of(digest()), of(code), of(text())),
    )
        .prop_map(|((what, tenant, by, about), (server, name, digest, code, detail))| {
            Leaf::Event(Event { what, tenant, by, about, server, name, digest, code, detail })
        });
    let intent = (call(), decision()).prop_map(|(call, decision)| Leaf::Intent(Intent { call, decision }));
    prop_oneof![intent.boxed(), outcome.boxed(), denial.boxed(), failures.boxed(), event.boxed()].boxed()
}

/// The payload of `leaf` as it stands in a segment.
fn payload(sequence: u64, time: Timestamp, leaf: &Leaf<'_>) -> Vec<u8> {
    let (mut encoded, mut frame) = (Vec::new(), Vec::new());
    encode(&mut encoded, time, leaf);
    segment::push(&mut frame, sequence, &encoded);
    frame.split_off(segment::FRAME_BYTES)
}

proptest! {
    #[test]
    fn leaves_survive_their_encoding(leaf in leaf(), sequence in 1..u64::MAX, time in any::<i64>()) {
        let time = Timestamp(time);
        let payload = payload(sequence, time, &leaf);
        prop_assert_eq!(decode(&payload).unwrap(), Entry { sequence, time, leaf });
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }
}

fn plain_intent(user: &str) -> Leaf<'_> {
    let call = Call {
        id: CallId::parse("call_0198c0ffee0070008000000000000001").unwrap(),
        caller: Caller {
            user: user.into(),
            agent: None,
            client: "c".into(),
            tenant: "t".into(),
            issuer: "https://idp.example".into(),
        },
        conversation: None,
        endpoint: "/mcp".into(),
        method: "tools/call".into(),
        target: Some(Target {
            server: "git".into(),
            named: Some(Named::Tool),
            name: Some("git_log".into()),
            definition: None,
        }),
        downstream: None,
        impact: Some(Impact::Read),
        trace: None,
        request_bytes: 120,
        arguments: Some(Arguments { digest: Digest([0; 32]), bytes: 2, value: None }),
    };
    let decision = Decision {
        effect: Effect::Permit,
        rules: vec!["readers".into()],
        obligations: Vec::new(),
        policy: Some(Digest([0xab; 32])),
    };
    Leaf::Intent(Intent { call, decision })
}

#[test]
fn the_order_of_fields_is_fixed() {
    let text = String::from_utf8(payload(3, Timestamp(1_795_219_200_000), &plain_intent("ada"))).unwrap();
    assert_eq!(
        text,
        format!(
            concat!(
                r#"{{"seq":3,"time":1795219200000,"kind":"intent","call":"call_0198c0ffee0070008000000000000001","#,
                r#""caller":{{"user":"ada","client":"c","tenant":"t","issuer":"https://idp.example"}},"#,
                r#""endpoint":"/mcp","method":"tools/call","#,
                r#""target":{{"server":"git","named":"tool","name":"git_log"}},"impact":"read","request_bytes":120,"#,
                r#""decision":{{"effect":"permit","rules":["readers"],"policy":"{}"}},"#,
                r#""arguments":{{"digest":"{}","bytes":2}}}}"#
            ),
            "ab".repeat(32),
            "00".repeat(32)
        )
    );
}

#[test]
fn long_texts_are_clipped_between_characters() {
    for long in ["x".repeat(5000), "é".repeat(5000), "\u{1}".repeat(5000), "\"".repeat(5000)] {
        let payload = payload(1, Timestamp(0), &plain_intent(&long));
        let Leaf::Intent(intent) = decode(&payload).unwrap().leaf else { panic!("not an intent") };
        let user = intent.call.caller.user;
        assert!(user.len() <= TEXT_BYTES, "{}", user.len());
        assert!(user.ends_with('…') && long.starts_with(user.trim_end_matches('…')), "{user}");
    }
}

#[test]
fn the_fullest_leaf_keeps_its_bound_and_drops_the_value_that_does_not_fit() {
    let worst: String = "\u{1}".repeat(5000);
    let list = || vec![Cow::Owned(worst.clone()); 500];
    let Leaf::Intent(mut intent) = plain_intent(&worst) else { panic!("not an intent") };
    let call = &mut intent.call;
    call.caller = Caller {
        user: worst.as_str().into(),
        agent: Some(worst.as_str().into()),
        client: worst.as_str().into(),
        tenant: worst.as_str().into(),
        issuer: worst.as_str().into(),
    };
    call.conversation = Some(Conversation { id: worst.as_str().into(), source: ConversationSource::Session });
    (call.endpoint, call.method) = (worst.as_str().into(), worst.as_str().into());
    call.target = Some(Target {
        server: worst.as_str().into(),
        named: Some(Named::Resource),
        name: Some(worst.as_str().into()),
        definition: Some(Digest([1; 32])),
    });
    call.downstream = Some(Downstream {
        strategy: worst.as_str().into(),
        account: Some(worst.as_str().into()),
        audience: Some(worst.as_str().into()),
    });
    call.trace = Some(worst.as_str().into());
    (intent.decision.rules, intent.decision.obligations) = (list(), list());
    let base = Leaf::Intent(intent.clone());
    let room = LEAF_BYTES - payload(u64::MAX, Timestamp(i64::MIN), &base).len();
    assert!(room < LEAF_BYTES / 2, "the list bounds leave {room} bytes");
    for (bytes, kept) in
        [(room - 10 - 2, true), (room - 10 - 1, true), (room, false), (usize::MAX >> 45, false)]
    {
        let json =
            serde_json::value::RawValue::from_string(format!("\"{}\"", "v".repeat(bytes.saturating_sub(2))))
                .unwrap();
        let Leaf::Intent(mut full) = base.clone() else { panic!("not an intent") };
        full.call.arguments =
            Some(Arguments { digest: Digest([2; 32]), bytes: 9, value: Some(Json(Cow::Owned(json))) });
        let payload = payload(u64::MAX, Timestamp(i64::MIN), &Leaf::Intent(full));
        assert!(payload.len() <= LEAF_BYTES, "{}", payload.len());
        let Leaf::Intent(read) = decode(&payload).unwrap().leaf else { panic!("not an intent") };
        assert_eq!(read.call.arguments.unwrap().value.is_some(), kept, "{bytes} of {room}");
        assert_eq!(read.decision.rules.len(), LIST_ITEMS);
        assert_eq!(read.decision.rules.last().unwrap(), "…");
    }
}

#[test]
fn unknown_fields_are_passed_over_and_unknown_kinds_are_not() {
    let with = |kind: &str| format!(r#"{{"seq":1,"time":0,"kind":"{kind}","what":"started","later":{{}}}}"#);
    assert!(decode(with("event").as_bytes()).is_ok());
    assert!(
        matches!(decode(with("prophecy").as_bytes()), Err(DecodeError::Kind(kind)) if kind == "prophecy")
    );
    assert!(matches!(decode(with("intent").as_bytes()), Err(DecodeError::Missing("decision"))));
}

#[test]
fn every_word_of_the_record_is_documented() {
    let document = include_str!("../../../../docs/audit-record.md");
    let words = ConversationSource::ALL
        .iter()
        .map(|word| word.as_str())
        .chain(Named::ALL.iter().map(|word| word.as_str()))
        .chain(Attempt::ALL.iter().map(|word| word.as_str()))
        .chain(What::ALL.iter().map(|word| word.as_str()));
    for word in words {
        assert!(document.contains(&format!("`{word}`")), "{word} is not in docs/audit-record.md");
    }
}
