//! Replays the committed corpus of the fuzz target `policy_context`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may; a helper outside of a test function is still one"
)]

#[path = "../../../fuzz/bodies/policy_context.rs"]
mod policy_context;

#[test]
fn the_policy_context_corpus_holds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/policy_context");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} holds a corpus", folder.display());
    for file in files {
        let data = std::fs::read(&file).unwrap();
        // Whole, and cut off anywhere.
        for end in 0..=data.len() {
            policy_context::check(&data[..end]);
        }
    }
}
