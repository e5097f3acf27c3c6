//! Section `servers`: the raw entries and the rules they keep.

use super::address::{WebAddress, is_loopback};
use super::check::{At, Check};
use super::downstream::IdentitySection;
use super::units::Span;
use broker::{AttachError, Plan, Reference};
use model::{Impact, Limits, ServerName};
use net::egress::Rule;
use proxy::{HttpServer, ImpactRules, ServerConfig, StdioServer, Transport};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One MCP server: `http` or `stdio`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerSection {
    /// A server reached over streamable HTTP, or over HTTP+SSE, which came before: that is found out.
    http: Option<HttpSection>,
    /// A server that runs as a child process and speaks over its standard streams.
    stdio: Option<StdioSection>,
    /// How long one call may take in all, whatever its progress. Default: `limits.call_timeout`.
    timeout: Option<Span>,
    /// Whose account its credential is, for policies and the record. Default: the server's name.
    account: Option<String>,
    /// Tells a server that trusts the gateway who calls, by a token that is fresh for every request. For servers over HTTP.
    identity: Option<IdentitySection>,
    /// What the server's tools can do to the world.
    #[serde(default)]
    impact: ImpactSection,
}

/// A server reached over streamable HTTP, or over HTTP+SSE, which came before: that is found out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpSection {
    /// The address of its MCP endpoint.
    url: String,
    /// Headers its requests carry, by reference.
    #[serde(default)]
    headers: BTreeMap<String, SecretSection>,
    /// Whether its name may resolve to loopback addresses.
    #[serde(default)]
    allow_loopback: bool,
    /// Whether its name may resolve to private addresses.
    #[serde(default)]
    allow_private: bool,
}

/// A child process: no shell, a process group of its own, a cleared environment.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StdioSection {
    /// The program. A name without a slash is looked up in the PATH of `env`, or a plain default.
    command: String,
    /// Its arguments.
    #[serde(default)]
    args: Vec<String>,
    /// Its environment: nothing else is passed on.
    #[serde(default)]
    env: BTreeMap<String, VariableSection>,
    /// Its working directory. Default: the folder of this file.
    cwd: Option<PathBuf>,
    /// One child for every principal, instead of one each.
    #[serde(default)]
    shared: bool,
}

/// Where to read a secret: exactly one of `from_env`, `from_file`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretSection {
    /// Text that goes before it, such as `Bearer `.
    prefix: Option<String>,
    /// The variable of the gateway's environment that holds it.
    from_env: Option<String>,
    /// The file that holds it; white space around it is dropped. Read again when it changes.
    from_file: Option<PathBuf>,
}

/// A variable: exactly one of `value`, `from_env`, `from_file`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VariableSection {
    /// The value itself, for what is no secret.
    value: Option<String>,
    /// The variable of the gateway's environment that holds it.
    from_env: Option<String>,
    /// The file that holds it; white space around it is dropped. Read again when it changes.
    from_file: Option<PathBuf>,
}

/// Impact classes. A server's own annotations are never trusted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ImpactSection {
    /// The class of every tool without its own. Default: external-or-regulated.
    default: ImpactClass,
    /// Classes by tool.
    tools: BTreeMap<String, ImpactClass>,
}

/// What a tool can do to the world.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum ImpactClass {
    /// Reads what is not sensitive; its record may follow the answer by 100 ms.
    Read,
    /// Reads what is sensitive.
    ReadSensitive,
    /// Writes what can be undone.
    WriteReversible,
    /// Acts outside, or is regulated.
    #[default]
    ExternalOrRegulated,
}

impl From<ImpactClass> for Impact {
    fn from(class: ImpactClass) -> Self {
        match class {
            ImpactClass::Read => Self::Read,
            ImpactClass::ReadSensitive => Self::ReadSensitive,
            ImpactClass::WriteReversible => Self::WriteReversible,
            ImpactClass::ExternalOrRegulated => Self::ExternalOrRegulated,
        }
    }
}

/// What a server's entry is checked against.
pub(super) struct Surroundings<'a> {
    /// The folder of the configuration file.
    pub(super) base: &'a Path,
    /// The bounds, for defaults.
    pub(super) limits: &'a Limits,
    /// The way out, if it could be made.
    pub(super) egress: Option<&'a net::egress::Client>,
}

impl ServerSection {
    /// The checked server, unless something essential is wrong.
    pub(super) fn check(
        self,
        name: ServerName,
        surroundings: &Surroundings<'_>,
        at: &At,
        check: &mut Check,
    ) -> Option<ServerConfig> {
        let timeout = self.timeout.map_or(surroundings.limits.call_timeout, |span| span.0);
        if timeout.is_zero() {
            check.fault(&at.key("timeout"), "no call could end in no time", "at least 1ms");
        }
        let account = self.account.unwrap_or_else(|| name.to_string());
        let (transport, plan) = match (self.http, self.stdio) {
            (Some(http), None) => http.check(surroundings, &account, &at.key("http"), check)?,
            (None, Some(stdio)) => stdio.check(surroundings, &account, &at.key("stdio"), check)?,
            (None, None) => {
                check.fault(at, "nothing says how to reach it", "`http:` or `stdio:`");
                return None;
            }
            (Some(_), Some(_)) => {
                check.fault(at, "both `http` and `stdio`", "one of them");
                return None;
            }
        };
        let plan = match self.identity {
            Some(section) => section.check(plan, &transport, &at.key("identity"), check)?,
            None => plan,
        };
        // A missing secret is found now and not by the first caller.
        match plan.read() {
            Ok(()) => {}
            Err(error @ AttachError::Reference(_)) => {
                check.absent(at, error.to_string(), "a secret that can be read");
            }
            Err(error) => check.fault(at, error.to_string(), "a secret that can be read"),
        }
        Some(ServerConfig { name, transport, impact: self.impact.rules(), timeout, plan: Arc::new(plan) })
    }
}

