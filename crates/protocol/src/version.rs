//! Versions of MCP and their two eras (2026-07-28, basic/versioning).

/// A version of MCP that we speak: the first one with servers only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Version {
    /// HTTP+SSE. Servers may answer `initialize` with it; no client is served it.
    V2024_11_05,
    /// Streamable HTTP, no version header yet.
    V2025_03_26,
    /// The version header, structured content, elicitation.
    V2025_06_18,
    /// The last version with sessions.
    V2025_11_25,
    /// Stateless: every request carries its own metadata.
    V2026_07_28,
}

/// How a conversation is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Era {
    /// Not at all: 2026-07-28.
    Stateless,
    /// By `initialize` and a session: 2025-11-25 and before.
    Session,
}

impl Version {
    /// The newest.
    pub const LATEST: Self = Self::V2026_07_28;

    /// The newest with sessions: what `initialize` is answered with when the client wants another.
    pub const LATEST_SESSION: Self = Self::V2025_11_25;

    /// Those that clients are served, newest first.
    pub const SUPPORTED: &'static [Self] =
        &[Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26];

    /// Reads the date of a version that clients are served.
    pub fn parse(text: &str) -> Option<Self> {
        Self::SUPPORTED.iter().copied().find(|version| version.as_str() == text)
    }

    /// Reads the date that a server answers `initialize` with.
    pub fn of_server(text: &str) -> Option<Self> {
        Self::parse(text).or((text == Self::V2024_11_05.as_str()).then_some(Self::V2024_11_05))
    }

    /// The date.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Its era.
    pub const fn era(self) -> Era {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => Era::Session,
            Self::V2026_07_28 => Era::Stateless,
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_survive_their_text_and_others_are_unknown() {
        for version in Version::SUPPORTED {
            assert_eq!(Version::parse(version.as_str()), Some(*version));
        }
        for other in ["", "2024-11-05", "2026-07-28 ", "2027-01-01", "latest"] {
            assert_eq!(Version::parse(other), None, "{other}");
        }
        assert_eq!(Version::of_server("2024-11-05"), Some(Version::V2024_11_05));
        assert_eq!(Version::of_server("2024-10-07"), None);
        assert!(Version::SUPPORTED.windows(2).all(|pair| pair[0] > pair[1]));
    }
}
