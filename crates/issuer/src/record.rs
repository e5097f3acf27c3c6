//! What happened, on record. A token that cannot be recorded is not issued.

use crate::{Issuer, OauthError};
use ledger::{Event, Leaf};

impl Issuer {
    /// Puts an event on record.
    ///
    /// # Errors
    /// [`OauthError::unavailable`] when the record cannot be written: what it was about must not happen.
    pub(crate) fn note(&self, event: Event<'_>) -> Result<(), OauthError> {
        match self.audit.append(self.now(), &Leaf::Event(event)) {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an identity event is not on record"
                );
                Err(OauthError::unavailable())
            }
        }
    }

    /// The same for what has happened already, and is told whether or not it can be recorded.
    pub(crate) fn note_after(&self, event: Event<'_>) {
        // The record's own health says so, and `note` has logged it.
        drop(self.note(event));
    }
}
