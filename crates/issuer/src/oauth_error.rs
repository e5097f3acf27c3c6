//! Errors as OAuth says them to clients (RFC 6749 §5.2, RFC 8707 §2).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::Code;
use serde_json::json;
use storage::StorageError;
use vault::VaultError;

/// A refusal with the RFC's word, our code and a plain sentence. Nothing of a token, code or secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthError {
    /// The word of the RFC.
    pub error: &'static str,
    /// Our code.
    pub code: Code,
    /// What is wrong, in a sentence for whoever develops the client.
    pub description: String,
    /// The status, where it is a reply and not a redirect.
    pub status: StatusCode,
}

impl OauthError {
    /// A refusal with status 400.
    pub fn new(error: &'static str, code: Code, description: impl Into<String>) -> Self {
        Self { error, code, description: description.into(), status: StatusCode::BAD_REQUEST }
    }

    /// The client did not prove who it is.
    pub fn invalid_client(description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            ..Self::new("invalid_client", Code::CLIENT_REFUSED, description)
        }
    }

    /// A parameter is missing or wrong.
    pub fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", Code::OAUTH_REQUEST, description)
    }

    /// A code, refresh token or assertion is not good.
    pub fn invalid_grant(description: impl Into<String>) -> Self {
        Self::new("invalid_grant", Code::GRANT_REFUSED, description)
    }

    /// Something of ours is not there now.
    pub fn unavailable() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            ..Self::new(
                "temporarily_unavailable",
                Code::ISSUING_UNAVAILABLE,
                "the authorization server cannot reach its database; try again",
            )
        }
    }

    /// What the client reads as `error_description`.
    pub fn description(&self) -> String {
        format!("{}: {}", self.code, self.description)
    }
}

impl From<StorageError> for OauthError {
    fn from(error: StorageError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the authorization server's rows");
        Self::unavailable()
    }
}

impl From<storage::sqlx::Error> for OauthError {
    fn from(error: storage::sqlx::Error) -> Self {
        StorageError::from(error).into()
    }
}

impl From<VaultError> for OauthError {
    fn from(error: VaultError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the authorization server's keys");
        Self::unavailable()
    }
}

impl From<crate::token::MintError> for OauthError {
    fn from(error: crate::token::MintError) -> Self {
        let crate::token::MintError::Vault(error) = error;
        error.into()
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let body = Json(json!({"error": self.error, "error_description": self.description()}));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6749 §5.2: the scheme that the client may use.
            let basic = HeaderValue::from_static("Basic realm=\"portunus\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}
