//! Which contracts are in force: by issuer, then by resource. Made from rows as a whole, and swapped as a whole.

use super::rows::{ContractKey, ContractRow, Status};
use super::{Contract, OpaqueRule};
use crate::{IssuerConfig, Resource};
use std::collections::HashMap;
use std::sync::Arc;

/// The contracts of rows, compiled.
#[derive(Default)]
pub struct Standing {
    places: HashMap<String, Vec<Place>>,
    /// What identifies the rows this was made from.
    pub(crate) stamp: Vec<(ContractKey, i64, Status)>,
    /// Rows that could not be read, and why.
    unreadable: Vec<String>,
}

/// One resource, or all of them.
struct Place {
    resource: Option<String>,
    enforced: Option<Enforced>,
    shadow: Option<Arc<Contract>>,
}

#[derive(Clone)]
enum Enforced {
    /// In force.
    As(Arc<Contract>),
    /// A row says that there is one, and nobody here could ever read it: nobody is let in by a guess.
    Unreadable,
}

/// What the tokens of one issuer are judged by at one resource.
pub(crate) struct Rules {
    pub(crate) enforced: Arc<Contract>,
    pub(crate) shadow: Option<Arc<Contract>>,
}

impl Standing {
    /// Compiles the rows. One that cannot be read leaves in force what stood in its place `before`.
    pub fn of(rows: &[ContractRow], before: &Self) -> Self {
        let mut standing = Self { stamp: stamp(rows), ..Self::default() };
        for row in rows {
            let known = before.place(&row.key);
            let compiled = row.compiled().map(Arc::new);
            if let Err(why) = &compiled {
                let resource = row.key.resource.as_deref().unwrap_or("every resource");
                standing
                    .unreadable
                    .push(format!("{} at {resource}, version {}: {why}", row.key.issuer, row.version));
            }
            let place = standing.place_mut(&row.key);
            match (row.status, compiled) {
                (Status::Enforced, Ok(contract)) => place.enforced = Some(Enforced::As(contract)),
                (Status::Enforced, Err(_)) => {
                    place.enforced =
                        Some(known.and_then(|known| known.enforced.clone()).unwrap_or(Enforced::Unreadable));
                }
                (Status::Shadow, Ok(contract)) => place.shadow = Some(contract),
                (Status::Shadow, Err(_)) | (Status::Draft | Status::Retired, _) => {}
            }
        }
        standing
    }

    /// Whether it was made from these rows.
    pub fn is_of(&self, rows: &[ContractRow]) -> bool {
        self.stamp == stamp(rows)
    }

    /// Rows that could not be read, and why; what they say is not in force.
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// The versions in force and in shadow.
    pub fn versions(&self) -> &[(ContractKey, i64, Status)] {
        &self.stamp
    }

    fn place(&self, key: &ContractKey) -> Option<&Place> {
        self.places.get(&key.issuer)?.iter().find(|place| place.resource == key.resource)
    }

    fn place_mut(&mut self, key: &ContractKey) -> &mut Place {
        let places = self.places.entry(key.issuer.clone()).or_default();
        let at = places.iter().position(|place| place.resource == key.resource).unwrap_or_else(|| {
            places.push(Place { resource: key.resource.clone(), enforced: None, shadow: None });
            places.len() - 1
        });
        // Found or pushed a line ago.
        #[allow(clippy::indexing_slicing, reason = "`at` is an index of `places`")]
        &mut places[at]
    }

    /// What judges the issuer's tokens at a resource: the resource's own contract, else the one of all resources, else
    /// what the configuration says.
    ///
    /// # Errors
    /// [`crate::AuthnError::ContractUnreadable`].
    pub(crate) fn rules(
        &self,
        implicit: &Arc<Contract>,
        resource: &Resource,
    ) -> Result<Rules, crate::AuthnError> {
        // SECURITY: what our own tokens mean is not up to a row (test: `no_stored_contract_is_about_our_own_tokens`).
        let places = if implicit.own { None } else { self.places.get(&*implicit.issuer) };
        let Some(places) = places else {
            return Ok(Rules { enforced: Arc::clone(implicit), shadow: None });
        };
        let own = places.iter().find(|place| place.resource.as_deref() == Some(resource.canonical()));
        let all = places.iter().find(|place| place.resource.is_none());
        let enforced = own.and_then(|place| place.enforced.as_ref());
        let has_own = enforced.is_some();
        let enforced = match enforced.or_else(|| all.and_then(|place| place.enforced.as_ref())) {
            None => Arc::clone(implicit),
            Some(Enforced::As(contract)) => Arc::clone(contract),
            Some(Enforced::Unreadable) => return Err(crate::AuthnError::ContractUnreadable),
        };
        let shadow = own.and_then(|place| place.shadow.clone());
        let shadow =
            shadow.or_else(|| if has_own { None } else { all.and_then(|place| place.shadow.clone()) });
        Ok(Rules { enforced, shadow })
    }
}

fn stamp(rows: &[ContractRow]) -> Vec<(ContractKey, i64, Status)> {
    rows.iter().map(|row| (row.key.clone(), row.version, row.status)).collect()
}

impl Contract {
    /// The implicit contract of a configured issuer.
    pub(crate) fn implicit(config: &IssuerConfig, opaque: OpaqueRule) -> Arc<Self> {
        Arc::new(Self::of(config, opaque))
    }
}
