//! Does a call cost more in a crowded house? Two gateways, side by side: one with the bench's one server, one with
//! 200 servers, 5,000 tools, 1,000 policies, 100 calls that hang and 1,000 open streams. Bursts alternate ABBA.

use super::measure::{Burst, Pace, Report, median};
use super::process::{Core, Process, free_address};
use super::session::megabytes;
use super::stand::{Gateway, Ground};
use super::table::Targets;
use super::{Binaries, ready, text};
use crate::shell::say;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What the scenario showed.
pub(super) struct Scale {
    /// CPU per call of the crowded gateway over the plain one's, pair by pair.
    growth: Vec<f64>,
    plain_cpu_us: f64,
    crowded_cpu_us: f64,
    list: Report,
    crowded_start_ms: f64,
    crowded_mb: f64,
}

/// Runs `pairs` pairs.
pub(super) fn run(
    root: &Path,
    binaries: &Binaries,
    folder: &Path,
    pace: Pace,
    pairs: u32,
) -> anyhow::Result<Scale> {
    let ground = Ground::raise(binaries, folder)?;
    let crowd = free_address()?;
    let arguments =
        [format!("--servers={CROWD}"), format!("--tools={TOOLS_EACH}"), format!("--address={crowd}")];
    let _crowd = Process::start(Core::Rest, &binaries.fixture, &arguments, &folder.join("crowd.log"))?;
    ready::until_open(crowd)?;
    let bench_policies = root.join("bench/policies");
    let gateway = |name: &str, crowd, policies: &Path| {
        let config = text::Gateway {
            listen: free_address()?,
            admin: free_address()?,
            issuer: ground.issuer,
            upstream: ground.upstream,
            crowd,
            more: CROWD,
            policies,
            data: &folder.join(format!("data-{name}")),
        };
        ground.gateway(&binaries.portunus, name, config)
    };
    let plain = gateway("plain", None, &bench_policies)?;
    let crowded = gateway("crowded", Some(crowd), &policies(&bench_policies, folder)?)?;
    let _held = hold(&ground, &crowded)?;
    let call = |gateway: &Gateway| call(&ground, gateway, pace);
    let (mut growth, mut plain_us, mut crowded_us) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        let (a, b) = if pair % 2 == 0 {
            let a = call(&plain)?;
            (a, call(&crowded)?)
        } else {
            let b = call(&crowded)?;
            (call(&plain)?, b)
        };
        growth.push(b.cpu_us_per_call / a.cpu_us_per_call);
        plain_us.push(a.cpu_us_per_call);
        crowded_us.push(b.cpu_us_per_call);
    }
    let tokens = ground.tokens(crowded.address, "/mcp", 1)?;
    let list = Burst {
        address: crowded.address,
        path: "/mcp",
        tool: None,
        era: "stateless",
        connections: 1,
        tokens: &tokens,
        watch: vec![crowded.process.id()],
    }
    .run(&ground.load, Pace { span_ms: 5000, ..pace })?;
    Ok(Scale {
        growth,
        plain_cpu_us: median(plain_us),
        crowded_cpu_us: median(crowded_us),
        crowded_start_ms: crowded.started_in.as_secs_f64() * 1000.0,
        crowded_mb: megabytes(list.resident_kib),
        list,
    })
}

fn call(ground: &Ground, gateway: &Gateway, pace: Pace) -> anyhow::Result<Report> {
    let tokens = ground.tokens(gateway.address, text::PATH, 1)?;
    Burst {
        address: gateway.address,
        path: text::PATH,
        tool: Some("tool_00"),
        era: "stateless",
        connections: 16,
        tokens: &tokens,
        watch: vec![gateway.process.id()],
    }
    .run(&ground.load, pace)
}

/// The bench's policies and as many more as make a thousand; they let half of the servers' tools be seen.
fn policies(bench: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let target = folder.join("policies-crowded");
    std::fs::create_dir_all(&target)?;
    for entry in std::fs::read_dir(bench)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), target.join(entry.file_name()))?;
        }
    }
    let mut text = String::new();
    for number in 0..MORE_POLICIES {
        let server = number % CROWD;
        // Writing to a string cannot fail.
        let _ = match number / CROWD {
            0 => writeln!(
                text,
                "@id(\"crowd-{number}\") permit (principal, action == Action::\"discover:s{server}\", resource);"
            ),
            1 => writeln!(
                text,
                "@id(\"crowd-{number}\") permit (principal, action in Action::\"server:s{server}\", resource) when {{ principal.roles.contains(\"{}\") }};",
                if server.is_multiple_of(2) { "reader" } else { "operator" }
            ),
            round => writeln!(
                text,
                "@id(\"crowd-{number}\") forbid (principal, action == Action::\"s{server}/tool_{round:02}\", resource) when {{ context.args has amount && context.args.amount > {number} }};"
            ),
        };
    }
    std::fs::write(target.join("crowd.cedar"), text)?;
    Ok(target)
}

/// The hanging calls and open streams, spread over all endpoints.
fn hold(ground: &Ground, gateway: &Gateway) -> anyhow::Result<Process> {
    let mut endpoints = String::new();
    for server in (0..CROWD).step_by(2) {
        let path = format!("/servers/s{server}/mcp");
        let token = std::fs::read_to_string(ground.tokens(gateway.address, &path, 1)?)?;
        let _ = writeln!(endpoints, "{path} {}", token.trim());
    }
    let file = ground.folder.join("endpoints");
    std::fs::write(&file, endpoints)?;
    let arguments = [
        "hold".to_owned(),
        format!("--address={}", gateway.address),
        format!("--endpoints={}", file.display()),
        "--calls=100".to_owned(),
        "--streams=1000".to_owned(),
    ];
    Process::start_and_hear(Core::Rest, &ground.load, &arguments)
}

impl Scale {
    pub(super) fn print(&self) {
        say(&format!(
            "Crowded: {} servers, {} tools, {} policies, 100 hanging calls, 1,000 open streams; {} pairs at 16 connections.",
            CROWD + 1,
            CROWD * TOOLS_EACH + 40,
            MORE_POLICIES + 100,
            self.growth.len(),
        ));
        say(&format!(
            "CPU per call {:.1} µs plain, {:.1} µs crowded, median of the pairs' ratios {:.3}; list of what is visible: p50 {:.1} ms, p99 {:.1} ms; ready after {:.0} ms; {:.0} MB.\n",
            self.plain_cpu_us,
            self.crowded_cpu_us,
            median(self.growth.clone()),
            f64::from(self.list.p50_us) / 1000.0,
            f64::from(self.list.p99_us) / 1000.0,
            self.crowded_start_ms,
            self.crowded_mb,
        ));
    }

    pub(super) fn judge(&self, targets: &mut Targets) {
        targets.at_most("crowded: CPU per call, × plain".to_owned(), Some(median(self.growth.clone())), 1.10);
        targets.at_most(
            "crowded: filtered list of 5,000 tools, p50 in ms".to_owned(),
            Some(f64::from(self.list.p50_us) / 1000.0),
            20.0,
        );
    }
}

/// Servers besides the bench's own.
const CROWD: u32 = 199;
/// Tools of each of them; with the bench's own 40, 5,015.
const TOOLS_EACH: u32 = 25;
/// Policies besides the bench's own 100.
const MORE_POLICIES: u32 = 900;
