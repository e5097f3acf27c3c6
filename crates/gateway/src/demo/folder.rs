//! The demo's folder: policies, their tests, and the configuration that runs on them. They are written anew at
//! each start; the record and the keys stay.

use super::people::{ASSISTANT, TENANT};
use super::{DemoError, RealServers};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Writes everything a gateway needs into `folder` and returns the configuration's path.
pub(super) fn furnish(
    folder: &Path,
    port: u16,
    shops: SocketAddr,
    real: Option<&RealServers>,
) -> Result<PathBuf, DemoError> {
    let io = |path: &Path| {
        let what = format!("write {}", path.display());
        move |source| DemoError::Io { what, source }
    };
    let tests = folder.join("policies/tests");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&tests).map_err(io(&tests))?;
    let real_policies = folder.join("policies/real-servers.cedar");
    let mut files = vec![
        (folder.join("policies/people.cedar"), PEOPLE.to_owned()),
        (folder.join("policies/tests/people.yaml"), TESTS.to_owned()),
    ];
    match real {
        Some(_) => files.push((real_policies, REAL.to_owned())),
        None if real_policies.exists() => std::fs::remove_file(&real_policies).map_err(io(&real_policies))?,
        None => {}
    }
    let config = folder.join("portunus.yaml");
    let servers = real.map(|real| real.yaml(folder)).transpose()?.unwrap_or_default();
    files.push((config.clone(), yaml(port, shops) + &servers));
    for (path, text) in files {
        std::fs::write(&path, text).map_err(io(&path))?;
    }
    Ok(config)
}

fn yaml(port: u16, shops: SocketAddr) -> String {
    format!(
        "# Written by `portunus demo` at each start. Loopback only.
version: 1
listen: {{ address: '127.0.0.1:{port}' }}
admin: {{ address: '127.0.0.1:0' }}
data_dir: data
policies: policies
# People sign in here: at their organisation's provider where there is one, with a password where there is none.
authorization_server:
  tenants:
    {TENANT}: {{ display_name: The demo, local_accounts: true, allow_client_secrets: true }}
  # Written down, as a client of the house would be. Others register themselves.
  clients:
    {ASSISTANT}: {{ name: Desk assistant, redirect_uris: ['http://127.0.0.1/callback'] }}
# `portunus people list` and its like, for whoever is an admin.
admin_api: {{ operator_tenant: {TENANT}, operator_roles: [admin] }}
log: {{ level: warn }}
toolsets:
  office: {{ tools: ['notes/*', 'tickets/*'] }}
servers:
  notes:
    http: {{ url: 'http://{shops}/notes', allow_loopback: true }}
    impact: {{ default: read, tools: {{ delete_note: write-reversible }} }}
  tickets:
    http: {{ url: 'http://{shops}/tickets', allow_loopback: true }}
    impact: {{ default: write-reversible, tools: {{ list_tickets: read }} }}
  payments:
    http: {{ url: 'http://{shops}/payments', allow_loopback: true }}
    # It trusts the gateway, which tells it who calls: see /identity.
    identity: {{}}
    impact: {{ tools: {{ balance: read-sensitive }} }}
  weather:
    http: {{ url: 'http://{shops}/weather', allow_loopback: true }}
"
    )
}

const PEOPLE: &str = include_str!("../../demo/people.cedar");
const REAL: &str = include_str!("../../demo/real-servers.cedar");
const TESTS: &str = include_str!("../../demo/tests/people.yaml");
