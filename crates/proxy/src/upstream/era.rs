//! Which eras a server speaks: found out once, remembered, and forgotten when it proves wrong.
//!
//! A call is made in the client's era unless the server is known to refuse it (design §6). The first
//! stateless contact is a `server/discover` (MCP 2026-07-28, versioning), the first of a session an
//! `initialize`; either refusal leads to the other era.

use protocol::{Era, Members, Outcome, RpcError, Version, reply};
use std::sync::atomic::{AtomicU8, Ordering};

/// What is known of one era.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Known {
    /// Not tried, or proved wrong.
    #[default]
    Nothing,
    /// The server speaks it.
    Speaks,
    /// The server refused it.
    Refuses,
}

/// What is known of both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Spoken {
    /// 2026-07-28.
    pub(crate) stateless: Known,
    /// 2025-11-25 and earlier.
    pub(crate) session: Known,
}

/// The memory, without a lock.
#[derive(Default)]
pub(super) struct Eras {
    stateless: AtomicU8,
    session: AtomicU8,
}

/// What the first stateless contact showed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Probed {
    /// It speaks 2026-07-28; whether it names a session version too.
    Stateless { session: bool },
    /// It is of the older era, or says nothing that the newer one knows.
    Session,
    /// It is modern and shares no version with us.
    Neither,
}

impl Eras {
    pub(super) fn spoken(&self) -> Spoken {
        let known = |slot: &AtomicU8| match slot.load(Ordering::Relaxed) {
            1 => Known::Speaks,
            2 => Known::Refuses,
            _ => Known::Nothing,
        };
        Spoken { stateless: known(&self.stateless), session: known(&self.session) }
    }

    pub(super) fn note(&self, era: Era, known: Known) {
        let value = match known {
            Known::Nothing => 0,
            Known::Speaks => 1,
            Known::Refuses => 2,
        };
        match era {
            Era::Stateless => self.stateless.store(value, Ordering::Relaxed),
            Era::Session => self.session.store(value, Ordering::Relaxed),
        }
    }

    pub(super) fn note_probe(&self, probed: &Probed) {
        match probed {
            Probed::Stateless { session } => {
                self.note(Era::Stateless, Known::Speaks);
                // A server that speaks both does not always say so: silence is no refusal.
                if *session {
                    self.note(Era::Session, Known::Speaks);
                }
            }
            Probed::Session => self.note(Era::Stateless, Known::Refuses),
            Probed::Neither => {
                self.note(Era::Stateless, Known::Refuses);
                self.note(Era::Session, Known::Refuses);
            }
        }
    }

    /// Forgets everything, so that the next call asks again.
    pub(super) fn forget(&self) {
        self.note(Era::Stateless, Known::Nothing);
        self.note(Era::Session, Known::Nothing);
    }
}

impl Spoken {
    /// The era to speak with a client of `client`'s era, and whether it is known to work; nothing when the
    /// server refused both.
    pub(super) fn choose(self, client: Era) -> Option<(Era, bool)> {
        let (own, other, other_era) = match client {
            Era::Stateless => (self.stateless, self.session, Era::Session),
            Era::Session => (self.session, self.stateless, Era::Stateless),
        };
        match (own, other) {
            (Known::Refuses, Known::Refuses) => None,
            (Known::Refuses, other) => Some((other_era, other == Known::Speaks)),
            (own, _) => Some((client, own == Known::Speaks)),
        }
    }
}

/// Reads the answer to `server/discover`.
pub(super) fn probed(outcome: &Outcome) -> Probed {
    match outcome {
        Outcome::Result(result) => described(result),
        Outcome::Error(error) => refused(error),
    }
}

/// Reads a DiscoverResult. One without its versions is none: some older servers answer anything.
pub(super) fn described(result: &Members) -> Probed {
    versions(result, "supportedVersions").map_or(Probed::Session, |versions| of_versions(&versions))
}

/// What an error to a stateless request says of its server's era.
pub(super) fn refused(error: &RpcError) -> Probed {
    match error.code {
        reply::HEADER_MISMATCH | reply::MISSING_CLIENT_CAPABILITY => Probed::Stateless { session: false },
        reply::UNSUPPORTED_VERSION => {
            let data = error.data.as_ref().and_then(Members::of);
            let versions = data.and_then(|data| versions(&data, "supported"));
            versions.map_or(Probed::Neither, |versions| of_versions(&versions))
        }
        _ => Probed::Session,
    }
}

fn versions(of: &Members, key: &str) -> Option<Vec<Version>> {
    let listed = of.get(key)?.elements()?;
    Some(listed.iter().filter_map(|text| Version::parse(&text.to_str()?)).collect())
}

fn of_versions(versions: &[Version]) -> Probed {
    let session = versions.iter().any(|version| version.era() == Era::Session);
    if versions.iter().any(|version| version.era() == Era::Stateless) {
        Probed::Stateless { session }
    } else if session {
        Probed::Session
    } else {
        Probed::Neither
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Bounds, Message};

    fn probe(reply: &str) -> Probed {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,{reply}}}"#);
        let bounds = Bounds { bytes: 1 << 16, depth: 16, items: 1000 };
        match protocol::decode(text.into(), &bounds).unwrap() {
            Message::Response(response) => probed(&response.outcome),
            Message::Request(_) | Message::Notification(_) => panic!("not a response"),
        }
    }

    #[test]
    fn the_answer_to_a_probe_tells_the_era() {
        let modern = |session| Probed::Stateless { session };
        for (reply, expect) in [
            (r#""result":{"supportedVersions":["2026-07-28"]}"#, modern(false)),
            (r#""result":{"supportedVersions":["2025-11-25","2026-07-28"]}"#, modern(true)),
            (r#""result":{"supportedVersions":["2025-06-18"]}"#, Probed::Session),
            (r#""result":{"supportedVersions":["2031-01-01"]}"#, Probed::Neither),
            (r#""result":{}"#, Probed::Session),
            (r#""error":{"code":-32020,"message":"x"}"#, modern(false)),
            (r#""error":{"code":-32021,"message":"x"}"#, modern(false)),
            (r#""error":{"code":-32022,"message":"x","data":{"supported":["2026-07-28"]}}"#, modern(false)),
            (r#""error":{"code":-32022,"message":"x","data":{"supported":["2025-11-25"]}}"#, Probed::Session),
            (r#""error":{"code":-32022,"message":"x"}"#, Probed::Neither),
            (r#""error":{"code":-32601,"message":"x"}"#, Probed::Session),
            (r#""error":{"code":-32602,"message":"x"}"#, Probed::Session),
            (r#""error":{"code":-32000,"message":"Bad Request: no session"}"#, Probed::Session),
        ] {
            assert_eq!(probe(reply), expect, "{reply}");
        }
    }

    #[test]
    fn a_server_of_both_eras_is_spoken_to_in_the_clients() {
        let eras = Eras::default();
        for client in [Era::Stateless, Era::Session] {
            assert_eq!(eras.spoken().choose(client), Some((client, false)));
        }
        eras.note_probe(&Probed::Stateless { session: true });
        for client in [Era::Stateless, Era::Session] {
            assert_eq!(eras.spoken().choose(client), Some((client, true)));
        }
        eras.note(Era::Session, Known::Refuses);
        assert_eq!(eras.spoken().choose(Era::Session), Some((Era::Stateless, true)));
        eras.note_probe(&Probed::Neither);
        assert_eq!(eras.spoken().choose(Era::Session), None);
        eras.forget();
        assert_eq!(eras.spoken(), Spoken::default());
    }
}
