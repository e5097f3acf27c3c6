//! Who is calling? Every request anew: a connection is not an identity.

use crate::crowd::Place;
use crate::endpoint::Received;
use crate::house::{House, State};
use crate::session::owner_of;
use crate::stop::{Stop, Why};
use crate::trail::{Stage, Trail};
use authn::Verified;
use bytes::Bytes;
use http::HeaderMap;
use http::Method;
use model::{Code, Digest, ErrorKind};
use std::sync::Arc;

/// A request whose caller is verified for this endpoint.
pub(crate) struct Authenticated {
    pub(crate) trail: Box<Trail>,
    pub(crate) state: Arc<State>,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) caller: Caller,
}

/// The verified caller and what the stages derive from it.
pub(crate) struct Caller {
    pub(crate) verified: Verified,
    /// A place among the calls under way; given back when the request ends.
    _place: Place,
}

impl Caller {
    /// The same caller with another place among the calls under way.
    pub(crate) fn again(house: &House, state: &State, other: &Self) -> Option<Self> {
        let limits = &state.config.limits;
        let key = other.verified.key;
        let place = house.calls.enter(key, limits.connections, limits.calls_per_principal)?;
        Some(Self { verified: other.verified.clone(), _place: place })
    }

    /// Whom sessions and request state belong to.
    pub(crate) fn owner(&self) -> Digest {
        owner_of(&self.verified.principal)
    }
}

/// Verifies the caller.
pub(crate) async fn authenticate(house: &House, received: Received) -> Result<Authenticated, Stop> {
    let Received { mut trail, state, mut parts, body, certificate } = received;
    let Some(resource) = state.resources.get(&trail.endpoint) else {
        return Err(Stop::fault(trail, ErrorKind::Internal, Code::INTERNAL, "the endpoint has no resource"));
    };
    let authn = &house.authn;
    let verified = match authn.authenticate_over(&parts.headers, &parts.uri, resource, certificate).await {
        Ok(verified) => verified,
        Err(rejection) => {
            // A caller who is known is denied by name, not counted among strangers.
            trail.principal = rejection.principal;
            return Err(Stop::new(trail, Why::Challenge(rejection.error)));
        }
    };
    // SECURITY: the caller's token goes no further: `the_callers_token_never_leaves_the_gateway`.
    parts.headers.remove(http::header::AUTHORIZATION);
    parts.headers.remove(http::header::COOKIE);
    trail.principal = Some(Arc::clone(&verified.principal));
    trail.key = Some(verified.key);
    trail.mark(house, Stage::Authenticate);
    let limits = &state.config.limits;
    let Some(place) = house.calls.enter(verified.key, limits.connections, limits.calls_per_principal) else {
        return Err(Stop::busy(trail));
    };
    let caller = Caller { verified, _place: place };
    Ok(Authenticated { trail, state, method: parts.method, headers: parts.headers, body, caller })
}
