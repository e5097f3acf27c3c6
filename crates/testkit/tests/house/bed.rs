//! What most tests start from.

use serde_json::{Value, json};
use testkit::{Act, Caller, FakeIdp, FakeUpstream, Recorded, Reply, Setup, TestGateway, clock};

/// A provider, a server called `up`, and a gateway in front of it.
pub(crate) struct Bed {
    pub(crate) idp: FakeIdp,
    pub(crate) up: FakeUpstream,
    pub(crate) gateway: TestGateway,
}

/// The one server's own endpoint: names are the server's.
pub(crate) const UP: &str = "/servers/up/mcp";
/// The shared endpoint.
pub(crate) const SHARED: &str = "/mcp";

/// A bed with nothing special about it.
pub(crate) async fn bed() -> Bed {
    bed_with(|setup| setup).await
}

/// A bed whose gateway is set up a little differently.
pub(crate) async fn bed_with(change: impl FnOnce(Setup) -> Setup) -> Bed {
    bed_of(FakeUpstream::start().await, change).await
}

/// A bed around a server that has another tool besides `echo` and `write`.
pub(crate) async fn bed_where(tool: &str, act: Act, change: impl FnOnce(Setup) -> Setup) -> Bed {
    bed_of(FakeUpstream::start().await.with(tool, act), change).await
}

/// A bed around this server.
pub(crate) async fn bed_of(up: FakeUpstream, change: impl FnOnce(Setup) -> Setup) -> Bed {
    let idp = FakeIdp::start(clock()).await;
    let gateway = change(Setup::trusting(&idp).server("up", &up)).start().await;
    Bed { idp, up, gateway }
}

/// The retry of a call of `ask` that waits, with `name` for an answer to its one question.
pub(crate) fn answering(
    caller: &Caller,
    text: &str,
    state: &Value,
    name: &str,
) -> http::Request<bytes::Bytes> {
    let answers = json!({"question": {"action": "accept", "content": {"name": name}}});
    let params = json!({
        "name": "ask", "arguments": {"text": text}, "requestState": state, "inputResponses": answers,
    });
    caller.request("tools/call", params)
}

impl Bed {
    /// Somebody with a good token at the one server's endpoint.
    pub(crate) fn caller(&self, user: &str) -> Caller {
        self.gateway.caller(&self.idp, user, UP)
    }

    /// Another caller is served as if nothing were the matter.
    pub(crate) async fn bystander_is_served(&self) {
        served(&self.caller("bystander").call("echo", json!({"text": "still here"})).await, "still here");
    }

    /// The one denial on record.
    pub(crate) fn denial(&self) -> Value {
        let denials: Vec<Recorded> =
            self.gateway.record().into_iter().filter(|found| found.leaf["kind"] == "denial").collect();
        assert_eq!(denials.len(), 1, "{denials:?}");
        denials[0].leaf.clone()
    }

    /// The one call of a tool on record.
    pub(crate) fn call_on_record(&self, tool: &str) -> Recorded {
        let calls = self.gateway.record_of(tool);
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls[0].clone()
    }
}

/// The reply is a success that says `text`.
pub(crate) fn served(reply: &Reply, text: &str) {
    assert!(reply.is_success() && reply.content().contains(text), "{}", reply.text());
}

/// The code of Portunus's own that a reply names in its error or its result.
pub(crate) fn code(reply: &Reply) -> String {
    let text = reply.text();
    let found = text.find("PTN-").map(|start| text[start..].chars().take(8).collect());
    found.unwrap_or_else(|| panic!("no code in {text}"))
}
