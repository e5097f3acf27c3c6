//! One stdio server process and everything it starts.
//!
//! No shell, an own process group, an environment of declared variables only. The whole group dies with the
//! value: a child of the child cannot outlive its call's server. If the gateway itself is killed, the pipes
//! close and a server that follows MCP (stdio, shutdown) exits by itself.

use super::ring::Ring;
use crate::config::server::StdioServer;
use rustix::process::{Pid, Signal};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;

/// A running child and its pipes.
pub(super) struct Child {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) process: Process,
}

/// The process behind the pipes. Dropping it kills its group.
pub(super) struct Process {
    child: tokio::process::Child,
    group: Group,
    errors: tokio::task::JoinHandle<()>,
}

/// The tasks that move the messages of all children. Dropping the value kills the children.
#[derive(Default)]
pub(super) struct Children(Mutex<JoinSet<()>>);

impl Children {
    pub(super) fn spawn(&self, run: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn(run);
    }

    /// Waits until all have ended.
    pub(super) async fn ended(&self) {
        let mut running = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while running.join_next().await.is_some() {}
    }
}

/// A child could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    /// The program does not exist or may not be run.
    #[error("its command could not be started")]
    Start(#[source] std::io::Error),
    /// The operating system gave a process without pipes or id.
    #[error("its process has no pipes")]
    Pipes,
}

/// Starts the server. `base` holds the few variables every child gets (PATH, HOME). Of variables with one
/// name the credential's wins over the declared one, and that over the base.
pub(super) fn spawn(
    server: &StdioServer,
    base: &[(String, String)],
    credential: &broker::Credential,
    stderr: &Arc<Ring>,
) -> Result<Child, SpawnError> {
    let mut command = Command::new(&server.command);
    command.args(&server.args).env_clear();
    command.envs(base.iter().map(|(name, value)| (name, value))).envs(&server.env);
    credential.lend_environment(|name, value| {
        command.env(name, std::ffi::OsStr::from_bytes(value));
    });
    if let Some(directory) = &server.cwd {
        command.current_dir(directory);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(SpawnError::Start)?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).map(Group);
    let group = group.ok_or(SpawnError::Pipes)?;
    let (Some(stdin), Some(stdout), Some(pipe)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(SpawnError::Pipes);
    };
    let errors = tokio::spawn(capture(pipe, Arc::clone(stderr)));
    Ok(Child { stdin, stdout, process: Process { child, group, errors } })
}

async fn capture(mut pipe: tokio::process::ChildStderr, ring: Arc<Ring>) {
    let mut chunk = [0; 2048];
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        ring.push(chunk.get(..count).unwrap_or_default());
    }
}

impl Process {
    /// Waits until the process has exited by itself. Cancel safe.
    pub(super) async fn exited(&mut self) -> Option<std::process::ExitStatus> {
        self.child.wait().await.ok()
    }

    /// Ends the process the way MCP asks (stdio, shutdown): the input is closed already; wait, TERM, KILL.
    pub(super) async fn end(mut self) {
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            self.group.signal(Signal::TERM);
            if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
                tracing::debug!("a server process ignored its end and is killed");
            }
        }
        // What the process left behind in its group is killed by the drop.
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.group.signal(Signal::KILL);
        self.errors.abort();
    }
}

/// A process group, by the id of its leader.
struct Group(Pid);

impl Group {
    fn signal(&self, signal: Signal) {
        // The group is gone already: nothing to do.
        let _ = rustix::process::kill_process_group(self.0, signal);
    }
}

/// How long each step of an orderly end may take.
const GRACE: Duration = Duration::from_secs(1);
