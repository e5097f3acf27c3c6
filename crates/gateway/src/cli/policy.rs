//! `portunus policy check|test|explain`.
//!
//! Strict validation needs the input schemas of the tools. They come from the snapshot that a running
//! gateway keeps in its data folder (`catalog.json`), from `--snapshot FILE`, or with `--discover` from the
//! servers themselves, asked now.

use super::ConfigFile;
use super::exit::Failure;
use super::out::Out;
use crate::config::{self, Settings};
use crate::{policies, snapshot};
use model::{Clock as _, Principal, ServerName, SystemClock, Timestamp};
use policy::{
    Action, ActionName, Decision, DenyReason, Environment, Plan, PolicyFile, PolicyTable, Revision, Shape,
    Subject, Verdict,
};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

/// Checks, tests and explains policies.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Schema, strict validation against the tools, and lints.
    Check(Common),
    /// Runs the tables of expectations in the policies' `tests` folder.
    Test(Common),
    /// Decides one call and says which rules decided, and what would change it.
    Explain(Box<Explain>),
}

#[derive(Debug, clap::Args)]
pub(super) struct Common {
    #[command(flatten)]
    file: ConfigFile,
    /// A catalog snapshot. Default: `catalog.json` in the data folder.
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Ask the servers now instead of reading a snapshot.
    #[arg(long, conflicts_with = "snapshot")]
    discover: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    #[command(flatten)]
    common: Common,
    /// The user who asks.
    #[arg(long = "as", value_name = "USER")]
    user: String,
    /// The tool, as `server/tool`.
    #[arg(long)]
    tool: String,
    /// The arguments, as a JSON object.
    #[arg(long, default_value = "{}")]
    args: String,
    /// The issuer that vouches for the user. Default: the first configured one.
    #[arg(long)]
    issuer: Option<String>,
    /// The tenant. Default: the issuer's fixed one.
    #[arg(long)]
    tenant: Option<String>,
    /// The OAuth client.
    #[arg(long, default_value = "cli")]
    client: String,
    /// The agent.
    #[arg(long)]
    agent: Option<String>,
    /// A role; repeat for more.
    #[arg(long = "role")]
    roles: Vec<String>,
    /// A group; repeat for more.
    #[arg(long = "group")]
    groups: Vec<String>,
    /// A scope; repeat for more.
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// The caller's address.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    ip: IpAddr,
    /// The moment, in milliseconds since 1970. Default: now.
    #[arg(long, value_name = "MS")]
    at: Option<i64>,
    /// An obligation that is met; repeat for more.
    #[arg(long = "granted")]
    granted: Vec<String>,
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<(), Failure> {
    match command {
        Command::Check(common) => check(common, out),
        Command::Test(common) => test(common, out),
        Command::Explain(explain) => self::explain(explain, out),
    }
}

/// Settings, policy texts, and the revision they compile to over the known tools.
struct Loaded {
    settings: Settings,
    files: Vec<PolicyFile>,
    revision: Revision,
    actions: usize,
}

fn load(common: &Common, out: &mut Out) -> Result<Loaded, Failure> {
    let settings = config::load(&common.file.config)?;
    let files = policies::read(&settings.policies).map_err(|error| Failure::Policy(error.to_string()))?;
    let shapes = shapes(common, &settings)?;
    match Revision::compile(&files, &shapes, &policy::Settings { zone: settings.zone.clone() }) {
        Ok(revision) => Ok(Loaded { settings, files, revision, actions: shapes.len() }),
        Err(faults) => {
            if common.json {
                let faults: Vec<Value> = faults
                    .iter()
                    .map(|f| json!({"file": f.file, "line": f.line, "column": f.column, "code": f.code, "message": f.message, "fix": f.fix}))
                    .collect();
                out.json(&json!({"faults": faults}))?;
            } else {
                out.remark(policies::render_faults(&faults, &files, out.colour()))?;
            }
            Err(Failure::Policy(format!("{} fault(s) in the policies", faults.len())))
        }
    }
}

fn shapes(common: &Common, settings: &Settings) -> Result<Vec<Shape>, Failure> {
    if common.discover {
        return super::run::runtime(Some(1))?
            .block_on(crate::discover::discover(settings))
            .map_err(|error| Failure::Server(error.to_string()));
    }
    let path = common.snapshot.clone().unwrap_or_else(|| settings.data_dir.join(snapshot::FILE));
    snapshot::read(&path, settings).map_err(|error| {
        Failure::Server(format!("{error}. Start the gateway once, or ask the servers now with --discover"))
    })
}

fn check(common: &Common, out: &mut Out) -> Result<(), Failure> {
    let loaded = load(common, out)?;
    let report = loaded.revision.report();
    if common.json {
        let partly: Vec<Value> = report
            .partly_typed
            .iter()
            .map(|p| json!({"action": p.action, "pointer": p.pointer, "reason": p.reason}))
            .collect();
        let withheld: Vec<Value> = report
            .withheld
            .iter()
            .map(|w| json!({"action": w.action, "rule": w.rule, "reason": w.reason}))
            .collect();
        let lints: Vec<Value> = report
            .lints
            .iter()
            .map(|l| json!({"file": l.file, "line": l.line, "rule": l.rule, "code": l.code, "message": l.message}))
            .collect();
        return Ok(out.json(&json!({
            "revision": loaded.revision.digest().to_string(), "files": loaded.files.len(), "actions": loaded.actions,
            "partly_typed": partly, "withheld": withheld, "lints": lints,
        }))?);
    }
    for lint in &report.lints {
        out.line(format!("{}:{}: {}: {} ({})", lint.file, lint.line, lint.rule, lint.message, lint.code))?;
    }
    for withheld in &report.withheld {
        out.line(format!(
            "withheld {}: {} does not validate: {}",
            withheld.action, withheld.rule, withheld.reason
        ))?;
    }
    for partly in &report.partly_typed {
        out.line(format!("partly typed {} at {:?}: {}", partly.action, partly.pointer, partly.reason))?;
    }
    let (files, actions) = (loaded.files.len(), loaded.actions);
    Ok(out.line(format!(
        "{files} file(s) valid over {actions} action(s), revision {}",
        loaded.revision.digest()
    ))?)
}

fn test(common: &Common, out: &mut Out) -> Result<(), Failure> {
    let loaded = load(common, out)?;
    let paths =
        policies::tables(&loaded.settings.policies).map_err(|error| Failure::Policy(error.to_string()))?;
    let (mut passed, mut failed) = (0usize, 0usize);
    let mut rows = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path)?;
        let table: PolicyTable = serde_saphyr::from_str(&text)
            .map_err(|error| Failure::Policy(format!("{}: {error}", path.display())))?;
        for outcome in table.run(&loaded.revision) {
            match &outcome.failure {
                None => passed += 1,
                Some(failure) => {
                    failed += 1;
                    if !common.json {
                        out.line(format!("FAILED {}: {}: {failure}", path.display(), outcome.name))?;
                    }
                }
            }
            rows.push(
                json!({"file": path.display().to_string(), "name": outcome.name, "failure": outcome.failure}),
            );
        }
    }
    if common.json {
        out.json(&json!({"passed": passed, "failed": failed, "rows": rows}))?;
    } else {
        out.line(format!("{passed} passed, {failed} failed"))?;
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Found(format!("{failed} expectation(s) not met"))) }
}

