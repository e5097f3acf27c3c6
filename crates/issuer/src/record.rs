//! What happened, on record. A token that cannot be recorded is not issued.

use crate::{Issuer, OauthError};
use ledger::{Event, Leaf};
use std::net::IpAddr;

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

    /// The same for what a stranger made happen: so many of an address in a minute and no more, since the disk is not
    /// theirs to fill. What is left out is in the log.
    pub(crate) fn note_stranger(&self, address: IpAddr, event: Event<'_>) {
        // SECURITY: test `strangers_cannot_fill_the_record`.
        if self.complaints.admits(address, COMPLAINTS, self.now()) {
            self.note_after(event);
        } else {
            tracing::warn!(%address, event = event.what.as_str(), "not on record: too many of this address");
        }
    }

    /// The same for what has happened already, and is told whether or not it can be recorded.
    pub(crate) fn note_after(&self, event: Event<'_>) {
        // The record's own health says so, and `note` has logged it.
        drop(self.note(event));
    }
}

/// The most refusals of one address on record in a minute.
const COMPLAINTS: u32 = 20;
