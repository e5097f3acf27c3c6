//! What happens when the catalog changes: the shipped policy permits the gateway to ask, the policies in force
//! learn of new definitions before anyone is shown them, and the record is told.

use crate::authorize;
use crate::catalog::{CatalogEvent, CatalogWatch, Kind, ServerView};
use crate::rules::Rules;
use authn::Authn;
use ledger::{Event, Leaf, What};
use model::{Clock, Principal, ServerName};
use policy::{ActionName, Decision, Environment};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Watches the catalog for the house.
pub(crate) struct Watch {
    pub(crate) rules: Arc<Rules>,
    pub(crate) authn: Arc<Authn>,
    pub(crate) audit: audit::Writer,
    pub(crate) clock: Arc<dyn Clock>,
}

impl CatalogWatch for Watch {
    /// The gateway's own calls are judged like anyone's, as principal `service` (design §3.11).
    fn permit(&self, server: &ServerName, plan: &broker::Plan) -> Result<(), Arc<str>> {
        let rules = self.rules.current();
        let service = Principal::service();
        let subject = rules.subject(service.key(), &service);
        let Some(action) = rules.revision.action(&ActionName::Discover(server)) else {
            return Err("policy does not know the server".into());
        };
        let environment = Environment {
            now: self.clock.now(),
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            plan: authorize::plan(Some(plan)),
            conversation_source: "inferred",
            granted: &[],
        };
        match rules.revision.decide(&subject, &action, b"{}", &environment) {
            Decision::Permit { .. } => Ok(()),
            Decision::Deny(_) => Err("policy does not permit the service to discover the server".into()),
        }
    }

    fn is_contained(&self, server: &ServerName) -> bool {
        self.authn.contains(server.as_str(), None)
    }

    fn listed(&self, view: &ServerView) {
        self.rules.relist(&view.name, &view.shapes());
        let (tools, prompts) = (format!("{}/", view.name), format!("prompt:{}/", view.name));
        for withheld in &self.rules.current().revision.report().withheld {
            if withheld.action.starts_with(&tools) || withheld.action.starts_with(&prompts) {
                let detail = format!("{}: {}", withheld.rule, withheld.reason);
                self.tell(What::ToolWithheld, &view.name, Some(&withheld.action), &detail);
            }
        }
    }

    fn removed(&self, server: &ServerName) {
        self.rules.relist(server, &[]);
    }

    fn event(&self, event: CatalogEvent) {
        match event {
            CatalogEvent::Found { server, version, items: [tools, prompts, resources] } => {
                let detail = format!("{version}: {tools} tools, {prompts} prompts, {resources} resources");
                self.tell(What::ServerReady, &server, None, &detail);
            }
            CatalogEvent::Missing { server, code, reason } => {
                self.tell(What::ServerMissing, &server, None, &format!("{code}: {reason}"));
            }
            CatalogEvent::Changed { server, kind, added, changed, removed } => {
                for (what, names) in [
                    (What::DefinitionAdded, added),
                    (What::DefinitionChanged, changed),
                    (What::DefinitionRemoved, removed),
                ] {
                    for name in names {
                        self.tell(what, &server, Some(&name), kind.as_str());
                    }
                }
            }
            CatalogEvent::Dropped { server, kind, name, reason } => {
                let what = if kind == Kind::Tools { What::ToolDropped } else { What::DefinitionRemoved };
                self.tell(what, &server, Some(&name), &format!("{}: {reason}", kind.as_str()));
            }
            CatalogEvent::Stripped { server, path, reason } => {
                self.tell(What::ExtensionStripped, &server, Some(&path), reason);
            }
        }
    }
}

impl Watch {
    /// An event that cannot be queued is not lost for good: the catalog tells of a state again when it changes,
    /// and calls are refused while the record is down.
    fn tell(&self, what: What, server: &ServerName, name: Option<&str>, detail: &str) {
        let event = Event {
            server: Some(Cow::Borrowed(server.as_str())),
            name: name.map(Cow::Borrowed),
            detail: Some(Cow::Borrowed(detail)),
            ..Event::of(what)
        };
        if self.audit.append(self.clock.now(), &Leaf::Event(event)).is_err() {
            tracing::warn!(server = server.as_str(), what = what.as_str(), "an event could not be recorded");
        }
    }
}
