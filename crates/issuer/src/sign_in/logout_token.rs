//! A provider says that somebody has signed out (OpenID Connect Back-Channel Logout 1.0).

use super::Federation;
use super::id_token::{self, IdTokenError, OpenError};
use super::provider::ProviderError;
use crate::ending::EndError;
use model::{Clock, Timestamp};
use serde_json::{Map, Value};
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx};

/// Whose sessions are over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// The provider's issuer.
    pub issuer: String,
    /// The provider's session, if it names one.
    pub sid: Option<String>,
    /// The provider's subject, if it names one.
    pub subject: Option<String>,
    /// The token's id.
    jti: String,
    /// For how long the token is remembered.
    until: Timestamp,
}

impl LoggedOut {
    /// Notes that it was carried out: the token is good for nothing more.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn took(&self, db: &Db, now: Timestamp) -> Result<(), StorageError> {
        const SEEN: &str = "INSERT INTO logout_tokens_seen (issuer, jti, expires_at) VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING";
        const SWEEP: &str = "DELETE FROM logout_tokens_seen WHERE expires_at <= $1";
        on!(db, pool => {
            sqlx::query(SEEN).bind(&self.issuer).bind(&self.jti).bind(self.until.0).execute(pool).await.map(drop)
        })?;
        on!(db, pool => sqlx::query(SWEEP).bind(now.0).execute(pool).await.map(drop))?;
        Ok(())
    }
}

