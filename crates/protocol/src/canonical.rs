//! The canonical form of JSON (RFC 8785) and its digest: what two spellings of the same arguments share.
//!
//! Numbers are doubles there (ECMAScript). A number whose canonical form would be another number (2⁵³+1, 1e999,
//! thirty digits of π) has no canonical form: it is an error, never a digest of something else. So no two
//! documents of different meaning share a form.

mod number;

use crate::raw::{Raw, write_string};
use crate::scan::{Span, Walk, unescape};
use model::Digest;
use std::cmp::Ordering;

/// A number that a double does not hold as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a number is not exactly representable")]
pub struct CanonicalError {
    /// The number as written; never shown with arguments that are not recorded.
    pub number: Box<str>,
}

/// The canonical form.
pub fn canonicalize(value: &Raw) -> Result<Vec<u8>, CanonicalError> {
    let text = value.as_bytes();
    let mut form = Form {
        from: Walk { text, at: 0 },
        out: Vec::with_capacity(text.len()),
        members: Vec::with_capacity(16),
    };
    form.value()?;
    Ok(form.out)
}

/// SHA-256 of the canonical form.
pub fn digest(value: &Raw) -> Result<Digest, CanonicalError> {
    canonicalize(value).map(|form| Digest::of(&form))
}

/// One walk over the text, writing as it goes; the members of an object are put in order behind it. Recurses as
/// deep as the strict pass let the value nest.
struct Form<'a> {
    from: Walk<'a>,
    out: Vec<u8>,
    /// Of all objects under way.
    members: Vec<Member>,
}

/// A member that was written.
#[derive(Clone, Copy)]
struct Member {
    /// Its key in the text, between the quotes.
    key: Span,
    escaped: bool,
    /// All of it in the output.
    written: Span,
}

impl Member {
    /// RFC 8785 §3.2.3: by the UTF-16 code units of the keys.
    fn order(&self, other: &Self, text: &[u8]) -> Ordering {
        let (mine, others) = (self.key.of(text), other.key.of(text));
        // Of ASCII that is the order of the bytes.
        if !self.escaped && !other.escaped && mine.is_ascii() && others.is_ascii() {
            return mine.cmp(others);
        }
        let (mine, others) = (unescape(mine, self.escaped), unescape(others, other.escaped));
        mine.encode_utf16().cmp(others.encode_utf16())
    }
}

impl Form<'_> {
    fn value(&mut self) -> Result<(), CanonicalError> {
        match self.from.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => {
                self.string();
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                let start = self.from.at;
                self.from.scalar();
                let digits = Span { start, end: self.from.at }.of(self.from.text);
                number::write(std::str::from_utf8(digits).unwrap_or_default(), &mut self.out)
            }
            _ => {
                let start = self.from.at;
                self.from.scalar();
                self.out.extend_from_slice(Span { start, end: self.from.at }.of(self.from.text));
                Ok(())
            }
        }
    }

    fn string(&mut self) -> (Span, bool) {
        let (span, escaped) = self.from.string().unwrap_or((Span { start: 0, end: 0 }, false));
        let inside = span.of(self.from.text);
        if escaped {
            write_string(&unescape(inside, true), &mut self.out);
        } else {
            self.out.push(b'"');
            self.out.extend_from_slice(inside);
            self.out.push(b'"');
        }
        (span, escaped)
    }

    fn array(&mut self) -> Result<(), CanonicalError> {
        self.open();
        let mut first = true;
        while self.from.peek().is_some_and(|byte| byte != b']') {
            if !first {
                self.out.push(b',');
            }
            first = false;
            self.value()?;
            self.from.until_value();
        }
        self.close(b']');
        Ok(())
    }

    fn object(&mut self) -> Result<(), CanonicalError> {
        self.open();
        let mine = self.members.len();
        let begin = self.out.len();
        while self.from.peek().is_some_and(|byte| byte != b'}') {
            if self.members.len() > mine {
                self.out.push(b',');
            }
            let start = self.out.len();
            let (key, escaped) = self.string();
            self.from.until_value();
            self.out.push(b':');
            self.value()?;
            self.members.push(Member { key, escaped, written: Span { start, end: self.out.len() } });
            self.from.until_value();
        }
        self.order(mine, begin);
        self.members.truncate(mine);
        self.close(b'}');
        Ok(())
    }

    /// Puts the members from `mine` on, written from `begin` on, in order.
    fn order(&mut self, mine: usize, begin: usize) {
        let text = self.from.text;
        let members = self.members.get_mut(mine..).unwrap_or_default();
        if members.is_sorted_by(|left, right| left.order(right, text).is_lt()) {
            return;
        }
        members.sort_by(|left, right| left.order(right, text));
        let written = self.out.split_off(begin);
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(member.written.back(begin).of(&written));
        }
    }

    fn open(&mut self) {
        self.out.extend(self.from.peek());
        self.from.at += 1;
        self.from.until_value();
    }

    fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.from.at += 1;
    }
}

#[cfg(test)]
mod tests;
