//! Names, as an endpoint shows them, to items of the catalog.

use crate::catalog::{Item, Snapshot};
use crate::config::{Config, Endpoint};
use model::{Impact, Principal, ServerName};
use std::sync::Arc;

/// Where a name is looked up.
pub(super) struct Place<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) endpoint: &'a Endpoint,
    pub(super) config: &'a Config,
    /// Who looks. SECURITY: what a registered agent is not registered for is not there for it:
    /// `an_agent_sees_the_servers_it_is_registered_for_and_no_others`.
    pub(super) caller: &'a Principal,
}

impl Place<'_> {
    /// The tool of that name at this endpoint.
    pub(super) fn tool(&self, name: &str) -> Option<Arc<Item>> {
        let found = match self.endpoint {
            Endpoint::Server(server) => self.snapshot.servers.get(server)?.tool(name),
            Endpoint::Shared => self.snapshot.shared_tool(name),
            Endpoint::Toolset(_) => self.snapshot.shared_tool(name).filter(|item| self.selects(item)),
        };
        found.filter(|item| self.caller.has_server(&item.server)).cloned()
    }

    /// The prompt of that name at this endpoint.
    pub(super) fn prompt(&self, name: &str) -> Option<Arc<Item>> {
        let found = match self.endpoint {
            Endpoint::Server(server) => self.snapshot.servers.get(server)?.prompt(name),
            Endpoint::Shared => self.snapshot.shared_prompt(name),
            Endpoint::Toolset(_) => self.snapshot.shared_prompt(name).filter(|item| self.selects(item)),
        };
        found.filter(|item| self.caller.has_server(&item.server)).cloned()
    }

    /// The server whose resource this is: the first, by name, that lists the URI; else the first with a template
    /// that fits; else the only server with resources.
    pub(super) fn resource(&self, uri: &str) -> Option<ServerName> {
        if let Endpoint::Server(server) = self.endpoint {
            let there = self.snapshot.servers.contains_key(server) && self.caller.has_server(server);
            return there.then(|| server.clone());
        }
        let toolset = match self.endpoint {
            Endpoint::Toolset(name) => Some(self.config.toolsets.get(name)?),
            Endpoint::Shared | Endpoint::Server(_) => None,
        };
        let mut views = self.snapshot.servers.values();
        let served = |server: &ServerName| {
            self.caller.has_server(server) && toolset.is_none_or(|set| set.touches(server))
        };
        let listed =
            views.find(|view| served(&view.name) && view.resources.iter().any(|item| &*item.name == uri));
        let fitting = || {
            let mut views = self.snapshot.servers.values();
            views.find(|view| {
                served(&view.name)
                    && view.templates.iter().any(|item| &*item.name == uri || fits(&item.name, uri))
            })
        };
        let only = || {
            let mut views =
                self.snapshot.servers.values().filter(|view| served(&view.name) && view.offers_resources());
            views.next().filter(|_| views.next().is_none())
        };
        listed.or_else(fitting).or_else(only).map(|view| view.name.clone())
    }

    /// The class of what has no class of its own.
    pub(super) fn default_impact(&self, server: &ServerName) -> Impact {
        self.config.servers.get(server).map(|config| config.impact.default).unwrap_or_default()
    }

    fn selects(&self, item: &Item) -> bool {
        let Endpoint::Toolset(name) = self.endpoint else { return true };
        self.config.toolsets.get(name).is_some_and(|set| set.selects(&item.server, &item.name))
    }
}

/// The operator's class of a tool.
pub(super) fn tool_impact(item: &Item) -> Impact {
    item.impact
}

/// Whether a URI could come from a template (RFC 6570): its literal parts appear in order, the first at the
/// start, the last at the end.
fn fits(template: &str, uri: &str) -> bool {
    let mut rest = uri;
    let mut literals = Vec::new();
    let mut text = template;
    while let Some((literal, after)) = text.split_once('{') {
        literals.push(literal);
        let Some((_, after)) = after.split_once('}') else { return false };
        text = after;
    }
    let Some((first, middle)) = literals.split_first() else { return template == uri };
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    for literal in middle {
        let Some((_, after)) = rest.split_once(literal) else { return false };
        rest = after;
    }
    rest.ends_with(text)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn templates_fit_by_their_literal_parts() {
        for (template, uri, fit) in [
            ("test://template/{id}/data", "test://template/7/data", true),
            ("test://template/{id}/data", "test://template/7/date", false),
            ("file:///{path}", "file:///a/b", true),
            ("file:///{path}", "http://a", false),
            ("a{b}c{d}e", "axcxe", true),
            ("a{b}c{d}e", "axxe", false),
            ("plain", "plain", true),
            ("broken{", "broken{", false),
        ] {
            assert_eq!(fits(template, uri), fit, "{template} {uri}");
        }
    }
}
