//! Tokens that bind a form to the browser it was shown in and to what it is for.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Digest;

/// The token of a form for `purpose`, in the browser whose cookie has this value. Nobody without the cookie can make it.
pub(crate) fn form_token(cookie: &str, purpose: &str) -> String {
    let length = (cookie.len() as u64).to_be_bytes();
    let parts = [b"portunus form ".as_slice(), &length, cookie.as_bytes(), purpose.as_bytes()];
    URL_SAFE_NO_PAD.encode(Digest::of_parts(&parts).0)
}

/// Whether a form's token is the one.
pub(crate) fn is_ours(given: Option<&str>, cookie: &str, purpose: &str) -> bool {
    let right = form_token(cookie, purpose);
    given.is_some_and(|given| verify_slices_are_equal(given.as_bytes(), right.as_bytes()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_browser_and_one_purpose() {
        let token = form_token("cookie", "consent tx_1");
        assert!(is_ours(Some(&token), "cookie", "consent tx_1"));
        assert!(!is_ours(Some(&token), "cookie", "consent tx_2"));
        assert!(!is_ours(Some(&token), "other", "consent tx_1"));
        assert!(!is_ours(Some(&token), "cookieconsent", " tx_1"));
        assert!(!is_ours(None, "cookie", "consent tx_1") && !is_ours(Some(""), "cookie", "consent tx_1"));
    }
}
