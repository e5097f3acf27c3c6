//! Replays the committed corpus of the fuzz target `segment`.

#[path = "../../../fuzz/bodies/segment.rs"]
mod segment;

#[test]
fn the_segment_corpus_holds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/segment");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} holds a corpus", folder.display());
    for file in files {
        let data = std::fs::read(&file).unwrap();
        // Whole, and cut off anywhere: what a torn end is.
        for end in 0..=data.len() {
            segment::check(&data[..end]);
        }
    }
}
