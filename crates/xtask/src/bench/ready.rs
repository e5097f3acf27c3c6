//! Waiting until something answers.

use anyhow::bail;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The body of a GET, whatever its status; the first word is the status.
pub(super) fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    #[allow(clippy::disallowed_methods, reason = "the bench looks from outside; no data plane here")]
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
    Ok((status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}

/// Waits until `path` answers 200, and says how long that took since `started`.
pub(super) fn until_ready(address: SocketAddr, path: &str, started: Instant) -> anyhow::Result<Duration> {
    while started.elapsed() < PATIENCE {
        if get(address, path).is_ok_and(|(status, _)| status == 200) {
            return Ok(started.elapsed());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("{address}{path} did not answer 200 within {PATIENCE:?}: {:?}", get(address, path))
}

/// Waits until something listens at all.
pub(super) fn until_open(address: SocketAddr) -> anyhow::Result<()> {
    let started = now();
    while started.elapsed() < PATIENCE {
        #[allow(clippy::disallowed_methods, reason = "the bench looks from outside; no data plane here")]
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("nothing listens on {address}")
}

#[allow(clippy::disallowed_methods, reason = "the bench measures real time; nothing here is replayed")]
pub(super) fn now() -> Instant {
    Instant::now()
}

const PATIENCE: Duration = Duration::from_secs(20);
