//! The one strict pass over JSON text (RFC 8259); `walk` is the shallow one over text that has passed it.
//!
//! Strict means: UTF-8, the grammar to the letter, no lone surrogate, no repeated key at any level (keys
//! compared unescaped), bounded depth and number of values. A longer text than another parser would read,
//! or one that two parsers would read differently, does not get past here.

mod walk;

pub(crate) use walk::{Walk, elements, members};

use std::borrow::Cow;

/// The deepest nesting whatever the configuration says: the pass recurses.
pub(crate) const DEEPEST: usize = 512;

/// A half-open range of byte offsets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) fn back(self, base: usize) -> Self {
        Self { start: self.start.saturating_sub(base), end: self.end.saturating_sub(base) }
    }
}

/// One member of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// The key between its quotes.
    pub(crate) key: Span,
    /// Whether the key has escapes.
    pub(crate) escaped: bool,
    /// The value, without whitespace around it.
    pub(crate) value: Span,
}

impl Entry {
    pub(crate) fn is(&self, text: &[u8], key: &str) -> bool {
        if self.escaped { self.key_of(text) == key } else { self.key.of(text) == key.as_bytes() }
    }

    pub(crate) fn key_of<'a>(&self, text: &'a [u8]) -> Cow<'a, str> {
        unescape(self.key.of(text), self.escaped)
    }

    /// The member from the opening quote of its key to the end of its value.
    pub(crate) fn member_of<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        Span { start: self.key.start.saturating_sub(1), end: self.value.end }.of(text)
    }

    pub(crate) fn back(self, base: usize) -> Self {
        Self { key: self.key.back(base), escaped: self.escaped, value: self.value.back(base) }
    }
}

/// What the strict pass refuses, with the byte offset where it stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Grammar(usize),
    Repeated(usize),
    TooDeep,
    TooMany,
}

/// The pass itself. `top` and `inner` are what was seen so far, also after a refusal.
pub(crate) struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    depth_limit: usize,
    items_left: usize,
    keys: Vec<Key>,
    unescaped: Vec<u8>,
    collect: bool,
    /// The members of the outermost object.
    pub(crate) top: Vec<Entry>,
    /// The members of its `params`, `result` or `error`, whichever came last.
    pub(crate) inner: Vec<Entry>,
}

/// A key on the stack of the objects under way.
#[derive(Clone, Copy)]
struct Key {
    span: Span,
    /// Whether the span is into `unescaped` rather than into the text.
    aside: bool,
}

impl<'a> Scan<'a> {
    /// `collect`: remember members as `top` and `inner` say. Refuses what is not UTF-8, with the offset where it
    /// stops being that.
    pub(crate) fn new(text: &'a [u8], depth: usize, items: usize, collect: bool) -> Result<Self, usize> {
        // ASCII, which most messages are, is found out four times as fast.
        if !text.is_ascii() {
            std::str::from_utf8(text).map_err(|error| error.valid_up_to())?;
        }
        let room = if collect { 8 } else { 0 };
        Ok(Self {
            text,
            at: 0,
            depth_limit: depth.min(DEEPEST),
            items_left: items,
            keys: Vec::with_capacity(16),
            unescaped: Vec::new(),
            collect,
            top: Vec::with_capacity(room),
            inner: Vec::with_capacity(room),
        })
    }

    /// Reads the whole text as one value and gives its span.
    pub(crate) fn document(&mut self) -> Result<Span, Refusal> {
        self.space();
        let start = self.at;
        self.value(0, Place::Top)?;
        let end = self.at;
        self.space();
        if self.at == self.text.len() { Ok(Span { start, end }) } else { self.refuse() }
    }

