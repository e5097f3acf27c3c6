use super::fixture::{self, Brittle, Mode, intent, open_on, outcome, put, record, settle, until, wait};
use super::*;
use crate::query::{Filter, Found, query};
use ledger::What;
use model::{FixedClock, SeededDice};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::Ordering;
use tempfile::TempDir;

fn kinds(dir: &TempDir) -> Vec<String> {
    record(&fixture::path(dir)).into_iter().map(|(_, kind)| kind).collect()
}

#[test]
fn leaves_stand_in_the_order_of_their_appends() {
    let dir = TempDir::new().unwrap();
    let writer = fixture::open(fixture::config(&dir));
    let tickets: Vec<_> = (0..100)
        .flat_map(|call| [intent(call, "ada"), outcome(call)])
        .map(|leaf| writer.append(fixture::NOW, &leaf).unwrap().sequence())
        .collect();
    assert_eq!(tickets, (2..202).collect::<Vec<_>>());
    writer.close().unwrap();
    let kinds = kinds(&dir);
    assert_eq!(
        (kinds[0].as_str(), kinds[1].as_str(), kinds.last().unwrap().as_str()),
        ("started", "intent ada", "stopped")
    );
    assert_eq!(kinds.len(), 202);
    assert_eq!(writer.append(fixture::NOW, &intent(1, "ada")).unwrap_err(), AppendError::Closed);
    assert_eq!(writer.health().state, State::Closed);
}

#[test]
fn a_leaf_nobody_waits_for_is_written_and_synced_all_the_same() {
    let dir = TempDir::new().unwrap();
    let writer = fixture::open(fixture::config(&dir));
    let ticket = writer.append(fixture::NOW, &intent(1, "ada")).unwrap();
    until(|| writer.health().durable == ticket.sequence());
    assert_eq!(writer.health().unsynced_for, Duration::ZERO);
}

#[test]
fn a_durable_leaf_is_synced_before_its_ticket_resolves() {
    let dir = TempDir::new().unwrap();
    let writer = fixture::open(fixture::config(&dir));
    for call in 0..20 {
        let mut ticket = writer.append(fixture::NOW, &intent(call, "ada")).unwrap();
        wait(ticket.durable()).unwrap();
        assert!(writer.health().durable >= ticket.sequence());
        // Settled tickets stay settled.
        wait(ticket.written()).unwrap();
        wait(ticket.durable()).unwrap();
    }
}

#[test]
fn many_threads_share_one_gapless_record() {
    let dir = TempDir::new().unwrap();
    let config = Config { segment_bytes: 20_000, ..fixture::config(&dir) };
    let writer = fixture::open(config);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let writer = &writer;
            scope.spawn(move || {
                for call in 0..100 {
                    let mut first =
                        writer.append(fixture::NOW, &intent(thread * 1000 + call, "ada")).unwrap();
                    if call % 10 == 0 {
                        wait(first.durable()).unwrap();
                    }
                    put(writer, &outcome(thread * 1000 + call));
                }
            });
        }
    });
    writer.close().unwrap();
    assert_eq!(record(&fixture::path(&dir)).len(), 802);
}

#[test]
fn a_wait_can_be_given_up_and_taken_up_again() {
    let dir = TempDir::new().unwrap();
    let disk = Brittle::at(&dir);
    let writer = open_on(&disk, Config { stall_after: Duration::from_secs(60), ..fixture::config(&dir) });
    settle(&writer);
    disk.set(Mode::SyncHangs);
    let mut ticket = writer.append(fixture::NOW, &intent(1, "ada")).unwrap();
    {
        let mut gone = std::pin::pin!(ticket.durable());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(gone.as_mut().poll(&mut context).is_pending());
    }
    assert!(writer.handle.shared.lock().waits() == (0, 0));
    disk.set(Mode::Sound);
    wait(ticket.durable()).unwrap();
}

#[test]
fn a_full_queue_refuses_and_never_blocks() {
    let dir = TempDir::new().unwrap();
    let disk = Brittle::at(&dir);
    let config = Config { queue_records: 8, stall_after: Duration::from_secs(60), ..fixture::config(&dir) };
    let writer = open_on(&disk, config);
    settle(&writer);
    disk.set(Mode::WriteHangs);
    let appended =
        (0..100).take_while(|call| writer.append(fixture::NOW, &intent(*call, "ada")).is_ok()).count();
    assert_eq!(appended, 8);
    assert_eq!(writer.append(fixture::NOW, &outcome(1)).unwrap_err(), AppendError::Full);
    disk.set(Mode::Sound);
    until(|| writer.append(fixture::NOW, &outcome(1)).is_ok());
}

