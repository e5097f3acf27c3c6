//! Values that a header cannot carry as they are (streamable HTTP "Value Encoding").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use std::borrow::Cow;

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// A header value for `text`: itself if it is visible ASCII, spaces and tabs without blanks around it and not
/// like the sentinel; `=?base64?…?=` otherwise.
pub fn encode(text: &str) -> HeaderValue {
    if is_plain(text)
        && let Ok(value) = HeaderValue::from_str(text)
    {
        return value;
    }
    let encoded = format!("{PREFIX}{}{SUFFIX}", STANDARD.encode(text));
    // Base64 and the sentinel are visible ASCII: this cannot fail, and an empty value matches no body.
    HeaderValue::from_str(&encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The text that a header value stands for; `None` if it has characters no header may have, or a sentinel
/// around what is not base64 of UTF-8.
pub fn decode(value: &HeaderValue) -> Option<Cow<'_, str>> {
    // Visible ASCII, space and tab only.
    let text = value.to_str().ok()?;
    let Some(inside) = text.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) else {
        return Some(Cow::Borrowed(text));
    };
    String::from_utf8(STANDARD.decode(inside).ok()?).ok().map(Cow::Owned)
}

fn is_plain(text: &str) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    let sentinel = text.starts_with(PREFIX) && text.ends_with(SUFFIX);
    let clean = bytes.iter().all(|byte| matches!(byte, 0x20..=0x7E | b'\t'));
    clean && !sentinel && !blank(bytes.first()) && !blank(bytes.last())
}
