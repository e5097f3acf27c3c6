use super::*;
use crate::writer::fixture::{self, denial, event, intent, outcome};
use crate::{Config, Writer};
use model::{FixedClock, Timestamp};
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;

fn open(dir: &TempDir) -> Writer {
    fixture::open(Config { segment_bytes: 4096, ..fixture::config(dir) })
}

fn ask(dir: &TempDir, filter: &Filter) -> Answer {
    query(&fixture::path(dir), filter, usize::MAX).unwrap()
}

/// A line per finding: what it is, who, and how it ended.
fn lines(answer: &Answer) -> Vec<String> {
    let line = |found: &Found| match (&found.leaf().entry().unwrap().leaf, found) {
        (Leaf::Intent(intent), Found::Call { ending, .. }) => {
            format!("{} {ending:?}", intent.call.caller.user)
        }
        (Leaf::Denial(denial), _) => format!("{} denied", denial.call.caller.user),
        (Leaf::Event(event), _) => event.what.as_str().to_owned(),
        (other, _) => panic!("{other:?}"),
    };
    answer.found.iter().map(line).collect()
}

#[test]
fn findings_come_newest_first_and_intents_carry_their_outcomes() {
    let dir = TempDir::new().unwrap();
    let writer = open(&dir);
    for leaf in [intent(1, "ada"), intent(2, "bob"), outcome(1), denial(3, "eve")] {
        fixture::put(&writer, &leaf);
    }
    let found = ask(&dir, &Filter::default());
    assert_eq!(lines(&found), ["eve denied", "bob UnderWay", "ada Recorded", "started"]);
    assert!(found.damage.is_empty());
    let Found::Call { outcome: Some(outcome), .. } = &found.found[2] else { panic!("no outcome") };
    assert!(matches!(outcome.entry().unwrap().leaf, Leaf::Outcome(_)));
    writer.close().unwrap();
    assert_eq!(lines(&ask(&dir, &Filter::default()))[2], "bob Unknown");
    // The next start does not make it pass for a call under way.
    let writer = open(&dir);
    fixture::settle(&writer);
    let unknown = Filter { unknown: true, ..Filter::default() };
    assert_eq!(lines(&ask(&dir, &unknown)), ["bob Unknown"]);
}

#[test]
fn every_filter_narrows() {
    let dir = TempDir::new().unwrap();
    let writer = open(&dir);
    for leaf in [intent(1, "ada"), outcome(1), denial(2, "ada"), intent(3, "bob"), event("git")] {
        fixture::put(&writer, &leaf);
    }
    let some = |text: &str| Some(text.to_owned());
    let none = Filter::default;
    let table: [(Filter, &[&str]); 14] = [
        (Filter { user: some("ada"), ..none() }, &["ada denied", "ada Recorded"]),
        (Filter { user: some("nobody"), ..none() }, &[]),
        (Filter { agent: some("agent-ada"), ..none() }, &["ada denied", "ada Recorded"]),
        (
            Filter { client: some("client"), tool: some("git_log"), ..none() },
            &["bob UnderWay", "ada denied", "ada Recorded"],
        ),
        (Filter { tenant: some("acme"), user: some("bob"), ..none() }, &["bob UnderWay"]),
        (Filter { tenant: some("other"), ..none() }, &[]),
        (Filter { server: some("git"), user: some("bob"), ..none() }, &["bob UnderWay"]),
        (
            Filter { server: some("git"), ..none() },
            &["server_missing", "bob UnderWay", "ada denied", "ada Recorded"],
        ),
        (Filter { server: some("web"), ..none() }, &[]),
        (Filter { decision: Some(Effect::Deny), ..none() }, &["ada denied"]),
        (Filter { decision: Some(Effect::Permit), ..none() }, &["bob UnderWay", "ada Recorded"]),
        (Filter { call: Some(fixture::call(1)), ..none() }, &["ada Recorded"]),
        (Filter { from: Some(Timestamp(fixture::NOW.0 + 1)), ..none() }, &[]),
        (Filter { until: Some(fixture::NOW), ..none() }, &[]),
    ];
    for (filter, expect) in table {
        assert_eq!(lines(&ask(&dir, &filter)), expect, "{filter:?}");
    }
    assert_eq!(lines(&query(&fixture::path(&dir), &none(), 2).unwrap()), ["server_missing", "bob UnderWay"]);
}

