//! W3C trace context: what a request names, and what this leg is called in it.

use model::Dice;

/// Where a leg stands in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: u128,
    /// The span of this leg.
    pub span: u64,
    /// The span of its way to the server, under which the server works.
    pub upstream: u64,
    /// The caller's span; none if the trace begins here.
    pub parent: Option<Parent>,
    /// The span that the headers name, where the message names another.
    pub link: Option<Parent>,
    flags: u8,
}

/// A span of the caller's, as a `traceparent` names it (W3C Trace Context §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its trace.
    pub trace: u128,
    /// The span.
    pub span: u64,
    /// Bit 0: it is recorded. Bit 1: the trace's id is random.
    pub flags: u8,
}

/// Which of the traces that begin here are kept, decided from their ids alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u64);

impl Share {
    /// A share from 0 (none) to 1 (all).
    pub fn of(ratio: f64) -> Self {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the range of u64 just before"
        )]
        let bound = (ratio.clamp(0.0, 1.0) * TWO_TO_63) as u64;
        Self(bound)
    }

    /// The lower half of an id decides, as in the ratio samplers of OpenTelemetry.
    fn keeps(self, trace: u128) -> bool {
        let low = u64::try_from(trace & u128::from(u64::MAX)).unwrap_or(u64::MAX);
        low >> 1 < self.0
    }
}

impl Context {
    /// The first span of a new trace.
    pub(super) fn root(dice: &dyn Dice, share: Share) -> Self {
        let mut rolled = [0; 32];
        dice.fill(&mut rolled);
        let (trace, spans) = rolled.split_at(16);
        let trace = u128::from_be_bytes(trace.try_into().unwrap_or_default()).max(1);
        let (span, upstream) = spans.split_at(8);
        let flags = if share.keeps(trace) { SAMPLED } else { 0 };
        Self { trace, span: id(span), upstream: id(upstream), parent: None, link: None, flags }
    }

    /// Another leg's place, under the same parent.
    pub(super) fn beside(&self, dice: &dyn Dice) -> Self {
        let mut rolled = [0; 16];
        dice.fill(&mut rolled);
        let (span, upstream) = rolled.split_at(8);
        Self { span: id(span), upstream: id(upstream), ..self.clone() }
    }

    /// The span becomes a child of the caller's, kept if that one is.
    pub(super) fn join(&mut self, parent: Parent) {
        self.link = self.parent.filter(|earlier| *earlier != parent);
        (self.trace, self.flags, self.parent) = (parent.trace, parent.flags, Some(parent));
    }

    /// Whether it is kept.
    pub fn sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The flags, as they go on.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// The trace's id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// What the server is told.
    pub(super) fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.upstream, self.flags)
    }
}

impl Parent {
    /// Reads a `traceparent`. A later version than 00 is read by what all versions have (§3.2.4).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let version = hex(parts.next()?, 2)?;
        let (trace, span) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?);
        let flags = hex(parts.next()?, 2)?;
        let more = parts.next().is_some();
        if version == 0xff || (version == 0 && more) || trace == 0 || span == 0 {
            return None;
        }
        let flags = u8::try_from(flags).ok()? & KNOWN;
        Some(Self { trace, span: u64::try_from(span).ok()?, flags })
    }
}

/// Exactly `digits` lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| u128::from_str_radix(text, 16).ok())?
}

/// Never zero, which is no id.
fn id(rolled: &[u8]) -> u64 {
    u64::from_be_bytes(rolled.try_into().unwrap_or_default()).max(1)
}

/// The recorded flag (§3.2.2.5.1).
const SAMPLED: u8 = 1;
/// The flags that are known, and so go on.
const KNOWN: u8 = 3;
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

#[cfg(test)]
mod tests {
    use super::*;
    use model::SeededDice;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_strictly() {
        let parent = Parent::parse(GOOD).unwrap();
        assert_eq!(parent.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((parent.span, parent.flags), (0x00f0_67aa_0ba9_02b7, 1));
        // A later version may have more parts; unknown flags do not go on.
        let later = GOOD.replacen("00", "cc", 1) + "-more";
        assert_eq!(Parent::parse(&later), Some(parent));
        let flags = GOOD.replace("-01", "-ff");
        assert_eq!(Parent::parse(&flags).unwrap().flags, 3);
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
        ] {
            assert_eq!(Parent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_share_of_kept_traces_is_the_one_that_was_asked_for() {
        let dice = SeededDice::new(7);
        let kept = |ratio| (0..4000).filter(|_| Context::root(&dice, Share::of(ratio)).sampled()).count();
        assert_eq!((kept(0.0), kept(1.0)), (0, 4000));
        let quarter = kept(0.25);
        assert!((900..1100).contains(&quarter), "{quarter}");
    }

    #[test]
    fn what_the_caller_says_of_its_trace_counts_whatever_the_share() {
        let dice = SeededDice::new(7);
        for (share, text, kept) in [(0.0, GOOD, true), (1.0, &*GOOD.replace("-01", "-00"), false)] {
            let mut context = Context::root(&dice, Share::of(share));
            context.join(Parent::parse(text).unwrap());
            assert_eq!(context.sampled(), kept, "{text}");
            assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        }
    }

    #[test]
    fn the_server_works_under_the_span_of_the_way_to_it() {
        let dice = SeededDice::new(7);
        let mut context = Context::root(&dice, Share::of(1.0));
        context.join(Parent::parse(GOOD).unwrap());
        let told = Parent::parse(&context.traceparent()).unwrap();
        assert_eq!((told.trace, told.span, told.flags), (context.trace, context.upstream, 1));
        let next = context.beside(&dice);
        assert_eq!((next.trace, next.parent), (context.trace, context.parent));
        assert!(next.span != context.span && next.upstream != context.upstream);
    }
}
