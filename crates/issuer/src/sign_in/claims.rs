//! What a provider's claims mean here: the person's subject, what they are called, their roles and groups.

use super::{Overage, ProviderConfig};
use authn::{ClaimPath, claim_at, is_named_elsewhere};
use serde_json::{Map, Value};

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) subject: String,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) groups: Vec<String>,
}

/// Claims that cannot be taken for what they are asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// No stable name for the person.
    #[error("the claim `{0}`, which names the person, is missing or malformed")]
    Subject(&'static str),
    /// The provider has more groups than it puts into a token.
    #[error("the provider names the person's groups elsewhere, since there are too many for a token")]
    Overage,
    /// A list that is none.
    #[error("the claim `{0}` is no list of names")]
    List(String),
}

/// Reads the claims.
pub(crate) fn read(claims: &Map<String, Value>, config: &ProviderConfig) -> Result<Read, ClaimsError> {
    let name = config.profile.subject;
    let subject = claims.get(name).and_then(Value::as_str);
    // OpenID Connect Core §2: a subject has at most 255 characters.
    let subject = subject.filter(|text| !text.is_empty() && text.len() <= 255 && is_plain(text));
    let subject = subject.ok_or(ClaimsError::Subject(name))?.to_owned();
    let groups = match config.overage {
        Overage::IgnoreGroups => Vec::new(),
        Overage::Deny if is_elsewhere(claims, &config.groups) => return Err(ClaimsError::Overage),
        Overage::Deny => lists(claims, &config.groups, &config.client_id)?,
    };
    let mut roles = lists(claims, &config.roles, &config.client_id)?;
    if !config.role_map.is_empty() {
        let theirs = roles.iter().chain(&groups);
        roles = theirs.filter_map(|name| config.role_map.get(name)).flatten().cloned().collect();
    }
    roles.extend(config.default_roles.iter().cloned());
    roles.sort_unstable();
    roles.dedup();
    let shown = |names: &[&str]| {
        let found = names.iter().find_map(|name| claims.get(*name)?.as_str());
        found.filter(|text| is_plain(text)).map(|text| text.chars().take(200).collect::<String>())
    };
    let name = shown(&["name", "preferred_username", "email"]);
    Ok(Read { subject, name, email: shown(&["email"]), roles, groups })
}

/// SECURITY: groups that are elsewhere (OpenID Connect Core §5.6.2, Entra's `hasgroups`) are not the same as none:
/// a policy that forbids a group would not see it (test: `too_many_groups_are_not_no_groups`).
fn is_elsewhere(claims: &Map<String, Value>, paths: &[ClaimPath]) -> bool {
    is_named_elsewhere(claims, paths)
        || ["hasgroups", "groups_overage"].iter().any(|mark| {
            claims.get(*mark).is_some_and(|value| *value == Value::Bool(true) || *value == "true")
        })
}

