//! Writing leaves: JSON in one fixed order of fields, without a serializer in between. This runs twice for
//! every call, so it is a table of keys and not a walk over types.

use crate::leaf::{
    About, Arguments, AuthnFailures, Call, Conversation, Decision, Denial, Downstream, Event, Intent,
    Latency, Leaf, Outcome, Target, Token,
};
use model::{CallId, Code, Digest, Timestamp};
use std::borrow::Cow;
use std::io::Write as _;

/// Appends the leaf to `out`, without its sequence number and opening brace, which
/// [`segment::push`](crate::segment::push) puts in front. Never fails: texts are clipped to [`TEXT_BYTES`],
/// lists to [`LIST_ITEMS`], and the arguments' value is left out if the leaf would pass [`LEAF_BYTES`].
pub fn encode(out: &mut Vec<u8>, time: Timestamp, leaf: &Leaf<'_>) {
    let mut pen = Pen { start: out.len(), out };
    pen.raw(b",\"time\":");
    pen.signed(time.0);
    match leaf {
        Leaf::Intent(intent) => pen.intent(intent),
        Leaf::Outcome(outcome) => pen.outcome(outcome),
        Leaf::Denial(denial) => pen.denial(denial),
        Leaf::AuthnFailures(failures) => pen.failures(failures),
        Leaf::Event(event) => pen.event(event),
    }
    pen.raw(b"}");
}

