//! Asking an issuer what an opaque token means: once for all who ask at the same time, and not again for a while.

use super::answer::{Answer, Meaning, read};
use super::route::OpaqueConfig;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use model::{Clock, Digest, Timestamp};
use moka::future::Cache;
use net::egress::{Client, Destination};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Asks one issuer, and remembers.
pub(crate) struct Introspector {
    pub(super) config: OpaqueConfig,
    uri: Uri,
    destination: Destination,
    egress: Client,
    clock: Arc<dyn Clock>,
    /// By the digest of the token.
    answers: Cache<Digest, Answer>,
    /// Whoever wants to ask takes one: strangers who try tokens do not make us flood the issuer.
    places: Semaphore,
}

impl Introspector {
    /// # Errors
    /// Why the endpoint cannot be asked.
    pub(super) fn new(config: OpaqueConfig, egress: Client, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let uri: Uri = config.introspection.parse().map_err(|_| "not a URL".to_owned())?;
        let destination = egress.destination(&uri, config.rule).map_err(|error| error.to_string())?;
        // The cache's own clock is the machine's and only bounds memory; answers say by ours until when they stand.
        let answers = Cache::builder().max_capacity(MOST_ANSWERS).time_to_live(ACTIVE).build();
        Ok(Self { config, uri, destination, egress, clock, answers, places: Semaphore::new(MOST_AT_ONCE) })
    }

    /// The issuer that is asked.
    pub(crate) fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// What the token means, as its issuer says or said a moment ago.
    pub(crate) async fn meaning(&self, token: &[u8], digest: Digest) -> Answer {
        self.fresh(token, digest, Duration::ZERO).await
    }

    /// The same, by an answer that stands for at least `ahead` more.
    pub(super) async fn fresh(&self, token: &[u8], digest: Digest, ahead: Duration) -> Answer {
        let now = self.clock.now().after(ahead);
        let asked = self.answers.entry(digest).or_insert_with_if(self.ask(token), |held| held.until <= now);
        // Boxed: the way of a signed token should not carry the room this one needs.
        Box::pin(asked).await.into_value()
    }

    /// Forgets every answer.
    pub(super) fn forget(&self) {
        self.answers.invalidate_all();
    }

    async fn ask(&self, token: &[u8]) -> Answer {
        let asked = tokio::time::timeout(TIMEOUT, self.exchange(token)).await;
        let meaning = asked.unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")));
        let now = self.clock.now();
        match meaning {
            Ok(Meaning::Active(claims)) => {
                let expires = claims.get("exp").and_then(crate::claims::numeric_date);
                let until = now.after(ACTIVE);
                let until = expires.map_or(until, |expires| until.min(expires));
                Answer { meaning: Meaning::Active(claims), until }
            }
            Ok(meaning) => Answer { meaning, until: now.after(INACTIVE) },
            Err(why) => {
                tracing::warn!(issuer = %self.config.issuer, error = %why, "an opaque token's issuer cannot be asked");
                // Whoever asked at the same time hears the same; the next one asks again.
                Answer { meaning: Meaning::Unknown, until: Timestamp(i64::MIN) }
            }
        }
    }

    async fn exchange(&self, token: &[u8]) -> Result<Meaning, String> {
        let _place = self.places.try_acquire().map_err(|_| "too many are asking at once".to_owned())?;
        let answer = self.egress.send(&self.destination, self.request(token)?).await;
        let answer = answer.map_err(|error| error.detail())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answered {}", answer.status()));
        }
        let body = net::collect(answer.into_body(), ANSWER_BYTES).await.map_err(|error| error.to_string())?;
        read(&body).map_err(|what| format!("its answer cannot be used: {what}"))
    }

    fn request(&self, token: &[u8]) -> Result<Request<Bytes>, String> {
        let token = Zeroizing::new(String::from_utf8_lossy(token).into_owned());
        let credential = self.config.client.present(self.clock.as_ref())?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", &token).append_pair("token_type_hint", "access_token");
        for (name, value) in &credential.parameters {
            form.append_pair(name, value);
        }
        let mut request = Request::new(Bytes::from(form.finish()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(header) = credential.header {
            let mut value =
                HeaderValue::from_str(&header).map_err(|_| "the credential is no header".to_owned())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(request)
    }
}

/// How long an answer is believed, unless the token expires before.
const ACTIVE: Duration = Duration::from_secs(30);
/// How long a token that is not active is not asked about again.
const INACTIVE: Duration = Duration::from_secs(5);
/// For one question.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer, in bytes.
const ANSWER_BYTES: usize = 64 << 10;
/// The most answers remembered of one issuer.
const MOST_ANSWERS: u64 = 10_000;
/// The most questions to one issuer at once.
const MOST_AT_ONCE: usize = 64;
