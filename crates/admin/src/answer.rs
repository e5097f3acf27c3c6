//! What an operation answers with.

use crate::problem::Problem;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use model::Code;
use serde::Serialize;

/// What a handler gives back.
pub(crate) type Answer<T> = Result<T, Problem>;

/// A row and its tag, for a later `If-Match`.
pub(crate) struct Tagged<T> {
    pub(crate) row: T,
    pub(crate) tag: HeaderValue,
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        ([(header::ETAG, self.tag)], Json(self.row)).into_response()
    }
}

/// What a change was about, for the record: its kind and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
}

/// A new row: 201, where it is, and its tag.
pub(crate) struct Created<T> {
    /// What it is.
    pub(crate) about: About,
    /// Its path below `/api/v1`.
    pub(crate) path: String,
    /// The row.
    pub(crate) row: T,
    /// Its tag.
    pub(crate) tag: HeaderValue,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let Ok(location) = HeaderValue::try_from(format!("{}{}", crate::admin::PREFIX, self.path)) else {
            return Problem::of(Code::INTERNAL).into_response();
        };
        let head = [(header::LOCATION, location), (header::ETAG, self.tag)];
        let mut response = (StatusCode::CREATED, head, Json(self.row)).into_response();
        response.extensions_mut().insert(self.about);
        response
    }
}

/// It is done, and there is nothing to say about it: 204.
pub(crate) struct Done;

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}
