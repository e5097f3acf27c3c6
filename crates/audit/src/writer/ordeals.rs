//! A real full disk, and a process that is really killed: some times in every test run, `PORTUNUS_SOAK_ROUNDS`
//! times in the soak.

use super::fixture::{self, intent, outcome, record, until, wait};
use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use tempfile::TempDir;

#[allow(clippy::disallowed_methods, reason = "these tests start themselves as a child, and mount(8)")]
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

#[allow(clippy::disallowed_methods, reason = "how a test is told of the soak and a child of its directory")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    kill_and_recover(4);
}

#[test]
#[ignore = "long: cargo xtask soak"]
fn however_often_a_process_is_killed_nothing_acknowledged_is_lost() {
    let rounds = environment("PORTUNUS_SOAK_ROUNDS").and_then(|text| text.parse().ok()).unwrap_or(200);
    for _ in 0..rounds / 10 {
        kill_and_recover(10);
    }
}

fn kill_and_recover(rounds: u32) {
    let dir = TempDir::new().unwrap();
    let path = fixture::path(&dir);
    let mut acknowledged = BTreeMap::new();
    for round in 0..rounds {
        let mut child = Killed(
            command(std::env::current_exe().unwrap())
                .args(["--exact", "writer::ordeals::the_child_that_is_killed", "--ignored", "--nocapture"])
                .env("PORTUNUS_TEST_RECORD", &path)
                .env("PORTUNUS_TEST_ROUND", round.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Killed at another moment every time; what it said before it died still comes through the pipe.
        let enough = 50 + usize::try_from(round).unwrap() * 997 % 2000;
        let told: Vec<_> = lines.by_ref().filter(|line| line.starts_with("ack ")).take(enough).collect();
        child.0.kill().unwrap();
        let rest = lines.filter(|line| line.starts_with("ack ") && line.ends_with('.'));
        for line in told.into_iter().chain(rest) {
            let mut words = line.trim_end_matches('.').split(' ').skip(1);
            let sequence: u64 = words.next().unwrap().parse().unwrap();
            assert_eq!(acknowledged.insert(sequence, words.next().unwrap().to_owned()), None);
        }
        child.0.wait().unwrap();
        // The next writer recovers what this one left.
        let writer = fixture::open(fixture::config(&dir));
        writer.close().unwrap();
        let leaves: BTreeMap<_, _> = record(&path).into_iter().collect();
        for (sequence, user) in &acknowledged {
            assert_eq!(
                leaves.get(sequence),
                Some(&format!("intent {user}")),
                "leaf {sequence} in round {round}"
            );
        }
    }
    assert!(acknowledged.len() >= 50 * usize::try_from(rounds).unwrap());
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "the child of a_killed_process_loses_nothing_that_was_acknowledged"]
fn the_child_that_is_killed() {
    let (Some(path), Some(round)) = (environment("PORTUNUS_TEST_RECORD"), environment("PORTUNUS_TEST_ROUND"))
    else {
        return;
    };
    let writer = fixture::open(Config { segment_bytes: 100_000, ..Config::at(path) });
    let out = Mutex::new(std::io::stdout());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (writer, out, round) = (&writer, &out, &round);
            scope.spawn(move || {
                for call in 0..u64::MAX {
                    let user = format!("{round}-{thread}-{call}");
                    let mut ticket = writer.append(fixture::NOW, &intent(call, &user)).unwrap();
                    if call % 2 == 0 {
                        wait(ticket.durable()).unwrap();
                    } else {
                        wait(ticket.written()).unwrap();
                    }
                    // One write(2) a line, so that a kill cannot leave half of one without its full stop.
                    let line = format!("ack {} {user}.\n", ticket.sequence());
                    out.lock().unwrap().write_all(line.as_bytes()).unwrap();
                    let _ = writer.append(fixture::NOW, &outcome(call)).unwrap();
                }
            });
        }
    });
}

/// A tmpfs that is unmounted at the end.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, loudly, where mounting is not allowed.
    fn mount(size: &str) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let options = format!("size={size},mode=0700");
        let mounted =
            command("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(dir)),
            other => {
                eprintln!("SKIPPED a_full_disk…: a tmpfs cannot be mounted here: {other:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = command("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_calls_until_there_is_room_again() {
    let Some(small) = SmallDisk::mount("2m") else { return };
    let config = Config { queue_bytes: 128 << 10, segment_bytes: 100_000, ..fixture::config(&small.0) };
    let writer = fixture::open(config);
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let filler = small.0.path().join("filler");
        let room = rustix::fs::statvfs(small.0.path()).unwrap();
        let left = usize::try_from(room.f_bfree * room.f_frsize).unwrap();
        std::fs::write(&filler, vec![1; left.saturating_sub(150_000)]).unwrap();
        let error = (0..).find_map(|call| {
            let mut ticket = writer.append(fixture::NOW, &intent(call, "ada")).ok()?;
            let _ = writer.append(fixture::NOW, &outcome(call));
            let depth = if call % 3 == 0 { wait(ticket.durable()) } else { wait(ticket.written()) };
            depth.map(|()| acknowledged.insert(ticket.sequence())).err()
        });
        let error = error.unwrap().to_string();
        assert!(error.contains("os error 28"), "{error}");
        assert!(matches!(writer.health().state, State::Failed(reason) if reason.contains("os error 28")));
        // It stays refused while the disk is full, however often it is probed.
        std::thread::sleep(Duration::from_millis(150));
        assert!(matches!(writer.append(fixture::NOW, &intent(0, "ada")), Err(AppendError::Failed(_))));
        std::fs::remove_file(&filler).unwrap();
        until(|| writer.health().state == State::Ready);
        assert_eq!(writer.health().failures, round + 1);
        acknowledged.insert(fixture::put(&writer, &intent(0, "ada")));
    }
    writer.close().unwrap();
    let leaves: BTreeMap<_, _> = record(&fixture::path(&small.0)).into_iter().collect();
    assert!(acknowledged.len() > 300);
    for sequence in acknowledged {
        assert_eq!(leaves.get(&sequence).map(String::as_str), Some("intent ada"), "{sequence}");
    }
}
