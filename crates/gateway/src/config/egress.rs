//! Section `egress`.

use super::check::{At, Check};
use super::units::Span;
use model::Limits;
use net::egress;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// How the gateway reaches out to servers and issuers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EgressSection {
    /// PEM file of certificate authorities to trust beside the public ones.
    extra_ca_file: Option<PathBuf>,
    /// For resolving, connecting and the TLS handshake together. Default: 5s.
    connect_timeout: Option<Span>,
}

impl EgressSection {
    pub(super) fn check(
        self,
        base: &Path,
        limits: &Limits,
        at: &At,
        check: &mut Check,
    ) -> Option<egress::Client> {
        let default = egress::Config::default();
        let config = egress::Config {
            connect_timeout: self.connect_timeout.map_or(default.connect_timeout, |span| span.0),
            idle_connections: limits.idle_connections_per_server,
            extra_ca_file: self.extra_ca_file.map(|path| base.join(path)),
            ..default
        };
        egress::Client::new(&config)
            .map_err(|error| {
                check.fault(&at.key("extra_ca_file"), error.to_string(), "a PEM file of certificates")
            })
            .ok()
    }
}
