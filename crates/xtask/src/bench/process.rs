//! Processes of the bench: pinned to a core, ended with the bench.

use crate::shell::command;
use anyhow::Context as _;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Which core a process runs on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Core {
    /// The measured process.
    Measured,
    /// Everything else.
    Rest,
}

/// A running process; killed when dropped.
pub(super) struct Process(Child);

impl Process {
    /// Starts `program` on `core`; its output goes to `log`.
    pub(super) fn start<A: AsRef<OsStr>>(
        core: Core,
        program: &Path,
        arguments: &[A],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let log = std::fs::File::create(log)?;
        let child = pinned(core, program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        Ok(Self(child))
    }

    /// Starts a program and waits until it has said one line.
    pub(super) fn start_and_hear<A: AsRef<OsStr>>(
        core: Core,
        program: &Path,
        arguments: &[A],
    ) -> anyhow::Result<Self> {
        let mut child = pinned(core, program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        let out = child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let process = Self(child);
        anyhow::ensure!(!line.is_empty(), "{} ended before it was ready", program.display());
        Ok(process)
    }

    /// The process id; `taskset` has become the program by the time it is of use.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// This process and its children: nginx works in one.
    pub(super) fn family(&self) -> Vec<u32> {
        let id = self.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        std::iter::once(id)
            .chain(children.split_ascii_whitespace().filter_map(|child| child.parse().ok()))
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM first: nginx ends its worker only then.
        let asked = command("kill").arg(self.id().to_string()).stderr(Stdio::null()).status();
        let patience = if asked.is_ok() { 30 } else { 0 };
        for _ in 0..patience {
            if self.0.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        // Both fail only if the process has gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs a program on `core` to its end and returns what it printed.
pub(super) fn output<A: AsRef<OsStr>>(core: Core, program: &Path, arguments: &[A]) -> anyhow::Result<String> {
    let done = pinned(core, program).args(arguments).stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(done.status.success(), "{} failed", program.display());
    Ok(String::from_utf8(done.stdout)?)
}

fn pinned(core: Core, program: &Path) -> Command {
    let mut command = command("taskset");
    command.arg("-c").arg(match core {
        Core::Measured => "0",
        Core::Rest => "1",
    });
    command.arg(program);
    command
}

/// A loopback address that was free a moment ago.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// A directory for the session; removed when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("portunus-bench-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
