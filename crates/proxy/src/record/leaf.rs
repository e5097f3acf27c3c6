//! A trail as leaves of the record. Everything is borrowed.

use super::Ending;
use crate::session::conversation::Source;
use crate::trail::Trail;
use ledger::{
    Arguments, Call, Caller, Conversation, ConversationSource, Decision, Denial, Downstream, Effect, Intent,
    Latency, Named, Outcome, Target, Token,
};
use model::{CallId, Code, ErrorKind};
use protocol::Raw;
use protocol::method::Names;
use std::borrow::Cow;

/// The intent of a call; nothing when its caller is not known.
pub(super) fn intent(trail: &Trail) -> Option<Intent<'_>> {
    let decision = decision(trail).unwrap_or(Decision {
        effect: Effect::Permit,
        rules: Vec::new(),
        obligations: Vec::new(),
        policy: trail.revision,
    });
    Some(Intent { call: call(trail)?, decision })
}

/// The denial of a call; nothing when its caller is not known.
pub(super) fn denial<'a>(
    trail: &'a Trail,
    kind: ErrorKind,
    code: Code,
    reason: Option<&'a str>,
    latency: Latency,
) -> Option<Denial<'a>> {
    let reason = reason.map(Cow::Borrowed);
    Some(Denial { call: call(trail)?, decision: decision(trail), kind, code, reason, latency })
}

/// The outcome of a call.
pub(super) fn outcome<'a>(
    call: CallId,
    ending: &Ending<'a>,
    latency: Latency,
    carried: Option<&'a broker::Carried>,
) -> Outcome<'a> {
    Outcome {
        call,
        status: ending.status,
        attempt: ending.attempt,
        code: ending.code,
        reason: ending.reason.map(Cow::Borrowed),
        upstream: ending.upstream.map(Cow::Borrowed),
        token: carried.map(|token| Token { kid: Cow::Borrowed(&token.kid), jti: Cow::Borrowed(&token.jti) }),
        findings: ending.findings.iter().map(|finding| Cow::Borrowed(finding.as_str())).collect(),
        answer_bytes: wide(ending.answer_bytes),
        reply_bytes: wide(ending.reply_bytes),
        latency,
    }
}

fn call(trail: &Trail) -> Option<Call<'_>> {
    let principal = trail.principal.as_deref()?;
    Some(Call {
        id: trail.call,
        caller: Caller::of(principal),
        conversation: trail.conversation.as_ref().map(|conversation| Conversation {
            id: Cow::Borrowed(&conversation.id),
            source: match conversation.source {
                Source::Session => ConversationSource::Session,
                Source::Declared => ConversationSource::Declared,
                Source::Trace => ConversationSource::Trace,
                Source::Inferred => ConversationSource::Inferred,
            },
        }),
        endpoint: Cow::Owned(trail.endpoint.path()),
        method: Cow::Borrowed(trail.asked()),
        target: target(trail),
        downstream: trail.plan.as_deref().map(|plan| Downstream {
            strategy: Cow::Borrowed(plan.strategy().as_str()),
            account: Some(plan.account()).filter(|account| !account.is_empty()).map(Cow::Borrowed),
            audience: plan.audience().map(Cow::Borrowed),
        }),
        impact: trail.impact,
        trace: trail.trace.as_deref().map(Cow::Borrowed),
        request_bytes: wide(trail.bytes_in),
        arguments: trail.arguments.map(|digest| Arguments {
            digest,
            bytes: wide(trail.arguments_bytes),
            value: trail.arguments_value.as_ref().and_then(json),
        }),
    })
}

fn target(trail: &Trail) -> Option<Target<'_>> {
    let server = trail.server.as_ref()?;
    let named = match trail.method?.row().names {
        Names::Tool => Some(Named::Tool),
        Names::Prompt => Some(Named::Prompt),
        Names::ResourceUri => Some(Named::Resource),
        Names::Completion => Some(if trail.definition.is_some() { Named::Prompt } else { Named::Template }),
        Names::Nothing => None,
    };
    Some(Target {
        server: Cow::Borrowed(server.as_str()),
        named,
        name: trail.item.as_deref().map(Cow::Borrowed),
        definition: trail.definition,
    })
}

fn decision(trail: &Trail) -> Option<Decision<'_>> {
    let (effect, rules, obligations) = match trail.decision.as_deref()? {
        policy::Decision::Permit { rules } => (Effect::Permit, rules.as_slice(), &[][..]),
        policy::Decision::Deny(denial) => {
            (Effect::Deny, denial.rules.as_slice(), denial.obligations.as_slice())
        }
    };
    Some(Decision {
        effect,
        rules: rules.iter().map(|rule| Cow::Borrowed(&**rule)).collect(),
        obligations: obligations.iter().map(|name| Cow::Borrowed(&**name)).collect(),
        policy: trail.revision,
    })
}

fn json(raw: &Raw) -> Option<ledger::Json<'_>> {
    raw.read::<&serde_json::value::RawValue>().ok().map(ledger::Json::from)
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
