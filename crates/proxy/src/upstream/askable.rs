//! The calls of newer clients under way in one session, for questions that came on no call's stream: such a question can
//! only be told whose it is while one call is under way.

use protocol::Request;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The calls whose clients can be asked.
#[derive(Default)]
pub(super) struct Askable(Mutex<HashMap<i64, mpsc::Sender<Request>>>);

impl Askable {
    /// A call begins; questions that can only be its own come out here.
    pub(super) fn enter(&self, id: i64) -> mpsc::Receiver<Request> {
        let (sender, questions) = mpsc::channel(QUESTIONS);
        self.lock().insert(id, sender);
        questions
    }

    /// A call has ended.
    pub(super) fn leave(&self, id: i64) {
        self.lock().remove(&id);
    }

    /// Puts a question to the only call under way.
    ///
    /// # Errors
    /// The question, when it is nobody's.
    pub(super) fn ask(&self, question: Request) -> Result<(), Box<Request>> {
        let calls = self.lock();
        let mut senders = calls.values();
        match (senders.next(), senders.next()) {
            (Some(sole), None) => sole.try_send(question).map_err(|refused| Box::new(refused.into_inner())),
            _ => Err(Box::new(question)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, mpsc::Sender<Request>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Questions that wait for one call.
const QUESTIONS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Message;

    fn question() -> Request {
        let bounds = protocol::Bounds { bytes: 1 << 10, depth: 8, items: 100 };
        let text = br#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#.as_slice();
        let Message::Request(request) = protocol::decode(text.into(), &bounds).unwrap() else { panic!() };
        request
    }

    #[test]
    fn a_question_is_put_to_the_only_call_and_to_none_of_several() {
        let calls = Askable::default();
        assert!(calls.ask(question()).is_err(), "nobody is there");
        let (mut first, mut second) = (calls.enter(1), calls.enter(2));
        assert!(calls.ask(question()).is_err(), "it may be either's");
        calls.leave(1);
        assert!(calls.ask(question()).is_ok());
        assert!(second.try_recv().is_ok() && first.try_recv().is_err());
    }
}
