//! Section `traces`.

use super::address::WebAddress;
use super::check::{At, Check};
use super::server::{SecretSection, Surroundings, headers};
use broker::Plan;
use net::egress::Rule;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Traces for a collector (OTLP over HTTP). Off unless this section is there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TracesSection {
    /// The address that takes traces, path included, such as `http://127.0.0.1:4318/v1/traces`. It may be on a loopback or
    /// private address; plain http is for those only.
    endpoint: String,
    /// Headers its requests carry, by reference.
    #[serde(default)]
    headers: BTreeMap<String, SecretSection>,
    /// The share, from 0 to 1, of the traces that begin here. A caller's own traces go by its own choice. Default: 1.
    sample: Option<f64>,
    /// What the gateway is called in traces. Default: portunus.
    service_name: Option<String>,
}

/// The checked settings of traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Where they go.
    pub endpoint: http::Uri,
    /// The headers that go with them, by reference.
    pub plan: Plan,
    /// The share of the traces that begin here.
    pub sample: f64,
    /// What the gateway is called.
    pub service_name: String,
}

impl Traces {
    /// The operator says where traces go, and nobody else has a say in it.
    pub const RULE: Rule = Rule { allow_loopback: true, allow_private: true };
}

impl TracesSection {
    pub(super) fn check(self, around: &Surroundings<'_>, at: &At, check: &mut Check) -> Option<Traces> {
        let sample = self.sample.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample) {
            check.fault(&at.key("sample"), "not a share", "a number from 0 to 1");
        }
        let service_name = self.service_name.unwrap_or_else(|| "portunus".to_owned());
        if service_name.trim().is_empty() {
            check.fault(&at.key("service_name"), "no name", "a name such as portunus");
        }
        let endpoint = endpoint(&self.endpoint, around, &at.key("endpoint"), check);
        let headers = headers(&self.headers, around, &at.key("headers"), check);
        let plan = if headers.is_empty() { Ok(Plan::none()) } else { Plan::headers("", headers) };
        let plan = plan
            .map_err(|error| {
                check.fault(&at.key("headers"), error.to_string(), "other headers, such as Authorization")
            })
            .ok()?;
        // A missing secret is found now and not by the first trace.
        if let Err(error) = plan.read() {
            check.fault(&at.key("headers"), error.to_string(), "a secret that can be read");
        }
        Some(Traces { endpoint: endpoint?, plan, sample, service_name })
    }
}

fn endpoint(text: &str, around: &Surroundings<'_>, at: &At, check: &mut Check) -> Option<http::Uri> {
    const EXAMPLE: &str = "an address such as http://127.0.0.1:4318/v1/traces";
    match WebAddress::parse(text) {
        Err(why) => {
            check.fault(at, why, EXAMPLE);
            return None;
        }
        Ok(address) if address.path == "/" => {
            check.fault(at, "an address without a path", EXAMPLE);
            return None;
        }
        Ok(_) => {}
    }
    let url: http::Uri = text.parse().ok()?;
    around
        .egress?
        .destination(&url, Traces::RULE)
        .map_err(|error| check.fault(at, error.to_string(), EXAMPLE))
        .ok()?;
    Some(url)
}
