//! What a process has used, as the kernel tells it (proc(5)).

use anyhow::Context as _;
use std::time::Duration;

/// CPU and memory of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time since the start, of all threads, in steps of 10 ms.
    pub cpu: Duration,
    /// Resident set, in KiB.
    pub resident_kib: u64,
}

impl Usage {
    /// Reads the counters of `pid`.
    ///
    /// # Errors
    /// When there is no such process or its files cannot be read.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("process {pid} is gone"))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Self { cpu: cpu(&stat).context("an unreadable stat line")?, resident_kib: resident(&status) })
    }

    /// The sum over several processes (nginx has a master and a worker).
    ///
    /// # Errors
    /// As [`Usage::of`].
    pub fn of_all(pids: &[u32]) -> anyhow::Result<Self> {
        pids.iter().try_fold(Self::default(), |sum, pid| {
            let one = Self::of(*pid)?;
            Ok(Self { cpu: sum.cpu + one.cpu, resident_kib: sum.resident_kib + one.resident_kib })
        })
    }
}

/// utime and stime are fields 14 and 15; the command name in field 2 may hold spaces, so count from its `)`.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * MILLISECONDS_PER_TICK))
}

fn resident(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// USER_HZ is 100 on every Linux we run on.
const MILLISECONDS_PER_TICK: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_spaces_and_brackets_is_skipped() {
        let stat = "42 (a ) b) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 0 0 0";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn the_resident_set_is_in_kib() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    1234 kB\n"), 1234);
    }

    #[test]
    fn this_process_has_used_memory() {
        assert!(Usage::of(std::process::id()).unwrap().resident_kib > 0);
    }
}
