//! Certificates of clients: asked for, never demanded, verified against the operator's authorities and lists of
//! revoked ones (RFC 5280 §6), and both replaced without a restart.
//!
//! A certificate that no authority of ours vouches for ends the handshake, unless self-signed ones are let through:
//! then it is handed on as one that proves the possession of its key and nothing else (RFC 8705 §2.2).

use super::tls::TlsError;
use model::Digest;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;

/// Whose certificates are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// Their lists of revoked certificates, PEM. With one there must be one of every authority in a chain, and none
    /// past its `nextUpdate`: whose standing is not known is not let in.
    pub crl_files: Vec<PathBuf>,
    /// Whether certificates of no authority get through, to be known by their own digest.
    pub self_signed: bool,
}

/// A certificate that a client proved to hold the key of.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// SHA-256 of it: `x5t#S256` (RFC 8705 §3.1).
    pub digest: Digest,
    /// An authority of ours vouches for it. The names in one that is not vouched for mean nothing.
    pub vouched: bool,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({}, vouched: {})", self.digest, self.vouched)
    }
}

impl ClientCertificates {
    /// Every file that is read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.ca_file.iter().chain(&self.crl_files)
    }
}

/// What is trusted now. Asked in the handshake, after it, and again whenever it changes.
#[derive(Debug)]
pub(super) struct Trust {
    from: ClientCertificates,
    provider: Arc<CryptoProvider>,
    /// `None`: no authority at all.
    authorities: RwLock<Option<Arc<dyn ClientCertVerifier>>>,
    changed: watch::Sender<()>,
}

impl Trust {
    /// Reads the files.
    pub(super) fn load(from: ClientCertificates) -> Result<Self, TlsError> {
        let provider = Arc::new(default_provider());
        let authorities = RwLock::new(read(&from, &provider)?);
        Ok(Self { from, provider, authorities, changed: watch::Sender::new(()) })
    }

    /// Reads the files again. Connections whose certificate is no longer accepted end.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let fresh = read(&self.from, &self.provider)?;
        *self.authorities.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        self.changed.send_replace(());
        Ok(())
    }

    /// Told whenever what is trusted may be another.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// What a chain, leaf first, is worth now; an error if it is worth nothing.
    ///
    /// SECURITY: asked after each handshake too, since a resumed session brings its certificate along without asking:
    /// `a_resumed_session_does_not_bring_a_revoked_certificate_back`.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>]) -> Result<Option<Certificate>, Error> {
        let Some((leaf, intermediates)) = chain.split_first() else { return Ok(None) };
        let vouched = self.vouches(leaf, intermediates, UnixTime::now())?;
        Ok(Some(Certificate { der: leaf.to_vec(), digest: Digest::of(leaf), vouched }))
    }

    /// Whether an authority vouches for it; an error if it is not accepted at all.
    fn vouches(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<bool, Error> {
        let authorities = self.authorities.read().unwrap_or_else(PoisonError::into_inner).clone();
        let verdict = match authorities {
            Some(authorities) => authorities.verify_client_cert(leaf, intermediates, now).map(drop),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        match verdict {
            Ok(()) => Ok(true),
            // Only what no authority of ours has made: one that is expired or revoked is not let in by this door.
            // (`BadSignature` is what an authority of the same name that did not sign it gives.)
            Err(Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            )) if self.from.self_signed => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl ClientCertVerifier for Trust {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: the authorities may change, and a client of a self-signed certificate has none to match.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.vouches(leaf, intermediates, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn read(
    from: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let Some(ca_file) = &from.ca_file else { return Ok(None) };
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    let authority_error = |reason: String| TlsError::Authorities { path: ca_file.clone(), reason };
    let certificates = CertificateDer::pem_file_iter(ca_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(file_error(ca_file))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| authority_error(error.to_string()))?;
    }
    let mut lists = Vec::new();
    for path in &from.crl_files {
        let read = CertificateRevocationListDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(file_error(path))?;
        lists.extend(read);
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .with_crls(lists)
        .enforce_revocation_expiration()
        .allow_unauthenticated();
    builder.build().map(Some).map_err(|error| authority_error(error.to_string()))
}
