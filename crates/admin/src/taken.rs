//! What a caller sends, read strictly: JSON bodies, query parameters, ids in paths.

use crate::admin::Rooms;
use crate::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{StatusCode, header};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// The largest body, in bytes. A token contract with its samples is the largest thing there is.
pub(crate) const BODY_BYTES: usize = 256 << 10;

/// A JSON body. Its type refuses unknown members; serde refuses repeated ones.
pub(crate) struct Taken<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Rooms> for Taken<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, rooms: &Rooms) -> Result<Self, Problem> {
        let is_json = request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
            let essence = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
        });
        if !is_json {
            return Err(Problem::invalid("the body's type is not `application/json`")
                .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        // The door has read it within its bound.
        let body = Bytes::from_request(request, rooms).await.map_err(|_| Problem::invalid("no body"))?;
        serde_json::from_slice(&body).map(Self).map_err(|error| Problem::invalid(told(&error)))
    }
}

/// What serde says, without the values it quotes: a caller's secret should not come back.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let kept = ["unknown field", "missing field", "duplicate field"];
    let what = if kept.iter().any(|start| text.starts_with(start)) {
        text.split(" at line ").next().unwrap_or_default()
    } else if error.is_data() {
        "a member has a value that the operation does not take"
    } else {
        "not JSON"
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// Query parameters: known ones only, each at most once.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Rooms> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Rooms) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let mut seen = BTreeSet::new();
        for (name, _) in form_urlencoded::parse(query.as_bytes()) {
            if !seen.insert(name.clone()) {
                return Err(Problem::invalid(format!("query parameter `{}` is there twice", clip(&name))));
            }
        }
        let read = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        read.map(|query| Self(query.0)).map_err(|_| {
            Problem::invalid("a query parameter is unknown, or has a value that it does not take")
        })
    }
}

/// The ids in the path, in its order; each is 1 to 512 visible ASCII characters.
pub(crate) struct Ids<const N: usize>(pub(crate) [String; N]);

impl<const N: usize> FromRequestParts<Rooms> for Ids<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rooms: &Rooms) -> Result<Self, Problem> {
        let bad = || Problem::invalid("an id in the path is not 1 to 512 visible ASCII characters");
        let params = RawPathParams::from_request_parts(parts, rooms).await.map_err(|_| bad())?;
        let ids: Vec<String> = params.iter().map(|(_, id)| id.to_owned()).collect();
        if !ids.iter().all(|id| is_id(id)) {
            return Err(bad());
        }
        ids.try_into().map(Self).map_err(|_| bad())
    }
}

pub(crate) fn is_id(id: &str) -> bool {
    (1..=512).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only its shape is tried")]
        name: u8,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_told_without_its_values() {
        for (text, says) in [
            (r#"{"name":1,"secret":"x"}"#, "unknown field `secret`, expected `name`"),
            ("{}", "missing field `name`"),
            (r#"{"name":1,"name":2}"#, "duplicate field `name`"),
            (r#"{"name":"s3cret"}"#, "a member has a value that the operation does not take"),
            (r#"{"name":"#, "not JSON"),
        ] {
            let error = serde_json::from_str::<Body>(text).unwrap_err();
            let told = told(&error);
            assert!(told.starts_with(says) && !told.contains("s3cret"), "{told}");
        }
    }
}
