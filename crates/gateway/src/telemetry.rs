//! The log: one line an event, on standard error, as JSON or text.
//!
//! Never in a log (docs/operations.md): a token, a secret, a header's value, arguments, answers.

use crate::config::{Format, Log};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts the log of this process. A second start changes nothing.
pub(crate) fn start(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let format = log.format.unwrap_or(if terminal { Format::Text } else { Format::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        Format::Json => {
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
        Format::Text => builder.with_ansi(terminal).try_init(),
    };
    // A test that starts two gateways in one process keeps the first log.
    drop(started);
}
