//! The listener's certificate, replaced without dropping a connection, and the clients', where they are asked for.

use super::client_certificate::{Certificate, ClientCertificates, Trust};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// Where the certificate chain and its key are, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub cert_file: PathBuf,
    /// The private key (PKCS#8, SEC1 or PKCS#1).
    pub key_file: PathBuf,
    /// Whose certificates clients may show; `None`: they are not asked for one.
    pub clients: Option<ClientCertificates>,
}

/// TLS for a listener: TLS 1.2 and 1.3, `h2` and `http/1.1` by ALPN. Cheap to clone; all clones share the
/// certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    shown: Arc<Shown>,
    trust: Option<Arc<Trust>>,
    files: Arc<TlsFiles>,
}

/// A certificate could not be put to use. Names the file, never its content.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or holds nothing of its kind.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The key does not fit the certificate, or the provider refuses it.
    #[error("cannot use the key in {path} with its certificate")]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What the provider said.
        #[source]
        source: rustls::Error,
    },
    /// The authorities of clients' certificates, or their lists, cannot be used.
    #[error("cannot use the authorities in {path}: {reason}")]
    Authorities {
        /// The file of the authorities.
        path: PathBuf,
        /// What the verifier said.
        reason: String,
    },
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(default_provider());
        let shown = Arc::new(Shown(RwLock::new(Arc::new(read(&files)?))));
        let trust = files.clients.clone().map(Trust::load).transpose()?.map(Arc::new);
        let key_error = |source| TlsError::Key { path: files.key_file.clone(), source };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(key_error)?;
        let config = match &trust {
            Some(trust) => config.with_client_cert_verifier(Arc::<Trust>::clone(trust)),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(Arc::<Shown>::clone(&shown));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), shown, trust, files: Arc::new(files) })
    }

    /// Reads the files again; connections from now on see the new certificate, and those of clients that are no
    /// longer accepted end. Each of the two is taken even if the other is refused.
    ///
    /// # Errors
    /// [`TlsError`]; what was refused leaves what was in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let trusted = self.trust.as_ref().map_or(Ok(()), |trust| trust.reload());
        let fresh = Arc::new(read(&self.files)?);
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        trusted
    }

    /// What the client's chain is worth now: its certificate, nothing if it showed none, an error if it is refused.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>]) -> std::io::Result<Option<Certificate>> {
        match &self.trust {
            Some(trust) => trust.judge(chain).map_err(std::io::Error::other),
            None => Ok(None),
        }
    }

    /// Told when what clients may show has changed.
    pub(super) fn trust_changes(&self) -> Option<watch::Receiver<()>> {
        self.trust.as_ref().map(|trust| trust.changes())
    }

    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(file_error(&files.cert_file))?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file).map_err(file_error(&files.key_file))?;
    CertifiedKey::from_der(chain, key, &default_provider())
        .map_err(|source| TlsError::Key { path: files.key_file.clone(), source })
}

/// The certificate shown to callers.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
