//! The event stream decoder: pieces of any size give the same events, and none is over its bound.
//!
//! Input: two bytes of seed for the sizes of the pieces, then the stream.

use protocol::sse::{Decoder, Event, SseError, event};

const LIMIT: usize = 512;

pub(crate) fn check(data: &[u8]) {
    let Some((seed, stream)) = data.split_first_chunk::<2>() else { return };
    let mut state = u32::from(u16::from_le_bytes(*seed)) | 1;
    let mut sizes = std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(1 + (state >> 24) as usize % 13)
    });
    let whole = read(stream, &mut std::iter::repeat(usize::MAX));
    let pieces = read(stream, &mut sizes);
    let bytes = read(stream, &mut std::iter::repeat(1));
    // Where the bound is met may depend on the pieces only in how many events come before the refusal.
    assert_eq!(whole.0, pieces.0);
    assert_eq!(whole.0, bytes.0);
    assert_eq!(whole.1.is_some(), bytes.1.is_some());
    for found in &whole.0 {
        assert!(found.data.len() <= LIMIT);
        let again = read(&event(&found.data, found.id.as_deref()), &mut std::iter::repeat(usize::MAX)).0;
        if found.data.len() < LIMIT / 2
            && short(&found.data)
            && found.id.as_ref().is_none_or(|id| id.len() < 100)
        {
            assert_eq!(again.first().map(|event| &event.data), Some(&found.data), "written and read again");
        }
    }
}

/// Few enough line feeds that the `data: ` before each line stays within the bound.
fn short(data: &[u8]) -> bool {
    data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() < 8 && !data.contains(&b'\r')
}

fn read(stream: &[u8], sizes: &mut dyn Iterator<Item = usize>) -> (Vec<Event>, Option<SseError>) {
    let mut decoder = Decoder::new(LIMIT);
    let mut events = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(sizes.next().unwrap_or(1).min(rest.len()));
        rest = tail;
        decoder.push(piece);
        loop {
            match decoder.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}
