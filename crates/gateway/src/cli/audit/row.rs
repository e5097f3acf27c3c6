//! One entry of the record as a row of a table.

use super::word;
use audit::query::{Ending, Found, Stored};
use ledger::{Call, Leaf, Outcome};
use model::Timestamp;

/// The head of the table.
pub(super) const HEAD: [&str; 9] =
    ["TIME", "SEQ", "DECISION", "USER", "AGENT", "TARGET", "OUTCOME", "TOOK", "ID"];

/// The row of a finding.
pub(super) fn row_of(found: &Found) -> Vec<String> {
    match found {
        Found::Alone(stored) => row_of_leaf(stored),
        Found::Call { intent, outcome, ending } => {
            let ended = outcome.as_ref().and_then(|stored| stored.entry().ok());
            let (status, took) = match ended.as_ref().map(|entry| &entry.leaf) {
                Some(Leaf::Outcome(outcome)) => ended_as(outcome),
                _ if *ending == Ending::Recorded => (String::new(), String::new()),
                _ => (word(*ending).to_owned(), String::new()),
            };
            match intent.entry() {
                Ok(entry) => match &entry.leaf {
                    Leaf::Intent(leaf) => {
                        call_row(entry.time, entry.sequence, "permit", &leaf.call, status, took)
                    }
                    _ => Vec::new(),
                },
                Err(error) => vec![format!("undecodable: {error}")],
            }
        }
    }
}

/// The row of a leaf by itself.
pub(super) fn row_of_leaf(stored: &Stored) -> Vec<String> {
    let entry = match stored.entry() {
        Ok(entry) => entry,
        Err(error) => return vec![format!("undecodable: {error}")],
    };
    let plain = |decision: &str, target: String, outcome: String, id: String| {
        let (time, sequence) = (entry.time.to_string(), entry.sequence.to_string());
        vec![
            time,
            sequence,
            decision.into(),
            String::new(),
            String::new(),
            target,
            outcome,
            String::new(),
            id,
        ]
    };
    match &entry.leaf {
        Leaf::Intent(intent) => {
            call_row(entry.time, entry.sequence, "permit", &intent.call, String::new(), String::new())
        }
        Leaf::Denial(denial) => {
            let took = milliseconds(denial.latency.total);
            call_row(entry.time, entry.sequence, "deny", &denial.call, denial.code.to_string(), took)
        }
        Leaf::Outcome(outcome) => {
            let (status, took) = ended_as(outcome);
            let mut row = plain("", String::new(), status, outcome.call.to_string());
            if let Some(cell) = row.get_mut(7) {
                *cell = took;
            }
            row
        }
        Leaf::AuthnFailures(failures) => {
            let count: u64 = failures.failures.iter().map(|row| row.count).sum::<u64>() + failures.uncounted;
            plain("deny", format!("{count} failed authentication(s)"), String::new(), String::new())
        }
        Leaf::Event(event) => {
            let about = event.about.as_ref().map(|about| format!("{} {}", about.kind, about.id));
            let parts = [about.as_deref(), event.server.as_deref(), event.name.as_deref()];
            let about = parts.into_iter().flatten().collect::<Vec<_>>();
            let detail = event.detail.as_deref().unwrap_or_default().to_owned();
            let mut row = plain(event.what.as_str(), about.join("/"), detail, String::new());
            if let (Some(cell), Some(by)) = (row.get_mut(3), event.by.as_deref()) {
                by.clone_into(cell);
            }
            row
        }
    }
}

fn call_row(
    time: Timestamp,
    sequence: u64,
    decision: &str,
    call: &Call<'_>,
    status: String,
    took: String,
) -> Vec<String> {
    let target = call.target.as_ref().map_or_else(
        || call.method.to_string(),
        |target| match target.name.as_deref() {
            Some(name) => format!("{}/{name}", target.server),
            None => format!("{} {}", target.server, call.method),
        },
    );
    vec![
        time.to_string(),
        sequence.to_string(),
        decision.to_owned(),
        call.caller.user.to_string(),
        call.caller.agent.as_deref().unwrap_or("-").to_owned(),
        target,
        status,
        took,
        call.id.to_string(),
    ]
}

fn ended_as(outcome: &Outcome<'_>) -> (String, String) {
    let code = outcome.code.map(|code| format!(" {code}")).unwrap_or_default();
    (format!("{}{code}", outcome.status.as_str()), milliseconds(outcome.latency.total))
}

fn milliseconds(micros: u32) -> String {
    format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
}
