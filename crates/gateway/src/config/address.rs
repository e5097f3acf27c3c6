//! Web addresses in configuration.

use std::net::IpAddr;

/// The parts of an `http` or `https` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebAddress {
    /// `http` or `https`.
    pub(crate) scheme: String,
    /// Host in lower case, IPv6 in brackets.
    pub(crate) host: String,
    /// Port, if it is not the scheme's own.
    pub(crate) port: Option<u16>,
    /// Path, `/` at least.
    pub(crate) path: String,
}

impl WebAddress {
    /// Reads an absolute address without user information, query or fragment.
    ///
    /// # Errors
    /// What is wrong, in a few words.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains('#') {
            return Err("an address with a fragment");
        }
        let uri: http::Uri = text.parse().map_err(|_| "not an address")?;
        let scheme = uri
            .scheme_str()
            .filter(|s| ["http", "https"].contains(s))
            .ok_or("not an http or https address")?;
        let authority = uri.authority().ok_or("an address without a host")?;
        if authority.as_str().contains('@') {
            return Err("an address with a user or password in it");
        }
        if uri.query().is_some() {
            return Err("an address with a query");
        }
        let own = if scheme == "https" { 443 } else { 80 };
        Ok(Self {
            scheme: scheme.to_owned(),
            host: authority.host().to_ascii_lowercase(),
            port: authority.port_u16().filter(|port| *port != own),
            path: uri.path().to_owned(),
        })
    }

    /// `scheme://host[:port]`, without a trailing slash.
    pub(crate) fn origin(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.scheme, self.host)
    }
}

/// Whether the host names this machine only.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_plain() {
        assert_eq!(WebAddress::parse("https://A.example:443/").unwrap().origin(), "https://a.example");
        assert_eq!(WebAddress::parse("http://[::1]:80/x").unwrap().origin(), "http://[::1]");
        assert!(is_loopback("[::1]") && is_loopback("127.0.0.1") && !is_loopback("10.0.0.1"));
        for bad in ["", "a", "ftp://a/", "http://u:p@a/", "http://a/?x", "http://a/#x", "//a/"] {
            assert!(WebAddress::parse(bad).is_err(), "{bad}");
        }
    }
}