/// A logout token is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LogoutError {
    /// No such provider.
    #[error("there is no such provider")]
    NoProvider,
    /// The token.
    #[error("the logout token is refused: {0}")]
    Token(#[from] IdTokenError),
    /// It was taken before.
    #[error("the logout token was used before")]
    Replayed,
    /// The provider's keys.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// It is good, and what it says cannot be carried out now.
    #[error(transparent)]
    Ending(#[from] EndError),
}

impl From<StorageError> for LogoutError {
    fn from(error: StorageError) -> Self {
        Self::Ending(error.into())
    }
}

impl Federation {
    /// Verifies a logout token by all rules of §2.6. One that was [carried out](LoggedOut::took) is refused; of two
    /// at once both are carried out, which comes to the same.
    ///
    /// # Errors
    /// [`LogoutError`].
    pub async fn logged_out(
        &self,
        db: &Db,
        clock: &dyn Clock,
        tenant: &str,
        name: &str,
        token: &str,
    ) -> Result<LoggedOut, LogoutError> {
        const SEEN: &str = "SELECT jti FROM logout_tokens_seen WHERE issuer = $1 AND jti = $2";
        let provider = self.provider(tenant, name).map_err(|_| LogoutError::NoProvider)?;
        // Most providers still write `JWT`; the rest of the rules tells it from an ID token.
        let opened = id_token::open(token, provider, &["logout+jwt", "jwt"]).await;
        let (claims, _) = opened.map_err(|error| match error {
            OpenError::Token(error) => LogoutError::Token(error),
            OpenError::Provider(ProviderError::UnknownKey) => LogoutError::Token(IdTokenError::Claim("kid")),
            OpenError::Provider(error) => LogoutError::Provider(error),
        })?;
        let config = &provider.config;
        let (jti, expires) =
            check(&claims, |claims| id_token::is_of(claims, config), clock.now(), config.skew)?;
        let seen: Option<String> = on!(db, pool => {
            sqlx::query_scalar(SEEN).bind(&config.issuer).bind(&jti).fetch_optional(pool).await
        })
        .map_err(StorageError::from)?;
        if seen.is_some() {
            return Err(LogoutError::Replayed);
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        // Sessions are found by the subject that the profile names; a logout token of Entra has no `oid`, but a `sid`.
        Ok(LoggedOut {
            issuer: config.issuer.clone(),
            sid: text("sid"),
            subject: text(config.profile.subject),
            until: expires.after(config.skew),
            jti,
        })
    }
}

/// The rules beside signature and key (§2.6, 3 to 8); returns `jti` and the end.
fn check(
    claims: &Map<String, Value>,
    is_of: impl Fn(&Map<String, Value>) -> Result<(), IdTokenError>,
    now: Timestamp,
    skew: Duration,
) -> Result<(String, Timestamp), IdTokenError> {
    is_of(claims)?;
    let date = |name: &'static str| {
        claims.get(name).and_then(id_token::numeric_date).ok_or(IdTokenError::Claim(name))
    };
    let (issued, expires) = (date("iat")?, date("exp")?);
    if expires.after(skew) <= now {
        return Err(IdTokenError::Expired);
    }
    if issued > now.after(skew) {
        return Err(IdTokenError::NotYet);
    }
    // An old one may be a replay from before our memory of them; and `exp` may not be far ahead for the same reason.
    if now.since(issued) > LONGEST || expires.since(issued) > LONGEST {
        return Err(IdTokenError::Old);
    }
    let named = |name: &str| match claims.get(name) {
        None => Ok(false),
        Some(Value::String(text)) if !text.is_empty() => Ok(true),
        Some(_) => Err(IdTokenError::Claim("sid or sub")),
    };
    if !(named("sid")? | named("sub")?) {
        return Err(IdTokenError::Claim("sid or sub"));
    }
    let event = claims.get("events").and_then(|events| events.get(EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(IdTokenError::Claim("events"));
    }
    if claims.contains_key("nonce") {
        return Err(IdTokenError::Nonce);
    }
    let jti = claims.get("jti").and_then(Value::as_str);
    let jti = jti.filter(|jti| (1..=256).contains(&jti.len())).ok_or(IdTokenError::Claim("jti"))?;
    Ok((jti.to_owned(), expires))
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The longest life of a logout token.
const LONGEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::super::Profile;
    use super::super::id_token::tests::config;
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "iss": "https://idp.example", "aud": "portunus", "sub": "s1", "sid": "1", "jti": "j",
            "iat": 1_700_000_000, "exp": 1_700_000_120, "events": {EVENT: {}},
        })
    }

    #[test]
    fn logout_tokens_are_held_to_every_rule() {
        let config = config(Profile::GENERIC);
        let checked = |claims: &Value| {
            let is_of = |claims: &Map<String, Value>| id_token::is_of(claims, &config);
            check(claims.as_object().unwrap(), is_of, Timestamp(1_700_000_000_000), Duration::from_secs(30))
        };
        assert_eq!(checked(&good()), Ok(("j".to_owned(), Timestamp(1_700_000_120_000))));
        for (name, value, error) in [
            ("iss", json!("https://other.example"), IdTokenError::Issuer),
            ("aud", json!("other"), IdTokenError::Audience),
            ("iat", Value::Null, IdTokenError::Claim("iat")),
            ("iat", json!(1_700_000_100), IdTokenError::NotYet),
            ("iat", json!(1_699_990_000), IdTokenError::Old),
            ("exp", Value::Null, IdTokenError::Claim("exp")),
            ("exp", json!(1_699_999_000), IdTokenError::Expired),
            ("exp", json!(1_800_000_000), IdTokenError::Old),
            ("events", Value::Null, IdTokenError::Claim("events")),
            ("events", json!({"other": {}}), IdTokenError::Claim("events")),
            ("events", json!({EVENT: true}), IdTokenError::Claim("events")),
            ("nonce", json!("n"), IdTokenError::Nonce),
            ("jti", Value::Null, IdTokenError::Claim("jti")),
            ("sid", json!(7), IdTokenError::Claim("sid or sub")),
        ] {
            let mut claims = good();
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            }
            assert_eq!(checked(&claims), Err(error), "{name} {value}");
        }
        let mut nobody = good();
        nobody.as_object_mut().unwrap().retain(|name, _| name != "sid" && name != "sub");
        assert_eq!(checked(&nobody), Err(IdTokenError::Claim("sid or sub")));
    }
}