fn explain(explain: &Explain, out: &mut Out) -> Result<(), Failure> {
    let loaded = load(&explain.common, out)?;
    let (server, tool) = explain
        .tool
        .split_once('/')
        .and_then(|(server, tool)| Some((ServerName::new(server).ok()?, tool)))
        .ok_or_else(|| Failure::Usage(format!("{:?} is not server/tool", explain.tool)))?;
    let action = loaded.revision.action(&ActionName::Tool(&server, tool)).ok_or_else(|| {
        Failure::Usage(format!("no tool {:?} is known; is the snapshot fresh? (--discover)", explain.tool))
    })?;
    serde_json::from_str::<serde_json::Map<String, Value>>(&explain.args)
        .map_err(|error| Failure::Usage(format!("--args is not a JSON object: {error}")))?;
    let said = judge(explain, &loaded, &server, &action);
    if explain.common.json { Ok(out.json(&as_json(&said))?) } else { print(&said, out) }
}

fn judge(explain: &Explain, loaded: &Loaded, server: &ServerName, action: &Action) -> policy::Explanation {
    let principal = explain.principal(&loaded.settings);
    let granted: Vec<Arc<str>> = explain.granted.iter().map(|text| text.as_str().into()).collect();
    let plan = loaded.settings.servers.get(server).map(|config| Arc::clone(&config.plan));
    let environment = Environment {
        now: explain.at.map_or_else(|| SystemClock::default().now(), Timestamp),
        ip: explain.ip,
        plan: Plan {
            strategy: plan.as_deref().map_or(broker::Strategy::None, broker::Plan::strategy).as_str(),
            account: plan.as_deref().map(broker::Plan::account).filter(|account| !account.is_empty()),
            audience: plan.as_deref().and_then(broker::Plan::audience),
        },
        conversation_source: "inferred",
        granted: &granted,
    };
    loaded.revision.explain(&Subject::of(&principal), action, explain.args.as_bytes(), &environment)
}

