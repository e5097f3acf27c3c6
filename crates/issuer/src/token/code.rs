//! `authorization_code`: a code becomes a grant (OAuth 2.1 §4.1.3).

use super::narrow::is_granted;
use super::reply::Issued;
use crate::authorize::{Approval, Transaction};
use crate::client::Client;
use crate::grant::{self, Grant, Why, refresh};
use crate::person::Person;
use crate::{Form, Issuer, OauthError, revoked, secret_text};
use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Digest;
use storage::{StorageError, on, sqlx, transaction};

/// Redeems a code.
pub(super) async fn redeem(issuer: &Issuer, client: &Client, form: &Form) -> Result<Issued, OauthError> {
    let code = form.get("code").ok_or_else(|| OauthError::invalid_request("`code` is missing"))?;
    let verifier =
        form.get("code_verifier").ok_or_else(|| OauthError::invalid_request("`code_verifier` is missing"))?;
    let digest = secret_text::digest(code);
    let token = refresh::fresh(issuer);
    let redeemed = take(issuer, &digest, &token, |request, approval| {
        check(issuer, client, form, verifier, request)?;
        Ok((granted(issuer, client, request, approval), approval.clone()))
    });
    match redeemed.await? {
        Some(Ok((grant, approval))) => match still(issuer, &grant, &approval).await? {
            Some(person) => {
                // What a person may do is what they may do now.
                let (roles, groups) = (person.roles, person.groups);
                Ok(Issued::under(Grant { roles, groups, ..grant }, Some(token)))
            }
            None => {
                let why = "the person, session, client or consent was revoked; sign in again";
                grant::revoke(issuer, &grant.id, Why { by: "portunus", reason: why }).await?;
                Err(OauthError::invalid_grant(why))
            }
        },
        Some(Err(error)) => Err(error),
        None => {
            revoke_redeemed(issuer, &digest).await?;
            Err(OauthError::invalid_grant("the code is unknown, has expired, or was redeemed before"))
        }
    }
}

/// Takes the code of that digest and, if `judge` makes a grant of it, keeps grant and refresh token: all of it or
/// nothing, and once. A code that was shown by whoever may not have it is used up all the same.
async fn take(
    issuer: &Issuer,
    digest: &str,
    token: &str,
    judge: impl FnOnce(&Transaction, &Approval) -> Result<(Grant, Approval), OauthError>,
) -> Result<Option<Result<(Grant, Approval), OauthError>>, OauthError> {
    // SECURITY: of many who redeem one code, one gets the row (test: `fifty_redemptions_of_one_code_give_one_grant`).
    const TAKE: &str =
        "DELETE FROM authorization_codes WHERE digest = $1 RETURNING request, approval, expires_at";
    let now = issuer.now();
    let (token, mut judge) = (secret_text::digest(token), Some(judge));
    transaction!(issuer.db, tx => {
        let row: Option<(String, String, i64)> =
            sqlx::query_as(TAKE).bind(digest).fetch_optional(&mut **tx).await?;
        let Some((request, approval, expires_at)) = row else { return Ok(None) };
        if expires_at <= now.0 {
            return Ok(Some(Err(OauthError::invalid_grant("the code has expired; sign in again"))));
        }
        let corrupt = |error: serde_json::Error| StorageError::Corrupt(format!("a code: {error}"));
        let request: Transaction = serde_json::from_str(&request).map_err(corrupt)?;
        let approval: Approval = serde_json::from_str(&approval).map_err(corrupt)?;
        let Some(judge) = judge.take() else { return Ok(None) };
        let (grant, approval) = match judge(&request, &approval) {
            Ok(made) => made,
            Err(error) => return Ok(Some(Err(error))),
        };
        grant::insert!(&grant, Some(digest)).execute(&mut **tx).await?;
        let insert = sqlx::query(refresh::INSERT).bind(&token).bind(&grant.id).bind(0_i64).bind(now.0);
        insert.bind(refresh::end(issuer, &grant, now).0).execute(&mut **tx).await?;
        Ok::<_, OauthError>(Some(Ok((grant, approval))))
    })
}

/// Whether the code is this client's, and whoever has it began the request.
fn check(
    issuer: &Issuer,
    client: &Client,
    form: &Form,
    verifier: &str,
    request: &Transaction,
) -> Result<(), OauthError> {
    if request.client != *client.id {
        return Err(OauthError::invalid_grant("the code was issued to another client"));
    }
    if form.get("redirect_uri").is_some_and(|uri| uri != request.redirect_uri) {
        return Err(OauthError::invalid_grant("`redirect_uri` is not the one of the request"));
    }
    is_granted(issuer, form, &request.resource)?;
    // RFC 7636 §4.1.
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_verifier = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
    let challenge = URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).0);
    let fits =
        constant_time::verify_slices_are_equal(challenge.as_bytes(), request.code_challenge.as_bytes());
    if !is_verifier || fits.is_err() {
        return Err(OauthError::invalid_grant("`code_verifier` does not fit the request's `code_challenge`"));
    }
    Ok(())
}

fn granted(issuer: &Issuer, client: &Client, request: &Transaction, approval: &Approval) -> Grant {
    let now = issuer.now();
    // The person may have agreed to less than was asked for, never to more.
    let scopes = request.scopes.iter().filter(|scope| approval.scopes.contains(scope)).cloned().collect();
    Grant {
        id: secret_text::id("grt_", issuer.dice.as_ref()),
        tenant: approval.tenant.clone(),
        user: Some(approval.user.clone()),
        agent: None,
        client: client.id.to_string(),
        resource: request.resource.clone(),
        scopes,
        session: Some(approval.session.clone()),
        auth_time: Some(approval.auth_time),
        roles: approval.roles.clone(),
        groups: approval.groups.clone(),
        created_at: now,
        used_at: now,
        expires_at: now.after(issuer.config().grant),
        revoked_at: None,
    }
}

/// The person, if all that their approval stood on stands still. SECURITY: what ended between a person's yes and the client's
/// coming ends the code too (tests: `what_ends_while_a_code_is_under_way_ends_the_code`,
/// `what_a_person_takes_back_is_not_had_by_what_was_under_way`).
async fn still(issuer: &Issuer, grant: &Grant, approval: &Approval) -> Result<Option<Person>, StorageError> {
    if revoked::since(issuer, grant, approval.given_at).await? {
        return Ok(None);
    }
    let (user, consents) = (&approval.user, issuer.consents());
    if approval.by_consent && consents.find(user, &grant.client, &grant.resource).await?.is_none() {
        return Ok(None);
    }
    Ok(issuer.people.find(user).await?.filter(|person| person.is_active))
}

/// A code that comes twice was seen by somebody else: what came of it ends (RFC 6749 §4.1.2).
async fn revoke_redeemed(issuer: &Issuer, digest: &str) -> Result<(), OauthError> {
    const BY_CODE: &str = "SELECT id FROM grants WHERE code = $1 AND revoked_at IS NULL";
    let found: Option<String> =
        on!(issuer.db, pool => sqlx::query_scalar(BY_CODE).bind(digest).fetch_optional(pool).await)?;
    if let Some(id) = found {
        let why = Why { by: "portunus", reason: "its authorization code was redeemed a second time" };
        grant::revoke(issuer, &id, why).await?;
    }
    Ok(())
}
