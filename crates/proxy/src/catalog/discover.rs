//! Asks one server what it has: its description, then its lists, all pages, within bounds.

use super::Shared;
use crate::config::ServerConfig;
use crate::reply::cannot_ask;
use crate::upstream::{Exchange, Inbound, Inbox, Outbound, Owner, Trace, UpstreamError};
use model::{Code, Principal};
use protocol::capability::{self, Offer, Stripped};
use protocol::view::{Listen, Page};
use protocol::{Edit, Members, Method, Outcome, Raw, Version, reply};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Discovery failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct DiscoverError {
    /// The code shown in lists.
    pub(super) code: Code,
    /// For operators.
    pub(super) reason: Arc<str>,
}

/// What a server said.
pub(super) struct Discovered {
    pub(super) version: Version,
    pub(super) capabilities: Members,
    pub(super) stripped: Vec<Stripped>,
    pub(super) instructions: Option<Raw>,
    pub(super) info: Option<Raw>,
    pub(super) tools: Listed,
    pub(super) prompts: Listed,
    pub(super) resources: Listed,
    pub(super) templates: Listed,
}

/// The items of one list, in the server's order.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) items: Vec<Raw>,
    /// Whether the server had more than the bound.
    pub(super) cut: bool,
}

/// One server, asked as `service`.
pub(super) struct Asking<'a> {
    pub(super) shared: &'a Shared,
    pub(super) config: &'a ServerConfig,
    pub(super) inbox: &'a Inbox,
    /// For each request.
    pub(super) deadline: Duration,
}

