//! Replays the committed fuzz corpora through the same bodies that the fuzz targets run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests may; a helper outside of a test function is still one"
)]

#[path = "../../../fuzz/bodies/frame.rs"]
mod frame;
#[path = "../../../fuzz/bodies/header.rs"]
mod header;
#[path = "../../../fuzz/bodies/sse.rs"]
mod sse;

use proptest::prelude::*;
use std::path::Path;

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} holds a corpus", folder.display());
    for file in files {
        let data = std::fs::read(&file).unwrap();
        // Whole, and cut off anywhere: what a corpus entry is good for.
        for end in 0..=data.len() {
            body(&data[..end]);
        }
    }
}

#[test]
fn the_frame_corpus_holds() {
    replay("frame", frame::check);
}

#[test]
fn the_header_corpus_holds() {
    replay("header", header::check);
}

#[test]
fn the_sse_corpus_holds() {
    replay("sse", sse::check);
}

proptest! {
    #[test]
    fn a_stream_gives_the_same_events_however_it_is_cut(
        seed in any::<[u8; 2]>(),
        parts in prop::collection::vec(
            prop::sample::select(vec!["data: a", "data:", "data", "id: 1", "event: x", "retry: 9", ":", "\n", "\n", "\r", "\r\n", "é", "\u{feff}"]),
            0..60,
        ),
    ) {
        sse::check(&[&seed[..], parts.concat().as_bytes()].concat());
    }

    #[test]
    fn any_text_survives_a_header(text in ".{0,40}") {
        header::check(text.replace('\0', "").as_bytes());
    }
}
