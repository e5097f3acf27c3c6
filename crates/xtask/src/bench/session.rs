//! The interleaved session: every subject at every number of connections, round after round.

use super::measure::{Burst, Pace, Report, median};
use super::stand::Stand;
use super::table::{self, Row, Targets};
use super::text;
use anyhow::Context as _;
use std::time::Duration;

/// Who is measured, doing what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Fixture,
    Nginx,
    FloorRead,
    FloorWrite,
    Read,
    ReadSession,
    Write,
    WriteSession,
    ReadVerified,
}

impl Subject {
    const ALL: [Self; 9] = [
        Self::Fixture,
        Self::Nginx,
        Self::FloorRead,
        Self::Read,
        Self::ReadSession,
        Self::FloorWrite,
        Self::Write,
        Self::WriteSession,
        Self::ReadVerified,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Fixture => "fixture, directly",
            Self::Nginx => "nginx",
            Self::FloorRead => "floor, read",
            Self::FloorWrite => "floor, synced write",
            Self::Read => "Portunus, read",
            Self::ReadSession => "Portunus, read, 2025-11-25",
            Self::Write => "Portunus, synced write",
            Self::WriteSession => "Portunus, synced write, 2025-11-25",
            Self::ReadVerified => "Portunus, read, every signature verified",
        }
    }

    const fn tool(self) -> &'static str {
        match self {
            Self::FloorWrite | Self::Write | Self::WriteSession => "tool_20",
            _ => "tool_00",
        }
    }

    /// The floor that does the same.
    const fn floor(self) -> Self {
        match self {
            Self::FloorWrite | Self::Write | Self::WriteSession => Self::FloorWrite,
            _ => Self::FloorRead,
        }
    }

    const fn era(self) -> &'static str {
        match self {
            Self::ReadSession | Self::WriteSession => "session",
            _ => "stateless",
        }
    }

    /// One burst of this subject.
    fn measure(self, stand: &Stand, connections: u32, pace: Pace) -> anyhow::Result<Report> {
        let (address, path, watch) = match self {
            Self::Fixture => (stand.ground.upstream, "/mcp", vec![stand.ground.fixture.id()]),
            Self::Nginx => (stand.nginx_address, text::PATH, stand.nginx.family()),
            Self::FloorRead | Self::FloorWrite => (stand.floor_address, text::PATH, vec![stand.floor.id()]),
            _ => (stand.gateway.address, text::PATH, vec![stand.gateway.process.id()]),
        };
        let fresh = match self {
            Self::ReadVerified => {
                Some(stand.ground.tokens(stand.gateway.address, text::PATH, FRESH_TOKENS)?)
            }
            _ => None,
        };
        let burst = Burst {
            address,
            path,
            tool: Some(self.tool()),
            era: self.era(),
            connections,
            tokens: fresh.as_deref().unwrap_or(&stand.token),
            watch,
        };
        burst.run(&stand.ground.load, pace).with_context(|| format!("{} at {connections}", self.name()))
    }
}

/// What the session showed.
pub(super) struct Session {
    cells: Vec<Cell>,
    idle_kib: u64,
    starts: Vec<Duration>,
}

/// One subject at one number of connections, with its report of each round.
struct Cell {
    subject: Subject,
    connections: u32,
    reports: Vec<Report>,
}

/// Runs `rounds` rounds, each second one backwards, so that what drifts drifts for all. The run in which every token
/// is a new one comes last: it fills the cache of tokens, and that memory is none of the others'.
pub(super) fn run(stand: &Stand, pace: Pace, rounds: u32, only: Option<&str>) -> anyhow::Result<Session> {
    let wanted = |subject: Subject| only.is_none_or(|part| subject.name().contains(part));
    let mut cells: Vec<Cell> = CONNECTIONS
        .into_iter()
        .flat_map(|connections| {
            Subject::ALL.map(|subject| Cell { subject, connections, reports: Vec::new() })
        })
        .filter(|cell| wanted(cell.subject))
        .collect();
    let measure = |cell: &mut Cell| {
        cell.reports.push(cell.subject.measure(stand, cell.connections, pace)?);
        anyhow::Ok(())
    };
    let verified = |cell: &&mut Cell| cell.subject == Subject::ReadVerified;
    for round in 0..rounds {
        let mut others = cells.iter_mut().filter(|cell| !verified(cell));
        if round % 2 == 0 {
            others.try_for_each(measure)?;
        } else {
            others.rev().try_for_each(measure)?;
        }
    }
    for _ in 0..rounds {
        cells.iter_mut().filter(verified).try_for_each(measure)?;
    }
    Ok(Session { cells, idle_kib: stand.idle_kib, starts: stand.starts.clone() })
}

