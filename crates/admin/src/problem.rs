//! What goes wrong, as a problem document (RFC 9457) with our code, its fix and the request's reference.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use issuer::EndError;
use model::{CallId, Code, ErrorKind};
use std::sync::Arc;
use storage::StorageError;
use utoipa::ToSchema;
use vault::VaultError;

/// A refusal or a failure. What is in it may be read by the caller.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    /// What exactly, for this request; the code's own cause if there is nothing to add.
    pub(crate) detail: Option<String>,
    /// The scope that is missing: a challenge goes with it.
    pub(crate) scope: Option<&'static str>,
    /// The challenge of a caller who is not known.
    pub(crate) challenge: Option<HeaderValue>,
    /// Why, for the log alone.
    pub(crate) source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// A problem as it is sent, `application/problem+json` (RFC 9457 §3). It has no `type`: the code says more.
#[derive(serde::Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// The phrase of the status.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened.
    detail: String,
    /// Our code, such as `PTN-2121`; docs/errors.md has them all.
    code: String,
    /// What to do about it.
    fix: &'static str,
    /// The id of this request on record.
    reference: String,
}

impl Problem {
    /// The usual problem of a code.
    pub(crate) fn of(code: Code) -> Self {
        Self { status: status_of(code), code, detail: None, scope: None, challenge: None, source: None }
    }

    /// A body, a parameter or an id that the operation does not take.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::of(Code::ADMIN_REQUEST) }
    }

    /// A row in a state in which this cannot be done to it.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::of(Code::ADMIN_CONFLICT) }
    }

    /// A scope is missing: a challenge goes with it (RFC 6750 §3.1).
    pub(crate) fn scope(scope: &'static str) -> Self {
        Self { scope: Some(scope), ..Self::of(Code::SCOPE_MISSING) }
    }

    /// The same with another status.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same with what exactly happened.
    pub(crate) fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// The same with its reason for the log.
    pub(crate) fn because(self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(source)), ..self }
    }

    /// Its bytes, for the request called `reference`.
    pub(crate) fn render(&self, reference: CallId) -> Response {
        let row = self.code.row();
        let body = ProblemBody {
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail.clone().unwrap_or_else(|| row.map_or("", |row| row.cause).to_owned()),
            code: self.code.to_string(),
            fix: row.map_or("", |row| row.fix),
            reference: reference.to_string(),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        (self.status, kind, body).into_response()
    }
}

/// A problem leaves its handler in the extensions of a response; the door, which knows the reference, gives it its bytes.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        let code = match error.kind() {
            ErrorKind::Unavailable => Code::ADMIN_STORAGE,
            ErrorKind::Invalid => return Self::conflict("a row with this key exists").because(error),
            _ => Code::INTERNAL,
        };
        Self::of(code).because(error)
    }
}

impl From<EndError> for Problem {
    fn from(error: EndError) -> Self {
        match error {
            EndError::Storage(error) => error.into(),
            EndError::Record => Self::of(Code::RECORD_UNAVAILABLE),
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::UnknownKey(_) => Self::of(Code::ADMIN_NOT_FOUND),
            VaultError::Storage(error) => error.into(),
            other => Self::of(Code::INTERNAL).because(other),
        }
    }
}

fn status_of(code: Code) -> StatusCode {
    match code {
        Code::ADMIN_ROLE | Code::ADMIN_PERSON | Code::SCOPE_MISSING => StatusCode::FORBIDDEN,
        Code::ADMIN_NOT_FOUND => StatusCode::NOT_FOUND,
        Code::ADMIN_REQUEST => StatusCode::BAD_REQUEST,
        Code::ADMIN_CHANGED => StatusCode::PRECONDITION_FAILED,
        Code::ADMIN_REPEATED | Code::ADMIN_CONFLICT => StatusCode::CONFLICT,
        Code::TOKEN_MISSING | Code::TOKEN_INVALID => StatusCode::UNAUTHORIZED,
        Code::ADMIN_STORAGE | Code::ISSUER_UNAVAILABLE | Code::RECORD_UNAVAILABLE | Code::RECORD_OUTCOME => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
