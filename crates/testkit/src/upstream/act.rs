//! What a server can do to a call.

use bytes::Bytes;
use serde_json::Value;

/// What becomes of a call.
#[derive(Clone, Debug, Default)]
pub enum Act {
    /// The arguments come back as text.
    #[default]
    Echo,
    /// This result.
    Answer(Value),
    /// This JSON-RPC error.
    Fail(i64, String),
    /// Pages to visit first (-32042), the first time; then the arguments come back as text.
    Pages(Value),
    /// No answer, ever.
    Hang,
    /// An answer as soon as [`release`](super::FakeUpstream::release) is called.
    Hold,
    /// The connection closes before a byte of the answer.
    Close,
    /// The connection breaks within an event stream.
    CloseMidStream,
    /// These bytes with this content type and status 200.
    Garbage(&'static str, Bytes),
    /// An answer to somebody else's request.
    WrongId,
    /// Notifications without end.
    EndlessStream,
    /// A text of this many bytes.
    Huge(usize),
    /// This many progress notifications, then an answer.
    Progress(u32),
    /// A question to the client, by its method and params; what it answers comes back as text. In the stateless era
    /// it is asked by `input_required`, until it is answered.
    Ask(String, Value),
    /// The same question again and again, as long as it is answered; in the session era.
    AskAgain(String, Value),
    /// The same question, but on the session's stream of unsolicited messages, and the answer in one piece.
    AskAside(String, Value),
    /// The same question, withdrawn at once, and with it one of somebody else's; then an answer.
    AskAndWithdraw(String, Value),
    /// This HTTP status, without a body.
    Status(u16),
}
