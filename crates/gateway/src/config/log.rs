//! Section `log`.

use super::check::{At, Check};
use schemars::JsonSchema;
use serde::Deserialize;

/// The log, on standard error.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogSection {
    /// One JSON object a line, or text for people. Default: text on a terminal, json elsewhere.
    format: Option<Format>,
    /// Level, or a filter such as `info,proxy=debug`. Default: info.
    level: Option<String>,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Format {
    /// One JSON object.
    Json,
    /// Text for people.
    Text,
}

/// The checked log settings.
#[derive(Clone, Debug)]
pub struct Log {
    /// The shape of a line; `None`: text on a terminal, JSON elsewhere.
    pub format: Option<Format>,
    /// A `tracing` filter.
    pub level: String,
}

impl LogSection {
    pub(super) fn check(self, at: &At, check: &mut Check) -> Log {
        let level = self.level.unwrap_or_else(|| "info".to_owned());
        if level.parse::<tracing_subscriber::EnvFilter>().is_err() {
            check.fault(
                &at.key("level"),
                "not a log filter",
                "error, warn, info, debug, trace, or room=level, separated by commas",
            );
        }
        Log { format: self.format, level }
    }
}
