//! The file as it is written.

use super::admin_api::AdminApiSection;
use super::authorization_server::AuthorizationServerSection;
use super::egress::EgressSection;
use super::issuer::IssuerSection;
use super::limits::LimitsSection;
use super::listen::{AdminSection, ListenSection};
use super::log::LogSection;
use super::opaque::GroupDirectorySection;
use super::record::RecordSection;
use super::revocation::RevocationSection;
use super::server::ServerSection;
use super::storage::StorageSection;
use super::toolset::ToolsetSection;
use super::traces::TracesSection;
use super::units::Span;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The configuration of a Portunus gateway. Relative paths start at the folder of this file. Secrets are
/// named, never written: `from_env`, `from_file`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Portunus configuration")]
pub(crate) struct File {
    /// The version of this format: 1.
    pub(super) version: Option<u32>,
    /// Where clients connect.
    pub(super) listen: ListenSection,
    /// Where health and metrics are served.
    pub(super) admin: AdminSection,
    /// Folder of the record and of generated keys. Default: ./data.
    pub(super) data_dir: Option<PathBuf>,
    /// Folder of the key files, which replicas of one gateway share. Default: `keys` in the data folder.
    pub(super) keys_dir: Option<PathBuf>,
    /// Folder of `.cedar` policies; tables of expectations lie in its `tests`. Default: ./policies.
    pub(super) policies: Option<PathBuf>,
    /// The zone in which policies read hours and weekdays, by its IANA name. Default: UTC.
    pub(super) policy_zone: Option<String>,
    /// The identity providers whose tokens are accepted.
    pub(super) issuers: Vec<IssuerSection>,
    /// Where groups are looked up that are too many for a token, by the name that token contracts call them.
    pub(super) group_directories: BTreeMap<String, GroupDirectorySection>,
    /// Scopes named in challenges and in the resource metadata.
    pub(super) scopes: Vec<String>,
    /// Scopes without which a token is refused at every endpoint.
    pub(super) required_scopes: Vec<String>,
    /// A YAML file of revoked tokens, users and clients; read again when it changes.
    pub(super) revoked_tokens_file: Option<PathBuf>,
    /// How old the view of what was revoked may be, where there is a database.
    pub(super) revocation: RevocationSection,
    /// The database. Without this section there is one only where something needs it.
    pub(super) storage: Option<StorageSection>,
    /// Portunus as its own authorization server. Without this section it takes the tokens of `issuers` only.
    pub(super) authorization_server: Option<AuthorizationServerSection>,
    /// The admin API. Off unless this section is there.
    pub(super) admin_api: Option<AdminApiSection>,
    /// The MCP servers, by name.
    pub(super) servers: BTreeMap<String, ServerSection>,
    /// How long a server's lists are served before it is asked again; a quarter less at random. Default: 60s.
    pub(super) catalog_refresh: Option<Span>,
    /// Named selections of tools, by name.
    pub(super) toolsets: BTreeMap<String, ToolsetSection>,
    /// How the gateway reaches out.
    pub(super) egress: EgressSection,
    /// What the record holds.
    pub(super) record: RecordSection,
    /// The bounds of the request path.
    pub(super) limits: LimitsSection,
    /// The log.
    pub(super) log: LogSection,
    /// Traces for a collector (OTLP over HTTP). Off unless this section is there.
    pub(super) traces: Option<TracesSection>,
    /// Worker threads. Default: one for each core.
    pub(super) workers: Option<u16>,
}
