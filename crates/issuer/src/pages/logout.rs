//! The endpoint where providers say who has signed out (OpenID Connect Back-Channel Logout 1.0 §2.5).

use crate::ending::EndError;
use crate::grant::Why;
use crate::session::Ended;
use crate::sign_in::{LoggedOut, LogoutError};
use crate::{Form, Issuer};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ledger::{Event, What};
use model::Code;
use net::listen::Peer;
use serde_json::json;
use std::sync::Arc;

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
        Err(LogoutError::Ending(error)) => {
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
    issuer.log_out(tenant, provider, &out).await?;
    // Last: a token that could not be carried out may come again.
    Ok(out.took(&issuer.db, issuer.now()).await?)
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
    async fn log_out(&self, tenant: &str, provider: &str, out: &LoggedOut) -> Result<(), EndError> {
        let by = format!("provider {provider}");
        let why = Why { by: &by, reason: "signed out at the provider" };
        let ended = match (&out.sid, &out.subject) {
            (Some(sid), _) => Ended::Sid(sid),
            (None, Some(subject)) => Ended::Subject(subject),
            (None, None) => return Ok(()),
        };
        for session in self.sessions().of_provider(tenant, &out.issuer, &ended).await? {
            self.end_session(&session, why).await?;
        }
        // A person who signed out everywhere: also what was granted in sessions that nobody remembers.
        if let Ended::Subject(subject) = ended
            && let Some(person) = self.people.known_as(tenant, &out.issuer, subject).await?
        {
            self.end_person(tenant, &person.id, why).await?;
        }
        Ok(())
    }
}
