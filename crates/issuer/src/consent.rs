//! What a person has allowed a client at one resource, and whether it still covers what the client asks now.
//!
//! A consent is for a person, a client and a resource; it covers no more scopes than it names, no other host to send
//! the code to, and no client whose metadata changed since (MCP, security best practices: confused deputy).

mod rows;

pub use rows::{Consent, Consents};

use model::Timestamp;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The client.
    pub client: String,
    /// What it calls itself.
    pub client_name: String,
    /// The resource.
    pub resource: String,
    /// The scopes.
    pub scopes: Vec<String>,
    /// The host that the code would be sent to.
    pub redirect_host: String,
    /// Whether that is the person's own machine or an app on it, where any program or app may listen.
    pub is_local: bool,
    /// A digest of what the client says of itself: name, redirects, keys.
    pub metadata_hash: String,
    /// Whether an administrator allowed the client for everybody.
    pub is_approved: bool,
}

/// Whether the person has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// No: it was asked before, or an administrator said so.
    Nothing,
    /// Yes.
    Page(Why),
}

/// Why the person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The client is new to this person at this resource.
    First,
    /// The code would go to this machine, where another program may pretend to be the client.
    Loopback,
    /// The client wants more than before.
    MoreScopes,
    /// The client, or where it wants the code, is not what it was.
    Changed,
    /// It was too long ago.
    Expired,
}

/// Whether the person has to be asked. SECURITY: the one place where a code may be given without a page (tests:
/// `consent_covers_what_it_names_and_nothing_else`,
/// `a_malicious_client_gets_no_code_without_a_page_although_there_is_a_session_and_a_consent_for_another`).
pub fn needed(asked: &Asked, known: Option<&Consent>, now: Timestamp) -> Needed {
    // Whatever was said before: a code for this machine can be taken by any program on it.
    if asked.is_local {
        return Needed::Page(Why::Loopback);
    }
    if asked.is_approved {
        return Needed::Nothing;
    }
    let Some(known) = known else { return Needed::Page(Why::First) };
    if known.client != asked.client || known.resource != asked.resource {
        return Needed::Page(Why::First);
    }
    if known.redirect_host != asked.redirect_host || known.metadata_hash != asked.metadata_hash {
        return Needed::Page(Why::Changed);
    }
    if known.expires_at <= now {
        return Needed::Page(Why::Expired);
    }
    if asked.scopes.iter().any(|scope| !known.scopes.contains(scope)) {
        return Needed::Page(Why::MoreScopes);
    }
    Needed::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            client: "client".into(),
            client_name: "Client".into(),
            resource: "https://gw.example/mcp".into(),
            scopes: vec!["read".into()],
            redirect_host: "app.example".into(),
            is_local: false,
            metadata_hash: "m1".into(),
            is_approved: false,
        }
    }

    fn known() -> Consent {
        Consent {
            id: "cns_1".into(),
            user: "usr_1".into(),
            tenant: "acme".into(),
            client: "client".into(),
            client_name: "Client".into(),
            resource: "https://gw.example/mcp".into(),
            scopes: vec!["read".into(), "write".into()],
            redirect_host: "app.example".into(),
            metadata_hash: "m1".into(),
            given_at: Timestamp(0),
            last_used_at: Timestamp(0),
            expires_at: Timestamp(100),
        }
    }

    #[test]
    fn consent_covers_what_it_names_and_nothing_else() {
        let now = Timestamp(50);
        let page = Needed::Page;
        for (asked, known, now, needed_now) in [
            (asked(), Some(known()), now, Needed::Nothing),
            (asked(), None, now, page(Why::First)),
            (Asked { client: "other".into(), ..asked() }, Some(known()), now, page(Why::First)),
            (
                Asked { resource: "https://gw.example/x".into(), ..asked() },
                Some(known()),
                now,
                page(Why::First),
            ),
            (Asked { scopes: vec!["admin".into()], ..asked() }, Some(known()), now, page(Why::MoreScopes)),
            (
                Asked { redirect_host: "evil.example".into(), ..asked() },
                Some(known()),
                now,
                page(Why::Changed),
            ),
            (Asked { metadata_hash: "m2".into(), ..asked() }, Some(known()), now, page(Why::Changed)),
            (asked(), Some(known()), Timestamp(100), page(Why::Expired)),
            (Asked { is_local: true, ..asked() }, Some(known()), now, page(Why::Loopback)),
            (Asked { is_approved: true, ..asked() }, None, now, Needed::Nothing),
            (Asked { is_approved: true, is_local: true, ..asked() }, None, now, page(Why::Loopback)),
        ] {
            assert_eq!(needed(&asked, known.as_ref(), now), needed_now, "{asked:?}");
        }
    }
}