struct Pen<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl Pen<'_> {
    fn intent(&mut self, intent: &Intent<'_>) {
        self.raw(b",\"kind\":\"intent\"");
        self.call(&intent.call);
        self.decision(&intent.decision);
        self.arguments(intent.call.arguments.as_ref());
    }

    fn denial(&mut self, denial: &Denial<'_>) {
        self.raw(b",\"kind\":\"denial\"");
        self.call(&denial.call);
        if let Some(decision) = &denial.decision {
            self.decision(decision);
        }
        self.word(b",\"status\":", denial.kind.as_str());
        self.code(Some(denial.code));
        self.maybe(b",\"reason\":", denial.reason.as_ref());
        self.latency(&denial.latency);
        self.arguments(denial.call.arguments.as_ref());
    }

    fn outcome(&mut self, outcome: &Outcome<'_>) {
        self.raw(b",\"kind\":\"outcome\"");
        self.call_id(outcome.call);
        self.word(b",\"status\":", outcome.status.as_str());
        self.word(b",\"attempt\":", outcome.attempt.as_str());
        self.code(outcome.code);
        self.maybe(b",\"reason\":", outcome.reason.as_ref());
        self.maybe(b",\"upstream\":", outcome.upstream.as_ref());
        if let Some(Token { kid, jti }) = &outcome.token {
            self.text(b",\"token\":{\"kid\":", kid);
            self.text(b",\"jti\":", jti);
            self.raw(b"}");
        }
        self.list(b",\"findings\":", &outcome.findings);
        self.raw(b",\"answer_bytes\":");
        self.number(outcome.answer_bytes);
        self.raw(b",\"reply_bytes\":");
        self.number(outcome.reply_bytes);
        self.latency(&outcome.latency);
    }

    fn failures(&mut self, failures: &AuthnFailures<'_>) {
        self.raw(b",\"kind\":\"authn_failures\",\"from\":");
        self.signed(failures.from.0);
        self.raw(b",\"failures\":[");
        for (place, row) in failures.failures.iter().take(LIST_ITEMS).enumerate() {
            self.raw(if place == 0 { b"{\"source\":" } else { b",{\"source\":" });
            self.quoted(&row.source, ITEM_BYTES);
            self.code(Some(row.code));
            if let Some(issuer) = &row.issuer {
                self.raw(b",\"issuer\":");
                self.quoted(issuer, ITEM_BYTES);
            }
            self.raw(b",\"count\":");
            self.number(row.count);
            self.raw(b"}");
        }
        self.raw(b"],\"uncounted\":");
        self.number(failures.uncounted);
    }

    fn event(&mut self, event: &Event<'_>) {
        self.raw(b",\"kind\":\"event\"");
        self.word(b",\"what\":", event.what.as_str());
        self.maybe(b",\"tenant\":", event.tenant.as_ref());
        self.maybe(b",\"by\":", event.by.as_ref());
        if let Some(About { kind, id }) = &event.about {
            self.text(b",\"about\":{\"kind\":", kind);
            self.text(b",\"id\":", id);
            self.raw(b"}");
        }
        self.maybe(b",\"server\":", event.server.as_ref());
        self.maybe(b",\"name\":", event.name.as_ref());
        self.digest(b",\"digest\":", event.digest);
        self.code(event.code);
        self.maybe(b",\"detail\":", event.detail.as_ref());
    }

    fn call(&mut self, call: &Call<'_>) {
        self.call_id(call.id);
        self.text(b",\"caller\":{\"user\":", &call.caller.user);
        self.maybe(b",\"agent\":", call.caller.agent.as_ref());
        self.text(b",\"client\":", &call.caller.client);
        self.text(b",\"tenant\":", &call.caller.tenant);
        self.text(b",\"issuer\":", &call.caller.issuer);
        self.raw(b"}");
        if let Some(Conversation { id, source }) = &call.conversation {
            self.text(b",\"conversation\":{\"id\":", id);
            self.word(b",\"source\":", source.as_str());
            self.raw(b"}");
        }
        self.text(b",\"endpoint\":", &call.endpoint);
        self.text(b",\"method\":", &call.method);
        if let Some(target) = &call.target {
            self.target(target);
        }
        if let Some(Downstream { strategy, account, audience }) = &call.downstream {
            self.text(b",\"downstream\":{\"strategy\":", strategy);
            self.maybe(b",\"account\":", account.as_ref());
            self.maybe(b",\"audience\":", audience.as_ref());
            self.raw(b"}");
        }
        if let Some(impact) = call.impact {
            self.word(b",\"impact\":", impact.as_str());
        }
        self.maybe(b",\"trace\":", call.trace.as_ref());
        self.raw(b",\"request_bytes\":");
        self.number(call.request_bytes);
    }

    fn target(&mut self, target: &Target<'_>) {
        self.text(b",\"target\":{\"server\":", &target.server);
        if let Some(named) = target.named {
            self.word(b",\"named\":", named.as_str());
        }
        self.maybe(b",\"name\":", target.name.as_ref());
        self.digest(b",\"definition\":", target.definition);
        self.raw(b"}");
    }

    fn decision(&mut self, decision: &Decision<'_>) {
        self.word(b",\"decision\":{\"effect\":", decision.effect.as_str());
        self.list(b",\"rules\":", &decision.rules);
        self.list(b",\"obligations\":", &decision.obligations);
        self.digest(b",\"policy\":", decision.policy);
        self.raw(b"}");
    }

    /// Last in its leaf, so that what is left of the bound is known.
    fn arguments(&mut self, arguments: Option<&Arguments<'_>>) {
        let Some(arguments) = arguments else { return };
        self.digest(b",\"arguments\":{\"digest\":", Some(arguments.digest));
        self.raw(b",\"bytes\":");
        self.number(arguments.bytes);
        if let Some(value) = &arguments.value {
            let value = value.0.get().as_bytes();
            const KEY: &[u8] = b",\"value\":";
            const CLOSING: usize = 2;
            let before = PREFIX_BYTES + self.out.len() - self.start + KEY.len() + CLOSING;
            if before.saturating_add(value.len()) <= LEAF_BYTES {
                self.raw(KEY);
                self.raw(value);
            }
        }
        self.raw(b"}");
    }

    fn latency(&mut self, latency: &Latency) {
        let stages: [(&[u8], u32); 10] = [
            (b"\"authenticate\":", latency.authenticate),
            (b"\"admit\":", latency.admit),
            (b"\"resolve\":", latency.resolve),
            (b"\"authorize\":", latency.authorize),
            (b"\"inspect\":", latency.inspect),
            (b"\"record\":", latency.record),
            (b"\"attach\":", latency.attach),
            (b"\"upstream\":", latency.upstream),
            (b"\"release\":", latency.release),
            (b"\"total\":", latency.total),
        ];
        self.raw(b",\"latency\":{");
        let mut comma: &[u8] = b"";
        for (key, microseconds) in stages.into_iter().filter(|(_, microseconds)| *microseconds > 0) {
            self.raw(comma);
            self.raw(key);
            self.number(u64::from(microseconds));
            comma = b",";
        }
        self.raw(b"}");
    }

    fn call_id(&mut self, call: CallId) {
        self.raw(b",\"call\":\"");
        // Writing to a `Vec` cannot fail.
        let _ = write!(self.out, "{call}");
        self.raw(b"\"");
    }

    fn code(&mut self, code: Option<Code>) {
        if let Some(code) = code {
            self.raw(b",\"code\":\"");
            let _ = write!(self.out, "{code}");
            self.raw(b"\"");
        }
    }

    fn digest(&mut self, key: &[u8], digest: Option<Digest>) {
        if let Some(digest) = digest {
            self.raw(key);
            self.raw(b"\"");
            self.raw(&digest.hex());
            self.raw(b"\"");
        }
    }

    fn list(&mut self, key: &[u8], items: &[Cow<'_, str>]) {
        if items.is_empty() {
            return;
        }
        self.raw(key);
        let kept = if items.len() > LIST_ITEMS { LIST_ITEMS - 1 } else { items.len() };
        let mut comma: &[u8] = b"[";
        for item in items.iter().take(kept) {
            self.raw(comma);
            self.quoted(item, ITEM_BYTES);
            comma = b",";
        }
        self.raw(if kept < items.len() { ",\"…\"]".as_bytes() } else { b"]" });
    }

    fn maybe(&mut self, key: &[u8], text: Option<&Cow<'_, str>>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn text(&mut self, key: &[u8], text: &str) {
        self.raw(key);
        self.quoted(text, TEXT_BYTES);
    }

    /// A word of ours, which needs no escape.
    fn word(&mut self, key: &[u8], word: &str) {
        self.raw(key);
        self.raw(b"\"");
        self.raw(word.as_bytes());
        self.raw(b"\"");
    }

    fn quoted(&mut self, text: &str, bound: usize) {
        self.raw(b"\"");
        let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
        if plain && text.len() <= bound {
            self.raw(text.as_bytes());
        } else {
            self.escaped(text, bound - CLIPPED.len());
        }
        self.raw(b"\"");
    }

    fn escaped(&mut self, text: &str, bound: usize) {
        let end = self.out.len() + bound;
        let mut utf8 = [0; 4];
        for character in text.chars() {
            let before = self.out.len();
            match character {
                '"' => self.raw(b"\\\""),
                '\\' => self.raw(b"\\\\"),
                '\n' => self.raw(b"\\n"),
                '\r' => self.raw(b"\\r"),
                '\t' => self.raw(b"\\t"),
                control if control < ' ' => {
                    let _ = write!(self.out, "\\u{:04x}", u32::from(control));
                }
                other => self.raw(other.encode_utf8(&mut utf8).as_bytes()),
            }
            if self.out.len() > end {
                self.out.truncate(before);
                self.raw(CLIPPED.as_bytes());
                return;
            }
        }
    }

    fn number(&mut self, number: u64) {
        self.raw(itoa::Buffer::new().format(number).as_bytes());
    }

    fn signed(&mut self, number: i64) {
        self.raw(itoa::Buffer::new().format(number).as_bytes());
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}

/// The longest leaf, in bytes, sequence number included: as long as an entry of a C2SP tlog-tiles bundle can be.
pub const LEAF_BYTES: usize = 65_535;
/// The longest text in a leaf, in bytes as written between its quotes. A longer one is clipped and ends in `…`.
pub const TEXT_BYTES: usize = 1024;
/// The longest text in a list of a leaf, likewise.
const ITEM_BYTES: usize = 256;
/// The most items of a list in a leaf. The last of a longer list is `…`.
pub const LIST_ITEMS: usize = 64;

/// `{"seq":` and the longest number.
const PREFIX_BYTES: usize = 7 + 20;
const CLIPPED: &str = "…";
