//! Why a command failed, and the exit code that says so.

use crate::StartError;
use crate::config::ConfigError;
use crate::import::{ApplyError, PlanError, SourceError};

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration was refused, or could not be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the command looked at is not as it should be; it was printed.
    #[error("{0}")]
    Found(String),
    /// A policy is refused; the faults were printed.
    #[error("{0}")]
    Policy(String),
    /// The gateway did not start.
    #[error("failed to start: {0}")]
    Start(#[from] StartError),
    /// The record cannot be read.
    #[error("failed to read the record: {0}")]
    Record(String),
    /// The database could not be used.
    #[error("{0}")]
    Database(String),
    /// A server could not be asked.
    #[error("{0}")]
    Server(String),
    /// An identity provider cannot be used; why was printed.
    #[error("{0}")]
    Identity(String),
    /// A client's file cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A configuration cannot take servers over.
    #[error(transparent)]
    Plan(PlanError),
    /// What an import would do was not done.
    #[error("failed to {0}")]
    Apply(ApplyError),
    /// Nobody is signed in, or signing in failed.
    #[error(transparent)]
    Login(#[from] crate::login::LoginError),
    /// The arguments do not fit together.
    #[error("{0}")]
    Usage(String),
    /// The terminal or a file could not be written or read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Config(error) => Self::Config(error),
            other @ PlanError::Insert { .. } => Self::Plan(other),
        }
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Refused(refusal) => Self::Config(ConfigError::Refused(refusal)),
            other => Self::Apply(other),
        }
    }
}

impl Failure {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Found(_) | Self::Io(_) | Self::Source(_) | Self::Apply(_) => 1,
            Self::Usage(_) => USAGE,
            Self::Config(_) | Self::Policy(_) | Self::Plan(_) => CONFIG,
            Self::Start(error) => code_of(error),
            Self::Record(_) | Self::Database(_) => RECORD,
            Self::Server(_) => SERVER,
            Self::Identity(_) => IDENTITY,
            Self::Login(_) => IDENTITY,
        }
    }
}

fn code_of(error: &StartError) -> u8 {
    match error {
        StartError::Config(_)
        | StartError::Policies(_)
        | StartError::Policy(_)
        | StartError::Tls(_)
        | StartError::Traces(_)
        | StartError::Resource(_) => CONFIG,
        StartError::Bind { .. } => ADDRESS,
        StartError::DataDir { .. }
        | StartError::Keys(_)
        | StartError::Identity(_)
        | StartError::Ended(_)
        | StartError::Record(_) => RECORD,
        StartError::Issuers(_) => IDENTITY,
    }
}

/// Wrong arguments.
pub(crate) const USAGE: u8 = 2;
/// The configuration or a policy is refused.
const CONFIG: u8 = 3;
/// An address is in use.
const ADDRESS: u8 = 4;
/// The record or the data folder cannot be used.
const RECORD: u8 = 5;
/// A server cannot be used.
const SERVER: u8 = 6;
/// An identity provider cannot be used.
const IDENTITY: u8 = 7;
