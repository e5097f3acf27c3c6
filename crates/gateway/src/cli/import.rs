//! `portunus import`.

use super::ConfigFile;
use super::exit::Failure;
use super::out::Out;
use crate::config;
use crate::import::{self, Applied, ApplyError, Content, Dialect, Fate, Left, Missing, Place, Plan, Row};
use model::SystemClock;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A client's file: `mcpServers` of Claude, Cursor, Windsurf, Cline or Gemini, or `servers` of VS Code. It is
    /// read only.
    #[arg(value_name = "FILE")]
    source: PathBuf,
    #[command(flatten)]
    file: ConfigFile,
    /// Write the secrets, a backup and the configuration. Without it nothing is written.
    #[arg(long)]
    apply: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut Out) -> Result<(), Failure> {
    let plan = import::plan(import::read(&arguments.source)?, &arguments.file.config)?;
    let done = if arguments.apply { import::apply(&plan, &SystemClock::default()) } else { plan_only(&plan) };
    let report = Report { plan: &plan, arguments, done: done.as_ref().ok() };
    if arguments.json {
        out.json(&report.to_json(done.as_ref().err()))?;
    } else {
        report.print(out)?;
    }
    done.map_err(|error| match error {
        ApplyError::Refused(refusal) if arguments.json => Failure::Policy(refusal.to_string()),
        other => other.into(),
    })?;
    match plan.rows.iter().filter(|row| is_refused(row)).count() {
        0 => Ok(()),
        many => Err(Failure::Found(format!("{many} of {} server(s) left out", plan.rows.len()))),
    }
}

/// What applying would come to, as far as that can be known before.
fn plan_only(plan: &Plan) -> Result<Applied, ApplyError> {
    if !plan.changes() {
        return Ok(Applied::default());
    }
    let verdict = plan.verdict();
    match verdict.refusal {
        Some(refusal) => Err(ApplyError::Refused(refusal)),
        None => Ok(Applied { missing: verdict.missing, ..Applied::default() }),
    }
}

fn is_refused(row: &Row) -> bool {
    matches!(row.fate, Fate::Left(Left::Refused { .. }))
}

/// What is said of an import, before and after.
struct Report<'a> {
    plan: &'a Plan,
    arguments: &'a Arguments,
    done: Option<&'a Applied>,
}

