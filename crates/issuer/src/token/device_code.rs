//! `device_code`: a device asks whether a person has approved it (RFC 8628 §3.4).

use super::caller::Caller;
use super::client_credentials::{confirmation, end};
use super::narrow::unknown_resource;
use super::reply::Issued;
use crate::device::{Approval, Asked, Poll};
use crate::grant::{self, Grant, Why, refresh};
use crate::{Form, Issuer, OauthError, revoked, secret_text};
use model::Code;
use storage::{StorageError, sqlx, transaction};

/// Answers.
pub(super) async fn grant(issuer: &Issuer, form: &Form, caller: &Caller) -> Result<Issued, OauthError> {
    let code =
        form.get("device_code").ok_or_else(|| OauthError::invalid_request("`device_code` is missing"))?;
    let refuse = |error, description: &str| OauthError::new(error, Code::DEVICE_REFUSED, description);
    let (asked, approval) = match issuer.devices().poll(code, caller.id()).await? {
        Poll::Approved(both) => *both,
        Poll::Pending => return Err(refuse("authorization_pending", "nobody has decided yet")),
        Poll::TooSoon => return Err(refuse("slow_down", "wait five seconds longer between two questions")),
        Poll::Denied => return Err(refuse("access_denied", "the person said no")),
        Poll::Expired => return Err(refuse("expired_token", "the code has expired; begin again")),
        Poll::Unknown => {
            return Err(refuse("invalid_grant", "the code is unknown, used, or another client's"));
        }
    };
    let person = issuer.people.find(&approval.user).await?.filter(|person| person.is_active);
    let person = person.ok_or_else(|| refuse("access_denied", "the person may not sign in any more"))?;
    // An agent may have been narrowed since it asked.
    let asked = still(issuer, caller, asked)?;
    let (grant, token) = kept(issuer, caller, &asked, &approval, &person).await?;
    // SECURITY: tests `what_ends_while_a_device_is_under_way_ends_it`,
    // `what_a_person_takes_back_is_not_had_by_what_was_under_way`.
    let is_allowed = match caller {
        Caller::Agent(actor) => {
            let (agent, consents) = (&actor.agent.id, issuer.agent_consents());
            consents.find(&approval.user, agent, &grant.resource).await?.is_some()
        }
        Caller::Client(_) => true,
    };
    if !is_allowed || revoked::since(issuer, &grant, approval.given_at).await? {
        let why = "the person, session, agent, client or consent was revoked";
        grant::revoke(issuer, &grant.id, Why { by: "portunus", reason: why }).await?;
        return Err(refuse("access_denied", why));
    }
    let mut issued = Issued::under(grant, token);
    if let Caller::Agent(actor) = caller {
        let subject = &mut issued.subject;
        subject.actor = Some(actor.agent.id.clone());
        subject.agent = Some(actor.agent.id.clone());
        subject.registered = Some(actor.agent.registered());
        subject.confirmation = confirmation(actor);
        subject.not_after = subject.not_after.into_iter().chain(end(actor)).min();
    }
    Ok(issued)
}

/// What was asked for, as far as whoever asked may have it now.
fn still(issuer: &Issuer, caller: &Caller, asked: Asked) -> Result<Asked, OauthError> {
    let resource = issuer.resource(&asked.resource).ok_or_else(unknown_resource)?;
    if let Caller::Agent(actor) = caller
        && !actor.agent.may_use(&issuer.config().issuer, &resource.canonical)
    {
        return Err(unknown_resource());
    }
    let mut scopes = caller.most(&asked.scopes);
    scopes.retain(|scope| resource.scopes.contains(scope));
    Ok(Asked { scopes, ..asked })
}

/// Keeps the grant, so that it can be revoked as a whole; with a refresh token but for an agent, which asks the person or
/// exchanges the person's token instead.
async fn kept(
    issuer: &Issuer,
    caller: &Caller,
    asked: &Asked,
    approval: &Approval,
    person: &crate::person::Person,
) -> Result<(Grant, Option<String>), OauthError> {
    let now = issuer.now();
    let agent = match caller {
        Caller::Agent(actor) => Some(actor.agent.id.clone()),
        Caller::Client(_) => None,
    };
    let token = agent.is_none().then(|| refresh::fresh(issuer));
    let grant = Grant {
        id: secret_text::id("grt_", issuer.dice.as_ref()),
        tenant: approval.tenant.clone(),
        user: Some(approval.user.clone()),
        agent,
        client: asked.client.clone(),
        resource: asked.resource.clone(),
        scopes: asked.scopes.clone(),
        session: Some(approval.session.clone()),
        auth_time: Some(approval.auth_time),
        roles: person.roles.clone(),
        groups: person.groups.clone(),
        created_at: now,
        used_at: now,
        expires_at: now.after(issuer.config().grant),
        revoked_at: None,
    };
    let digest = token.as_deref().map(secret_text::digest);
    let ends = refresh::end(issuer, &grant, now).0;
    let done: Result<(), StorageError> = transaction!(issuer.db, tx => {
        grant::insert!(&grant, None).execute(&mut **tx).await?;
        if let Some(digest) = &digest {
            let insert = sqlx::query(refresh::INSERT).bind(digest).bind(&grant.id).bind(0_i64).bind(now.0);
            insert.bind(ends).execute(&mut **tx).await?;
        }
        Ok(())
    });
    done?;
    Ok((grant, token))
}
