//! A child's pipes: one line for each message, both ways (MCP, stdio).

use super::child::Child;
use super::line::{LineError, Lines};
use super::route::{Calls, Step};
use super::way::Back;
use bytes::Bytes;
use protocol::Bounds;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::mpsc;

/// Moves messages until the child ends or nobody holds its link any more.
pub(super) async fn run(
    child: Child,
    queue: mpsc::Receiver<Bytes>,
    calls: Arc<Calls>,
    back: Back,
    bounds: Bounds,
) {
    let Child { stdin, stdout, mut process } = child;
    let reason = {
        let reader = std::pin::pin!(read(stdout, &calls, &back, &bounds));
        let mut reader = reader;
        tokio::select! {
            biased;
            // SECURITY: no last words, and nothing it started stays: `a_child_is_killed_with_its_principal`.
            () = calls.killed() => return drop(process),
            reason = &mut reader => reason,
            reason = write(stdin, queue) => reason,
            status = process.exited() => {
                // What it wrote last is still in the pipe.
                let _ = tokio::time::timeout(LAST_WORDS, &mut reader).await;
                status.map_or("its process ended".to_owned(), |status| format!("its process ended: {status}"))
            }
        }
    };
    calls.close(&reason);
    process.end().await;
}

async fn write(mut stdin: ChildStdin, mut queue: mpsc::Receiver<Bytes>) -> String {
    while let Some(message) = queue.recv().await {
        let written = async {
            stdin.write_all(&message).await?;
            stdin.write_all(b"\n").await?;
            stdin.flush().await
        };
        if written.await.is_err() {
            // Its end is noticed by the reader, who knows more.
            std::future::pending::<()>().await;
        }
    }
    "its process was ended after use".to_owned()
}

async fn read(stdout: ChildStdout, calls: &Calls, back: &Back, bounds: &Bounds) -> String {
    let mut lines = Lines::new(stdout, bounds.bytes);
    loop {
        let line = match lines.next().await {
            Ok(line) if line.trim_ascii().is_empty() => continue,
            Ok(line) => line,
            // Its exit status says more, if there is one soon.
            Err(LineError::Closed) => {
                tokio::time::sleep(LAST_WORDS).await;
                return LineError::Closed.to_string();
            }
            Err(error) => return error.to_string(),
        };
        let step = match protocol::decode(line.clone(), bounds) {
            Ok(message) => calls.take(message, back),
            Err(_) => calls.garbage(&line),
        };
        match step {
            Step::Go => {}
            Step::Say(reply) => back.say(reply),
            Step::Stop(reason) => return reason.to_owned(),
        }
    }
}

/// Messages waiting to be written to one child.
pub(super) const QUEUED: usize = 256;
/// How long the exit status waits for the last output, and the end of output for the status.
const LAST_WORDS: Duration = Duration::from_millis(100);
