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