#[test]
fn events_of_identity_are_found_by_who_did_them_and_whom_they_are_about() {
    use ledger::About;
    let dir = TempDir::new().unwrap();
    let writer = open(&dir);
    let (what, tenant, by) = (What::Revoked, Some("acme".into()), Some("usr_admin".into()));
    let about = Some(About::new("user", "usr_bob"));
    fixture::put(&writer, &Leaf::Event(Event { what, tenant, by, about, ..Event::of(what) }));
    let about = Some(About::new("client", "cli"));
    let by = Some("usr_bob".into());
    fixture::put(&writer, &Leaf::Event(Event { by, about, ..Event::of(What::TokenIssued) }));
    let some = |text: &str| Some(text.to_owned());
    let table: [(Filter, &[&str]); 7] = [
        (Filter { user: some("usr_admin"), ..Filter::default() }, &["revoked"]),
        (Filter { user: some("usr_bob"), ..Filter::default() }, &["token_issued", "revoked"]),
        (Filter { user: some("cli"), ..Filter::default() }, &[]),
        (Filter { client: some("cli"), ..Filter::default() }, &["token_issued"]),
        (Filter { tenant: some("acme"), ..Filter::default() }, &["revoked"]),
        (Filter { agent: some("usr_bob"), ..Filter::default() }, &["token_issued"]),
        (Filter { user: some("usr_bob"), tool: some("x"), ..Filter::default() }, &[]),
    ];
    for (filter, expect) in table {
        assert_eq!(lines(&ask(&dir, &filter)), expect, "{filter:?}");
    }
}

#[test]
fn questions_and_the_tail_cross_segments_while_the_writer_writes() {
    let dir = TempDir::new().unwrap();
    let writer = open(&dir);
    let mut tail = Tail::of(&fixture::path(&dir));
    let mut seen = 0;
    for call in 0..200 {
        fixture::put(&writer, &intent(call, "ada"));
        fixture::put(&writer, &outcome(call));
        if call % 7 == 0 {
            let news = tail.look().unwrap();
            assert_eq!(news.damage, []);
            for leaf in news.leaves {
                seen += 1;
                assert_eq!(leaf.entry().unwrap().sequence, seen);
            }
        }
    }
    assert!(fs::read_dir(fixture::path(&dir)).unwrap().count() > 10, "small segments rotate");
    let answer = ask(&dir, &Filter { user: Some("ada".into()), ..Filter::default() });
    assert_eq!(answer.found.len(), 200);
    assert!(lines(&answer).iter().all(|line| line == "ada Recorded"));
    seen += tail.look().unwrap().leaves.len() as u64;
    assert_eq!(seen, 401);
    assert!(tail.look().unwrap().leaves.is_empty());
}

#[test]
fn old_segments_are_not_read_for_recent_questions() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(FixedClock::at(fixture::NOW));
    let old = fixture::open_with(Config { segment_bytes: 512, ..fixture::config(&dir) }, clock.clone());
    for call in 0..8 {
        fixture::put(&old, &intent(call, "ada"));
    }
    old.close().unwrap();
    clock.advance(Duration::from_secs(86_400));
    let later = Timestamp(fixture::NOW.0 + 86_400_000);
    let new = fixture::open_with(fixture::config(&dir), clock);
    fixture::put_at(&new, later, &intent(99, "bob"));
    // An unreadable old segment is no hindrance when the question does not reach it.
    let first = disk::segments(&fixture::path(&dir)).unwrap().remove(0).1;
    fs::remove_file(&first).unwrap();
    fs::create_dir(&first).unwrap();
    let recent = Filter { from: Some(later), ..Filter::default() };
    assert_eq!(lines(&ask(&dir, &recent)), ["bob UnderWay", "started"]);
    assert!(query(&fixture::path(&dir), &Filter::default(), usize::MAX).is_err());
}

#[test]
fn damage_is_told_and_the_rest_is_still_read() {
    let dir = TempDir::new().unwrap();
    let writer = open(&dir);
    for call in 0..20 {
        fixture::put(&writer, &intent(call, "ada"));
    }
    writer.close().unwrap();
    let segments = disk::segments(&fixture::path(&dir)).unwrap();
    // One flipped bit in the first segment, and the end of the second lost.
    let mut bytes = fs::read(&segments[0].1).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&segments[0].1, &bytes).unwrap();
    let bytes = fs::read(&segments[1].1).unwrap();
    fs::write(&segments[1].1, &bytes[..bytes.len() - 10]).unwrap();
    let answer = ask(&dir, &Filter { user: Some("ada".into()), ..Filter::default() });
    assert_eq!(answer.found.len(), 18);
    assert_eq!(answer.damage.len(), 2);
    let texts: Vec<_> = answer.damage.iter().map(|damage| damage.text.as_str()).collect();
    assert!(texts[0].starts_with("lacks leaves"), "{texts:?}");
    assert!(texts[1].starts_with("is damaged at byte"), "{texts:?}");
}
