//! How much a session server logs. In the older era it is told once (`logging/setLevel`); the newer one says
//! it with each request. A session serves several requests, so it is as loud as the loudest wants, and each
//! hears only what it asked for.

use bytes::Bytes;
use protocol::meta::LogLevel;
use protocol::{Edit, Id, Members, Method, Raw, frame};
use std::sync::atomic::{AtomicU8, Ordering};

/// The level a server was told, and whether it takes one.
pub(super) struct Loudness {
    /// One more than the level; 255 for none yet, 0 for a server that takes none.
    told: AtomicU8,
}

impl Loudness {
    /// From what `initialize` said.
    pub(super) fn of(document: &Members) -> Self {
        let logs =
            document.object("capabilities").is_some_and(|capabilities| capabilities.contains("logging"));
        Self { told: AtomicU8::new(if logs { u8::MAX } else { 0 }) }
    }

    /// The request to send before a call that wants `level`, if the server does not log that much yet.
    pub(super) fn raise(&self, level: Option<LogLevel>, id: impl FnOnce() -> i64) -> Option<(i64, Bytes)> {
        let level = level?;
        let wanted = level as u8 + 1;
        // Levels fall as loudness grows; of two calls at once, one asks.
        if self.told.fetch_min(wanted, Ordering::Relaxed) <= wanted {
            return None;
        }
        let id = id();
        let params = Edit::new().set(&["level"], Raw::of_str(level.as_str())).apply(&Members::empty());
        Some((id, frame::request(&Id::Number(id), Method::LoggingSetLevel.name(), Some(&params))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::raw;

    #[test]
    fn a_server_is_told_when_more_is_wanted_and_only_if_it_logs() {
        let document = raw(r#"{"capabilities":{"logging":{}}}"#).members().unwrap();
        let loudness = Loudness::of(&document);
        let mut asked = Vec::new();
        for level in
            [None, Some(LogLevel::Warning), Some(LogLevel::Error), Some(LogLevel::Info), Some(LogLevel::Info)]
        {
            asked.push(loudness.raise(level, || 1).is_some());
        }
        assert_eq!(asked, [false, true, false, true, false]);
        let silent = Loudness::of(&raw(r#"{"capabilities":{}}"#).members().unwrap());
        assert!(silent.raise(Some(LogLevel::Debug), || 1).is_none());
    }
}
