//! What every server lists, discovered as the gateway's own `service` and kept fresh.
//!
//! In: configured servers. Out: a snapshot that costs a pointer, news of its changes, and events for the
//! record. Never here: what one person may see (that is `list`), a decision. Each server has its own keeper
//! and its own deadlines, so that a slow, broken or garbage-sending one neither delays nor hides another.

mod discover;
mod keeper;
mod read;
mod snapshot;
#[cfg(test)]
mod tests;

pub use snapshot::{Item, ServerView, Snapshot, State};

use crate::config::ServerConfig;
use crate::upstream::Upstreams;
use arc_swap::ArcSwap;
use keeper::Keeper;
use model::{Code, Dice, Limits, Principal, PrincipalKey, ServerName};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, watch};

/// What the catalog needs.
pub struct CatalogSettings {
    /// The bounds: items per server, and how long discovery may hold up a list.
    pub limits: Limits,
    /// Spreads refreshes.
    pub dice: Arc<dyn Dice>,
    /// How long a view is served before its server is asked again; a quarter less at random.
    pub refresh: Duration,
    /// Signs that `service` asks, for servers that trust us.
    pub minter: Option<Arc<broker::Minter>>,
    /// Who permits discovery, and is told of it.
    pub watch: Arc<dyn CatalogWatch>,
}

/// Permits discovery and is told what it finds. Called by the keepers, off the request path.
pub trait CatalogWatch: Send + Sync + 'static {
    /// Whether the gateway's own identity may ask this server what it has, by this plan (invariant 11).
    ///
    /// # Errors
    /// Why not, for operators.
    fn permit(&self, server: &ServerName, plan: &broker::Plan) -> Result<(), Arc<str>>;
    /// Whether nothing may be sent to this server, also not by the gateway itself.
    fn is_contained(&self, _server: &ServerName) -> bool {
        false
    }
    /// A view is about to be served: policy must know its items first.
    fn listed(&self, view: &ServerView);
    /// A server has left the configuration.
    fn removed(&self, server: &ServerName);
    /// Something for the record.
    fn event(&self, event: CatalogEvent);
}

/// The kinds of lists.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list` and `resources/templates/list`.
    Resources,
}

impl Kind {
    /// The name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
        }
    }
}

/// A list of a server is another than before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The server.
    pub server: ServerName,
    /// The list.
    pub kind: Kind,
}

/// What the record should know. Names come from the server: bounded, and never trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CatalogEvent {
    /// A server answers discovery, for the first time or again.
    Found {
        /// The server.
        server: ServerName,
        /// The protocol version it was asked in.
        version: &'static str,
        /// How many tools, prompts, and resources with templates it lists.
        items: [usize; 3],
    },
    /// A server does not answer discovery; what it listed last is still served, if it ever did.
    Missing {
        /// The server.
        server: ServerName,
        /// The code shown with it in lists.
        code: Code,
        /// Why, for operators.
        reason: Arc<str>,
    },
    /// A list changed. At most [`CatalogEvent::NAMES`] names of each sort.
    Changed {
        /// The server.
        server: ServerName,
        /// The list.
        kind: Kind,
        /// Names that are new.
        added: Vec<Arc<str>>,
        /// Names whose definition is another.
        changed: Vec<Arc<str>>,
        /// Names that are gone.
        removed: Vec<Arc<str>>,
    },
    /// An item is left out.
    Dropped {
        /// The server.
        server: ServerName,
        /// The list.
        kind: Kind,
        /// The item's name, or its position.
        name: Arc<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// A capability of the server is not passed on.
    Stripped {
        /// The server.
        server: ServerName,
        /// The capability's members, joined by dots.
        path: String,
        /// Why.
        reason: &'static str,
    },
}

impl CatalogEvent {
    /// Names in one event of one sort.
    pub const NAMES: usize = 100;
}

/// The catalog. Keepers run until it is dropped.
pub struct Catalog {
    shared: Arc<Shared>,
    keepers: Mutex<BTreeMap<ServerName, Kept>>,
}

struct Kept {
    config: Arc<ServerConfig>,
    wanted: Arc<Notify>,
    task: tokio::task::AbortHandle,
    contained: bool,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the keepers share.
struct Shared {
    settings: CatalogSettings,
    upstreams: Arc<Upstreams>,
    service: PrincipalKey,
    current: ArcSwap<Snapshot>,
    /// One writer at a time.
    writing: Mutex<()>,
    changes: broadcast::Sender<Change>,
    /// Servers that were not tried yet.
    untried: watch::Sender<usize>,
}

impl Catalog {
    /// A catalog of these servers; discovery begins at once, in parallel. Must be called within a runtime.
    pub fn start(
        upstreams: Arc<Upstreams>,
        servers: &BTreeMap<ServerName, Arc<ServerConfig>>,
        settings: CatalogSettings,
    ) -> Self {
        let shared = Arc::new(Shared {
            settings,
            upstreams,
            service: Principal::service().key(),
            current: ArcSwap::default(),
            writing: Mutex::default(),
            changes: broadcast::channel(CHANGES).0,
            untried: watch::channel(0).0,
        });
        let catalog = Self { shared, keepers: Mutex::default() };
        catalog.reload(servers);
        catalog
    }

