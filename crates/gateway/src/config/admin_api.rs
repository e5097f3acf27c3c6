//! Section `admin_api`.

use super::check::{At, Check};
use schemars::JsonSchema;
use serde::Deserialize;

/// The admin API, at `/api/v1` of the listener for clients. There is none without this section, and nobody may use it whose
/// role is not named here. It needs a database, and makes one in the data folder where there is no section `storage`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminApiSection {
    /// The tenant whose people may be operators. A role is what a tenant's own provider says, so a role alone makes nobody
    /// an operator.
    operator_tenant: Option<String>,
    /// Roles that make people of that tenant operators: they see and change everything.
    operator_roles: Vec<String>,
    /// Roles that make people administrators of their own tenant, and of no other.
    tenant_admin_roles: Vec<String>,
    /// Whether agents without a person behind them may change anything. Default: false.
    agents_may_write: bool,
}

impl AdminApiSection {
    pub(super) fn check(self, at: &At, check: &mut Check) -> admin::Config {
        let tenant = self.operator_tenant.unwrap_or_default();
        if tenant.is_empty() != self.operator_roles.is_empty() {
            check.fault(
                at,
                "operators need a tenant and a role",
                "`operator_tenant` and `operator_roles`, both or neither",
            );
        }
        for (key, roles) in
            [("operator_roles", &self.operator_roles), ("tenant_admin_roles", &self.tenant_admin_roles)]
        {
            for (index, role) in roles.iter().enumerate() {
                if role.trim().is_empty() {
                    check.fault(&at.key(key).index(index), "not a role", "a role's name");
                }
            }
        }
        admin::Config {
            operator_tenant: tenant.into(),
            operator_roles: self.operator_roles.into_iter().collect(),
            tenant_admin_roles: self.tenant_admin_roles.into_iter().collect(),
            agents_may_write: self.agents_may_write,
        }
    }
}
