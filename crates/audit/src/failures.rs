//! Failed authentications, counted under a quota of their own, so that strangers cannot fill the disk: the first
//! of a kind is on record at once while the quota lasts, the rest as a count when the window is over.

use crate::Writer;
use ledger::{AuthnFailure, AuthnFailures, LIST_ITEMS, Leaf};
use model::{Clock, Code, Timestamp};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bounds on what strangers can make the record grow by: at the defaults about 60 KB a minute.
#[derive(Clone, Debug)]
pub struct FailuresConfig {
    /// How long failures are counted before a leaf tells of them.
    pub window: Duration,
    /// The most (source, code, issuer) rows counted apart in a window; failures beyond are counted together.
    pub rows: usize,
    /// The most leaves in a window for the first failure of a row.
    pub prompt_leaves: u32,
}

impl Default for FailuresConfig {
    fn default() -> Self {
        Self { window: Duration::from_secs(60), rows: 256, prompt_leaves: 60 }
    }
}

/// The table of a window. Concurrency: one lock, held for the time of a look-up.
pub struct Failures {
    config: FailuresConfig,
    writer: Writer,
    clock: Arc<dyn Clock>,
    window: Mutex<Window>,
}

/// What identifies a row: the source's prefix, the code, the issuer the token claims.
type Row = (IpAddr, u16, Option<Box<str>>);

struct Window {
    from: Timestamp,
    /// Failures that are not on record yet, by row.
    rows: HashMap<Row, u64>,
    uncounted: u64,
    prompt_leaves: u32,
}

impl Window {
    fn at(from: Timestamp) -> Self {
        Self { from, rows: HashMap::new(), uncounted: 0, prompt_leaves: 0 }
    }
}

impl Failures {
    /// An empty table that writes through `writer`.
    pub fn new(config: FailuresConfig, writer: Writer, clock: Arc<dyn Clock>) -> Self {
        let window = Mutex::new(Window::at(clock.now()));
        Self { config, writer, clock, window }
    }

    /// Counts one failure. Never blocks, never fails: while the record cannot be written the count waits.
    pub fn count(&self, source: IpAddr, code: Code, issuer: Option<&str>) {
        let now = self.clock.now();
        let issuer = issuer.map(|issuer| issuer.chars().take(ISSUER_CHARS).collect());
        let row = (prefix(source), code.0, issuer);
        let mut window = self.lock();
        if now.since(window.from) >= self.config.window {
            self.tell(&mut window, now);
        }
        if let Some(count) = window.rows.get_mut(&row) {
            *count += 1;
            return;
        }
        if window.rows.len() >= self.config.rows {
            window.uncounted += 1;
            return;
        }
        let prompt = window.prompt_leaves < self.config.prompt_leaves && {
            window.prompt_leaves += 1;
            self.append(now, now, vec![told(&row, 1)], 0)
        };
        window.rows.insert(row, u64::from(!prompt));
    }

    /// Puts on record what was counted in a window that is over. Called every few seconds.
    pub fn flush_due(&self) {
        let now = self.clock.now();
        let mut window = self.lock();
        if now.since(window.from) >= self.config.window {
            self.tell(&mut window, now);
        }
    }

    /// Puts on record what was counted, whether or not the window is over. Called before the writer is closed.
    pub fn flush(&self) {
        self.tell(&mut self.lock(), self.clock.now());
    }

    /// Puts the window on record and begins a new one. While the record cannot be written the old one goes on.
    fn tell(&self, window: &mut Window, now: Timestamp) {
        let mut rows: Vec<(Row, u64)> = window.rows.drain().filter(|(_, count)| *count > 0).collect();
        rows.sort_by(|(a, more), (b, fewer)| fewer.cmp(more).then_with(|| a.cmp(b)));
        while !rows.is_empty() || window.uncounted > 0 {
            let some = rows.iter().take(LIST_ITEMS).map(|(row, count)| told(row, *count)).collect();
            if !self.append(now, window.from, some, window.uncounted) {
                window.rows.extend(rows);
                return;
            }
            window.uncounted = 0;
            rows.drain(..rows.len().min(LIST_ITEMS));
        }
        *window = Window::at(now);
    }

    fn append(
        &self,
        now: Timestamp,
        from: Timestamp,
        failures: Vec<AuthnFailure<'_>>,
        uncounted: u64,
    ) -> bool {
        let leaf = Leaf::AuthnFailures(AuthnFailures { from, failures, uncounted });
        // Nobody waits: a stranger's answer depends on nothing of ours.
        self.writer.append(now, &leaf).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Failures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Failures").field("config", &self.config).finish_non_exhaustive()
    }
}

fn told<'a>((source, code, issuer): &Row, count: u64) -> AuthnFailure<'a> {
    let bits = if source.is_ipv4() { V4_BITS } else { V6_BITS };
    AuthnFailure {
        source: format!("{source}/{bits}").into(),
        code: Code(*code),
        issuer: issuer.clone().map(|issuer| String::from(issuer).into()),
        count,
    }
}

/// The network a source is counted under: what one customer of a provider commonly has.
fn prefix(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => {
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - V4_BITS))))
        }
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - V6_BITS))))
        }
    }
}

const V4_BITS: u32 = 24;
const V6_BITS: u32 = 56;
/// An issuer is what a stranger says it is.
const ISSUER_CHARS: usize = 128;

#[cfg(test)]
mod tests;
