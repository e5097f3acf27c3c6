//! Whom the gateway believes when it connects.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// The extra certificate authorities could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file cannot be read or is not PEM.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate in it is none, or the file holds none.
    #[error("{path} holds no usable certificate authority")]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// The cryptographic provider does not start.
    #[error("the TLS provider refused its settings")]
    Provider(#[source] rustls::Error),
}

/// Mozilla's roots, and those of the file. ALPN `http/1.1`.
pub(super) fn connector(extra: Option<&Path>) -> Result<TlsConnector, RootsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = extra {
        let file = |source| RootsError::File { path: path.to_owned(), source };
        let unusable = || RootsError::Certificate { path: path.to_owned() };
        let before = roots.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(file)? {
            roots.add(certificate.map_err(file)?).map_err(|_| unusable())?;
        }
        if roots.len() == before {
            return Err(unusable());
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(RootsError::Provider)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
