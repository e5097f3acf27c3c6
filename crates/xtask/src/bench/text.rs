//! The configurations the bench writes.

use std::net::SocketAddr;
use std::path::Path;

/// nginx as a plain reverse proxy: one worker, connections to the upstream kept.
pub(super) fn nginx(listen: SocketAddr, upstream: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  upstream fixture {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen {listen};
    location = {PATH} {{
      proxy_pass http://fixture/mcp;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
    }}
  }}
}}
"
    )
}

/// The gateway with one server, or with `more` besides it at `crowd`.
pub(super) struct Gateway<'a> {
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) issuer: SocketAddr,
    pub(super) upstream: SocketAddr,
    pub(super) crowd: Option<SocketAddr>,
    pub(super) more: u32,
    pub(super) policies: &'a Path,
    pub(super) data: &'a Path,
}

impl Gateway<'_> {
    pub(super) fn yaml(&self) -> String {
        let Self { listen, admin, issuer, upstream, .. } = self;
        let (policies, data) = (self.policies.display(), self.data.display());
        let reads = (0..20).map(|tool| format!("tool_{tool:02}: read")).collect::<Vec<_>>().join(", ");
        let more: String = self
            .crowd
            .iter()
            .flat_map(|crowd| {
                (0..self.more).map(move |number| {
                    format!(
                        "  s{number}:
    http: {{url: \"http://{crowd}/s/{number}/mcp\", allow_loopback: true}}
    impact: {{default: read}}
"
                    )
                })
            })
            .collect();
        format!(
            "version: 1
listen: {{address: \"{listen}\"}}
admin: {{address: \"{admin}\"}}
data_dir: {data}
policies: {policies}
policy_zone: Europe/Berlin
issuers:
  - issuer: http://{issuer}
    algorithms: [ES256]
    allow_loopback: true
servers:
  bench:
    http: {{url: \"http://{upstream}/mcp\", allow_loopback: true}}
    impact:
      default: write-reversible
      tools: {{{reads}}}
{more}limits:
  calls_per_principal: 4096
  streams_per_principal: 4096
"
        )
    }
}

/// Where the gateway and nginx serve the one server.
pub(super) const PATH: &str = "/servers/bench/mcp";
