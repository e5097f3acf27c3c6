//! What a server may ask its caller in the middle of a call: what the client declared, narrowed by policy for this caller
//! and this server. The server is told of nothing else, and nothing else is put to the client.

use super::environment;
use crate::house::House;
use crate::resolve::Target;
use crate::rules::Current;
use policy::{ActionName, Decision, Question, Subject};
use protocol::capability::Stripped;
use protocol::{Edit, Members};

/// Narrows the capabilities of the call's client. Free for a client that declares none.
pub(super) fn narrow(house: &House, rules: &Current, subject: &Subject, target: &mut Target) {
    let (call, server) = (&mut target.call, &target.server);
    if call.client.capabilities.as_bytes() == NOTHING {
        return;
    }
    let declared = Members::of(&call.client.capabilities).filter(|declared| !declared.is_empty());
    let Some(declared) = declared else { return };
    let (mut edit, mut stripped) = (Edit::new(), Vec::new());
    for question in Question::ALL.into_iter().filter(|question| declared.contains(question.capability())) {
        let name = ActionName::Ask(server, question);
        let decision = rules
            .revision
            .action(&name)
            .map(|action| rules.revision.decide(subject, &action, NOTHING, &environment(&call.trail)));
        // SECURITY: what policy does not permit is not asked: `policy_narrows_what_a_server_may_ask`.
        if !matches!(decision, Some(Decision::Permit { .. })) {
            edit.remove(&[question.capability()]);
            stripped.push(Stripped { path: name.id(), reason: "policy lets the server not ask it" });
        }
    }
    if !stripped.is_empty() {
        call.client.capabilities = edit.apply(&declared);
        house.stripped.tell(house, &call.trail, &stripped);
    }
    if let Some(session) = &call.client.session {
        session.answers(server, &call.client.capabilities);
    }
}

/// A question is judged by who is asked and by whom, not by what it says: the guard reads that.
const NOTHING: &[u8] = b"{}";
