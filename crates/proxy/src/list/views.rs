//! What each caller sees, kept while neither policy nor catalog changes.

use crate::catalog::{Item, ServerView, Snapshot};
use crate::config::Endpoint;
use crate::house::State;
use crate::rules::Current;
use model::{Principal, PrincipalKey};
use policy::ActionName;
use protocol::Method;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Whose view of which list.
pub(super) struct Wanted<'a> {
    pub(super) principal: &'a Principal,
    pub(super) key: PrincipalKey,
    pub(super) endpoint: &'a Endpoint,
    pub(super) method: Method,
}

/// Views, by caller, endpoint and list.
pub(crate) struct Views {
    kept: Mutex<HashMap<(PrincipalKey, Endpoint, Method), Kept>>,
}

struct Kept {
    serial: u64,
    catalog: u64,
    state: Arc<State>,
    items: Arc<[Arc<Item>]>,
}

/// Views kept; each holds a pointer per visible item.
const KEPT: usize = 512;

impl Views {
    pub(crate) fn new() -> Self {
        Self { kept: Mutex::new(HashMap::new()) }
    }

    /// The visible items, in the catalog's order.
    pub(super) fn of(
        &self,
        wanted: &Wanted<'_>,
        rules: &Current,
        snapshot: &Snapshot,
        state: &Arc<State>,
    ) -> Arc<[Arc<Item>]> {
        let place = (wanted.key, wanted.endpoint.clone(), wanted.method);
        {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(view) = kept.get(&place)
                && view.serial == rules.serial
                && view.catalog == snapshot.revision
                && Arc::ptr_eq(&view.state, state)
            {
                return Arc::clone(&view.items);
            }
        }
        let items: Arc<[Arc<Item>]> = visible(wanted, rules, snapshot, state).into();
        let view = Kept {
            serial: rules.serial,
            catalog: snapshot.revision,
            state: Arc::clone(state),
            items: Arc::clone(&items),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|_, view| view.serial == rules.serial && view.catalog == snapshot.revision);
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(place, view);
        items
    }
}

fn visible(wanted: &Wanted<'_>, rules: &Current, snapshot: &Snapshot, state: &State) -> Vec<Arc<Item>> {
    let subject = rules.subject(wanted.key, wanted.principal);
    let may = |name: &ActionName<'_>| {
        rules.revision.action(name).is_some_and(|action| rules.revision.listable(&subject, &action))
    };
    let toolset = match wanted.endpoint {
        Endpoint::Toolset(name) => match state.config.toolsets.get(name) {
            Some(toolset) => Some(toolset),
            None => return Vec::new(),
        },
        Endpoint::Shared | Endpoint::Server(_) => None,
    };
    let served = |view: &&Arc<ServerView>| match wanted.endpoint {
        Endpoint::Server(name) => view.name == *name,
        Endpoint::Shared | Endpoint::Toolset(_) => toolset.is_none_or(|set| set.touches(&view.name)),
    };
    let mut items = Vec::new();
    let there = |view: &&Arc<ServerView>| wanted.principal.has_server(&view.name);
    for view in snapshot.servers.values().filter(there).filter(served) {
        let (listed, each) = match wanted.method {
            Method::ToolsList => (&view.tools, true),
            Method::PromptsList => (&view.prompts, true),
            Method::ResourcesList => (&view.resources, false),
            _ => (&view.templates, false),
        };
        if !each && !may(&ActionName::Resource(&view.name)) {
            continue;
        }
        let selected = |item: &&Arc<Item>| toolset.is_none_or(|set| set.selects(&item.server, &item.name));
        items.extend(
            listed
                .iter()
                .filter(selected)
                .filter(|item| match wanted.method {
                    Method::ToolsList => may(&ActionName::Tool(&item.server, &item.name)),
                    Method::PromptsList => may(&ActionName::Prompt(&item.server, &item.name)),
                    _ => true,
                })
                .cloned(),
        );
    }
    items
}