impl Report<'_> {
    fn print(&self, out: &mut Out) -> Result<(), Failure> {
        let rows: Vec<Vec<String>> = self.plan.rows.iter().map(|row| self.row(row)).collect();
        if rows.is_empty() {
            out.line(format!("{} names no servers", self.arguments.source.display()))?;
            return Ok(());
        }
        out.table(&["SERVER", "FROM", "TRANSPORT", "WHAT HAPPENS"], &rows)?;
        for row in &self.plan.rows {
            self.remarks(row, out)?;
        }
        if !self.plan.changes() {
            return Ok(out.line("\nnothing to change")?);
        }
        out.line(format!("\n{}", self.plan.diff().trim_end()))?;
        let secrets = self.secrets();
        if !secrets.is_empty() {
            out.line("\nsecrets, outside of the configuration")?;
            let rows: Vec<Vec<String>> = secrets
                .iter()
                .map(|secret| vec![format!("  {}", secret.place), secret.of.clone(), secret.state()])
                .collect();
            out.table(&["  PLACE", "OF", "STATE"], &rows)?;
        }
        self.print_outcome(out)
    }

    fn print_outcome(&self, out: &mut Out) -> Result<(), Failure> {
        let config = self.arguments.file.config.display();
        let Some(done) = self.done else {
            return Ok(out.line(format!("\nnothing was changed: with these servers {config} would not do"))?);
        };
        if self.arguments.apply {
            let backup = done.backup.as_ref().map(|backup| format!("; as it was: {}", backup.display()));
            out.line(format!("\nwritten: {config}{}", backup.unwrap_or_default()))?;
            if let Some(policies) = &done.policies {
                out.line(format!("made: {}, for your policies", policies.display()))?;
            }
        } else {
            out.line("\nnothing was changed yet")?;
        }
        out.line("\nnext")?;
        for (index, step) in self.next(done).iter().enumerate() {
            out.line(format!("  {}. {step}", index + 1))?;
        }
        Ok(())
    }

    fn row(&self, row: &Row) -> Vec<String> {
        let happens = match &row.fate {
            Fate::Added if self.done.is_none() => "not added",
            Fate::Added if self.arguments.apply => "added",
            Fate::Added => "would be added",
            Fate::Present => "already there, left as it is",
            Fate::Left(Left::Disabled) => "left out: disabled in the client",
            Fate::Left(Left::Refused { .. }) => "left out, see below",
        };
        let name = row.name.as_ref().map_or("-", |name| name.as_str());
        let transport = if row.transport.is_empty() { "-" } else { row.transport };
        vec![name.to_owned(), row.from.clone(), transport.to_owned(), happens.to_owned()]
    }

    fn remarks(&self, row: &Row, out: &mut Out) -> Result<(), Failure> {
        let name = row.name.as_ref().map_or(row.from.as_str(), |name| name.as_str());
        if let Fate::Left(Left::Refused { why, fix }) = &row.fate {
            out.line(format!("  {name}: left out: {why}; fix: {fix}"))?;
        }
        for note in &row.notes {
            out.line(format!("  {name}: {note}"))?;
        }
        Ok(())
    }

    fn secrets(&self) -> Vec<Shown> {
        let base = config::folder_of(&self.arguments.file.config);
        self.plan
            .kept
            .iter()
            .map(|(server, kept)| {
                let (place, path, asked) = match &kept.place {
                    Place::Variable(name) => (format!("variable {name}"), None, None),
                    Place::File(path, Content::Secret(_)) => {
                        (path.display().to_string(), Some(base.join(path)), None)
                    }
                    Place::File(path, Content::Asked(what)) => {
                        (path.display().to_string(), Some(base.join(path)), Some(what.clone()))
                    }
                };
                Shown { place, of: format!("{server} {}", kept.variable), path, asked }
            })
            .collect()
    }

    /// What a person does next.
    fn next(&self, done: &Applied) -> Vec<String> {
        let config = typed(&self.arguments.file.config);
        let mut steps = Vec::new();
        if !self.arguments.apply {
            steps.push(format!(
                "portunus import {} --config {config} --apply",
                self.arguments.source.display()
            ));
        }
        for secret in self.secrets() {
            match (&secret.path, &secret.asked) {
                (None, _) => steps.push(format!("set {} in the gateway's environment", secret.place)),
                (Some(path), Some(what)) if !import::is_filled(path) => {
                    let what = if what.is_empty() { String::new() } else { format!(" ({what})") };
                    steps.push(format!("write into {}{what}, then the gateway can start", secret.place));
                }
                _ => {}
            }
        }
        if done.missing.iter().any(|missing| missing.pointer == "/issuers") {
            steps.push(format!("write `issuers` into {config}: nobody could sign in"));
        }
        steps.push("nothing is permitted yet: write policies, and an `impact` for tools that only read (docs/policy.md)".to_owned());
        steps.push(format!("portunus check --config {config}"));
        steps.push(format!("point the client at the gateway, instead of these servers: {}", self.client()));
        steps
    }

    /// What the client's own file says from now on.
    fn client(&self) -> Value {
        let url = self.plan.endpoint();
        match self.plan.dialect {
            Dialect::McpServers => json!({"mcpServers": {"portunus": {"type": "http", "url": url}}}),
            Dialect::Servers => json!({"servers": {"portunus": {"type": "http", "url": url}}}),
        }
    }

    fn to_json(&self, error: Option<&ApplyError>) -> Value {
        let servers: Vec<Value> = self
            .plan
            .rows
            .iter()
            .map(|row| {
                let (result, why, fix) = match &row.fate {
                    Fate::Added => ("added", None, None),
                    Fate::Present => ("present", None, None),
                    Fate::Left(Left::Disabled) => ("disabled", None, None),
                    Fate::Left(Left::Refused { why, fix }) => ("left_out", Some(why), Some(fix)),
                };
                let transport = (!row.transport.is_empty()).then_some(row.transport);
                json!({"name": row.name, "from": row.from, "transport": transport, "result": result,
                    "why": why, "fix": fix, "warnings": row.notes})
            })
            .collect();
        let secrets: Vec<Value> = self
            .secrets()
            .iter()
            .map(|secret| json!({"place": secret.place, "of": secret.of, "state": secret.state()}))
            .collect();
        let faults: Vec<Value> = match error {
            Some(ApplyError::Refused(refusal)) => {
                refusal.faults().iter().map(config::Fault::to_json).collect()
            }
            Some(other) => vec![json!({"what": other.to_string()})],
            None => Vec::new(),
        };
        let missing = |missing: &Missing| json!({"path": missing.pointer, "what": missing.what});
        let done = self.done;
        json!({
            "ok": error.is_none(), "applied": self.arguments.apply && error.is_none() && self.plan.changes(),
            "config": self.arguments.file.config, "servers": servers, "secrets": secrets, "faults": faults,
            "diff": self.plan.diff(), "backup": done.and_then(|done| done.backup.as_deref()),
            "missing": done.map(|done| done.missing.iter().map(missing).collect::<Vec<_>>()),
            "next": done.filter(|_| self.plan.changes()).map(|done| self.next(done)), "client": self.client(),
        })
    }
}

/// A path as a person types it into a shell.
fn typed(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c)) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A secret's place, without the secret.
struct Shown {
    place: String,
    of: String,
    path: Option<PathBuf>,
    asked: Option<String>,
}

impl Shown {
    fn state(&self) -> String {
        let path = self.path.as_deref();
        let is_there = path.is_some_and(Path::exists);
        match (path, &self.asked) {
            (None, _) => "read from the gateway's environment",
            (Some(path), Some(_)) if !import::is_filled(path) => "to be filled in",
            (Some(_), _) if is_there => "kept",
            (Some(_), _) => "would be kept",
        }
        .to_owned()
    }
}
