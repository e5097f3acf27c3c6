//! What providers do differently, as data. What is the same for all is code.

/// How one make of provider says things.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The claim that names a person for good. `sub` of Entra differs from application to application; `oid` does not.
    pub subject: &'static str,
    /// Where roles are, all of them; `<client_id>` is the client's.
    pub roles: &'static [&'static str],
    /// Where groups are.
    pub groups: &'static [&'static str],
    /// What is asked for.
    pub scopes: &'static [&'static str],
    /// The scope for a refresh token, where that is how to ask for one.
    pub offline_scope: Option<&'static str>,
    /// Parameters of the authorization request that are needed besides to get one.
    pub offline: &'static [(&'static str, &'static str)],
    /// The claim that names the organisation within a provider that serves many; it must be the configured one.
    pub directory: Option<&'static str>,
    /// Whether that must be configured: without it, anybody with an account at the provider would get in.
    pub needs_directory: bool,
    /// A parameter of the authorization request that names the organisation.
    pub directory_hint: Option<&'static str>,
    /// Whether the issuer holds the organisation in its path (`https://sts.windows.net/<id>/`).
    pub directory_in_issuer: bool,
    /// What an operator should know, for `portunus doctor idp`.
    pub notes: &'static [&'static str],
}

impl Profile {
    /// The profile of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    /// Their names.
    pub fn names() -> Vec<&'static str> {
        PROFILES.iter().map(|profile| profile.name).collect()
    }

    /// Nothing special.
    pub const GENERIC: &'static Self = &Self {
        name: "generic",
        subject: "sub",
        roles: &["roles"],
        groups: &["groups"],
        scopes: &["openid", "profile", "email"],
        offline_scope: Some("offline_access"),
        // OpenID Connect Core §11.
        offline: &[("prompt", "consent")],
        directory: None,
        needs_directory: false,
        directory_hint: None,
        directory_in_issuer: false,
        notes: &[],
    };
}

const PROFILES: &[Profile] = &[
    Profile {
        name: "entra",
        subject: "oid",
        // Asking for consent each time would stop people where administrators give it.
        offline: &[],
        directory: Some("tid"),
        needs_directory: true,
        directory_in_issuer: true,
        notes: &[
            "Two issuer forms: https://login.microsoftonline.com/<tenant id>/v2.0 (v2), and \
             https://sts.windows.net/<tenant id>/ (v1; set discovery_url to https://login.microsoftonline.com/<tenant id>). \
             `common` and `organizations` are not issuers.",
            "App roles come in `roles`. Past 200 groups the token names none and says so (`_claim_names`, `hasgroups`): \
             such a sign-in is refused; assign the groups to the application, or use app roles, or set groups_overage.",
            "Entra does not list S256 in its metadata, and does it.",
            "private_key_jwt at Entra needs a certificate's thumbprint in the assertion: use client_secret.",
        ],
        ..*Profile::GENERIC
    },
    Profile {
        name: "okta",
        offline: &[],
        roles: &["roles"],
        groups: &["groups"],
        scopes: &["openid", "profile", "email", "groups"],
        notes: &[
            "Groups need a groups claim on the authorization server or on the application, with a filter.",
            "The issuer of a custom authorization server ends in /oauth2/<id>.",
        ],
        ..*Profile::GENERIC
    },
    Profile {
        name: "auth0",
        offline: &[],
        roles: &["roles"],
        groups: &["groups"],
        notes: &[
            "The issuer ends in a slash: https://<tenant>.auth0.com/.",
            "Roles come by a login action under a name of your own (a URL): set claims.roles to it.",
        ],
        ..*Profile::GENERIC
    },
    Profile {
        name: "keycloak",
        offline: &[],
        roles: &["/realm_access/roles", "/resource_access/<client_id>/roles", "roles"],
        groups: &["groups"],
        notes: &[
            "Realm and client roles are in access tokens by default: switch on `Add to ID token` of the mappers \
             `realm roles` and `client roles`, and add a mapper for group membership.",
        ],
        ..*Profile::GENERIC
    },
    Profile {
        name: "google",
        offline_scope: None,
        offline: &[("access_type", "offline"), ("prompt", "consent")],
        roles: &[],
        groups: &[],
        directory: Some("hd"),
        needs_directory: true,
        directory_hint: Some("hd"),
        notes: &[
            "The domain (`directory`) is checked against the claim `hd`; consumer accounts have none and are refused.",
            "There are no roles and groups: give roles by default_roles.",
        ],
        ..*Profile::GENERIC
    },
    Profile { ..*Profile::GENERIC },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_has_its_name_once() {
        let mut names = Profile::names();
        assert_eq!(names, ["entra", "okta", "auth0", "keycloak", "google", "generic"]);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 6);
        assert_eq!(Profile::named("generic"), Some(Profile::GENERIC));
        assert_eq!(Profile::named("other"), None);
    }
}
