//! Why a caller is not let in.

use model::{Code, ErrorKind, Principal};
use std::sync::Arc;

/// A request that is turned away, and by whom it was made if that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Rejection {
    /// Why.
    #[source]
    pub error: AuthnError,
    /// The verified caller, when only a scope is missing: the record names who was turned away.
    pub principal: Option<Arc<Principal>>,
}

impl From<AuthnError> for Rejection {
    fn from(error: AuthnError) -> Self {
        Self { error, principal: None }
    }
}

/// A request that is not authenticated. The texts are fixed: nothing of the token is ever in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthnError {
    /// No `Authorization` header, or one of another scheme than `Bearer`.
    #[error("no token")]
    Missing,
    /// A token in the query string (RFC 6750 §2.3, forbidden by OAuth 2.1 §5.1.1).
    #[error("a token in the query string")]
    InQuery,
    /// More than one `Authorization` header.
    #[error("more than one authorization header")]
    Repeated,
    /// What follows `Bearer` is no token, or there is no scheme at all.
    #[error("the authorization header is not a bearer token")]
    NotBearer,
    /// Longer than a token may be.
    #[error("the token is too long")]
    TooLong,
    /// Not a signed JWT in its one strict form.
    #[error("the token is malformed")]
    Malformed,
    /// A `typ` that the issuer's access tokens do not have.
    #[error("the token is of another type")]
    WrongType,
    /// An ID token, a logout token or a refresh token.
    #[error("the token is not an access token")]
    NotAccessToken,
    /// Bound to a key whose possession is not checked here (`cnf`, RFC 7800).
    #[error("the token is bound to a key")]
    SenderBound,
    /// Bound to a client certificate (RFC 8705 §3) that this connection did not show.
    #[error("the token is bound to another client certificate")]
    OtherCertificate,
    /// An issuer that is not configured.
    #[error("the token's issuer is not trusted here")]
    UnknownIssuer,
    /// A key that the issuer does not publish.
    #[error("the token's key is not one of its issuer's")]
    UnknownKey,
    /// An `alg` that is not the key's, or one that is not accepted.
    #[error("the token's algorithm is not that of its key")]
    WrongAlgorithm,
    /// The signature does not verify.
    #[error("the token's signature does not verify")]
    BadSignature,
    /// After `exp`.
    #[error("the token has expired")]
    Expired,
    /// Before `nbf`, or issued in the future.
    #[error("the token is not valid yet")]
    NotYet,
    /// It would live longer than the issuer's tokens may.
    #[error("the token lives too long")]
    LivesTooLong,
    /// For another resource.
    #[error("the token is for another audience")]
    WrongAudience,
    /// A claim is missing, of the wrong shape, empty, or over its bound. Names the claim's purpose.
    #[error("the token's {0} claim is missing or malformed")]
    BadClaim(&'static str),
    /// A claim is there and well formed, and not what the issuer's contract asks for. Names the claim, never its value.
    #[error("the token's {0} claim is not what is required here")]
    ClaimRefused(&'static str),
    /// The issuer says that the token is not active: expired, revoked, or never its own.
    #[error("the token is not active")]
    Inactive,
    /// What its tokens are judged by has changed since this one was.
    #[error("the rules for the issuer's tokens have changed")]
    RulesChanged,
    /// The issuer's contract is stored, and cannot be read.
    #[error("the contract of the issuer's tokens cannot be read")]
    ContractUnreadable,
    /// The issuer could not be asked what an opaque token means.
    #[error("the token's issuer cannot be asked about it")]
    IntrospectionUnavailable,
    /// The directory of groups could not be asked.
    #[error("the directory of groups cannot be asked")]
    GroupsUnavailable,
    /// The directory says others than it did: of a stream, which outlives its request.
    #[error("the caller's groups have changed")]
    GroupsChanged,
    /// On the list of revoked tokens.
    #[error("the token is revoked")]
    Revoked,
    /// The caller is known; the token lacks a scope that the resource requires.
    #[error("the token lacks a required scope")]
    InsufficientScope,
    /// The issuer's keys are not known, and could not be fetched.
    #[error("the issuer's keys are not available")]
    IssuerUnavailable,
    /// The list of revoked tokens is older than it may be.
    #[error("the list of revoked tokens is out of date")]
    RevocationStale,
}

impl AuthnError {
    /// What the refusal means.
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::InQuery | Self::Repeated | Self::NotBearer => ErrorKind::Invalid,
            Self::InsufficientScope => ErrorKind::Denied,
            Self::IssuerUnavailable
            | Self::RevocationStale
            | Self::ContractUnreadable
            | Self::IntrospectionUnavailable
            | Self::GroupsUnavailable => ErrorKind::Unavailable,
            Self::Missing
            | Self::TooLong
            | Self::Malformed
            | Self::WrongType
            | Self::NotAccessToken
            | Self::SenderBound
            | Self::OtherCertificate
            | Self::UnknownIssuer
            | Self::UnknownKey
            | Self::WrongAlgorithm
            | Self::BadSignature
            | Self::Expired
            | Self::NotYet
            | Self::LivesTooLong
            | Self::WrongAudience
            | Self::BadClaim(_)
            | Self::ClaimRefused(_)
            | Self::Inactive
            | Self::RulesChanged
            | Self::GroupsChanged
            | Self::Revoked => ErrorKind::Unauthenticated,
        }
    }

    /// The status of the reply (RFC 6750 §3.1).
    pub const fn status(self) -> http::StatusCode {
        match self.kind() {
            ErrorKind::Invalid => http::StatusCode::BAD_REQUEST,
            ErrorKind::Denied => http::StatusCode::FORBIDDEN,
            ErrorKind::Unavailable => http::StatusCode::SERVICE_UNAVAILABLE,
            _ => http::StatusCode::UNAUTHORIZED,
        }
    }

    /// The stable code.
    pub const fn code(self) -> Code {
        match self {
            Self::Missing | Self::InQuery | Self::Repeated | Self::NotBearer => Code::TOKEN_MISSING,
            Self::InsufficientScope => Code::SCOPE_MISSING,
            Self::IssuerUnavailable => Code::ISSUER_UNAVAILABLE,
            Self::RevocationStale => Code::REVOCATIONS_STALE,
            Self::Revoked => Code::TOKEN_REVOKED,
            Self::ContractUnreadable => Code::CONTRACT_UNREADABLE,
            Self::IntrospectionUnavailable => Code::INTROSPECTION_UNAVAILABLE,
            Self::GroupsUnavailable => Code::GROUPS_UNAVAILABLE,
            _ => Code::TOKEN_INVALID,
        }
    }

    /// The `error` of the challenge; none for a request without a token (RFC 6750 §3.1).
    pub const fn bearer_error(self) -> Option<&'static str> {
        match self.kind() {
            ErrorKind::Invalid => Some("invalid_request"),
            ErrorKind::Denied => Some("insufficient_scope"),
            _ if matches!(self, Self::Missing) => None,
            ErrorKind::Unavailable => None,
            _ => Some("invalid_token"),
        }
    }
}