#[test]
fn a_queue_is_bounded_by_bytes_too() {
    let dir = TempDir::new().unwrap();
    let disk = Brittle::at(&dir);
    let config = Config { queue_bytes: 4096, stall_after: Duration::from_secs(60), ..fixture::config(&dir) };
    let writer = open_on(&disk, config);
    settle(&writer);
    disk.set(Mode::WriteHangs);
    let appended =
        (0..100).take_while(|call| writer.append(fixture::NOW, &intent(*call, "ada")).is_ok()).count();
    assert!((5..12).contains(&appended), "{appended}");
    assert!(writer.health().queued_bytes <= 4096);
    disk.set(Mode::Sound);
}

#[test]
fn a_failed_write_refuses_all_who_wait_and_mends_itself() {
    let dir = TempDir::new().unwrap();
    let disk = Brittle::at(&dir);
    let writer = open_on(&disk, fixture::config(&dir));
    put(&writer, &intent(1, "before"));
    disk.set(Mode::WriteFails);
    let mut refused = writer.append(fixture::NOW, &intent(2, "lost")).unwrap();
    let mut unread = writer.append(fixture::NOW, &intent(3, "lost")).unwrap();
    let error = wait(refused.durable()).unwrap_err();
    assert!(matches!(&error, AppendError::Failed(reason) if reason.starts_with("cannot write: ")), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(matches!(writer.health().state, State::Failed(_)));
    assert!(writer.append(fixture::NOW, &intent(4, "refused")).is_err());
    disk.set(Mode::Sound);
    until(|| writer.health().state == State::Ready);
    put(&writer, &intent(5, "after"));
    // Its number was given out again; the old ticket does not take the new leaf for its own.
    assert!(writer.health().written >= unread.sequence());
    assert!(wait(unread.written()).is_err());
    writer.close().unwrap();
    assert_eq!(kinds(&dir), ["started", "intent before", "record_resumed", "intent after", "stopped"]);
}

#[test]
fn a_failed_sync_is_never_asked_of_the_same_file_again() {
    let dir = TempDir::new().unwrap();
    let disk = Brittle::at(&dir);
    let writer = open_on(&disk, fixture::config(&dir));
    put(&writer, &intent(1, "before"));
    disk.set(Mode::SyncFails);
    let mut written = writer.append(fixture::NOW, &intent(2, "doubtful")).unwrap();
    assert!(wait(written.durable()).is_err());
    // It stands in the file, so whoever only waited for the write was told the truth.
    let _ = wait(written.written());
    std::thread::sleep(Duration::from_millis(200));
    assert!(matches!(writer.health().state, State::Failed(_)));
    disk.set(Mode::Sound);
    until(|| writer.health().state == State::Ready);
    put(&writer, &intent(3, "after"));
    writer.close().unwrap();
    assert_eq!(disk.fault().syncs_after_failure.load(Ordering::SeqCst), 0);
    let answer = query(&fixture::path(&dir), &Filter::default(), usize::MAX).unwrap();
    let resumed = answer.found.iter().find_map(|found| match found.leaf().entry().unwrap().leaf {
        Leaf::Event(event) if event.what == What::RecordResumed => {
            event.detail.map(|detail| detail.into_owned())
        }
        _ => None,
    });
    let resumed = resumed.unwrap();
    assert!(resumed.starts_with("cannot sync: ") && resumed.ends_with(" may be lost"), "{resumed}");
    record(&fixture::path(&dir));
}

#[test]
fn a_hung_disk_is_a_failure_and_its_late_return_changes_nothing() {
    for hang in [Mode::WriteHangs, Mode::SyncHangs] {
        let dir = TempDir::new().unwrap();
        let disk = Brittle::at(&dir);
        let writer = open_on(&disk, fixture::config(&dir));
        put(&writer, &intent(1, "before"));
        disk.set(hang);
        let mut hung = writer.append(fixture::NOW, &intent(2, "hung")).unwrap();
        let error = wait(hung.durable()).unwrap_err();
        assert!(error.to_string().contains("has hung for"), "{error}");
        assert!(writer.append(fixture::NOW, &intent(3, "refused")).is_err());
        disk.set(Mode::Sound);
        until(|| writer.health().state == State::Ready);
        put(&writer, &intent(4, "after"));
        writer.close().unwrap();
        let kinds = kinds(&dir);
        assert_eq!(kinds[kinds.len() - 3..], ["record_resumed", "intent after", "stopped"], "{kinds:?}");
        assert_eq!(kinds.contains(&"intent hung".to_owned()), hang == Mode::SyncHangs);
    }
}

#[test]
fn a_disk_that_fails_while_closing_is_told() {
    let dir = TempDir::new().unwrap();
    let disk = Brittle::at(&dir);
    let writer = open_on(&disk, fixture::config(&dir));
    settle(&writer);
    disk.set(Mode::SyncHangs);
    assert!(matches!(writer.close().unwrap_err(), AppendError::Failed(_)));
    disk.set(Mode::Sound);
}

#[test]
fn two_writers_cannot_hold_one_record() {
    let dir = TempDir::new().unwrap();
    let writer = fixture::open(fixture::config(&dir));
    let open =
        || Writer::open(fixture::config(&dir), Arc::new(FixedClock::at(fixture::NOW)), &SeededDice::new(2));
    assert!(matches!(open().unwrap_err(), OpenError::Locked(_)));
    writer.close().unwrap();
    open().unwrap().close().unwrap();
    assert_eq!(kinds(&dir), ["started", "stopped", "started", "stopped"]);
}

#[test]
fn the_last_handle_closes_the_record() {
    let dir = TempDir::new().unwrap();
    let writer = fixture::open(fixture::config(&dir));
    let ticket = writer.clone().append(fixture::NOW, &intent(1, "ada")).unwrap();
    drop(writer);
    let mut ticket = ticket;
    wait(ticket.durable()).unwrap();
    until(|| !disk::is_locked(&fixture::path(&dir)));
    assert_eq!(kinds(&dir), ["started", "intent ada", "stopped"]);
}

#[test]
fn only_the_owner_may_read_the_record() {
    let dir = TempDir::new().unwrap();
    let _writer = fixture::open(fixture::config(&dir));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&fixture::path(&dir)), 0o700);
    for entry in fs::read_dir(fixture::path(&dir)).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_torn_end_is_cut_off_and_told() {
    let dir = TempDir::new().unwrap();
    let writer = fixture::open(fixture::config(&dir));
    put(&writer, &intent(1, "ada"));
    put(&writer, &intent(2, "torn"));
    writer.close().unwrap();
    let (_, path) = disk::segments(&fixture::path(&dir)).unwrap().remove(0);
    let bytes = fs::read(&path).unwrap();
    let torn = bytes.windows(6).position(|window| window == b"\"torn\"").unwrap();
    fs::write(&path, &bytes[..torn]).unwrap();
    let writer = fixture::open(fixture::config(&dir));
    assert!(writer.health().cut_bytes > 0);
    writer.close().unwrap();
    assert_eq!(kinds(&dir), ["started", "intent ada", "tail_cut", "started", "stopped"]);
}

