//! The facts of the moment: time in a zone, network, the broker's plan, conversation, what has been granted.

use model::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

/// Everything a decision may depend on besides the principal, the action and the arguments.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// When the call is judged. `context.time` is this moment in the revision's zone.
    pub now: Timestamp,
    /// The peer's address: `context.network.ip`. The gateway's own calls say `127.0.0.1`.
    pub ip: IpAddr,
    /// The downstream identity the call will act as: `context.plan`.
    pub plan: Plan<'a>,
    /// How the conversation was told apart (`session`, `declared`, `trace`, `inferred`): `context.conversation.source`.
    pub conversation_source: &'a str,
    /// Obligations already met: `context.granted`.
    pub granted: &'a [Arc<str>],
}

/// The broker's plan, as far as policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// `none`, `header`, `environment` or `gateway_jwt`.
    pub strategy: &'a str,
    /// The downstream account, if the plan names one.
    pub account: Option<&'a str>,
    /// Whom the tokens of ours are for, if the plan mints any.
    pub audience: Option<&'a str>,
}

/// A time zone by its IANA name.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(pub(crate) jiff::tz::TimeZone);

/// The name is no IANA zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time zone of the IANA database, such as Europe/Berlin")]
pub struct ZoneError(pub String);

impl Zone {
    /// Reads an IANA name; the database is compiled in.
    ///
    /// # Errors
    /// The name is unknown.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        jiff::tz::TimeZone::get(name).map(Self).map_err(|_| ZoneError(name.chars().take(64).collect()))
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }
}

/// One moment as `context.time` shows it.
pub(crate) struct Clockwork<'a> {
    now: Timestamp,
    civil: jiff::civil::DateTime,
    /// The zone's IANA name.
    pub(crate) zone: &'a str,
}

impl<'a> Clockwork<'a> {
    pub(crate) fn at(now: Timestamp, zone: &'a Zone) -> Self {
        // Outside the years of jiff (-9999 to 9999) the nearest end stands in; Cedar's datetime is narrower.
        let moment = jiff::Timestamp::from_millisecond(now.0).unwrap_or(if now.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        });
        Self { now, civil: zone.0.to_datetime(moment), zone: zone.name() }
    }

    /// RFC 3339 in UTC with milliseconds.
    pub(crate) fn instant(&self) -> String {
        self.now.to_string()
    }

    /// 0 to 23.
    pub(crate) fn hour(&self) -> i64 {
        self.civil.hour().into()
    }

    /// 0 to 59.
    pub(crate) fn minute(&self) -> i64 {
        self.civil.minute().into()
    }

    /// Monday is 1, Sunday is 7 (ISO 8601).
    pub(crate) fn weekday(&self) -> i64 {
        self.civil.weekday().to_monday_one_offset().into()
    }

    /// `2026-11-21`.
    pub(crate) fn date(&self) -> String {
        self.civil.date().to_string()
    }
}
