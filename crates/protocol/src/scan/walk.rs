//! The shallow walk over text that has passed the strict pass: finds direct members and elements, and looks at
//! what is below them only far enough to step over it.

use super::{Entry, Span, plain};

/// The members of an object that has passed the strict pass, offsets from its first byte.
pub(crate) fn members(text: &[u8]) -> Option<Vec<Entry>> {
    let mut walk = Walk { text, at: 0 };
    walk.open(b'{')?;
    let mut entries = Vec::with_capacity(8);
    while walk.peek()? != b'}' {
        let (key, escaped) = walk.string()?;
        walk.until_value();
        let value = walk.skip()?;
        entries.push(Entry { key, escaped, value });
        walk.until_value();
    }
    Some(entries)
}

/// The elements of an array that has passed the strict pass.
pub(crate) fn elements(text: &[u8]) -> Option<Vec<Span>> {
    let mut walk = Walk { text, at: 0 };
    walk.open(b'[')?;
    let mut spans = Vec::new();
    while walk.peek()? != b']' {
        spans.push(walk.skip()?);
        walk.until_value();
    }
    Some(spans)
}

/// A walk over text that is known to be JSON.
pub(crate) struct Walk<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) at: usize,
}

impl Walk<'_> {
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn open(&mut self, bracket: u8) -> Option<()> {
        if self.peek()? != bracket {
            return None;
        }
        self.at += 1;
        self.until_value();
        Some(())
    }

    /// Over whitespace, commas and colons.
    pub(crate) fn until_value(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t' | b',' | b':') = self.peek() {
            self.at += 1;
        }
    }

    /// Over a string: what is between its quotes, and whether that has escapes.
    pub(crate) fn string(&mut self) -> Option<(Span, bool)> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain(self.text.get(self.at..)?);
            if self.peek()? == b'"' {
                let span = Span { start, end: self.at };
                self.at += 1;
                return Some((span, escaped));
            }
            escaped = true;
            self.at += 2;
        }
    }

    fn skip(&mut self) -> Option<Span> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b' ' | b'\n' | b'\r' | b'\t' | b',' | b':' => self.at += 1,
                _ => self.scalar(),
            }
            if depth == 0 {
                return Some(Span { start, end: self.at });
            }
        }
    }

    /// Over a number or a word.
    pub(crate) fn scalar(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest
            .iter()
            .take_while(|byte| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'))
            .count();
    }
}