#[test]
fn a_segment_that_was_only_begun_is_replaced() {
    for leftover in [&b""[..], &[0; 30], &[0; 4096]] {
        let dir = TempDir::new().unwrap();
        fixture::open(fixture::config(&dir)).close().unwrap();
        fs::write(fixture::path(&dir).join(format!("{:020}.segment", 3)), leftover).unwrap();
        fixture::open(fixture::config(&dir)).close().unwrap();
        let kinds = kinds(&dir);
        assert_eq!(kinds.first().unwrap(), "started");
        assert_eq!(kinds.contains(&"tail_cut".to_owned()), !leftover.is_empty());
    }
}

#[test]
fn damage_in_the_middle_refuses_the_start_and_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let writer = fixture::open(fixture::config(&dir));
    for call in 0..5 {
        put(&writer, &intent(call, "ada"));
    }
    writer.close().unwrap();
    let (_, path) = disk::segments(&fixture::path(&dir)).unwrap().remove(0);
    let sound = fs::read(&path).unwrap();
    let open =
        || Writer::open(fixture::config(&dir), Arc::new(FixedClock::at(fixture::NOW)), &SeededDice::new(2));
    for place in [3, 30, 70, 75, 200, sound.len() / 2] {
        let mut bytes = sound.clone();
        bytes[place] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = open().unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{place}: {error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    fs::write(&path, &sound).unwrap();
    open().unwrap();
}

#[test]
fn an_orphan_intent_is_an_unknown_outcome_after_the_restart() {
    let dir = TempDir::new().unwrap();
    let writer = fixture::open(fixture::config(&dir));
    put(&writer, &intent(1, "ada"));
    writer.close().unwrap();
    let _writer = fixture::open(fixture::config(&dir));
    let unknown = Filter { unknown: true, ..Filter::default() };
    let answer = query(&fixture::path(&dir), &unknown, usize::MAX).unwrap();
    assert!(matches!(
        answer.found[..],
        [Found::Call { ending: crate::query::Ending::Unknown, outcome: None, .. }]
    ));
}
