//! Entity tags (RFC 9110 §8.8.3): a change names the state that it is a change of.

use crate::admin::Rooms;
use crate::problem::Problem;
use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use model::{Code, Digest};
use serde::Serialize;

/// The tag of a representation.
pub(crate) fn of(row: &impl Serialize) -> HeaderValue {
    let text = serde_json::to_vec(row).unwrap_or_default();
    let digest = URL_SAFE_NO_PAD.encode(Digest::of(&text).0);
    let tag = format!("\"{}\"", digest.get(..22).unwrap_or_default());
    HeaderValue::try_from(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// `If-Match`, without which nothing is changed.
pub(crate) struct IfMatch(Vec<String>);

impl IfMatch {
    /// Holds the caller's tags against the row as it is now. Strong comparison (RFC 9110 §13.1.1); `*` is any row.
    ///
    /// # Errors
    /// 412.
    pub(crate) fn check(&self, now: &impl Serialize) -> Result<(), Problem> {
        let tag = of(now);
        let fits = |given: &String| given == "*" || given.as_bytes() == tag.as_bytes();
        if self.0.iter().any(fits) { Ok(()) } else { Err(Problem::of(Code::ADMIN_CHANGED)) }
    }
}

impl FromRequestParts<Rooms> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Rooms) -> Result<Self, Problem> {
        let missing = || {
            Problem::of(Code::ADMIN_CHANGED)
                .with_status(StatusCode::PRECONDITION_REQUIRED)
                .with_detail("the request has no `If-Match`")
        };
        let mut tags = Vec::new();
        for value in parts.headers.get_all(header::IF_MATCH) {
            let text = value.to_str().map_err(|_| Problem::invalid("`If-Match` is not text"))?;
            tags.extend(text.split(',').map(|tag| tag.trim().to_owned()));
        }
        if tags.iter().all(String::is_empty) { Err(missing()) } else { Ok(Self(tags)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tag_of_the_row_as_it_is_fits() {
        let tag = of(&"a").to_str().unwrap().to_owned();
        let given = |tags: &[&str]| IfMatch(tags.iter().map(|tag| (*tag).to_owned()).collect());
        assert!(given(&["\"x\"", &tag]).check(&"a").is_ok());
        assert!(given(&["*"]).check(&"a").is_ok());
        let weak = format!("W/{tag}");
        for bad in [weak.as_str(), "\"\"", "x", tag.trim_matches('"')] {
            assert_eq!(given(&[bad]).check(&"a").unwrap_err().status, 412, "{bad}");
        }
        assert!(given(&[&tag]).check(&"b").is_err());
    }
}
