//! Signing in at a gateway from the command line, and the tokens that come of it.
//!
//! `portunus login` registers itself as a public client, sends the person's browser to the gateway and waits for it on a
//! loopback address, or shows a code where no browser is (`--device`). Tokens stand in one file that its owner alone may
//! read; whoever needs one asks [`Logins::access_token`], which refreshes it when it is due.

mod file;
mod flow;
mod loopback;
mod wire;

pub(crate) use file::{Login, Logins};
pub(crate) use flow::{Way, login, logout, origin};

use std::path::PathBuf;

/// Signing in, or getting a token, failed. Names no token and no code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The address is none, or the gateway is not there.
    #[error("{0}")]
    Address(String),
    /// The gateway answered something else than it should.
    #[error("the gateway's answer cannot be used: {0}")]
    Answer(String),
    /// It said no, in its own words.
    #[error("the gateway refused: {0}")]
    Refused(String),
    /// Nobody signed in in time.
    #[error("nobody signed in within ten minutes")]
    TooLate,
    /// There is no login for that gateway.
    #[error("not signed in at {gateway}; run `portunus login --gateway {gateway}`")]
    NotSignedIn {
        /// The gateway.
        gateway: String,
    },
    /// The file of logins cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Neither XDG_CONFIG_HOME nor HOME says where it would be.
    #[error("neither XDG_CONFIG_HOME nor HOME is set, so there is no place for logins")]
    NoHome,
    /// The loopback listener.
    #[error("listen on a loopback address")]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests;
