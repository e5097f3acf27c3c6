use super::*;
use crate::query::{Filter, query};
use crate::writer::fixture;
use model::FixedClock;
use tempfile::TempDir;

const MINUTE: Duration = Duration::from_secs(60);

fn table(dir: &TempDir, config: FailuresConfig) -> (Failures, Writer, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::at(fixture::NOW));
    let writer = fixture::open_with(fixture::config(dir), clock.clone());
    (Failures::new(config, writer.clone(), clock.clone()), writer, clock)
}

/// Every row on record, oldest leaf first, and the sum of what found no row.
fn told(dir: &TempDir, writer: &Writer) -> (Vec<String>, u64) {
    fixture::settle(writer);
    let answer = query(&fixture::path(dir), &Filter::default(), usize::MAX).unwrap();
    let (mut rows, mut uncounted) = (Vec::new(), 0);
    for found in answer.found.iter().rev() {
        if let Leaf::AuthnFailures(leaf) = found.leaf().entry().unwrap().leaf {
            uncounted += leaf.uncounted;
            let row =
                |row: AuthnFailure<'_>| format!("{} {} {} {:?}", row.source, row.code, row.count, row.issuer);
            rows.extend(leaf.failures.into_iter().map(row));
        }
    }
    (rows, uncounted)
}

#[test]
fn the_first_failure_of_a_kind_is_told_at_once_and_the_rest_are_counted() {
    let dir = TempDir::new().unwrap();
    let (failures, writer, clock) = table(&dir, FailuresConfig::default());
    for host in 1..=9 {
        failures.count([192, 0, 2, host].into(), Code::TOKEN_INVALID, Some("https://idp.example"));
    }
    failures.count("2001:db8:1:2ff::1".parse().unwrap(), Code::TOKEN_MISSING, None);
    let first = "192.0.2.0/24 PTN-2002 1 Some(\"https://idp.example\")";
    let second = "2001:db8:1:200::/56 PTN-2001 1 None";
    assert_eq!(told(&dir, &writer).0, [first, second]);
    failures.flush_due();
    assert_eq!(told(&dir, &writer).0.len(), 2, "the window is not over");
    clock.advance(MINUTE);
    failures.flush_due();
    let rest = "192.0.2.0/24 PTN-2002 8 Some(\"https://idp.example\")";
    assert_eq!(told(&dir, &writer), (vec![first.into(), second.into(), rest.into()], 0));
    failures.flush();
    assert_eq!(told(&dir, &writer).0.len(), 3, "an empty window is not told");
}

#[test]
fn strangers_cannot_fill_the_disk() {
    let dir = TempDir::new().unwrap();
    let (failures, writer, clock) = table(&dir, FailuresConfig::default());
    let before = writer.health().written;
    for address in 0..100_000u32 {
        let issuer = format!("https://{address}.example/{}", "x".repeat(5000));
        failures.count(IpAddr::V4(Ipv4Addr::from_bits(address << 8)), Code::TOKEN_INVALID, Some(&issuer));
    }
    clock.advance(MINUTE);
    failures.flush_due();
    let (rows, uncounted) = told(&dir, &writer);
    assert_eq!((rows.len() as u64, rows.len() as u64 + uncounted), (256, 100_000));
    let leaves = writer.health().written - before;
    assert!(leaves <= 60 + 256 / LIST_ITEMS as u64 + 2, "{leaves} leaves");
    let (_, path) = crate::disk::segments(&fixture::path(&dir)).unwrap().remove(0);
    let bytes = std::fs::metadata(path).unwrap().len();
    assert!(bytes < 100_000, "{bytes} bytes");
}

#[test]
fn counts_wait_while_the_record_is_unavailable() {
    let dir = TempDir::new().unwrap();
    let disk = fixture::Brittle::at(&dir);
    let writer = fixture::open_on(&disk, fixture::config(&dir));
    let clock = Arc::new(FixedClock::at(fixture::NOW));
    let failures = Failures::new(FailuresConfig::default(), writer.clone(), clock.clone());
    disk.set(fixture::Mode::WriteFails);
    fixture::until(|| writer.append(fixture::NOW, &fixture::event("git")).is_err());
    for _ in 0..3 {
        failures.count([192, 0, 2, 1].into(), Code::TOKEN_INVALID, None);
    }
    clock.advance(MINUTE);
    failures.flush_due();
    disk.set(fixture::Mode::Sound);
    fixture::until(|| writer.health().state == crate::State::Ready);
    failures.flush();
    assert_eq!(told(&dir, &writer).0, ["192.0.2.0/24 PTN-2002 3 None"]);
}
