//! Tokens as clients get them (OAuth 2.1 §3.2.3).

use super::mint::{Minted, Subject, mint};
use crate::client::{Client, registered};
use crate::grant::Grant;
use crate::{Issuer, OauthError};
use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use ledger::{About, Event, What};
use net::listen::Peer;
use serde_json::{Value, json};

/// What a grant yields: whom the access token speaks of, and a refresh token if there is one.
pub(crate) struct Issued {
    /// The access token's contents.
    pub(crate) subject: Subject,
    /// The refresh token.
    pub(crate) refresh_token: Option<String>,
    /// What the answer says besides (`issued_token_type` of RFC 8693).
    pub(crate) besides: Vec<(&'static str, Value)>,
}

impl Issued {
    /// Tokens under a person's grant.
    pub(crate) fn under(grant: Grant, refresh_token: Option<String>) -> Self {
        let subject = Subject {
            subject: grant.user.or(grant.agent.clone()).unwrap_or_default(),
            agent: grant.agent,
            client: grant.client,
            tenant: grant.tenant,
            roles: grant.roles,
            groups: grant.groups,
            scopes: grant.scopes,
            resource: grant.resource,
            grant: Some(grant.id),
            session: grant.session,
            auth_time: grant.auth_time,
            not_after: Some(grant.expires_at),
            ..Subject::default()
        };
        Self { subject, refresh_token, besides: Vec::new() }
    }

    /// Mints, records and answers.
    ///
    /// # Errors
    /// `temporarily_unavailable` when there is no key or no record.
    pub(crate) fn answer(self, issuer: &Issuer, grant_type: &str) -> Result<Response, OauthError> {
        let Minted { token, id, expires_in } = mint(issuer, &self.subject)?;
        let Subject { subject, actor, client, tenant, resource, scopes, grant, .. } = &self.subject;
        let grant = grant.as_deref().unwrap_or("none");
        issuer.note(Event {
            tenant: Some(tenant.as_str().into()),
            by: Some(actor.as_deref().unwrap_or(subject).into()),
            about: Some(About::new("token", id.as_str())),
            name: Some(resource.as_str().into()),
            detail: Some(
                format!(
                    "grant_type={grant_type} client={} grant={grant} sub={subject}",
                    registered::short(client)
                )
                .into(),
            ),
            ..Event::of(What::TokenIssued)
        })?;
        let mut body = json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": expires_in.as_secs(),
            "scope": scopes.join(" "),
        });
        if let Some(members) = body.as_object_mut() {
            members.extend(self.refresh_token.map(|token| ("refresh_token".to_owned(), json!(token))));
            members.extend(self.besides.into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        // RFC 6749 §5.1.
        let headers = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
        Ok((headers, Json(body)).into_response())
    }
}

/// Puts on record that no token was issued.
pub(super) fn note_refusal(issuer: &Issuer, peer: &Peer, client: Option<&Client>, error: &OauthError) {
    // A public client's id is no proof, so whoever names one is still a stranger.
    issuer.note_stranger(
        peer.address.ip(),
        Event {
            about: client.map(|client| About::new("client", registered::short(&client.id))),
            code: Some(error.code),
            detail: Some(format!("{}: {}", error.error, error.description).into()),
            ..Event::of(What::TokenRefused)
        },
    );
}
