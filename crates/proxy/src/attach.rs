//! The upstream's own credential, fetched after the intent is on record; never the caller's token.

use crate::house::House;
use crate::record::{OpenCall, Recorded};
use crate::resolve::Target;
use crate::stop::Stop;
use crate::trail::Stage;
use broker::Credential;
use model::{Code, ErrorKind};

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

/// Fetches the credential of the plan.
pub(crate) async fn attach(house: &House, recorded: Recorded) -> Result<Armed, Stop> {
    let (mut target, open) = recorded.into_parts();
    let plan = target.call.trail.plan.clone();
    let fetched = match plan.as_deref() {
        Some(plan) => broker::attach(plan),
        None => {
            let reason = "the server has left the configuration";
            return Err(open
                .not_sent(target.call.trail, ErrorKind::Unavailable, Code::UPSTREAM_UNREACHABLE, reason)
                .await);
        }
    };
    target.call.trail.mark(house, Stage::Attach);
    match fetched {
        Ok(credential) => Ok(Armed { target, open, credential }),
        Err(error) => {
            let reason = error.to_string();
            Err(open
                .not_sent(target.call.trail, ErrorKind::Unavailable, Code::CREDENTIAL_UNAVAILABLE, &reason)
                .await)
        }
    }
}
