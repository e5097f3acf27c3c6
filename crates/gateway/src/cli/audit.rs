//! `portunus audit tail|show|query`: the record as a person or a program reads it.

mod row;

use super::ConfigFile;
use super::exit::Failure;
use super::out::Out;
use crate::config;
use audit::query::{Damage, Ending, Filter, Found, Tail, query};
use model::{CallId, Clock as _, SystemClock, Timestamp};
use row::{HEAD, row_of, row_of_leaf};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Reads the record.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The newest entries, and with --follow those to come.
    Tail(TailArguments),
    /// Everything on record about one call.
    Show(ShowArguments),
    /// Searches, newest first.
    Query(Box<QueryArguments>),
}

#[derive(Debug, clap::Args)]
struct Place {
    #[command(flatten)]
    file: ConfigFile,
    /// The folder of the record, instead of the configuration's.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print JSON, one object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct TailArguments {
    #[command(flatten)]
    place: Place,
    /// How many entries.
    #[arg(long, short = 'n', default_value_t = 20)]
    lines: usize,
    /// Go on with what is written from now on.
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    #[command(flatten)]
    place: Place,
    /// The call, such as call_0192....
    call: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct QueryArguments {
    #[command(flatten)]
    place: Place,
    /// Only this user.
    #[arg(long)]
    user: Option<String>,
    /// Only this agent.
    #[arg(long)]
    agent: Option<String>,
    /// Only this OAuth client.
    #[arg(long)]
    client: Option<String>,
    /// Only this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only this server.
    #[arg(long)]
    server: Option<String>,
    /// Only this tool, prompt or resource, as its server calls it.
    #[arg(long)]
    tool: Option<String>,
    /// Only what was permitted, or only what was stopped.
    #[arg(long)]
    decision: Option<Effect>,
    /// Only this call.
    #[arg(long)]
    call: Option<String>,
    /// Not before: a moment (2026-11-21T09:00:00Z) or how long ago (15m, 2h, 1d).
    #[arg(long)]
    since: Option<String>,
    /// Before: a moment or how long ago.
    #[arg(long)]
    until: Option<String>,
    /// Only calls whose outcome is not on record.
    #[arg(long)]
    unknown: bool,
    /// The most entries.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Effect {
    Permit,
    Deny,
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<(), Failure> {
    match command {
        Command::Tail(arguments) => tail(arguments, out),
        Command::Show(arguments) => show(arguments, out),
        Command::Query(arguments) => search(arguments, out),
    }
}

impl Place {
    fn folder(&self) -> Result<PathBuf, Failure> {
        let folder = match &self.dir {
            Some(dir) => dir.clone(),
            None => config::data_dir(&self.file.config)?.join(crate::RECORD),
        };
        if folder.is_dir() {
            Ok(folder)
        } else {
            Err(Failure::Record(format!("no record in {}", folder.display())))
        }
    }
}

fn search(arguments: &QueryArguments, out: &mut Out) -> Result<(), Failure> {
    let now = SystemClock::default().now();
    let filter = Filter {
        user: arguments.user.clone(),
        agent: arguments.agent.clone(),
        client: arguments.client.clone(),
        tenant: arguments.tenant.clone(),
        server: arguments.server.clone(),
        tool: arguments.tool.clone(),
        decision: arguments.decision.map(|effect| match effect {
            Effect::Permit => ledger::Effect::Permit,
            Effect::Deny => ledger::Effect::Deny,
        }),
        call: arguments.call.as_deref().map(call_id).transpose()?,
        from: arguments.since.as_deref().map(|text| moment(text, now)).transpose()?,
        until: arguments.until.as_deref().map(|text| moment(text, now)).transpose()?,
        unknown: arguments.unknown,
    };
    let answer = query(&arguments.place.folder()?, &filter, arguments.limit)
        .map_err(|error| Failure::Record(error.to_string()))?;
    if arguments.place.json {
        for found in &answer.found {
            out.line(as_json(found).to_string())?;
        }
    } else {
        let rows: Vec<Vec<String>> = answer.found.iter().map(row_of).collect();
        out.table(&HEAD, &rows)?;
    }
    damage(&answer.damage, out)
}

fn show(arguments: &ShowArguments, out: &mut Out) -> Result<(), Failure> {
    let filter = Filter { call: Some(call_id(&arguments.call)?), ..Filter::default() };
    let answer = query(&arguments.place.folder()?, &filter, LEGS)
        .map_err(|error| Failure::Record(error.to_string()))?;
    if answer.found.is_empty() {
        return Err(Failure::Found(format!("{} is not on record", arguments.call)));
    }
    // Oldest leg first: a call reads forwards.
    for found in answer.found.iter().rev() {
        if arguments.place.json { out.line(as_json(found).to_string())? } else { out.json(&as_json(found))? }
    }
    damage(&answer.damage, out)
}

fn tail(arguments: &TailArguments, out: &mut Out) -> Result<(), Failure> {
    let folder = arguments.place.folder()?;
    let mut tail = Tail::of(&folder);
    let print = |leaves: &[audit::query::Stored], out: &mut Out| -> Result<(), Failure> {
        for leaf in leaves {
            if arguments.place.json {
                out.line(String::from_utf8_lossy(leaf.as_bytes()))?;
            } else {
                let cells = row_of_leaf(leaf)
                    .into_iter()
                    .map(|cell| if cell.is_empty() { "-".to_owned() } else { cell });
                out.line(cells.collect::<Vec<_>>().join("  "))?;
            }
        }
        Ok(())
    };
    let mut first = true;
    loop {
        let news = tail.look().map_err(|error| Failure::Record(error.to_string()))?;
        let skipped = if first { news.leaves.len().saturating_sub(arguments.lines) } else { 0 };
        print(news.leaves.get(skipped..).unwrap_or_default(), out)?;
        damage(&news.damage, out)?;
        if !arguments.follow {
            return Ok(());
        }
        first = false;
        std::thread::sleep(LOOK);
    }
}

fn damage(found: &[Damage], out: &mut Out) -> Result<(), Failure> {
    for damage in found {
        out.remark(format!("damaged: {}: {}", damage.segment.display(), damage.text))?;
    }
    Ok(())
}

/// One finding: an intent joined with its outcome, or a leaf as it stands.
fn as_json(found: &Found) -> Value {
    let leaf = |stored: &audit::query::Stored| {
        serde_json::from_slice::<Value>(stored.as_bytes()).unwrap_or_default()
    };
    match found {
        Found::Alone(stored) => leaf(stored),
        Found::Call { intent, outcome, ending } => json!({
            "intent": leaf(intent), "outcome": outcome.as_ref().map(leaf), "ending": word(*ending),
        }),
    }
}

const fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Recorded => "recorded",
        Ending::UnderWay => "under_way",
        Ending::Unknown => "unknown",
    }
}

fn call_id(text: &str) -> Result<CallId, Failure> {
    CallId::parse(text).ok_or_else(|| Failure::Usage(format!("{text:?} is not a call id")))
}

/// A moment, or how long ago.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(at.as_millisecond()));
    }
    let ago = config::span(text).and_then(|span| i64::try_from(span.as_millis()).ok());
    ago.map(|ago| Timestamp(now.0 - ago)).ok_or_else(|| {
        Failure::Usage(format!("{text:?} is neither a moment (RFC 3339) nor how long ago (15m, 2h, 1d)"))
    })
}

/// The most legs of one call that are shown.
const LEGS: usize = 1000;
/// The pause between two looks at a growing record.
const LOOK: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_absolute_or_ago() {
        let now = Timestamp(1_000_000_000);
        assert_eq!(moment("15m", now).unwrap(), Timestamp(999_100_000));
        assert_eq!(moment("1970-01-01T00:00:01Z", now).unwrap(), Timestamp(1000));
        assert!(moment("yesterday", now).is_err());
    }
}
