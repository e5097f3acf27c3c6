//! What the pages work with, by the configuration in force.

use crate::consent::Consents;
use crate::session::{Cookies, Sessions};
use crate::sign_in::{Federation, TenantConfig};
use crate::{Config, issuer::Parts};
use std::sync::Arc;

/// Tenants and their providers, sessions and consents, as configured now. Made anew at a reload.
pub(crate) struct Desk {
    pub(crate) tenants: Vec<Arc<TenantConfig>>,
    pub(crate) federation: Federation,
    pub(crate) sessions: Sessions,
    pub(crate) consents: Consents,
    pub(crate) cookies: Cookies,
}

impl Desk {
    /// The desk of this configuration.
    pub(crate) fn new(config: &Config, parts: &Parts) -> Self {
        Self::of(config, &parts.db, &parts.egress, &parts.keys, &parts.clock, &parts.dice)
    }

    /// Likewise, from what it stands on.
    pub(crate) fn of(
        config: &Config,
        db: &storage::Db,
        egress: &net::egress::Client,
        keys: &Arc<vault::SigningKeys>,
        clock: &Arc<dyn model::Clock>,
        dice: &Arc<dyn model::Dice>,
    ) -> Self {
        let federation = Federation::new(
            &config.tenants,
            db.clone(),
            egress,
            Arc::clone(keys),
            Arc::clone(clock),
            Arc::clone(dice),
            format!("{}/sign-in/callback", config.issuer),
        );
        Self {
            tenants: config.tenants.clone(),
            federation,
            sessions: Sessions::new(db.clone(), config.sessions, Arc::clone(clock), Arc::clone(dice)),
            consents: Consents::new(db.clone(), config.consent, Arc::clone(clock), Arc::clone(dice)),
            cookies: Cookies::of(&config.issuer),
        }
    }

    /// The tenant of that name.
    pub(crate) fn tenant(&self, name: &str) -> Option<&Arc<TenantConfig>> {
        self.tenants.iter().find(|tenant| *tenant.name == *name)
    }
}
