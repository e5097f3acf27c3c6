//! Segment recovery: whatever the bytes, whole leaves come out in order and nothing is read twice; a segment that
//! was written is read back, and any one flipped bit in it is found.
//!
//! Input: one byte that chooses. Even: the rest is a segment. Odd: the rest is what leaves say, split at every
//! NUL, and the choosing byte says which byte of the segment made of them is flipped.

use ledger::segment::{Flaw, Frames, Header, NodeId, push};
use ledger::{decode, encode};
use model::Timestamp;

pub(crate) fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    if choice % 2 == 0 { read_anything(rest) } else { read_what_was_written(rest, usize::from(choice / 2)) }
}

fn read_anything(segment: &[u8]) {
    let header = Header::parse(segment);
    let first = header.map_or(1, |header| header.first);
    if let Ok(header) = header {
        assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
    }
    let (mut last, mut end) = (first.checked_sub(1), 0);
    let mut frames = Frames::resume(segment, 0, first);
    while let Some(read) = frames.next() {
        match read {
            Ok(frame) => {
                assert!(last.is_none_or(|last| frame.sequence > last) && frame.offset >= end);
                (last, end) = (Some(frame.sequence), frames.offset());
                read_leaf(frame.payload);
            }
            Err(Flaw::Torn { offset, bytes }) => {
                assert_eq!(offset + bytes, segment.len());
                assert!(frames.next().is_none(), "nothing follows a torn end");
                return;
            }
            Err(Flaw::Damaged { resumes, next, .. }) => {
                assert!(resumes >= end && next >= frames.expected());
            }
        }
    }
    assert_eq!(frames.offset(), segment.len());
}

/// What can be read is written the same way ever after.
fn read_leaf(payload: &[u8]) {
    let Ok(entry) = decode(payload) else { return };
    let again = |entry: &ledger::Entry<'_>| {
        let (mut encoded, mut framed) = (Vec::new(), Vec::new());
        encode(&mut encoded, entry.time, &entry.leaf);
        push(&mut framed, entry.sequence, &encoded);
        framed.split_off(ledger::segment::FRAME_BYTES)
    };
    let once = again(&entry);
    assert!(once.len() <= ledger::LEAF_BYTES);
    let twice = decode(&once).map(|entry| again(&entry));
    assert_eq!(twice.ok(), Some(once));
}

fn read_what_was_written(texts: &[u8], flipped: usize) {
    let header = Header { node: NodeId([1; 16]), first: 7, created: Timestamp(0) };
    let mut segment = header.to_bytes();
    let mut leaves = 0;
    for (sequence, text) in (7..).zip(texts.split(|byte| *byte == 0)) {
        let mut encoded = b",".to_vec();
        encoded.extend(text.iter().map(|byte| if *byte < b' ' { b' ' } else { *byte }).take(60_000));
        push(&mut segment, sequence, &encoded);
        leaves += 1;
    }
    let sound: Vec<_> = Frames::new(&segment, &header).collect();
    assert!(sound.len() == leaves && sound.iter().all(Result::is_ok));
    let frames = segment.len() - ledger::segment::HEADER_BYTES;
    let place = ledger::segment::HEADER_BYTES + flipped * 7919 % frames;
    let byte = segment.get_mut(place);
    byte.into_iter().for_each(|byte| *byte ^= 1 << (flipped % 8));
    let found = Frames::new(&segment, &header).filter(Result::is_err).count();
    assert_eq!(found, 1, "a flipped bit is found once");
}
