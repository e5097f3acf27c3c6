//! The names in a client's certificate, and whether it is the one an agent is registered with.

use super::credential::{Credential, Proof};
use model::Timestamp;
use net::listen::Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What a certificate says of whoever holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// DNS names among its subject alternative names.
    pub dns: Vec<String>,
    /// URIs among them.
    pub uris: Vec<String>,
    /// It is good from, in seconds since the epoch.
    pub not_before: i64,
    /// It is good until, likewise.
    pub not_after: i64,
}

impl Names {
    /// Reads a certificate; `None` if it is none.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut names = Self {
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            ..Self::default()
        };
        let alternative = certificate.subject_alternative_name().ok()?;
        for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.dns.push(name.to_ascii_lowercase()),
                GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                _ => {}
            }
        }
        Some(names)
    }
}

/// The first of an agent's credentials that this certificate proves.
///
/// SECURITY: names count only where an authority of ours vouches for them; a certificate's digest is itself
/// (test: `certificates_prove_by_their_names_or_by_themselves`).
pub(super) fn proves<'a>(
    certificate: &Certificate,
    credentials: &'a [Credential],
    now: Timestamp,
) -> Option<&'a Credential> {
    let names = Names::of(&certificate.der)?;
    let good = (names.not_before..=names.not_after).contains(&now.seconds());
    let digest = certificate.digest.to_string();
    let spiffe: Vec<&String> = names.uris.iter().filter(|uri| uri.starts_with("spiffe:")).collect();
    let proved = |credential: &&Credential| match &credential.proof {
        Some(Proof::Certificate(known)) => known.eq_ignore_ascii_case(&digest),
        Some(Proof::SanDns(name)) => certificate.vouched && names.dns.contains(name),
        Some(Proof::SanUri(uri)) => certificate.vouched && names.uris.contains(uri),
        // An X509-SVID has exactly one URI (SPIFFE X509-SVID §2).
        Some(Proof::Spiffe(id)) => {
            certificate.vouched && names.uris.len() == 1 && spiffe.first().is_some_and(|known| *known == id)
        }
        Some(Proof::Jwk(_)) | None => false,
    };
    credentials.iter().filter(|_| good).find(proved)
}
