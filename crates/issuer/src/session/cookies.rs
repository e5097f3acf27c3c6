//! The cookies, by the rules that keep them ours (RFC 6265bis §4.1.3).

use http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

/// Which cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The session.
    Session,
    /// Binds the forms that are shown before there is a session to the browser that shows them.
    Form,
    /// Binds a state at a provider to the browser that left for it. Set only when it leaves.
    Departure,
}

impl Cookie {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "portunus-session",
            Self::Form => "portunus-form",
            Self::Departure => "portunus-departure",
        }
    }
}

/// How cookies are written: with `__Host-` and `Secure` where the gateway is reached by https, and without both on
/// plain loopback, where browsers would not keep them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookies {
    secure: bool,
}

impl Cookies {
    /// Cookies for a gateway of this URL.
    pub fn of(public_url: &str) -> Self {
        Self { secure: public_url.starts_with("https:") }
    }

    fn name(self, which: Cookie) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        format!("{prefix}{}", which.name())
    }

    /// The value of a cookie. One that is there twice is not there: somebody may have put a second beside ours.
    pub(crate) fn read(self, headers: &HeaderMap, which: Cookie) -> Option<String> {
        let name = self.name(which);
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) if is_ours(value) => Some(value.to_owned()),
            _ => None,
        }
    }

    /// Sets a cookie for a time; without one until the browser is closed.
    pub(crate) fn set(self, which: Cookie, value: &str, lasts: Option<Duration>) -> Option<HeaderValue> {
        let mut cookie = cookie::Cookie::new(self.name(which), value.to_owned());
        cookie.set_path("/");
        cookie.set_http_only(true);
        cookie.set_same_site(cookie::SameSite::Lax);
        if self.secure {
            cookie.set_secure(true);
        }
        if let Some(lasts) = lasts {
            cookie.set_max_age(cookie::time::Duration::seconds(i64::try_from(lasts.as_secs()).unwrap_or(0)));
        }
        HeaderValue::from_str(&cookie.to_string()).ok()
    }

    /// Takes a cookie away.
    pub(crate) fn clear(self, which: Cookie) -> Option<HeaderValue> {
        self.set(which, "", Some(Duration::ZERO))
    }
}

/// 32 bytes in base64url.
fn is_ours(value: &str) -> bool {
    value.len() == 43
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_written_by_the_rules() {
        let value = "A".repeat(43);
        let https = Cookies::of("https://gw.example").set(Cookie::Session, &value, None).unwrap();
        assert_eq!(
            https.to_str().unwrap(),
            format!("__Host-portunus-session={value}; HttpOnly; SameSite=Lax; Secure; Path=/")
        );
        let loopback = Cookies::of("http://127.0.0.1:1").set(Cookie::Session, &value, None).unwrap();
        assert_eq!(
            loopback.to_str().unwrap(),
            format!("portunus-session={value}; HttpOnly; SameSite=Lax; Path=/")
        );
    }

    #[test]
    fn a_cookie_that_is_there_twice_or_is_not_ours_is_not_there() {
        let (one, two) = ("A".repeat(43), "B".repeat(43));
        let read = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            Cookies::of("https://gw.example").read(&headers, Cookie::Session)
        };
        let name = "__Host-portunus-session";
        assert_eq!(read(&[&format!("a=b; {name}={one}; c=d")]), Some(one.clone()));
        assert_eq!(read(&[&format!("{name}={one}; {name}={two}")]), None);
        assert_eq!(read(&[&format!("{name}={one}"), &format!("{name}={two}")]), None);
        assert_eq!(read(&[&format!("portunus-session={one}")]), None);
        assert_eq!(read(&[&format!("{name}=short")]), None);
    }
}
