//! The upstream's own credential, fetched or minted after the intent is on record; never the caller's token.

use crate::house::House;
use crate::record::{OpenCall, Recorded};
use crate::resolve::{Named, Target};
use crate::stop::Stop;
use crate::trail::Stage;
use broker::{Asked, Credential, Kind, Mint, Whose};
use model::{Code, ErrorKind};
use std::sync::Arc;

/// A recorded call with the credential it will carry. The only thing `send` takes.
pub(crate) struct Armed {
    target: Target,
    open: OpenCall,
    credential: Credential,
}

impl Armed {
    /// Its parts, for `send`.
    pub(crate) fn into_parts(self) -> (Target, OpenCall, Credential) {
        (self.target, self.open, self.credential)
    }
}

/// Fetches the credential of the plan, or mints it.
pub(crate) async fn attach(house: &House, recorded: Recorded) -> Result<Armed, Stop> {
    let (mut target, mut open) = recorded.into_parts();
    let plan = target.call.trail.plan.clone();
    let fetched = match plan.as_deref() {
        Some(plan) => {
            let mint = plan.assertion().and_then(|_| mint(house, &target));
            broker::attach(plan, Some(target.call.method.name()), mint)
        }
        None => {
            let reason = "the server has left the configuration";
            return Err(open
                .not_sent(target.call.trail, ErrorKind::Unavailable, Code::UPSTREAM_UNREACHABLE, reason)
                .await);
        }
    };
    target.call.trail.mark(house, Stage::Attach);
    match fetched {
        Ok(credential) => {
            open.carries(credential.shown());
            Ok(Armed { target, open, credential })
        }
        Err(error) => {
            let reason = error.to_string();
            Err(open
                .not_sent(target.call.trail, ErrorKind::Unavailable, Code::CREDENTIAL_UNAVAILABLE, &reason)
                .await)
        }
    }
}

/// What a token says of this call; nothing where there is nobody to sign it.
fn mint(house: &House, target: &Target) -> Option<Mint> {
    let minter = house.minter.as_ref()?;
    let trail = &target.call.trail;
    let kind = match &target.named {
        Named::Tool(_) => Kind::Tool,
        Named::Prompt(_) => Kind::Prompt,
        Named::Resource => Kind::Resource,
    };
    let verified = &target.call.caller.verified;
    let whose = Whose {
        principal: Arc::clone(&verified.principal),
        until: Some(verified.expires_at),
        call: Some(Asked {
            id: trail.call,
            item: trail.item.clone().map(|name| (kind, name)),
            digest: trail.arguments,
        }),
    };
    Some(Mint { minter: Arc::clone(minter), whose })
}
