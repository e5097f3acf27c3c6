//! Why a gateway did not start.

use crate::config::ConfigError;
use crate::identity::IdentityError;
use crate::policies::PoliciesError;
use net::listen;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The policies could not be read.
    #[error(transparent)]
    Policies(#[from] PoliciesError),
    /// The policies were refused; each fault with its place.
    #[error("the policies have {} fault(s):\n{}", .0.len(), .0.join("\n"))]
    Policy(Vec<String>),
    /// An identity provider's configuration cannot work.
    #[error("the issuers have {} fault(s):\n{}", .0.len(), .0.join("\n"))]
    Issuers(Vec<String>),
    /// The data folder could not be made.
    #[error("make the data folder {}", path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The sealing keys could not be had.
    #[error(transparent)]
    Keys(#[from] vault::KeyFileError),
    /// The database or its keys could not be opened.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The memory of ended sessions could not be opened.
    #[error(transparent)]
    Ended(#[from] proxy::EndedError),
    /// The record could not be opened.
    #[error("open the record")]
    Record(#[from] audit::OpenError),
    /// The listener's certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] listen::TlsError),
    /// An address could not be bound.
    #[error("listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The collector's address cannot be used.
    #[error("the collector of traces")]
    Traces(#[from] net::egress::DestinationError),
    /// The public URL names no resource.
    #[error(transparent)]
    Resource(#[from] authn::ResourceError),
}