    fn value(&mut self, depth: usize, place: Place) -> Result<(), Refusal> {
        self.items_left = self.items_left.checked_sub(1).ok_or(Refusal::TooMany)?;
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(depth + 1, place),
            Some(b'[') => self.array(depth + 1),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.refuse(),
        }
    }

    fn object(&mut self, depth: usize, place: Place) -> Result<(), Refusal> {
        if depth > self.depth_limit {
            return Err(Refusal::TooDeep);
        }
        if place == Place::Inner {
            self.inner.clear();
        }
        let mine = self.keys.len();
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let start = self.at + 1;
            if self.peek() != Some(b'"') {
                return self.refuse();
            }
            let escaped = self.string()?;
            let key = Span { start, end: self.at - 1 };
            self.remember(key, escaped);
            self.space();
            self.expect(b':')?;
            self.space();
            let begin = self.at;
            self.value(depth, self.place_below(place, key, escaped))?;
            if self.collect && place != Place::Elsewhere {
                let entry = Entry { key, escaped, value: Span { start: begin, end: self.at } };
                if place == Place::Top { self.top.push(entry) } else { self.inner.push(entry) }
            }
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(b'}') => {
                    self.at += 1;
                    return self.distinct(mine);
                }
                _ => return self.refuse(),
            }
        }
    }

    fn place_below(&self, place: Place, key: Span, escaped: bool) -> Place {
        let carries = place == Place::Top
            && self.collect
            && match key.of(self.text) {
                b"params" | b"result" | b"error" => true,
                bytes if escaped => matches!(unescape(bytes, true).as_ref(), "params" | "result" | "error"),
                _ => false,
            };
        if carries { Place::Inner } else { Place::Elsewhere }
    }

    fn array(&mut self, depth: usize) -> Result<(), Refusal> {
        if depth > self.depth_limit {
            return Err(Refusal::TooDeep);
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth, Place::Elsewhere)?;
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.refuse(),
            }
        }
    }

    /// Reads a string with its quotes; whether it has escapes.
    fn string(&mut self) -> Result<bool, Refusal> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += plain(self.text.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return self.refuse(),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Refusal> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.unit()? {
                0xD800..=0xDBFF if self.text.get(self.at..self.at + 2) == Some(b"\\u") => {
                    self.at += 1;
                    if (0xDC00..=0xDFFF).contains(&self.unit()?) { Ok(()) } else { self.refuse() }
                }
                0xD800..=0xDFFF => self.refuse(),
                _ => Ok(()),
            },
            _ => self.refuse(),
        }
    }

    /// Reads `uXXXX`.
    fn unit(&mut self) -> Result<u32, Refusal> {
        let digits = self.text.get(self.at + 1..self.at + 5).unwrap_or_default();
        let all_hex = digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit);
        let unit = std::str::from_utf8(digits).ok().and_then(|text| u32::from_str_radix(text, 16).ok());
        match unit {
            Some(unit) if all_hex => {
                self.at += 5;
                Ok(unit)
            }
            _ => self.refuse(),
        }
    }

    fn number(&mut self) -> Result<(), Refusal> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return self.refuse(),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Refusal> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return self.refuse();
        }
        self.at += count;
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Refusal> {
        if self.text.get(self.at..self.at + word.len()) == Some(word) {
            self.at += word.len();
            return Ok(());
        }
        self.refuse()
    }

    fn remember(&mut self, span: Span, escaped: bool) {
        if !escaped {
            self.keys.push(Key { span, aside: false });
            return;
        }
        let start = self.unescaped.len();
        self.unescaped.extend_from_slice(unescape(span.of(self.text), true).as_bytes());
        self.keys.push(Key { span: Span { start, end: self.unescaped.len() }, aside: true });
    }

    /// Refuses the object whose keys begin at `mine` if two of them are the same, and forgets them.
    fn distinct(&mut self, mine: usize) -> Result<(), Refusal> {
        let (text, unescaped) = (self.text, &self.unescaped);
        let bytes = |key: &Key| key.span.of(if key.aside { unescaped } else { text });
        let keys = self.keys.get_mut(mine..).unwrap_or_default();
        // Few keys: compare all pairs. Many: sort first, so that a hostile object costs n log n.
        let repeated = if keys.len() <= 12 {
            keys.iter()
                .enumerate()
                .any(|(index, key)| keys.iter().take(index).any(|other| bytes(other) == bytes(key)))
        } else {
            keys.sort_unstable_by(|left, right| bytes(left).cmp(bytes(right)));
            keys.windows(2).any(|pair| matches!(pair, [left, right] if bytes(left) == bytes(right)))
        };
        self.keys.truncate(mine);
        if mine == 0 {
            self.unescaped.clear();
        }
        if repeated { Err(Refusal::Repeated(self.at)) } else { Ok(()) }
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Refusal> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        self.refuse()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn refuse<T>(&self) -> Result<T, Refusal> {
        Err(Refusal::Grammar(self.at))
    }
}

/// Where an object stands, as far as collecting its members goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Inner,
    Elsewhere,
}

/// The text of a string that has passed the strict pass, without its quotes.
pub(crate) fn unescape(inside: &[u8], escaped: bool) -> Cow<'_, str> {
    if !escaped {
        return Cow::Borrowed(std::str::from_utf8(inside).unwrap_or_default());
    }
    let quoted = [b"\"", inside, b"\""].concat();
    Cow::Owned(serde_json::from_slice(&quoted).unwrap_or_default())
}

/// How many bytes stand before the next quote, backslash or control character. Eight at a time; the lowest
/// flagged byte of a word is always a true one, since borrows only travel upwards.
pub(crate) fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, _) = bytes.as_chunks::<8>();
    let mut count = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = control | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5C));
        if found != 0 {
            return count + usize::try_from(found.trailing_zeros() / 8).unwrap_or_default();
        }
        count += 8;
    }
    let rest = bytes.get(count..).unwrap_or_default();
    count + rest.iter().take_while(|byte| **byte >= 0x20 && **byte != b'"' && **byte != b'\\').count()
}
