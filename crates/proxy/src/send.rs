//! The one way to a server. Takes only [`Armed`]: recorded, vetted, permitted.

use crate::admit::Call;
use crate::attach::Armed;
use crate::house::House;
use crate::lease::Lease;
use crate::listen;
use crate::record::OpenCall;
use crate::resolve::{Named, Target};
use crate::stop::{Stop, Why};
use crate::trace;
use crate::upstream::{self, Exchange, Outbound, Owner, UpstreamError};
use authn::AuthnError;
use ledger::Attempt;
use model::{Code, ServerName};
use protocol::{Members, Method, Raw, header};
use std::sync::Arc;
use std::time::Duration;

/// A call that is on its way.
pub(crate) struct Sent {
    pub(crate) call: Box<Call>,
    pub(crate) server: ServerName,
    pub(crate) arguments: Raw,
    pub(crate) open: OpenCall,
    pub(crate) exchange: Exchange,
}

/// Sends the call, as fast as its answer is waited for: see [`Exchange`].
pub(crate) async fn send(house: &Arc<House>, armed: Armed) -> Result<Sent, Stop> {
    let (target, mut open, credential) = armed.into_parts();
    let Target { call, server, named, arguments, params, .. } = target;
    let tool_headers = match &named {
        Named::Tool(item) => Arc::clone(&item.tool_headers),
        Named::Prompt(_) | Named::Resource => Arc::default(),
    };
    let unknown_headers = header::unknown_params(&call.headers, &tool_headers)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let (params, trace) = trace::onward(&call.trail, &call.meta, params);
    let out = Outbound {
        server: server.clone(),
        owner: Owner {
            principal: call.caller.verified.key,
            session: call.client.session.as_ref().map(|session| session.key()),
        },
        version: call.client.version,
        method: call.method,
        params,
        client_capabilities: Members::of(&call.client.capabilities),
        client_info: call.client.info.clone(),
        log_level: call.client.log_level,
        progress: call.meta.progress_token.clone(),
        tool_headers,
        unknown_headers,
        credential,
        trace,
        deadline: deadline(&call, &server),
        inbox: call.client.session.as_ref().map(|session| listen::inbox(house, session)),
        lease: Some(Lease::new(&house.authn, &call.caller.verified, &server)),
    };
    open.sending();
    match house.upstreams.begin(out) {
        Ok(exchange) => Ok(Sent { call, server, arguments, open, exchange }),
        Err(error) => Err(failed(call, open, &error, None).await),
    }
}

/// The stop of a call that its server failed.
pub(crate) async fn failed(
    call: Box<Call>,
    open: OpenCall,
    error: &UpstreamError,
    upstream: Option<&str>,
) -> Stop {
    let attempt = match error.sent {
        upstream::Sent::NotSent => Attempt::NotSent,
        upstream::Sent::Unknown => Attempt::Unknown,
    };
    let stop = open.failed(call.trail, attempt, error.kind, error.code, &error.detail(), upstream).await;
    if error.code == Code::TOKEN_REVOKED && stop.why.facts().1 == Code::TOKEN_REVOKED {
        return Stop { why: Why::Challenge(AuthnError::Revoked), ..stop };
    }
    stop
}

impl Sent {
    /// The id of the request upstream, as JSON text, for the record; none if it never left.
    pub(crate) fn upstream_id(&self) -> Option<String> {
        self.exchange.upstream_id().map(|id| id.to_raw().as_json().to_owned())
    }
}

/// The server's own deadline, within that of every call; a followed stream lives as long as a session may.
fn deadline(call: &Call, server: &ServerName) -> Duration {
    let config = &call.state.config;
    if call.method == Method::SubscriptionsListen {
        return config.limits.session_lifetime;
    }
    let own = config.servers.get(server).map_or(config.limits.call_timeout, |server| server.timeout);
    own.min(config.limits.call_timeout)
}
