//! A code is redeemed at the provider (RFC 6749 §4.1.3, RFC 7636 §4.5).

use super::fetch::FetchError;
use super::provider::{Metadata, Provider, ProviderError};
use super::{ClientAuth, ProviderConfig};
use crate::secret_text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Dice, Secret, Timestamp};
use serde_json::{Value, json};
use vault::SigningKeys;

/// What is redeemed.
pub(crate) struct Redeemed<'a> {
    pub(crate) code: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) verifier: Option<&'a str>,
}

/// What the provider gave for it.
pub(crate) struct Tokens {
    pub(crate) id_token: String,
    /// Used for the provider's own userinfo endpoint and nothing else; never kept.
    pub(crate) access_token: Option<String>,
    /// What it is asked with again.
    pub(crate) refresh_token: Option<String>,
}

/// What the provider gave for its refresh token (OpenID Connect Core §12.2).
pub(crate) struct Renewed {
    pub(crate) id_token: Option<String>,
    pub(crate) access_token: Option<String>,
    pub(crate) refresh_token: Option<String>,
}

/// A code could not be redeemed.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// The provider said no; its word.
    #[error("the provider refuses: {0}")]
    Refused(String),
    /// The provider.
    #[error(transparent)]
    Provider(ProviderError),
    /// There is no ID token in the answer.
    #[error("the provider's answer holds no `id_token`; is `openid` among the scopes?")]
    NoIdToken,
    /// There is neither access token nor ID token in the answer to a refresh token.
    #[error("the provider's answer holds no token")]
    NoAccessToken,
    /// We could not sign the assertion.
    #[error("the assertion for the provider could not be signed")]
    Assertion(#[from] vault::VaultError),
}

/// Redeems a code.
pub(crate) async fn redeem(
    provider: &Provider,
    metadata: &Metadata,
    redeemed: &Redeemed<'_>,
    keys: &SigningKeys,
    dice: &dyn Dice,
    now: Timestamp,
) -> Result<Tokens, RedeemError> {
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", redeemed.code),
        ("redirect_uri", redeemed.redirect_uri),
    ];
    pairs.extend(redeemed.verifier.map(|verifier| ("code_verifier", verifier)));
    let request = request(&provider.config, metadata, &pairs, keys, dice, now)?;
    let Renewed { id_token, access_token, refresh_token } = ask(provider, metadata, request).await?;
    Ok(Tokens { id_token: id_token.ok_or(RedeemError::NoIdToken)?, access_token, refresh_token })
}

/// Uses a refresh token.
pub(crate) async fn renew(
    provider: &Provider,
    metadata: &Metadata,
    token: &str,
    keys: &SigningKeys,
    dice: &dyn Dice,
    now: Timestamp,
) -> Result<Renewed, RedeemError> {
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let request = request(&provider.config, metadata, &pairs, keys, dice, now)?;
    ask(provider, metadata, request).await
}

/// The form, and the `Authorization` header if there is one.
fn request(
    config: &ProviderConfig,
    metadata: &Metadata,
    pairs: &[(&str, &str)],
    keys: &SigningKeys,
    dice: &dyn Dice,
    now: Timestamp,
) -> Result<(String, Option<String>), RedeemError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs);
    let authorization = authenticate(config, metadata, &mut form, keys, dice, now)?;
    Ok((form.finish(), authorization))
}

async fn ask(
    provider: &Provider,
    metadata: &Metadata,
    (form, authorization): (String, Option<String>),
) -> Result<Renewed, RedeemError> {
    let answer = provider.post(&metadata.token_endpoint, form, authorization).await;
    let answer = answer.map_err(|error| match error {
        // A word beside a 5xx is no judgement of the code: the provider cannot do anything now.
        ProviderError::Fetch(FetchError::Status { status, error: Some(word), .. })
            if status.is_client_error() =>
        {
            RedeemError::Refused(word)
        }
        error => RedeemError::Provider(error),
    })?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    if let Some(error) = text("error") {
        return Err(RedeemError::Refused(super::id_token::error_word(&error).to_owned()));
    }
    Ok(Renewed {
        id_token: text("id_token"),
        access_token: text("access_token"),
        refresh_token: text("refresh_token"),
    })
}

/// Shows who we are: adds to the form, or returns the `Authorization` header.
fn authenticate(
    config: &ProviderConfig,
    metadata: &Metadata,
    form: &mut form_urlencoded::Serializer<'_, String>,
    keys: &SigningKeys,
    dice: &dyn Dice,
    now: Timestamp,
) -> Result<Option<String>, RedeemError> {
    match &config.client_auth {
        ClientAuth::None => {
            form.append_pair("client_id", &config.client_id);
            Ok(None)
        }
        ClientAuth::Secret(secret) if metadata.secret_in_form => {
            form.append_pair("client_id", &config.client_id);
            secret.lend(|secret| form.append_pair("client_secret", &String::from_utf8_lossy(secret)));
            Ok(None)
        }
        ClientAuth::Secret(secret) => Ok(Some(basic(&config.client_id, secret))),
        ClientAuth::PrivateKeyJwt => {
            let claims = json!({
                "iss": config.client_id, "sub": config.client_id,
                // The very address it is sent to: nobody else can use it elsewhere.
                "aud": metadata.token_endpoint,
                "jti": secret_text::bare(dice),
                "iat": now.seconds(), "exp": now.seconds() + 60,
            });
            let assertion = keys.sign("JWT", claims.to_string().as_bytes())?;
            form.append_pair("client_id", &config.client_id)
                .append_pair("client_assertion_type", ASSERTION)
                .append_pair("client_assertion", &assertion.token);
            Ok(None)
        }
    }
}

/// Id and secret are form-encoded before they are joined (RFC 6749 §2.3.1).
fn basic(client: &str, secret: &Secret) -> String {
    let encode = |bytes: &[u8]| form_urlencoded::byte_serialize(bytes).collect::<String>();
    let pair = secret.lend(|secret| format!("{}:{}", encode(client.as_bytes()), encode(secret)));
    format!("Basic {}", STANDARD.encode(pair))
}

/// RFC 7523 §2.2.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_and_secret_are_encoded_before_they_are_joined() {
        let header = basic("a:b", &Secret::new(b"s e/c".to_vec()));
        assert_eq!(header, format!("Basic {}", STANDARD.encode("a%3Ab:s+e%2Fc")));
    }
}