impl Session {
    /// The table.
    pub(super) fn print(&self) {
        for connections in CONNECTIONS {
            let rows: Vec<Row> = self
                .cells
                .iter()
                .filter(|cell| cell.connections == connections)
                .map(|cell| Row {
                    name: cell.subject.name(),
                    calls_per_second: cell.middle(|report| report.calls_per_second),
                    p50_us: cell.middle(|report| f64::from(report.p50_us)),
                    p99_us: cell.middle(|report| f64::from(report.p99_us)),
                    cpu_us_per_call: cell.middle(|report| report.cpu_us_per_call),
                    to_nginx: self.ratio(cell.subject, Subject::Nginx, connections, cpu),
                    to_floor: self.ratio(cell.subject, cell.subject.floor(), connections, cpu),
                    resident_mb: cell.most_resident_mb(),
                })
                .collect();
            table::print(connections, &rows);
        }
    }

    /// The targets that this session decides.
    pub(super) fn judge(&self, targets: &mut Targets) {
        for connections in [16, 64] {
            let name = |what: &str| format!("read at {connections}: {what}");
            targets.at_most(
                name("CPU per call, × nginx"),
                self.ratio(Subject::Read, Subject::Nginx, connections, cpu),
                2.9,
            );
            targets.at_most(
                name("CPU per call above the floor, µs"),
                self.paired(Subject::Read, Subject::FloorRead, connections, |ours, floor| {
                    ours.cpu_us_per_call - floor.cpu_us_per_call
                }),
                22.0,
            );
        }
        targets.at_most(
            "synced write at 64: CPU per call, × nginx".to_owned(),
            self.ratio(Subject::Write, Subject::Nginx, 64, cpu),
            3.5,
        );
        targets.at_least(
            "synced write at 64: calls per second, × the synced floor's".to_owned(),
            self.ratio(Subject::Write, Subject::FloorWrite, 64, |report| report.calls_per_second),
            0.55,
        );
        for connections in [16, 64] {
            // Two per cent is what two runs of the same thing differ by.
            targets.at_most(
                format!("read at {connections}: CPU per call, 2026-07-28 × 2025-11-25"),
                self.ratio(Subject::Read, Subject::ReadSession, connections, cpu),
                1.02,
            );
        }
        let ours = |cell: &&Cell| {
            matches!(
                cell.subject,
                Subject::Read | Subject::ReadSession | Subject::Write | Subject::WriteSession
            )
        };
        let loaded = self.cells.iter().filter(ours).map(Cell::most_resident_mb).fold(0.0, f64::max);
        targets.at_most(
            "resident memory under load, MB".to_owned(),
            Some(loaded).filter(|mb| *mb > 0.0),
            40.0,
        );
        targets.at_most("resident memory idle, MB".to_owned(), Some(megabytes(self.idle_kib)), 25.0);
        let starts = self.starts.iter().map(|start| start.as_secs_f64() * 1000.0).collect();
        targets.at_most("ready after, ms".to_owned(), Some(median(starts)), 100.0);
    }

    /// The median over the rounds of what `of` says of two subjects in the same round.
    fn paired(
        &self,
        a: Subject,
        b: Subject,
        connections: u32,
        of: impl Fn(&Report, &Report) -> f64,
    ) -> Option<f64> {
        let find = |subject| {
            self.cells.iter().find(|cell| cell.subject == subject && cell.connections == connections)
        };
        let (a, b) = (find(a)?, find(b)?);
        let figures: Vec<f64> = a.reports.iter().zip(&b.reports).map(|(a, b)| of(a, b)).collect();
        (!figures.is_empty()).then(|| median(figures))
    }

    fn ratio(&self, a: Subject, b: Subject, connections: u32, of: impl Fn(&Report) -> f64) -> Option<f64> {
        self.paired(a, b, connections, |a, b| of(a) / of(b))
    }
}

impl Cell {
    fn middle(&self, of: impl Fn(&Report) -> f64) -> f64 {
        median(self.reports.iter().map(of).collect())
    }

    fn most_resident_mb(&self) -> f64 {
        megabytes(self.reports.iter().map(|report| report.resident_kib).max().unwrap_or(0))
    }
}

fn cpu(report: &Report) -> f64 {
    report.cpu_us_per_call
}

/// Millions of bytes.
pub(super) fn megabytes(kib: u64) -> f64 {
    u32::try_from(kib).map_or(f64::INFINITY, |kib| f64::from(kib) * 1024.0 / 1e6)
}

const CONNECTIONS: [u32; 3] = [1, 16, 64];
/// Enough that none is used twice in a burst: a token that was seen is a token that is cached.
const FRESH_TOKENS: u32 = 60_000;
