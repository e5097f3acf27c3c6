//! Redirect URIs: which may be registered, and when one that is asked for is a registered one.
//!
//! Everything matches byte for byte, but the port of a loopback address, which a native client gets from its system
//! when it starts to listen (RFC 8252 §7.3). `localhost` counts too: real clients register it.

/// Whether a URI may be registered at all: `https`, `http` on a loopback host, or a scheme of the client's own.
///
/// # Errors
/// Why not, in a few words.
pub fn check_redirect_uri(uri: &str) -> Result<(), &'static str> {
    if uri.is_empty() || uri.len() > URI_BYTES {
        return Err("a redirect URI that is empty or too long");
    }
    // SECURITY: what another reader could take for something else (test: `only_addresses_that_mean_one_thing_are_registered`).
    if !uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte)) {
        return Err("a redirect URI with characters that it cannot have");
    }
    if uri.contains('#') {
        return Err("a redirect URI with a fragment");
    }
    let (scheme, rest) = uri.split_once(':').ok_or("a redirect URI without a scheme")?;
    let authority = rest.strip_prefix("//").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err("a redirect URI with a user in it");
    }
    match scheme {
        "https" => match authority {
            Some(host) if !host.is_empty() && !host.starts_with(':') => Ok(()),
            _ => Err("a redirect URI without a host"),
        },
        "http" if loopback(uri).is_some() => Ok(()),
        "http" => Err("plain http to another machine"),
        _ if is_own_scheme(scheme) && !rest.is_empty() => Ok(()),
        _ => Err("a scheme that no client may have"),
    }
}

/// Whether the client may be sent to `asked`, given what it registered.
pub(crate) fn is_registered(registered: &[String], asked: &str) -> bool {
    registered.iter().any(|known| known == asked || is_same_loopback(known, asked))
}

/// Whether a URI leads to the machine that the browser runs on.
pub fn is_loopback_redirect(uri: &str) -> bool {
    loopback(uri).is_some()
}

/// Whether a URI's scheme is a native client's own.
pub fn is_private_use(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| scheme != "https" && scheme != "http")
}

/// The host a person is sent to, for pages: the host and port of a web address, the scheme of a client's own.
pub fn shown_host(uri: &str) -> &str {
    match uri.split_once("://") {
        Some(("https" | "http", rest)) => rest.split(['/', '?']).next().unwrap_or(rest),
        _ => uri.split_once(':').map_or(uri, |(scheme, _)| scheme),
    }
}

fn is_same_loopback(known: &str, asked: &str) -> bool {
    loopback(known).is_some_and(|known| loopback(asked) == Some(known))
}

/// Host and what follows the port, if it is plain http on a loopback host.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| rest.starts_with(host))?;
    let rest = rest.strip_prefix(host)?;
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (port, rest) = rest.split_at_checked(end)?;
            let number = port.parse::<u16>().is_ok_and(|port| port != 0);
            // `parse` takes a sign.
            (number && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)?
        }
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

/// A scheme of RFC 3986 §3.1 that a browser hands to a program and does not itself interpret.
fn is_own_scheme(scheme: &str) -> bool {
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
        && !INTERPRETED.contains(&scheme)
}

/// Schemes that run, read or show something in the browser or system itself.
const INTERPRETED: [&str; 22] = [
    "about",
    "blob",
    "chrome",
    "content",
    "data",
    "edge",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "jar",
    "javascript",
    "livescript",
    "mailto",
    "mocha",
    "ms-appx",
    "sms",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];
/// The longest redirect URI, in bytes.
const URI_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_mean_one_thing_are_registered() {
        for good in [
            "https://app.example/cb",
            "https://app.example:8443/cb?x=1",
            "http://127.0.0.1/cb",
            "http://[::1]:4000/",
            "http://localhost:1/callback",
            "http://localhost",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "com.example.app:/oauth",
            "vscode://vscode.github-authentication/did-authenticate",
        ] {
            assert_eq!(check_redirect_uri(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "https:///cb",
            "https://:80/cb",
            "https:app.example",
            "http://app.example/cb",
            "http://127.0.0.2/cb",
            "http://localhost.evil.example/cb",
            "http://localhost:1@evil.example/cb",
            "http://localhost:+1/cb",
            "http://localhost:0/",
            "http://localhost:99999/",
            "http://127.0.0.1.evil.example/",
            "https://app.example/cb#x",
            "https://user@app.example/cb",
            "https://app.example\\@evil.example/cb",
            "https://app.example/c b",
            "https://app.example/\u{e9}",
            "HTTPS://app.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "1x://a",
            "x:",
        ] {
            assert!(check_redirect_uri(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_matches_without_the_port_and_everything_else_exactly() {
        let known = [
            "http://localhost/callback",
            "http://127.0.0.1:8000/cb?a=b",
            "https://app.example/cb",
            "cursor://x/cb",
        ];
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        for good in [
            "http://localhost/callback",
            "http://localhost:51234/callback",
            "http://127.0.0.1:1/cb?a=b",
            "http://127.0.0.1/cb?a=b",
            "https://app.example/cb",
            "cursor://x/cb",
        ] {
            assert!(is_registered(&known, good), "{good}");
        }
        for bad in [
            "http://127.0.0.1:51234/callback",
            "http://[::1]:51234/callback",
            "http://localhost:51234/callback/",
            "http://localhost:51234/callback?x",
            "http://localhost:51234/Callback",
            "http://LOCALHOST/callback",
            "http://localhost:1:2/callback",
            "http://localhost:1@evil.example/callback",
            "http://localhost.evil.example/callback",
            "https://localhost/callback",
            "http://127.0.0.1:1/cb",
            "https://app.example:443/cb",
            "https://app.example/cb/",
            "https://app.example/cb?x=1",
            "https://APP.example/cb",
            "https://evil.example/cb",
            "cursor://x/cb2",
            "",
        ] {
            assert!(!is_registered(&known, bad), "{bad}");
        }
    }

    #[test]
    fn pages_show_where_a_person_is_sent() {
        assert_eq!(shown_host("https://app.example:8443/cb?x"), "app.example:8443");
        assert_eq!(shown_host("http://localhost:5/cb"), "localhost:5");
        assert_eq!(shown_host("cursor://app.example/cb"), "cursor");
    }
}
