//! The members of an object, and changes to some of them that leave the other bytes alone.

mod edit;

pub use edit::Edit;

use crate::raw::Raw;
use crate::scan::{self, Entry};
use std::borrow::Cow;

/// The direct members of a checked object, in order. Keys are unique; values are slices of the same bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Members {
    raw: Raw,
    entries: Vec<Entry>,
}

impl Members {
    /// The members of `raw`, or `None` if it is not an object. One shallow walk, no validation again.
    pub fn of(raw: &Raw) -> Option<Self> {
        Some(Self { entries: scan::members(raw.as_bytes())?, raw: raw.clone() })
    }

    /// With entries the strict pass already collected, offsets from the first byte of `raw`.
    pub(crate) fn with(raw: Raw, entries: Vec<Entry>) -> Self {
        Self { raw, entries }
    }

    /// `{}`
    pub fn empty() -> Self {
        Self::with(Raw::empty_object(), Vec::new())
    }

    /// The whole object.
    pub fn raw(&self) -> &Raw {
        &self.raw
    }

    /// The value under `key` (compared unescaped).
    pub fn get(&self, key: &str) -> Option<Raw> {
        self.entry(key).map(|entry| self.slice(entry))
    }

    /// The bytes of the value under `key`.
    pub fn bytes_of(&self, key: &str) -> Option<&[u8]> {
        self.entry(key).map(|entry| entry.value.of(self.raw.as_bytes()))
    }

    /// The text under `key` if it is a string; borrowed unless it has escapes.
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        let inside = self.bytes_of(key)?.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(scan::unescape(inside, memchr::memchr(b'\\', inside).is_some()))
    }

    /// The members of the object under `key` if it is one.
    pub fn object(&self, key: &str) -> Option<Self> {
        Self::of(&self.get(key)?)
    }

    /// Whether there is such a member.
    pub fn contains(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it is `{}`.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys (unescaped) and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, Raw)> {
        self.entries.iter().map(|entry| (entry.key_of(self.raw.as_bytes()), self.slice(entry)))
    }

    /// Keys (unescaped), each with its whole member as it is written: key, colon and value.
    pub fn written(&self) -> impl Iterator<Item = (Cow<'_, str>, &[u8])> {
        let text = self.raw.as_bytes();
        self.entries.iter().map(move |entry| (entry.key_of(text), entry.member_of(text)))
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is(self.raw.as_bytes(), key))
    }

    fn slice(&self, entry: &Entry) -> Raw {
        self.raw.part(entry.value)
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.raw.fmt(f)
    }
}