    /// Takes another configuration. Call it after `Upstreams::reload`. Servers whose part did not change keep
    /// their view; the others are discovered anew, and served as before until then.
    pub fn reload(&self, servers: &BTreeMap<ServerName, Arc<ServerConfig>>) {
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<ServerName> =
            keepers.keys().filter(|name| !servers.contains_key(*name)).cloned().collect();
        for name in &gone {
            keepers.remove(name);
            self.shared.remove(name);
        }
        for (name, config) in servers {
            if keepers.get(name).is_some_and(|kept| *kept.config == **config) {
                continue;
            }
            let wanted = Arc::new(Notify::new());
            self.shared.expect(name);
            let keeper = Keeper::new(Arc::clone(&self.shared), Arc::clone(config), Arc::clone(&wanted));
            let task = tokio::spawn(keeper.run()).abort_handle();
            keepers.insert(name.clone(), Kept { config: Arc::clone(config), wanted, task, contained: false });
        }
    }

    /// Asks no server any more, and lets go of what it held there. What was listed stays listed.
    pub fn stop(&self) {
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What is listed now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// News of changed lists. A receiver that lags must assume that all changed.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }

    /// Whether every server was tried once.
    pub(crate) fn is_ready(&self) -> bool {
        *self.shared.untried.borrow() == 0
    }

    /// Waits until every server was tried once, or `within` is over. Cheap when they were.
    pub async fn ready(&self, within: Duration) {
        if self.is_ready() {
            return;
        }
        let mut untried = self.shared.untried.subscribe();
        let _ = tokio::time::timeout(within, untried.wait_for(|untried| *untried == 0)).await;
    }

    /// Looks which servers are contained: one that is now, or no longer is, is looked at anew. Says whether there is any.
    pub(crate) fn contain(&self, contained: impl Fn(&ServerName) -> bool) -> bool {
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for (name, kept) in keepers.iter_mut() {
            let now = contained(name);
            if std::mem::replace(&mut kept.contained, now) != now {
                kept.wanted.notify_one();
                changed = true;
            }
        }
        changed
    }

    /// Asks a server again, soon.
    pub fn refresh(&self, server: &ServerName) {
        if let Some(kept) = self.keepers.lock().unwrap_or_else(PoisonError::into_inner).get(server) {
            kept.wanted.notify_one();
        }
    }
}

impl Shared {
    /// Serves another view of one server, and tells who listens. Policy learns of it first.
    fn publish(&self, view: ServerView, changed: &[Kind]) {
        if !changed.is_empty() {
            self.settings.watch.listed(&view);
        }
        let server = view.name.clone();
        self.rewrite(|servers| {
            servers.insert(view.name.clone(), Arc::new(view));
        });
        for kind in changed {
            // Nobody listening is no fault.
            let _ = self.changes.send(Change { server: server.clone(), kind: *kind });
        }
    }

    fn expect(&self, server: &ServerName) {
        self.untried.send_modify(|untried| *untried += 1);
        if !self.current.load().servers.contains_key(server) {
            let view =
                ServerView::missing(server, Code::UPSTREAM_TIMEOUT, "it has not been asked yet".into());
            self.rewrite(|servers| {
                servers.insert(server.clone(), Arc::new(view));
            });
        }
    }

    fn remove(&self, server: &ServerName) {
        self.rewrite(|servers| {
            servers.remove(server);
        });
        self.settings.watch.removed(server);
        for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
            let _ = self.changes.send(Change { server: server.clone(), kind });
        }
    }

    fn tried(&self) {
        self.untried.send_modify(|untried| *untried = untried.saturating_sub(1));
    }

    fn rewrite(&self, edit: impl FnOnce(&mut BTreeMap<ServerName, Arc<ServerView>>)) {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.load();
        let mut servers = current.servers.clone();
        edit(&mut servers);
        self.current.store(Arc::new(Snapshot { revision: current.revision + 1, servers }));
    }
}

/// Changes that a slow listener may fall behind before it must assume that all changed.
const CHANGES: usize = 1024;
