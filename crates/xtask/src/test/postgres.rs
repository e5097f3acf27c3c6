//! One PostgreSQL for the length of a test run, in a folder of its own, on loopback. It is thrown away afterwards, so it
//! need not survive a power failure.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::install;
use crate::shell;

/// The variable that tells the tests where it is (`testdb`).
pub(crate) const WHERE: &str = "PORTUNUS_TEST_POSTGRES";

/// A running cluster; it ends when this is dropped.
pub(crate) struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// Installs PostgreSQL if it is missing, and starts a cluster.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let programs = install::postgres()?;
        // A port that was free a moment ago may be taken: another is tried.
        let mut last = None;
        for _ in 0..3 {
            match Self::try_start(&programs) {
                Ok(cluster) => return Ok(cluster),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("PostgreSQL does not start")))
    }

    fn try_start(programs: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("portunus-postgres-").tempdir()?;
        let cluster = Self { folder, programs: programs.to_owned(), port: free_port()? };
        if is_root() {
            // The server refuses to run as root. The folder is the one just made, never one that was named to us.
            shell::run(shell::command("chown").arg("postgres:postgres").arg(cluster.folder.path()))?;
        }
        let data = cluster.data();
        let initdb = ["-U", "portunus", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"];
        shell::quietly(cluster.command("initdb").args(initdb).arg("--no-instructions").arg("-D").arg(&data))?;
        let settings = format!(
            "-h 127.0.0.1 -p {} -F -c unix_socket_directories='' -c synchronous_commit=off -c full_page_writes=off \
             -c max_connections=400 -c shared_buffers=32MB",
            cluster.port
        );
        let log = cluster.folder.path().join("log");
        let start = ["-s", "-w", "-t", "30"];
        shell::quietly(
            cluster
                .command("pg_ctl")
                .args(start)
                .arg("-D")
                .arg(&data)
                .arg("-l")
                .arg(&log)
                .args(["-o", &settings, "start"]),
        )?;
        Ok(cluster)
    }

    /// Where it is, without a database: `postgres://user@host:port`.
    pub(crate) fn url(&self) -> String {
        format!("postgres://portunus@127.0.0.1:{}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of PostgreSQL, as its own user where we are root.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = shell::command("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
            command
        } else {
            shell::command(program)
        };
        command.current_dir("/");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let stop = ["-s", "-w", "-m", "immediate", "stop"];
        if let Err(error) = shell::quietly(self.command("pg_ctl").args(stop).arg("-D").arg(self.data())) {
            shell::complain(&format!("PostgreSQL was not stopped: {error:#}"));
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn free_port() -> anyhow::Result<u16> {
    let Ok(listener) = TcpListener::bind("127.0.0.1:0") else { bail!("no free port") };
    Ok(listener.local_addr().context("the port")?.port())
}
