//! Whether a provider still vouches for a person who signed in there. It is asked again, with a refresh token of its own,
//! before a token of ours is renewed or a page takes the person for signed in (OpenID Connect Core 1.0 §11, §12), and says
//! anew what their roles and groups are. One that says no ends all that the person has here; one that cannot be asked is
//! believed for the operator's grace.

mod asking;
mod rows;

pub(crate) use rows::{forget, keep};

use crate::grant::Why;
use crate::sign_in::Recheck;
use crate::{Issuer, OauthError};
use asking::{Answer, Question};
use axum::http::StatusCode;
use ledger::{About, Event, What};
use model::{Code, Timestamp};
use rows::Voucher;
use std::sync::Arc;
use std::time::Duration;
use storage::StorageError;

/// Whether a person who signed in at a provider may go on: the provider vouched lately, or does now. `since`: when they
/// last signed in, as far as the caller knows.
/// SECURITY: whoever was removed there is out here at the next look, without anybody telling us
/// (tests: `whoever_their_provider_no_longer_vouches_for_is_out`, `a_provider_that_cannot_be_asked_is_believed_for_a_while`).
///
/// # Errors
/// `invalid_grant` when the provider says no, says what cannot be used, or was last heard too long ago and cannot be asked;
/// `temporarily_unavailable` when it is only away.
pub(crate) async fn check(issuer: &Issuer, user: &str, since: Timestamp) -> Result<(), OauthError> {
    for _ in 0..WAITS {
        let Some(voucher) = rows::find(issuer, user).await? else {
            return unheard(issuer, user, since).await;
        };
        let desk = issuer.desk();
        let provider = desk.federation.provider(&voucher.tenant, &voucher.provider).ok();
        let provider = provider.filter(|provider| {
            provider.config.issuer == voucher.issuer && provider.config.client_id == voucher.client
        });
        let provider = provider.ok_or_else(|| refused("the provider is no longer one of the tenant's"))?;
        let Some(Recheck { every, grace }) = provider.config.recheck else { return Ok(()) };
        let (now, age) = (issuer.now(), issuer.now().since(Timestamp(voucher.vouched_at)));
        if age < every {
            return Ok(());
        }
        let is_over = age >= grace;
        if voucher.token.is_none() {
            return if is_over {
                Err(refused("the provider gave nothing to ask it with again"))
            } else {
                Ok(())
            };
        }
        if voucher.asking_until > now.0 {
            // Another request asks, here or at another replica, or a moment ago there was no answer.
            if !is_over {
                return Ok(());
            }
        } else if let Some(turn) = rows::begin(issuer, user, &voucher, now).await? {
            let answer = Question::of(issuer, Arc::clone(&desk), user, &voucher, turn).ask().await;
            return taken(issuer, user, &voucher, answer, is_over).await;
        }
        tokio::time::sleep(WAIT).await;
    }
    Err(away())
}

/// A person of whom no provider's word is kept: somebody with an account of ours, or who signed in before the operator
/// wanted providers asked again. SECURITY: the second is believed for the grace and no longer
/// (test: `whoever_signed_in_before_providers_were_asked_again_signs_in_once_more`).
async fn unheard(issuer: &Issuer, user: &str, since: Timestamp) -> Result<(), OauthError> {
    let desk = issuer.desk();
    for (tenant, name) in rows::providers_of(issuer, user).await? {
        let providers = desk.tenant(&tenant).map(|tenant| tenant.providers.as_slice()).unwrap_or_default();
        let asked = providers.iter().filter(|provider| provider.issuer == name);
        let grace = asked.filter_map(|provider| provider.recheck).map(|recheck| recheck.grace).min();
        if grace.is_some_and(|grace| issuer.now().since(since) >= grace) {
            return Err(refused("the provider is to be asked again, and gave nothing to ask it with"));
        }
    }
    Ok(())
}

/// What follows from an answer.
async fn taken(
    issuer: &Issuer,
    user: &str,
    voucher: &Voucher,
    answer: Answer,
    is_over: bool,
) -> Result<(), OauthError> {
    match answer {
        Answer::Vouched => Ok(()),
        Answer::No(said) => {
            let by = format!("provider {}", voucher.provider);
            let why = Why { by: &by, reason: "the provider does not vouch for them any more" };
            issuer.note_after(Event {
                tenant: Some(voucher.tenant.as_str().into()),
                by: Some(by.as_str().into()),
                about: Some(About::new("user", user)),
                detail: Some(format!("{}: {said}", why.reason).into()),
                ..Event::of(What::SignedOut)
            });
            issuer.end_person(&voucher.tenant, user, why).await.map_err(|_| OauthError::unavailable())?;
            Err(refused("the provider does not vouch for the person any more"))
        }
        Answer::Away if is_over => Err(away()),
        Answer::Unusable if is_over => Err(refused("the provider does not say what can be used")),
        Answer::Away | Answer::Unusable => Ok(()),
    }
}

impl Issuer {
    /// Forgets providers' words that no grant can stand on any more.
    pub(crate) async fn sweep_vouchers(&self) -> Result<(), StorageError> {
        rows::sweep(self).await
    }
}

fn refused(why: &str) -> OauthError {
    OauthError::invalid_grant(format!("{why}; sign in again"))
}

fn away() -> OauthError {
    let why = "the provider cannot be asked whether it still vouches for the person; try again";
    OauthError {
        status: StatusCode::SERVICE_UNAVAILABLE,
        ..OauthError::new("temporarily_unavailable", Code::ISSUING_UNAVAILABLE, why)
    }
}

/// How often, and how long apart, it is looked whether another has asked.
const WAITS: u32 = 30;
const WAIT: Duration = Duration::from_millis(400);
