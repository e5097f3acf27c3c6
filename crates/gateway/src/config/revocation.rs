//! Section `revocation`.

use super::check::{At, Check};
use super::units::Span;
use authn::revocations::Ages;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// How old this replica's view of what was revoked may be, where there is a database. Whatever these say, a revocation is
/// known to every replica that reaches the database within a second.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RevocationSection {
    /// A view older than this refuses every call that is no plain read. Default: 1s; at least 500ms.
    writes_max_age: Option<Span>,
    /// A view older than this refuses every call. Default: 30s; at least `writes_max_age`.
    reads_max_age: Option<Span>,
}

impl RevocationSection {
    pub(super) fn check(self, at: &At, check: &mut Check) -> Ages {
        let usual = Ages::default();
        let writes = self.writes_max_age.map_or(usual.writes, |span| span.0);
        let reads = self.reads_max_age.map_or(usual.reads.max(writes), |span| span.0);
        if writes < SHORTEST {
            check.fault(&at.key("writes_max_age"), "shorter than a view can be kept", "at least 500ms");
        }
        if reads < writes {
            let accepts = format!("at least writes_max_age, {} ms", writes.as_millis());
            check.fault(&at.key("reads_max_age"), "reads would be refused before writes", accepts);
        }
        Ages { writes, reads }
    }
}

/// Two looks at the table.
const SHORTEST: Duration = Duration::from_millis(500);
