//! What ends with what: a session, everything of a person, a consent. Whoever ends one of them comes here: the browser's
//! pages, the provider's word, the admin API.
//!
//! What was granted ends first, with the tokens of it, and the row by which it is found goes last: whatever fails
//! half-way is there to be ended again.

use crate::consent::Consent;
use crate::grant::{self, Filter, Why};
use crate::session::Session;
use crate::{Issuer, voucher};
use authn::revocations::{Kind, Revocation, revoke};
use ledger::{About, Event, What};
use std::time::Duration;
use storage::StorageError;

/// Something did not end, or not all of it. It can be ended again.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What has no record does not count as done.
    #[error("it cannot be put on record")]
    Record,
}

impl Issuer {
    /// Ends a session: the tokens issued in it are refused, its grants are revoked, and its cookie finds nobody.
    ///
    /// # Errors
    /// [`EndError`].
    pub async fn end_session(&self, session: &Session, why: Why<'_>) -> Result<(), EndError> {
        let now = self.now();
        let row =
            Revocation::new(Kind::Session, &session.id, why.by).until(now.after(TOKENS)).because(why.reason);
        revoke(&self.db, &row, now).await?;
        self.sessions().close(&session.id).await?;
        let granted =
            Filter { tenant: session.tenant.clone(), session: Some(session.id.clone()), ..Filter::default() };
        grant::revoke_all(self, &granted, why).await?;
        self.note_end(Event {
            tenant: Some(session.tenant.as_str().into()),
            by: Some(why.by.into()),
            about: Some(About::new("session", session.id.as_str())),
            detail: Some(format!("{}, of {}", why.reason, session.user).into()),
            ..Event::of(What::SignedOut)
        })?;
        Ok(self.sessions().forget(&session.id).await?)
    }

    /// Ends all that a person let anybody have, and their sessions, also those that others took the place of: whoever wants
    /// to go on has to sign in.
    ///
    /// # Errors
    /// [`EndError`].
    pub async fn sign_out_everywhere(&self, tenant: &str, user: &str, why: Why<'_>) -> Result<(), EndError> {
        let theirs = Filter { tenant: tenant.to_owned(), user: Some(user.to_owned()), ..Filter::default() };
        grant::revoke_all(self, &theirs, why).await?;
        loop {
            let sessions = self.sessions().known_of_user(user).await?;
            if sessions.is_empty() {
                return Ok(());
            }
            for session in sessions {
                self.end_session(&session, why).await?;
            }
        }
    }

    /// The same, and every token that says who they are, wherever it came from.
    ///
    /// # Errors
    /// [`EndError`].
    pub async fn end_person(&self, tenant: &str, user: &str, why: Why<'_>) -> Result<(), EndError> {
        let now = self.now();
        let row = Revocation::new(Kind::User, user, why.by)
            .issued_before(now)
            .until(now.after(TOKENS))
            .because(why.reason);
        revoke(&self.db, &row, now).await?;
        self.sign_out_everywhere(tenant, user, why).await?;
        Ok(voucher::forget(self, user, now).await?)
    }

    /// Takes a person's consent to a client back and revokes every grant made by it; `by` is who does it. `None` if there
    /// is none.
    ///
    /// # Errors
    /// [`EndError`].
    pub async fn withdraw(&self, user: &str, id: &str, by: &str) -> Result<Option<Consent>, EndError> {
        let all = self.consents().of_user(user).await?;
        let Some(consent) = all.into_iter().find(|consent| consent.id == id) else { return Ok(None) };
        let why = Why { by, reason: "the consent was withdrawn" };
        grant::revoke_all(self, &given_by(&consent), why).await?;
        self.note_end(Event {
            tenant: Some(consent.tenant.as_str().into()),
            by: Some(by.into()),
            about: Some(About::new("client", consent.client.as_str())),
            name: Some(consent.resource.as_str().into()),
            detail: Some(format!("of {user}").into()),
            ..Event::of(What::ConsentWithdrawn)
        })?;
        let withdrawn = self.consents().withdraw(user, id).await?;
        // What was granted by it in between.
        grant::revoke_all(self, &given_by(&consent), why).await?;
        Ok(withdrawn)
    }

    /// Takes back that an agent may act for a person, everywhere, and revokes the grants made by it. A token that it got
    /// by exchange ends with the token that it was exchanged for, at most minutes later. Whether there was anything.
    ///
    /// # Errors
    /// [`EndError`].
    pub async fn withdraw_from_agent(
        &self,
        tenant: &str,
        user: &str,
        agent: &str,
        by: &str,
    ) -> Result<bool, EndError> {
        let given = self.agent_consents().of_user(user).await?;
        if !given.iter().any(|consent| consent.agent == agent) {
            return Ok(false);
        }
        let granted = Filter {
            tenant: tenant.to_owned(),
            user: Some(user.to_owned()),
            agent: Some(agent.to_owned()),
            ..Filter::default()
        };
        let why = Why { by, reason: "the consent was withdrawn" };
        grant::revoke_all(self, &granted, why).await?;
        self.note_end(Event {
            tenant: Some(tenant.into()),
            by: Some(by.into()),
            about: Some(About::new("agent", agent)),
            detail: Some(format!("of {user}").into()),
            ..Event::of(What::ConsentWithdrawn)
        })?;
        let withdrawn = self.agent_consents().withdraw(user, agent).await?;
        // What was granted by it in between.
        grant::revoke_all(self, &granted, why).await?;
        Ok(withdrawn)
    }

    fn note_end(&self, event: Event<'_>) -> Result<(), EndError> {
        self.note(event).map_err(|_| EndError::Record)
    }
}

/// The grants that a consent stands behind.
fn given_by(consent: &Consent) -> Filter {
    Filter {
        tenant: consent.tenant.clone(),
        user: Some(consent.user.clone()),
        client: Some(consent.client.clone()),
        resource: Some(consent.resource.clone()),
        ..Filter::default()
    }
}

/// Longer than any access token lives; grants are revoked besides.
const TOKENS: Duration = Duration::from_secs(2 * 3600);