impl Explain {
    fn principal(&self, settings: &Settings) -> Principal {
        let issuer =
            self.issuer.clone().or_else(|| settings.issuers.first().map(|issuer| issuer.issuer.clone()));
        let configured = settings.issuers.iter().find(|config| Some(&config.issuer) == issuer.as_ref());
        let fixed = configured.and_then(|config| match &config.tenant {
            authn::TenantSource::Fixed(tenant) => Some(tenant.to_string()),
            authn::TenantSource::Claims(_) => None,
        });
        let list = |items: &[String]| {
            let sorted: std::collections::BTreeSet<Arc<str>> =
                items.iter().map(|item| item.as_str().into()).collect();
            sorted.into_iter().collect()
        };
        Principal {
            user: self.user.as_str().into(),
            client: self.client.as_str().into(),
            agent: self.agent.as_deref().map(Into::into),
            actors: Vec::new(),
            tenant: self.tenant.clone().or(fixed).unwrap_or_else(|| "default".to_owned()).into(),
            roles: list(&self.roles),
            groups: list(&self.groups),
            scopes: list(&self.scopes),
            issuer: issuer.unwrap_or_else(|| "cli".to_owned()).into(),
            registered: None,
        }
    }
}

/// The decision in a few words, and the rules behind it.
fn verdict(decision: &Decision) -> (String, &[Arc<str>]) {
    match decision {
        Decision::Permit { rules } => ("PERMIT".to_owned(), rules),
        Decision::Deny(denial) => {
            let why = match &denial.reason {
                DenyReason::Forbidden if !denial.obligations.is_empty() => {
                    format!("until met: {}", denial.obligations.join(", "))
                }
                DenyReason::Forbidden => "forbidden".to_owned(),
                DenyReason::NoPermit => "nothing permits it".to_owned(),
                DenyReason::Error(text) => format!("a rule failed: {text}"),
                DenyReason::Unrepresentable { pointer, reason } => format!("argument {pointer}: {reason}"),
                DenyReason::Withheld => {
                    "the tool is withheld: a policy does not validate against it".to_owned()
                }
            };
            (format!("DENY ({why})"), &denial.rules)
        }
    }
}

fn print(said: &policy::Explanation, out: &mut Out) -> Result<(), Failure> {
    let (words, rules) = verdict(&said.decision);
    out.line(format!("{}  {words}", said.action))?;
    out.line(format!(
        "decided by: {}",
        if rules.is_empty() { "no rule".to_owned() } else { rules.join(", ") }
    ))?;
    out.line(format!("listed: {}", if said.listed { "yes" } else { "no" }))?;
    for trial in &said.trials {
        let kind = if trial.permit { "permit" } else { "forbid" };
        out.line(format!("\n{} {kind} at {}: {}", trial.rule, trial.place, outcome(&trial.verdict)))?;
        for clause in &trial.clauses {
            out.line(format!("    {:<11} {}", outcome(&clause.verdict), clause.text))?;
        }
    }
    if !said.would_change.is_empty() {
        out.line("\nwhat would change it:")?;
        for hint in &said.would_change {
            out.line(format!("  - {hint}"))?;
        }
    }
    Ok(())
}

fn outcome(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Satisfied => "holds".to_owned(),
        Verdict::Unsatisfied => "fails".to_owned(),
        Verdict::Error(text) => format!("error: {text}"),
    }
}

fn as_json(said: &policy::Explanation) -> Value {
    let (words, rules) = verdict(&said.decision);
    let trials: Vec<Value> = said
        .trials
        .iter()
        .map(|trial| {
            let clauses: Vec<Value> = trial
                .clauses
                .iter()
                .map(|clause| json!({"text": clause.text, "outcome": outcome(&clause.verdict)}))
                .collect();
            json!({
                "rule": trial.rule, "place": trial.place, "permit": trial.permit, "obligation": trial.obligation,
                "outcome": outcome(&trial.verdict), "clauses": clauses, "reads": trial.reads,
            })
        })
        .collect();
    json!({
        "action": said.action, "permit": said.decision.is_permit(), "decision": words, "rules": rules,
        "listed": said.listed, "trials": trials, "would_change": said.would_change,
    })
}