impl HttpSection {
    fn check(
        self,
        around: &Surroundings<'_>,
        account: &str,
        at: &At,
        check: &mut Check,
    ) -> Option<(Transport, Plan)> {
        let rule = Rule { allow_loopback: self.allow_loopback, allow_private: self.allow_private };
        let url = self.url(rule, around, &at.key("url"), check);
        let headers = headers(&self.headers, around, &at.key("headers"), check);
        let plan = if headers.is_empty() { Ok(Plan::none()) } else { Plan::headers(account, headers) };
        let plan = plan
            .map_err(|error| {
                check.fault(&at.key("headers"), error.to_string(), "other headers, such as Authorization")
            })
            .ok()?;
        Some((Transport::Http(HttpServer { url: url?, rule }), plan))
    }

    fn url(&self, rule: Rule, around: &Surroundings<'_>, at: &At, check: &mut Check) -> Option<http::Uri> {
        match WebAddress::parse(&self.url) {
            Err(why) => {
                check.fault(at, why, "an address such as https://tools.example.org/mcp");
                return None;
            }
            Ok(address) if is_loopback(&address.host) && !rule.allow_loopback => {
                check.fault(at, "a loopback address", "`allow_loopback: true` beside it");
                return None;
            }
            Ok(_) => {}
        }
        let url: http::Uri = self.url.parse().ok()?;
        around
            .egress?
            .destination(&url, rule)
            .map_err(|error| {
                check.fault(at, error.to_string(), "a public address, or `allow_private: true` beside it")
            })
            .ok()?;
        Some(url)
    }
}

impl StdioSection {
    fn check(
        self,
        around: &Surroundings<'_>,
        account: &str,
        at: &At,
        check: &mut Check,
    ) -> Option<(Transport, Plan)> {
        if self.command.is_empty() {
            check.fault(&at.key("command"), "no program", "a program's path or name");
        }
        let cwd = around.base.join(self.cwd.unwrap_or_default());
        check.folder(&cwd, &at.key("cwd"));
        let (mut env, mut secrets) = (BTreeMap::new(), Vec::new());
        for (name, variable) in self.env {
            let here = at.key("env").key(&name);
            let reference = reference(variable.from_env.as_deref(), variable.from_file.as_deref(), around);
            match (variable.value, reference) {
                (Some(value), None) if variable.from_env.is_none() && variable.from_file.is_none() => {
                    env.insert(name, value);
                }
                (None, Some(reference)) => secrets.push((name, reference)),
                _ => check.fault(
                    &here,
                    "not one source of the value",
                    "exactly one of value, from_env, from_file",
                ),
            }
        }
        if env.keys().any(|name| name.is_empty() || name.contains(['=', '\0'])) {
            check.fault(&at.key("env"), "not the name of a variable", "names without =");
        }
        let plan = if secrets.is_empty() { Ok(Plan::none()) } else { Plan::environment(account, secrets) };
        let plan = plan
            .map_err(|error| check.fault(&at.key("env"), error.to_string(), "names of variables"))
            .ok()?;
        let command =
            if self.command.contains('/') { around.base.join(&self.command) } else { self.command.into() };
        let server = StdioServer { command, args: self.args, env, cwd: Some(cwd), shared: self.shared };
        Some((Transport::Stdio(server), plan))
    }
}

/// Headers by reference.
pub(super) fn headers(
    sections: &BTreeMap<String, SecretSection>,
    around: &Surroundings<'_>,
    at: &At,
    check: &mut Check,
) -> Vec<(http::HeaderName, Reference)> {
    let mut headers = Vec::new();
    for (name, secret) in sections {
        let here = at.key(name);
        let Ok(name) = http::HeaderName::from_bytes(name.as_bytes()) else {
            check.fault(&here, "not a header's name", "letters, digits and hyphens");
            continue;
        };
        headers.extend(secret.reference(around, &here, check).map(|reference| (name, reference)));
    }
    headers
}

impl SecretSection {
    /// The secret by reference; a fault unless exactly one place is named.
    pub(super) fn reference(
        &self,
        around: &Surroundings<'_>,
        at: &At,
        check: &mut Check,
    ) -> Option<Reference> {
        let found = reference(self.from_env.as_deref(), self.from_file.as_deref(), around);
        if found.is_none() {
            check.fault(at, "not one place to read it from", "exactly one of from_env, from_file");
        }
        found.map(|reference| reference.with_prefix(self.prefix.as_deref().unwrap_or_default()))
    }
}

/// The one place that is named; `None` for none or both.
fn reference(env: Option<&str>, file: Option<&Path>, around: &Surroundings<'_>) -> Option<Reference> {
    match (env, file) {
        (Some(name), None) => Some(Reference::variable(name)),
        (None, Some(path)) => Some(Reference::file(&around.base.join(path))),
        _ => None,
    }
}

impl ImpactSection {
    fn rules(self) -> ImpactRules {
        let tools = self.tools.into_iter().map(|(tool, class)| (tool, class.into())).collect();
        ImpactRules { default: self.default.into(), tools }
    }
}
