//! The token of a request: one `Authorization` header, nowhere else.

use crate::AuthnError;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};

/// What the one `Authorization` header of a request presents as its bearer token; `None` when it has none. What is
/// not remembered as good has to pass [`well_formed`] before it is read.
///
/// # Errors
/// Any other shape than one bearer header (RFC 6750 §2.1) within its bound, and a token in the query string;
/// [`AuthnError::Missing`] for another scheme.
pub(crate) fn token<'a>(headers: &'a HeaderMap, uri: &Uri) -> Result<Option<&'a [u8]>, AuthnError> {
    if uri.query().is_some_and(|query| query.split(['&', ';']).any(names_a_token)) {
        return Err(AuthnError::InQuery);
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthnError::Repeated);
    }
    let mut parts = value.as_bytes().splitn(2, |byte| *byte == b' ');
    let scheme = parts.next().unwrap_or_default();
    if scheme.is_empty() {
        return Err(AuthnError::NotBearer);
    }
    // Of another scheme we know nothing: the caller is told how to authenticate here (RFC 6750 §3.1), and is never anonymous.
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(AuthnError::Missing);
    }
    let token = parts.next().ok_or(AuthnError::NotBearer)?.trim_ascii_start();
    if token.len() > TOKEN_BYTES {
        return Err(AuthnError::TooLong);
    }
    Ok(Some(token))
}

/// Whether these bytes can be a token at all.
///
/// # Errors
/// [`AuthnError::NotBearer`].
pub(crate) fn well_formed(token: &[u8]) -> Result<(), AuthnError> {
    let good = !token.is_empty() && token.iter().all(|byte| is_token68(*byte));
    if good { Ok(()) } else { Err(AuthnError::NotBearer) }
}

/// Whether a query parameter is called `access_token`, however it is escaped.
fn names_a_token(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default().as_bytes();
    let mut wanted = b"access_token".iter();
    let mut at = 0;
    while let Some(byte) = name.get(at) {
        let (byte, length) = match (byte, name.get(at + 1..at + 3)) {
            (b'%', Some(hex)) => {
                match std::str::from_utf8(hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(byte) => (byte, 3),
                    None => (b'%', 1),
                }
            }
            _ => (*byte, 1),
        };
        if wanted.next().is_none_or(|wanted| !wanted.eq_ignore_ascii_case(&byte)) {
            return false;
        }
        at += length;
    }
    wanted.next().is_none()
}

/// RFC 9110 §11.2.
fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

const SCHEME: &[u8] = b"Bearer";
/// The longest token, in bytes. Real ones, with hundreds of groups, stay below 8 KiB.
pub(crate) const TOKEN_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[&str], uri: &str) -> Result<Option<String>, AuthnError> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(AUTHORIZATION, header.parse().unwrap());
        }
        let Some(token) = token(&map, &uri.parse().unwrap())? else { return Ok(None) };
        well_formed(token).map(|()| Some(String::from_utf8(token.to_vec()).unwrap()))
    }

    #[test]
    fn a_token_comes_in_one_header_or_not_at_all() {
        assert_eq!(check(&[], "/mcp"), Ok(None));
        assert_eq!(check(&["Bearer a.b.c"], "/mcp?x=1"), Ok(Some("a.b.c".into())));
        assert_eq!(check(&["bEARER   a.b.c"], "/mcp"), Ok(Some("a.b.c".into())));
        assert_eq!(check(&["Bearer a", "Bearer a"], "/mcp"), Err(AuthnError::Repeated));
        for bad in ["Bearer", "bearer", "Bearer ", "Bearer a b", "Bearer a,b", "", " ", "Bearer \"a\""] {
            assert_eq!(check(&[bad], "/mcp"), Err(AuthnError::NotBearer), "{bad}");
        }
        // Another scheme brings no token, as a request without the header.
        for foreign in
            ["Basic YTpi", "Basic", "Negotiate", "DPoP a.b.c", "Bearera", "Bearera a.b.c", "Bear a"]
        {
            assert_eq!(check(&[foreign], "/mcp"), Err(AuthnError::Missing), "{foreign}");
        }
        assert_eq!(check(&["Basic YTpi", "Bearer a"], "/mcp"), Err(AuthnError::Repeated));
        assert_eq!(
            check(&[&format!("Bearer {}", "a".repeat(TOKEN_BYTES + 1))], "/mcp"),
            Err(AuthnError::TooLong)
        );
    }

    #[test]
    fn a_token_in_the_query_is_refused_however_it_is_spelt() {
        for bad in [
            "/mcp?access_token=a",
            "/mcp?a=b&access_token=a",
            "/mcp?a;access_token",
            "/mcp?%61ccess%5Ftoken=a",
            "/mcp?ACCESS_TOKEN=a",
        ] {
            assert_eq!(check(&["Bearer a"], bad), Err(AuthnError::InQuery), "{bad}");
        }
        for good in [
            "/mcp?access_tokens=a",
            "/mcp?x=access_token",
            "/mcp?access_toke",
            "/mcp?%",
            "/mcp?%6",
            "/mcp?%zz",
        ] {
            assert_eq!(check(&[], good), Ok(None), "{good}");
        }
    }
}