/// All of the lists that are there, together.
fn lists(claims: &Map<String, Value>, paths: &[ClaimPath], client: &str) -> Result<Vec<String>, ClaimsError> {
    let mut all = Vec::new();
    for path in paths {
        let path = path.as_str().replace("<client_id>", &client.replace('~', "~0").replace('/', "~1"));
        let Some(found) = claim_at(claims, &path) else { continue };
        let items: Option<Vec<&str>> = match found {
            Value::String(one) => Some(vec![one]),
            Value::Array(items) => items.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let items = items.filter(|items| {
            items.len() <= ITEMS
                && items.iter().all(|item| !item.is_empty() && item.len() <= ITEM_BYTES && is_plain(item))
        });
        let items = items.ok_or(ClaimsError::List(path))?;
        all.extend(items.into_iter().map(str::to_owned));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// The most roles or groups.
const ITEMS: usize = 1024;
/// The longest.
const ITEM_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::super::Profile;
    use super::super::id_token::tests::config;
    use super::*;
    use serde_json::json;

    fn reads(profile: &str, claims: &Value) -> Result<Read, ClaimsError> {
        read(claims.as_object().unwrap(), &config(Profile::named(profile).unwrap()))
    }

    #[test]
    fn each_make_of_provider_is_read_by_its_profile() {
        let keycloak = json!({
            "sub": "k1", "preferred_username": "alice", "realm_access": {"roles": ["dev"]},
            "resource_access": {"portunus": {"roles": ["reader"]}, "other": {"roles": ["admin"]}},
            "groups": ["/eng"],
        });
        let read = reads("keycloak", &keycloak).unwrap();
        assert_eq!((read.roles, read.groups), (vec!["dev".into(), "reader".into()], vec!["/eng".to_owned()]));
        assert_eq!(read.name.as_deref(), Some("alice"));
        let entra =
            json!({"sub": "pairwise", "oid": "o1", "tid": "t", "roles": ["Task.Read"], "name": "Alice"});
        let read = reads("entra", &entra).unwrap();
        assert_eq!((read.subject.as_str(), read.roles), ("o1", vec!["Task.Read".to_owned()]));
        assert_eq!(reads("entra", &json!({"sub": "s"})), Err(ClaimsError::Subject("oid")));
        let google = json!({"sub": "g1", "roles": ["admin"], "groups": ["all"], "email": "a@x.example"});
        let read = reads("google", &google).unwrap();
        assert!(read.roles.is_empty() && read.groups.is_empty());
        assert_eq!(reads("okta", &json!({"sub": "s", "groups": "Everyone"})).unwrap().groups, ["Everyone"]);
        for bad in [json!({"sub": "s", "groups": [7]}), json!({"sub": "s", "roles": {"a": 1}})] {
            assert!(matches!(reads("okta", &bad), Err(ClaimsError::List(_))), "{bad}");
        }
        for bad in [json!({}), json!({"sub": ""}), json!({"sub": 7}), json!({"sub": "a\nb"})] {
            assert_eq!(reads("generic", &bad), Err(ClaimsError::Subject("sub")), "{bad}");
        }
    }

    #[test]
    fn too_many_groups_are_not_no_groups() {
        for claims in [
            json!({"sub": "s", "oid": "o", "_claim_names": {"groups": "src1"}}),
            json!({"sub": "s", "oid": "o", "hasgroups": true}),
            json!({"sub": "s", "oid": "o", "hasgroups": "true"}),
        ] {
            assert_eq!(reads("entra", &claims), Err(ClaimsError::Overage), "{claims}");
            let ignoring =
                ProviderConfig { overage: Overage::IgnoreGroups, ..config(Profile::named("entra").unwrap()) };
            assert!(read(claims.as_object().unwrap(), &ignoring).unwrap().groups.is_empty());
        }
        // However the claim is written: as a pointer, or as a member of what is elsewhere.
        for (path, named) in [
            ("/groups", "groups"),
            ("/realm_access/groups", "realm_access"),
            ("realm_access.groups", "realm_access"),
            ("https://acme.test/groups", "https://acme.test/groups"),
        ] {
            let mut config = config(Profile::GENERIC);
            config.groups = vec![ClaimPath::new(path)];
            let claims = json!({"sub": "s", "_claim_names": {named: "src1"}});
            assert_eq!(read(claims.as_object().unwrap(), &config), Err(ClaimsError::Overage), "{path}");
        }
        // Not an object, so nobody knows what it names.
        let nonsense = json!({"sub": "s", "oid": "o", "_claim_names": "groups"});
        assert_eq!(reads("entra", &nonsense), Err(ClaimsError::Overage));
    }

    #[test]
    fn roles_are_mapped_from_roles_and_groups_where_there_is_a_map() {
        let mut config = config(Profile::GENERIC);
        config.role_map = [
            ("eng".to_owned(), vec!["developer".to_owned(), "reader".to_owned()]),
            ("Admin".to_owned(), vec!["operator".to_owned()]),
        ]
        .into();
        config.default_roles = vec!["person".into()];
        let claims = json!({"sub": "s", "roles": ["Admin", "unmapped"], "groups": ["eng"]});
        let read = read(claims.as_object().unwrap(), &config).unwrap();
        assert_eq!(read.roles, ["developer", "operator", "person", "reader"]);
        assert_eq!(read.groups, ["eng"]);
    }
}