impl Asking<'_> {
    /// Asks for everything.
    ///
    /// # Errors
    /// [`DiscoverError`]: the first thing that failed. A list that the server does not know is empty.
    pub(super) async fn discover(&self) -> Result<Discovered, DiscoverError> {
        let description =
            self.shared.upstreams.describe(self.outbound(Version::LATEST, Method::ServerDiscover)?);
        let description = description.await?;
        let (version, document) = (description.version, description.document);
        let declared = document.object("capabilities").or_else(|| Raw::empty_object().members());
        let declared = declared.ok_or_else(|| fault("its capabilities are no object"))?;
        let (carried, stripped) = capability::server(&declared);
        let capabilities = carried.members().ok_or_else(|| fault("its capabilities are no object"))?;
        let offer = Offer::of(&capabilities);
        let (tools, prompts, resources, templates) = tokio::join!(
            self.list(offer.tools, version, Method::ToolsList),
            self.list(offer.prompts, version, Method::PromptsList),
            self.list(offer.resources, version, Method::ResourcesList),
            self.list(offer.resources, version, Method::ResourcesTemplatesList),
        );
        let meta = document.object("_meta");
        let info = document.get("serverInfo").or_else(|| meta?.get(protocol::meta::SERVER_INFO));
        Ok(Discovered {
            version,
            capabilities,
            stripped,
            instructions: document.get("instructions").filter(|text| text.to_str().is_some()),
            info,
            tools: tools?,
            prompts: prompts?,
            resources: resources?,
            templates: templates?,
        })
    }

    async fn list(&self, offered: bool, version: Version, method: Method) -> Result<Listed, DiscoverError> {
        let mut listed = Listed::default();
        let Some(key) = method.row().items.filter(|_| offered) else { return Ok(listed) };
        let most = self.shared.settings.limits.catalog_items_per_server;
        let (mut cursor, mut seen, mut bytes) = (None::<Box<str>>, HashSet::new(), 0);
        for _ in 0..PAGES {
            let result = match self.page(version, method, cursor.as_deref()).await? {
                Outcome::Result(result) => result,
                Outcome::Error(error) if error.code == reply::METHOD_NOT_FOUND => return Ok(listed),
                Outcome::Error(error) => {
                    return Err(fault(format!("{} failed with error {}", method.name(), error.code)));
                }
            };
            bytes += result.raw().as_bytes().len();
            let page = Page::of(&result, key)
                .map_err(|error| fault(format!("{} is malformed: {error}", method.name())))?;
            let room = most.saturating_sub(listed.items.len());
            listed.cut = page.items.len() > room || bytes > LIST_BYTES;
            listed.items.extend(page.items.into_iter().take(room));
            match page.next_cursor {
                Some(next) if !listed.cut && seen.insert(next.clone()) => cursor = Some(next),
                Some(_) => {
                    listed.cut = true;
                    return Ok(listed);
                }
                None => return Ok(listed),
            }
        }
        listed.cut = true;
        Ok(listed)
    }

    async fn page(
        &self,
        version: Version,
        method: Method,
        cursor: Option<&str>,
    ) -> Result<Outcome, DiscoverError> {
        let mut out = self.outbound(version, method)?;
        if let Some(cursor) = cursor {
            out.params = Edit::new().set(&["cursor"], Raw::of_str(cursor)).apply(&Members::empty()).members();
        }
        let mut exchange = self.shared.upstreams.exchange(out).await?;
        loop {
            match exchange.next().await? {
                Inbound::Final(outcome) => return Ok(outcome),
                Inbound::Notification(_) => {}
                Inbound::Request(request) => exchange.answer(cannot_ask(&request.id)).await?,
            }
        }
    }

    /// Opens the stream on which a stateless server says that its lists changed, if it says so at all.
    pub(super) async fn listen(&self, capabilities: &Members) -> Result<Option<Exchange>, DiscoverError> {
        let says = |list| {
            let listed = capabilities.object(list);
            listed.and_then(|listed| listed.get("listChanged")).and_then(|says| says.to_bool()) == Some(true)
        };
        let wanted = Listen {
            tools: says("tools"),
            prompts: says("prompts"),
            resources: says("resources"),
            uris: Vec::new(),
        };
        if !(wanted.tools || wanted.prompts || wanted.resources) {
            return Ok(None);
        }
        let mut out = self.outbound(Version::LATEST, Method::SubscriptionsListen)?;
        out.params = Edit::new().set(&["notifications"], wanted.to_raw()).apply(&Members::empty()).members();
        out.deadline = LISTEN;
        let opened = tokio::time::timeout(self.deadline, self.shared.upstreams.exchange(out)).await;
        Ok(Some(opened.map_err(|_| fault("its subscription does not open"))??))
    }

    fn outbound(&self, version: Version, method: Method) -> Result<Outbound, DiscoverError> {
        let mint = self.shared.settings.minter.as_ref().map(|minter| broker::Mint {
            minter: Arc::clone(minter),
            whose: broker::Whose { principal: Arc::new(Principal::service()), until: None, call: None },
        });
        let credential = broker::attach(&self.config.plan, Some(method.name()), mint);
        let credential = credential.map_err(|error| DiscoverError {
            code: Code::CREDENTIAL_UNAVAILABLE,
            reason: error.to_string().into(),
        })?;
        Ok(Outbound {
            server: self.config.name.clone(),
            owner: Owner { principal: self.shared.service, session: None },
            version,
            method,
            params: None,
            // What clients may declare: some servers list a tool only to those who can be asked. `service` declines.
            client_capabilities: Members::of(&capability::all_of_client()),
            client_info: None,
            log_level: None,
            progress: None,
            tool_headers: Arc::default(),
            unknown_headers: Vec::new(),
            credential,
            trace: Trace::default(),
            deadline: self.deadline,
            inbox: Some(self.inbox.clone()),
            lease: None,
        })
    }
}

fn fault(reason: impl Into<Arc<str>>) -> DiscoverError {
    DiscoverError { code: Code::UPSTREAM_FAILED, reason: reason.into() }
}

impl From<UpstreamError> for DiscoverError {
    fn from(error: UpstreamError) -> Self {
        Self { code: error.code, reason: error.detail().into() }
    }
}

/// Pages of one list.
const PAGES: usize = 1000;
/// Bytes of one list.
const LIST_BYTES: usize = 32 << 20;
/// How long one subscription is kept before it is opened anew.
const LISTEN: Duration = Duration::from_secs(24 * 3600);
