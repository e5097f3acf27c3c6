//! `refresh_token`: a new access token under a grant that still stands (OAuth 2.1 §4.3).

use super::narrow::{is_granted, scopes_asked};
use super::reply::Issued;
use crate::client::Client;
use crate::grant::refresh::{Rotation, look, rotate};
use crate::grant::{self, Why};
use crate::{Form, Issuer, OauthError, revoked, voucher};
use ledger::{About, Event, What};
use model::Code;

/// Uses a refresh token.
pub(super) async fn refresh(issuer: &Issuer, client: &Client, form: &Form) -> Result<Issued, OauthError> {
    let token =
        form.get("refresh_token").ok_or_else(|| OauthError::invalid_request("`refresh_token` is missing"))?;
    let presented = look(issuer, token).await?;
    let presented = presented.ok_or_else(|| OauthError::invalid_grant("the refresh token is not known"))?;
    let mut grant = presented.grant.clone();
    // Before anything is used up: another client must not be able to end a grant by showing what it found.
    if grant.client != *client.id {
        return Err(OauthError::invalid_grant("the refresh token was issued to another client"));
    }
    grant.stands(issuer.now())?;
    // SECURITY: whoever was signed out, disabled or taken out of use since gets nothing more
    // (test: `what_was_revoked_since_is_not_refreshed`).
    if revoked::grant(issuer, &grant).await? {
        return Err(OauthError::invalid_grant(
            "the person, session, agent or client was revoked; sign in again",
        ));
    }
    if let Some(user) = &grant.user {
        // One that was used before is on its way to its successor, or to the end of its grant.
        if presented.is_current(issuer.now()) {
            voucher::check(issuer, user, grant.auth_time.unwrap_or(grant.created_at)).await?;
        }
        // SECURITY: the person as they are now: what was taken away does not come back by a refresh, and a disabled
        // person gets nothing (test: `a_refresh_reads_the_person_anew`).
        let person = issuer.people.find(user).await?.filter(|person| person.is_active);
        let person = person.ok_or_else(|| OauthError::invalid_grant("the person is not active"))?;
        (grant.roles, grant.groups) = (person.roles, person.groups);
    }
    let resource = issuer.resource(&grant.resource);
    let resource = resource.ok_or_else(|| OauthError::invalid_grant("the resource is no longer there"))?;
    is_granted(issuer, form, &grant.resource)?;
    grant.scopes.retain(|scope| {
        resource.scopes.contains(scope) && client.scopes.as_ref().is_none_or(|most| most.contains(scope))
    });
    narrow(&mut grant.scopes, &resource.scopes, form)?;
    match rotate(issuer, &presented).await? {
        Rotation::Successor(successor) => Ok(Issued::under(grant, Some(successor))),
        Rotation::Reused => {
            // SECURITY: two have the token, and nobody knows which of them is the client
            // (test: `a_refresh_token_that_comes_again_later_ends_the_grant`).
            issuer.note_after(Event {
                tenant: Some(grant.tenant.as_str().into()),
                by: grant.user.as_deref().map(Into::into),
                about: Some(About::new("grant", grant.id.as_str())),
                code: Some(Code::REFRESH_REUSED),
                ..Event::of(What::RefreshReused)
            });
            let why = Why { by: "portunus", reason: "its refresh token was used again after it was rotated" };
            grant::revoke(issuer, &grant.id, why).await?;
            Err(OauthError {
                code: Code::REFRESH_REUSED,
                ..OauthError::invalid_grant("the refresh token was used before; sign in again")
            })
        }
    }
}

/// A client may ask for less than it was granted, for this one access token (RFC 6749 §6). `known` are the resource's own
/// scopes: a word that is none of them was left out of the grant without a refusal, and is here.
fn narrow(scopes: &mut Vec<String>, known: &[String], form: &Form) -> Result<(), OauthError> {
    let Some(mut asked) = scopes_asked(form) else { return Ok(()) };
    asked.retain(|scope| known.iter().any(|known| known == scope));
    if (asked.is_empty() && !known.is_empty())
        || asked.iter().any(|scope| !scopes.iter().any(|granted| granted == scope))
    {
        let why = "a scope was asked for that was not granted; sign in again for it";
        return Err(OauthError::new("invalid_scope", Code::SCOPE_REFUSED, why));
    }
    scopes.retain(|scope| asked.contains(&scope.as_str()));
    Ok(())
}
