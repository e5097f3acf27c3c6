//! Everything that runs during the session: fixture, issuer, nginx, floor, gateway.

use super::Binaries;
use super::process::{self, Core, Process, free_address};
use super::{ready, text};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A gateway that runs.
pub(super) struct Gateway {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
    pub(super) started_in: Duration,
}

/// Fixture and issuer: what every measurement needs.
pub(super) struct Ground {
    pub(super) fixture: Process,
    pub(super) upstream: SocketAddr,
    _issuer: Process,
    pub(super) issuer: SocketAddr,
    pub(super) load: PathBuf,
    pub(super) folder: PathBuf,
}

/// All of the session's processes.
pub(super) struct Stand {
    pub(super) ground: Ground,
    pub(super) nginx: Process,
    pub(super) nginx_address: SocketAddr,
    pub(super) floor: Process,
    pub(super) floor_address: SocketAddr,
    pub(super) gateway: Gateway,
    /// Resident memory of the gateway before the first call, in KiB.
    pub(super) idle_kib: u64,
    /// Start-up times of several gateways, the last of which is kept.
    pub(super) starts: Vec<Duration>,
    /// One token for the endpoint.
    pub(super) token: PathBuf,
    /// What this machine is.
    pub(super) machine: String,
}

impl Ground {
    pub(super) fn raise(binaries: &Binaries, folder: &Path) -> anyhow::Result<Self> {
        let (upstream, issuer) = (free_address()?, free_address()?);
        let fixture = Process::start(
            Core::Rest,
            &binaries.fixture,
            &["--bench".to_owned(), format!("--address={upstream}")],
            &folder.join("fixture.log"),
        )?;
        let arguments = ["issuer".to_owned(), format!("--listen={issuer}")];
        let issuer_process =
            Process::start(Core::Rest, &binaries.load, &arguments, &folder.join("issuer.log"))?;
        ready::until_open(upstream)?;
        ready::until_ready(issuer, "/jwks", ready::now())?;
        Ok(Self {
            fixture,
            upstream,
            _issuer: issuer_process,
            issuer,
            load: binaries.load.clone(),
            folder: folder.to_owned(),
        })
    }

    /// `count` fresh tokens for an endpoint, in a file.
    pub(super) fn tokens(&self, gateway: SocketAddr, path: &str, count: u32) -> anyhow::Result<PathBuf> {
        let (status, tokens) =
            ready::get(self.issuer, &format!("/tokens?audience=http://{gateway}{path}&count={count}"))?;
        anyhow::ensure!(status == 200, "no tokens: {tokens}");
        let file = self.folder.join(format!("tokens-{}-{count}", path.replace('/', "-")));
        std::fs::write(&file, tokens)?;
        Ok(file)
    }

    /// Starts a gateway with this configuration and waits until it is ready.
    pub(super) fn gateway(
        &self,
        binary: &Path,
        name: &str,
        config: text::Gateway<'_>,
    ) -> anyhow::Result<Gateway> {
        let file = self.folder.join(format!("{name}.yaml"));
        std::fs::write(&file, config.yaml())?;
        let log = self.folder.join(format!("{name}.log"));
        let started = ready::now();
        let arguments = ["run".to_owned(), format!("--config={}", file.display())];
        let process = Process::start(Core::Measured, binary, &arguments, &log)?;
        let started_in = ready::until_ready(config.admin, "/readyz", started)
            .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Gateway { process, address: config.listen, started_in })
    }
}

impl Stand {
    pub(super) fn raise(root: &Path, binaries: &Binaries, folder: &Path) -> anyhow::Result<Self> {
        let ground = Ground::raise(binaries, folder)?;
        let (nginx, nginx_address) = nginx(&ground)?;
        let policies = root.join("bench/policies");
        // The same address each time: tokens name it.
        let (listen, admin) = (free_address()?, free_address()?);
        let mut starts = Vec::new();
        let mut start = |number: u32| {
            let data = folder.join(format!("data-{number}"));
            let config = text::Gateway {
                listen,
                admin,
                issuer: ground.issuer,
                upstream: ground.upstream,
                crowd: None,
                more: 0,
                policies: &policies,
                data: &data,
            };
            let gateway = ground.gateway(&binaries.portunus, "gateway", config)?;
            starts.push(gateway.started_in);
            anyhow::Ok(gateway)
        };
        for number in 1..STARTS {
            drop(start(number)?);
        }
        let gateway = start(STARTS)?;
        let token = ground.tokens(listen, text::PATH, 1)?;
        let (floor, floor_address) = floor(&ground, binaries, &token)?;
        std::thread::sleep(Duration::from_secs(1));
        let idle_kib = resident_kib(gateway.process.id())?;
        Ok(Self {
            ground,
            nginx,
            nginx_address,
            floor,
            floor_address,
            gateway,
            idle_kib,
            starts,
            token,
            machine: machine()?,
        })
    }
}

fn nginx(ground: &Ground) -> anyhow::Result<(Process, SocketAddr)> {
    let address = free_address()?;
    let file = ground.folder.join("nginx.conf");
    std::fs::write(&file, text::nginx(address, ground.upstream, &ground.folder))?;
    let arguments = [Path::new("-c"), &file];
    let process =
        Process::start(Core::Measured, Path::new("nginx"), &arguments, &ground.folder.join("nginx.log"))
            .context("nginx did not start")?;
    ready::until_open(address)?;
    Ok((process, address))
}

fn floor(ground: &Ground, binaries: &Binaries, token: &Path) -> anyhow::Result<(Process, SocketAddr)> {
    let address = free_address()?;
    let arguments = [
        format!("--listen={address}"),
        format!("--upstream=http://{}/mcp", ground.upstream),
        format!("--tokens={}", token.display()),
        format!("--record={}", ground.folder.join("floor-record").display()),
    ];
    let process =
        Process::start(Core::Measured, &binaries.floor, &arguments, &ground.folder.join("floor.log"))?;
    ready::until_open(address)?;
    Ok((process, address))
}

pub(super) fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn machine() -> anyhow::Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load = load.split_ascii_whitespace().next().unwrap_or_default();
    let nginx = process::output(Core::Rest, Path::new("sh"), &["-c", "nginx -v 2>&1"])?;
    Ok(format!(
        "{count} × {}, Linux {}, {}, load average before: {load}",
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim(),
        nginx.trim().trim_start_matches("nginx version: ")
    ))
}

/// How often the gateway is started to time it.
const STARTS: u32 = 5;
