//! What we carry of what clients and servers say they can do. The rest is stripped, with the reason, so that
//! neither side relies on what the gateway would drop (2026-07-28, basic/versioning "Extension Negotiation").

use crate::object::{Edit, Members};
use crate::raw::Raw;
use serde_json::json;

/// A capability that was not passed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stripped {
    /// Its members, joined by dots.
    pub path: String,
    /// Why, for the record.
    pub reason: &'static str,
}

const NOT_CARRIED: &str = "not carried by the gateway";

/// What an upstream is told of the capabilities that a client declared, whichever era either speaks: what a server of
/// the other era asks is put to the client in its own.
pub fn client(declared: &Members) -> (Raw, Vec<Stripped>) {
    strip(declared, |key| match key {
        "roots" | "sampling" | "elicitation" => None,
        _ => Some(NOT_CARRIED),
    })
}

/// What a client is told of a server's capabilities, whichever era either speaks.
pub fn server(declared: &Members) -> (Raw, Vec<Stripped>) {
    strip(declared, |key| match key {
        "tools" | "prompts" | "resources" | "completions" | "logging" => None,
        _ => Some(NOT_CARRIED),
    })
}

/// Everything that a client could declare and that is carried, in full.
pub fn all_of_client() -> Raw {
    Raw::of_value(&json!({
        "elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}, "context": {}}, "roots": {},
    }))
}

fn strip(declared: &Members, reason: impl Fn(&str) -> Option<&'static str>) -> (Raw, Vec<Stripped>) {
    let gone: Vec<_> =
        declared.iter().filter_map(|(key, value)| reason(&key).map(|reason| (key, value, reason))).collect();
    if gone.is_empty() {
        return (declared.raw().clone(), Vec::new());
    }
    let mut edit = Edit::new();
    let mut stripped = Vec::new();
    for (key, value, reason) in &gone {
        edit.remove(&[key]);
        match value.members().filter(|_| key == "extensions" || key == "experimental") {
            Some(names) => stripped
                .extend(names.iter().map(|(name, _)| Stripped { path: format!("{key}.{name}"), reason })),
            None => stripped.push(Stripped { path: key.clone().into_owned(), reason }),
        }
    }
    (edit.apply(declared), stripped)
}

/// What an endpoint over one or more servers offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// `tools`
    pub tools: bool,
    /// `prompts`
    pub prompts: bool,
    /// `resources`
    pub resources: bool,
    /// `resources.subscribe`
    pub subscribe: bool,
    /// `completions`
    pub completions: bool,
    /// `logging`
    pub logging: bool,
}

impl Offer {
    /// What a server's capabilities amount to.
    pub fn of(capabilities: &Members) -> Self {
        let resources = capabilities.object("resources");
        Self {
            tools: capabilities.contains("tools"),
            prompts: capabilities.contains("prompts"),
            resources: capabilities.contains("resources"),
            subscribe: resources.is_some_and(|resources| resources.bytes_of("subscribe") == Some(b"true")),
            completions: capabilities.contains("completions"),
            logging: capabilities.contains("logging"),
        }
    }

    /// What either offers.
    pub fn merge(self, other: Self) -> Self {
        Self {
            tools: self.tools || other.tools,
            prompts: self.prompts || other.prompts,
            resources: self.resources || other.resources,
            subscribe: self.subscribe || other.subscribe,
            completions: self.completions || other.completions,
            logging: self.logging || other.logging,
        }
    }

    /// As a `capabilities` object. `listChanged` is always true: the gateway watches the lists itself.
    pub fn to_raw(self) -> Raw {
        let mut out = serde_json::Map::new();
        let listed = || serde_json::json!({ "listChanged": true });
        let resources = if self.subscribe {
            serde_json::json!({ "subscribe": true, "listChanged": true })
        } else {
            listed()
        };
        for (key, offered, value) in [
            ("tools", self.tools, listed()),
            ("prompts", self.prompts, listed()),
            ("resources", self.resources, resources),
            ("completions", self.completions, serde_json::json!({})),
            ("logging", self.logging, serde_json::json!({})),
        ] {
            if offered {
                out.insert(key.to_owned(), value);
            }
        }
        Raw::of_value(&out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn members(value: serde_json::Value) -> Members {
        Raw::of_value(&value).members().unwrap()
    }

    fn paths(stripped: &[Stripped]) -> Vec<&str> {
        stripped.iter().map(|strip| strip.path.as_str()).collect()
    }

    #[test]
    fn what_we_do_not_carry_is_stripped_with_its_name() {
        let declared = members(json!({
            "elicitation": {"form": {}, "new": 1}, "extensions": {"io.x/y": {}, "io.x/z": {}}, "experimental": {},
            "roots": {}, "tasks": {"list": {}},
        }));
        let (kept, stripped) = client(&declared);
        assert_eq!(kept.to_value().unwrap(), json!({"elicitation": {"form": {}, "new": 1}, "roots": {}}));
        assert_eq!(paths(&stripped), ["extensions.io.x/y", "extensions.io.x/z", "tasks"]);
    }

    #[test]
    fn what_servers_and_clients_may_declare_is_carried_whole() {
        let declared = members(json!({"resources": {"subscribe": true, "listChanged": true}, "tools": {}}));
        assert_eq!(server(&declared), (declared.raw().clone(), vec![]));
        assert_eq!(paths(&server(&members(json!({"tasks": {}}))).1), ["tasks"]);
        let all = all_of_client();
        assert_eq!(client(&all.members().unwrap()), (all, vec![]));
    }

    #[test]
    fn an_endpoint_offers_what_any_of_its_servers_does() {
        let one = Offer::of(&members(json!({"tools": {}, "resources": {"subscribe": true}})));
        let two = Offer::of(&members(json!({"prompts": {}, "logging": {}, "resources": {}})));
        let offer = one.merge(two);
        assert_eq!(Offer::of(&offer.to_raw().members().unwrap()), offer);
        assert!(offer.subscribe && offer.tools && offer.prompts && offer.logging && !offer.completions);
        assert_eq!(Offer::default().to_raw().as_json(), "{}");
    }
}
