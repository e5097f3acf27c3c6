//! Who may administer.

use model::Principal;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the room is told. Empty roles: nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The tenant whose people may be operators. A role is what a tenant's own provider says, so without this any tenant
    /// could make itself operator of the house.
    pub operator_tenant: Arc<str>,
    /// Roles that make a person of that tenant an operator: sees and changes everything.
    pub operator_roles: BTreeSet<String>,
    /// Roles that make a person administrator of their own tenant.
    pub tenant_admin_roles: BTreeSet<String>,
    /// Whether an agent without a person behind it may change anything.
    pub agents_may_write: bool,
}

impl Config {
    pub(crate) fn is_operator(&self, who: &Principal) -> bool {
        *who.tenant == *self.operator_tenant && has_one_of(who, &self.operator_roles)
    }

    pub(crate) fn is_tenant_admin(&self, who: &Principal) -> bool {
        has_one_of(who, &self.tenant_admin_roles)
    }
}

fn has_one_of(who: &Principal, roles: &BTreeSet<String>) -> bool {
    who.roles.iter().any(|role| roles.contains(role.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_makes_an_operator_in_one_tenant_only() {
        let config = Config {
            operator_tenant: "acme".into(),
            operator_roles: ["op".to_owned()].into(),
            tenant_admin_roles: ["admin".to_owned()].into(),
            agents_may_write: false,
        };
        let who = |tenant: &str, role: &str| Principal {
            tenant: tenant.into(),
            roles: vec![role.into()],
            ..Principal::service()
        };
        assert!(config.is_operator(&who("acme", "op")));
        assert!(!config.is_operator(&who("globex", "op")));
        assert!(!config.is_operator(&who("acme", "admin")));
        assert!(config.is_tenant_admin(&who("globex", "admin")));
        assert!(!Config::default().is_operator(&who("", "op")));
    }
}
