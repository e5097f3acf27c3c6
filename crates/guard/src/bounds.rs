//! Detector `bounds`: size, and length of strings. Depth and number of values are the frame's to bound, before
//! anything is read.

use crate::Finding;
use protocol::Raw;

/// The most that arguments or a result may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes in all.
    pub bytes: usize,
    /// Bytes of one string or key, as written.
    pub string_bytes: usize,
}

/// The name of this detector.
const DETECTOR: &str = "bounds";

impl Bounds {
    /// The bounds for arguments.
    pub fn of_arguments(limits: &model::Limits) -> Self {
        Self { bytes: limits.argument_bytes, string_bytes: limits.string_bytes }
    }

    /// The bounds for results.
    pub fn of_results(limits: &model::Limits) -> Self {
        Self { bytes: limits.answer_bytes, string_bytes: limits.string_bytes }
    }

    /// A value that is shorter than one of its strings may be is not even walked.
    pub(crate) fn check(&self, value: &Raw) -> Result<(), Finding> {
        let bytes = value.as_bytes();
        if bytes.len() > self.bytes {
            return Err(finding(String::new(), format!("more than {} bytes", self.bytes)));
        }
        if bytes.len() <= self.string_bytes {
            return Ok(());
        }
        match self.walk(bytes, &mut Nowhere) {
            Ok(()) => Ok(()),
            // The way to the place is found by a second walk, which only a finding pays for.
            Err(message) => {
                let mut path = Path::default();
                let _ = self.walk(bytes, &mut path);
                Err(finding(path.pointer(), message))
            }
        }
    }

    fn walk(&self, bytes: &[u8], place: &mut impl Place) -> Result<(), String> {
        let mut at = 0_usize;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    let end = string_end(bytes, at);
                    place.string(bytes.get(at..end).unwrap_or_default());
                    if end - at > self.string_bytes {
                        return Err(format!("a string of more than {} bytes", self.string_bytes));
                    }
                    at = end + 1;
                }
                b'{' | b'[' => place.open(*byte == b'['),
                b'}' | b']' => place.close(),
                b',' => place.comma(),
                b':' => place.colon(),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The index of the quote that ends the string which begins at `from`.
fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') | None => return at.min(bytes.len()),
            Some(_) => at += 1,
        }
    }
}

fn finding(pointer: String, message: String) -> Finding {
    Finding { detector: DETECTOR, pointer, message }
}

/// Told about the walk.
trait Place {
    fn open(&mut self, array: bool);
    fn close(&mut self);
    fn comma(&mut self);
    fn colon(&mut self);
    fn string(&mut self, inside: &[u8]);
}

/// Does not listen.
struct Nowhere;

impl Place for Nowhere {
    fn open(&mut self, _: bool) {}
    fn close(&mut self) {}
    fn comma(&mut self) {}
    fn colon(&mut self) {}
    fn string(&mut self, _: &[u8]) {}
}

/// Remembers the way.
#[derive(Default)]
struct Path {
    steps: Vec<Step>,
    last: Vec<u8>,
}

enum Step {
    Index(usize),
    Key(Vec<u8>),
}

impl Place for Path {
    fn open(&mut self, array: bool) {
        self.steps.push(if array { Step::Index(0) } else { Step::Key(Vec::new()) });
    }

    fn close(&mut self) {
        self.steps.pop();
    }

    fn comma(&mut self) {
        match self.steps.last_mut() {
            Some(Step::Index(index)) => *index += 1,
            Some(Step::Key(key)) => key.clear(),
            None => {}
        }
    }

    fn colon(&mut self) {
        if let Some(Step::Key(key)) = self.steps.last_mut() {
            key.clone_from(&self.last);
        }
    }

    fn string(&mut self, inside: &[u8]) {
        self.last.clear();
        self.last.extend_from_slice(inside.get(..POINTER_BYTES).unwrap_or(inside));
    }
}

impl Path {
    fn pointer(&self) -> String {
        let mut out = String::new();
        for step in &self.steps {
            out.push('/');
            match step {
                Step::Index(index) => out.push_str(&index.to_string()),
                Step::Key(key) => {
                    out.push_str(&String::from_utf8_lossy(key).replace('~', "~0").replace('/', "~1"))
                }
            }
            if out.len() > POINTER_BYTES {
                let end = (0..=POINTER_BYTES).rev().find(|at| out.is_char_boundary(*at)).unwrap_or(0);
                out.truncate(end);
                break;
            }
        }
        out
    }
}

/// The longest pointer, in bytes.
const POINTER_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const BOUNDS: Bounds = Bounds { bytes: 200, string_bytes: 10 };

    fn check(json: &str) -> Result<(), (String, String)> {
        let most = protocol::Bounds { bytes: 1 << 20, depth: 100, items: 10_000 };
        let raw = Raw::parse(Bytes::copy_from_slice(json.as_bytes()), &most).unwrap();
        BOUNDS.check(&raw).map_err(|finding| (finding.pointer, finding.message))
    }

    fn refused(json: &str) -> (String, String) {
        check(json).unwrap_err()
    }

    #[test]
    fn what_is_within_its_bounds_passes() {
        for json in [
            "{}",
            "1",
            "\"01234567\"",
            "\"0123456789\"",
            r#"{"a":[{"b":"0123456789"}]}"#,
            r#"{"a":"\"\\\",[{","b":"}"}"#,
            r#"["0123456789",{"0123456789":["0123456789"]}]"#,
        ] {
            assert_eq!(check(json), Ok(()), "{json}");
        }
    }

    #[test]
    fn what_is_over_a_bound_is_found_with_its_place() {
        assert_eq!(
            refused(r#"{"a":1,"b":[0,"01234567890"]}"#),
            ("/b/1".into(), "a string of more than 10 bytes".into())
        );
        assert_eq!(refused(r#""01234567890""#).0, "");
        assert_eq!(refused(r#"{"x/y~":["0123456789\n"]}"#).0, "/x~1y~0/0");
        assert_eq!(refused(r#"{"01234567890":1}"#).1, "a string of more than 10 bytes");
        let long = format!("[{}]", "\" \",".repeat(60) + "1");
        assert_eq!(refused(&long), (String::new(), "more than 200 bytes".into()));
    }

    #[test]
    fn a_long_way_is_cut_off_between_characters() {
        let key = "é".repeat(5);
        let deep = format!("{}{}{}", format!("{{\"{key}\":").repeat(60), "\"01234567890\"", "}".repeat(60));
        let bounds = Bounds { bytes: 1 << 20, string_bytes: 10 };
        let most = protocol::Bounds { bytes: 1 << 20, depth: 100, items: 10_000 };
        let finding = bounds.check(&Raw::parse(Bytes::from(deep), &most).unwrap()).unwrap_err();
        assert!(finding.pointer.len() <= 256 && finding.pointer.starts_with("/ééééé/"));
    }
}
