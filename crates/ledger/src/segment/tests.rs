use super::*;
use proptest::prelude::*;

fn header(first: u64) -> Header {
    Header { node: NodeId([7; 16]), first, created: Timestamp(1_795_219_200_000) }
}

/// A segment of `payloads`, and where each frame begins.
fn segment(first: u64, payloads: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
    let mut out = header(first).to_bytes();
    let mut starts = Vec::new();
    for (sequence, payload) in (first..).zip(payloads) {
        starts.push(out.len());
        push(&mut out, sequence, payload);
    }
    (out, starts)
}

/// What a reader gets: the numbers and payloads of whole leaves, and the flaws.
type Read = (Vec<(u64, Vec<u8>)>, Vec<Flaw>);

fn read(segment: &[u8]) -> Result<Read, HeaderError> {
    let header = Header::parse(segment)?;
    let (mut leaves, mut flaws) = (Vec::new(), Vec::new());
    for item in Frames::new(segment, &header) {
        match item {
            Ok(frame) => leaves.push((frame.sequence, frame.payload.to_vec())),
            Err(flaw) => flaws.push(flaw),
        }
    }
    Ok((leaves, flaws))
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    // Text a caller may choose, with the frame's own marker in it.
    let text =
        prop_oneof![Just(",\"value\":{\"seq\":1}}".to_owned()), "[ -~]{0,60}".prop_map(|s| format!(",{s}"))];
    prop::collection::vec(text.prop_map(String::into_bytes), 1..6)
}

proptest! {
    #[test]
    fn what_is_written_is_read(first in 1..u64::MAX / 2, payloads in payloads()) {
        let (bytes, _) = segment(first, &payloads);
        let (leaves, flaws) = read(&bytes).unwrap();
        prop_assert!(flaws.is_empty());
        prop_assert_eq!(leaves.len(), payloads.len());
        for ((sequence, payload), (expected, given)) in leaves.into_iter().zip((first..).zip(&payloads)) {
            prop_assert_eq!(sequence, expected);
            prop_assert!(payload.ends_with(given));
        }
    }

    #[test]
    fn any_flipped_bit_is_found(payloads in payloads(), place in any::<prop::sample::Index>(), bit in 0..8u8) {
        let (mut bytes, starts) = segment(1, &payloads);
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let Ok((leaves, flaws)) = read(&bytes) else {
            prop_assert!(place < HEADER_BYTES);
            return Ok(());
        };
        let hit = starts.iter().rposition(|start| *start <= place).unwrap();
        prop_assert_eq!(flaws.len(), 1);
        prop_assert_eq!(leaves.len(), payloads.len() - 1);
        prop_assert!(leaves.iter().all(|(sequence, _)| *sequence != hit as u64 + 1));
        // Only in the last leaf can it pass for a torn write.
        let torn = matches!(flaws[0], Flaw::Torn { .. });
        prop_assert_eq!(torn, hit + 1 == payloads.len());
    }

    #[test]
    fn a_cut_is_torn_and_loses_only_the_leaf_it_cuts(payloads in payloads(), cut in any::<prop::sample::Index>()) {
        let (bytes, starts) = segment(1, &payloads);
        let cut = HEADER_BYTES + cut.index(bytes.len() - HEADER_BYTES);
        let (leaves, flaws) = read(&bytes[..cut]).unwrap();
        let whole = starts.iter().skip(1).chain([&bytes.len()]).filter(|end| **end <= cut).count();
        prop_assert_eq!(leaves.len(), whole);
        prop_assert_eq!(flaws.is_empty(), starts.contains(&cut));
        let torn = flaws.iter().all(|flaw| matches!(flaw, Flaw::Torn { .. }));
        prop_assert!(torn);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut whole = header(1).to_bytes();
        whole.extend_from_slice(&bytes);
        let _ = read(&whole);
        let _ = read(&bytes);
    }
}

#[test]
fn a_leaf_that_is_missing_between_two_is_damage() {
    let mut bytes = header(1).to_bytes();
    push(&mut bytes, 1, b",}");
    let end = bytes.len();
    push(&mut bytes, 3, b",}");
    let (leaves, flaws) = read(&bytes).unwrap();
    assert_eq!(leaves.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(flaws, [Flaw::Damaged { offset: end, last: 1, next: 3, resumes: end }]);
}

#[test]
fn zeros_after_the_last_leaf_are_torn() {
    let (mut bytes, _) = segment(1, &[b",}".to_vec()]);
    let end = bytes.len();
    bytes.resize(end + 4096, 0);
    assert_eq!(read(&bytes).unwrap().1, [Flaw::Torn { offset: end, bytes: 4096 }]);
}

#[test]
fn a_reader_goes_on_where_it_stopped() {
    let (bytes, starts) = segment(5, &[b",1}".to_vec(), b",2}".to_vec(), b",3}".to_vec()]);
    let mut early = Frames::new(&bytes[..starts[2]], &header(5));
    assert_eq!(early.by_ref().filter(Result::is_ok).count(), 2);
    let mut late = Frames::resume(&bytes, early.offset(), early.expected());
    assert_eq!(late.next().unwrap().unwrap().sequence, 7);
    assert!(late.next().is_none());
}
