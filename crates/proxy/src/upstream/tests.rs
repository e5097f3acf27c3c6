//! Upstreams against servers that behave well, badly, and not at all.

pub(crate) mod fake;
mod follow;
mod follow_older;
mod http;
mod pair;
mod stdio;

use super::*;
use crate::config::server::{HttpServer, ImpactRules, StdioServer, Transport};
use broker::Plan;
use model::{SeededDice, SystemClock};
use protocol::Outcome;

pub(crate) fn name(text: &str) -> ServerName {
    ServerName::new(text).unwrap()
}

pub(crate) fn settings(limits: Limits) -> UpstreamSettings {
    UpstreamSettings {
        limits,
        clock: Arc::new(SystemClock::default()),
        dice: Arc::new(SeededDice::new(1)),
        egress: net::egress::Client::new(&net::egress::Config::default()).unwrap(),
        environment: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
    }
}

pub(crate) fn over_http(server: &str, url: ::http::Uri) -> Arc<ServerConfig> {
    config(server, Transport::Http(HttpServer { url, rule: net::egress::Rule::LOOPBACK }))
}

pub(crate) fn over_stdio(server: &str, script: &str, shared: bool) -> Arc<ServerConfig> {
    config(
        server,
        Transport::Stdio(StdioServer {
            command: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: BTreeMap::new(),
            cwd: None,
            shared,
        }),
    )
}

fn config(server: &str, transport: Transport) -> Arc<ServerConfig> {
    Arc::new(ServerConfig {
        name: name(server),
        transport,
        impact: ImpactRules::default(),
        timeout: Duration::from_secs(60),
        plan: Arc::new(Plan::none()),
    })
}

pub(crate) fn upstreams(limits: Limits, servers: &[Arc<ServerConfig>]) -> Upstreams {
    let table = servers.iter().map(|config| (config.name.clone(), Arc::clone(config))).collect();
    Upstreams::new(settings(limits), &table)
}

fn principal(n: u8) -> PrincipalKey {
    PrincipalKey(Digest([n; 32]))
}

pub(crate) fn raw(json: &str) -> Raw {
    let bounds = protocol::Bounds { bytes: 1 << 20, depth: 32, items: 10_000 };
    Raw::parse(json.to_owned().into(), &bounds).unwrap()
}

/// A call of `tools/call` by the first principal; of session clients in session 1.
fn call(server: &str, version: Version) -> Outbound {
    let session = (version.era() == Era::Session).then_some(Digest([1; 32]));
    Outbound {
        server: name(server),
        owner: Owner { principal: principal(1), session },
        version,
        method: Method::ToolsCall,
        params: raw(r#"{"name":"echo","arguments":{"a": 1.0}}"#).members(),
        client_capabilities: Members::of(&raw(r#"{"roots":{}}"#)),
        client_info: Some(raw(r#"{"name":"client","version":"9"}"#)),
        log_level: None,
        progress: None,
        tool_headers: Arc::default(),
        unknown_headers: Vec::new(),
        credential: broker::attach(&Plan::none(), None, None).unwrap(),
        trace: Trace::default(),
        deadline: Duration::from_secs(20),
        inbox: None,
        lease: None,
    }
}

/// The answer, as text; every error as `kind/sent`.
async fn answer(upstreams: &Upstreams, out: Outbound) -> String {
    let outcome = async {
        let mut exchange = upstreams.exchange(out).await?;
        loop {
            if let Inbound::Final(outcome) = exchange.next().await? {
                return Ok::<_, UpstreamError>(outcome);
            }
        }
    };
    match outcome.await {
        Ok(Outcome::Result(result)) => result.raw().as_json().to_owned(),
        Ok(Outcome::Error(error)) => format!("error {}", error.code),
        Err(error) => format!("{}: {} ({:?})", error.code, error.detail(), error.sent),
    }
}

/// What the gateway believes of a server's eras.
fn spoken(upstreams: &Upstreams, server: &str) -> era::Spoken {
    upstreams.server(&name(server)).unwrap().spoken()
}

/// How much time has gone since the call.
pub(crate) fn stopwatch() -> impl Fn() -> Duration {
    let clock = SystemClock::default();
    move || Duration::from_nanos(clock.ticks())
}
