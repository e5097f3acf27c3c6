//! What a session id holds.

use crate::config::Endpoint;
use model::{Digest, Timestamp};
use protocol::{Raw, Version};

/// The immutable facts of a session.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Whom it belongs to ([`super::owner_of`]).
    pub(crate) owner: Digest,
    /// Where it was opened.
    pub(crate) endpoint: Endpoint,
    /// The negotiated version.
    pub(crate) version: Version,
    /// The client's capabilities as declared and carried by us.
    pub(crate) capabilities: Raw,
    /// The client's `clientInfo`, if it gave one.
    pub(crate) client_info: Option<Raw>,
    /// Sixteen random bytes: two sessions of one caller differ.
    pub(crate) nonce: [u8; 16],
    /// When the id stops opening anything.
    pub(crate) expires: Timestamp,
}

/// The most bytes of capabilities and client info that an id carries: it travels in a header.
pub(crate) const DECLARED_BYTES: usize = 4 << 10;

/// Bounds of what we sealed ourselves.
const BOUNDS: protocol::Bounds = protocol::Bounds { bytes: DECLARED_BYTES, depth: 64, items: 1024 };

fn raw(bytes: &[u8]) -> Option<Raw> {
    Raw::parse(bytes::Bytes::copy_from_slice(bytes), &BOUNDS).ok()
}

impl Facts {
    /// Six length-prefixed fields, then the nonce.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let info = self.client_info.as_ref().map(Raw::as_bytes).unwrap_or_default();
        let path = self.endpoint.path();
        let fields: [&[u8]; 6] = [
            &self.owner.0,
            path.as_bytes(),
            self.version.as_str().as_bytes(),
            self.capabilities.as_bytes(),
            info,
            &self.expires.0.to_be_bytes(),
        ];
        for field in fields {
            out.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(field);
        }
        out.extend_from_slice(&self.nonce);
        out
    }

    /// Reads what [`Facts::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut field = || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (field, after) = after.split_at_checked(length)?;
            rest = after;
            Some(field)
        };
        let owner = Digest(field()?.try_into().ok()?);
        let endpoint = Endpoint::parse(std::str::from_utf8(field()?).ok()?)?;
        let version = Version::parse(std::str::from_utf8(field()?).ok()?)?;
        let capabilities = raw(field()?)?;
        let info = field()?;
        let client_info = if info.is_empty() { None } else { Some(raw(info)?) };
        let expires = Timestamp(i64::from_be_bytes(field()?.try_into().ok()?));
        let nonce = rest.try_into().ok()?;
        Some(Self { owner, endpoint, version, capabilities, client_info, nonce, expires })
    }
}
