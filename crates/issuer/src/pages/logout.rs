//! The endpoint where providers say who has signed out (OpenID Connect Back-Channel Logout 1.0 §2.5), and the end of
//! sessions with all that was granted in them.

use super::Fault;
use crate::grant::{self, Filter, Why};
use crate::session::Ended;
use crate::sign_in::{LoggedOut, LogoutError};
use crate::{Form, Issuer};
use authn::revocations::{Kind, Revocation, revoke};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ledger::{About, Event, What};
use model::Code;
use net::listen::Peer;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// `POST /backchannel-logout/<tenant>/<provider>`.
pub(super) async fn logged_out(
    State(issuer): State<Arc<Issuer>>,
    Extension(peer): Extension<Peer>,
    Path((tenant, provider)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let done = take(&issuer, &tenant, &provider, &body).await;
    let (status, text) = match done {
        Ok(()) => (StatusCode::OK, json!({})),
        Err(LogoutError::NoProvider) => (StatusCode::NOT_FOUND, json!({"error": "invalid_request"})),
        Err(LogoutError::Storage(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a logout could not be carried out");
            (StatusCode::SERVICE_UNAVAILABLE, json!({"error": "temporarily_unavailable"}))
        }
        Err(error) => {
            let description = format!("{}: {error}", Code::LOGOUT_REFUSED);
            note_refusal(&issuer, peer, &tenant, &provider, &error);
            (StatusCode::BAD_REQUEST, json!({"error": "invalid_request", "error_description": description}))
        }
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(text)).into_response()
}

async fn take(issuer: &Issuer, tenant: &str, provider: &str, body: &[u8]) -> Result<(), LogoutError> {
    let malformed = || LogoutError::Token(crate::sign_in::IdTokenError::Malformed);
    let form = Form::parse(body).map_err(|_| malformed())?;
    let token = form.get("logout_token").ok_or_else(malformed)?;
    let desk = issuer.desk();
    let out = desk.federation.logged_out(&issuer.db, issuer.clock.as_ref(), tenant, provider, token).await?;
    issuer.log_out(tenant, provider, &out).await.map_err(|_| {
        LogoutError::Storage(storage::StorageError::Corrupt("a logout was carried out in part".to_owned()))
    })
}

fn note_refusal(issuer: &Issuer, peer: Peer, tenant: &str, provider: &str, error: &LogoutError) {
    let event = Event {
        tenant: Some(tenant.into()),
        code: Some(Code::LOGOUT_REFUSED),
        detail: Some(format!("logout token of provider {provider}: {error}").into()),
        ..Event::of(What::SignInRefused)
    };
    issuer.note_stranger(peer.address.ip(), event);
}

impl Issuer {
    /// Ends what a provider says is over: the sessions of its `sid`, or everything of its subject.
    async fn log_out(&self, tenant: &str, provider: &str, out: &LoggedOut) -> Result<(), Fault> {
        let by = format!("provider {provider}");
        let ended = match (&out.sid, &out.subject) {
            (Some(sid), _) => Ended::Sid(sid),
            (None, Some(subject)) => Ended::Subject(subject),
            (None, None) => return Ok(()),
        };
        let sessions = self.desk().sessions.end_by_provider(tenant, &out.issuer, &ended).await?;
        for (session, user) in &sessions {
            self.end_session(tenant, user, session, &by, "signed out at the provider").await?;
        }
        // A person who signed out everywhere: also what was granted in sessions that nobody remembers.
        if let Ended::Subject(subject) = ended
            && let Some(person) = self.people.known_as(tenant, &out.issuer, subject).await?
        {
            let now = self.now();
            let revocation = Revocation::new(Kind::User, &person.id, &by)
                .issued_before(now)
                .until(now.after(AS_LONG_AS_TOKENS))
                .because("signed out at the provider");
            revoke(&self.db, &revocation, now).await?;
            let all = Filter { tenant: tenant.to_owned(), user: Some(person.id), ..Filter::default() };
            grant::revoke_all(self, &all, Why { by: &by, reason: "signed out at the provider" }).await?;
        }
        Ok(())
    }

    /// Ends a session, refuses the tokens issued in it, revokes its grants, and puts that on record.
    pub(crate) async fn end_session(
        &self,
        tenant: &str,
        user: &str,
        session: &str,
        by: &str,
        why: &str,
    ) -> Result<(), Fault> {
        let now = self.now();
        let revocation =
            Revocation::new(Kind::Session, session, by).until(now.after(AS_LONG_AS_TOKENS)).because(why);
        revoke(&self.db, &revocation, now).await?;
        let all =
            Filter { tenant: tenant.to_owned(), session: Some(session.to_owned()), ..Filter::default() };
        grant::revoke_all(self, &all, Why { by, reason: why }).await?;
        self.desk().sessions.end(session).await?;
        let event = Event {
            tenant: Some(tenant.into()),
            by: Some(by.into()),
            about: Some(About::new("session", session)),
            detail: Some(format!("{why}, of {user}").into()),
            ..Event::of(What::SignedOut)
        };
        Ok(self.note(event)?)
    }
}

/// Longer than any access token lives; grants are revoked besides.
const AS_LONG_AS_TOKENS: Duration = Duration::from_secs(2 * 3600);
