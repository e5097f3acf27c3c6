//! Who lives in the demo.

/// A demo person.
pub(super) struct Person {
    /// What they type to sign in.
    pub(super) user: &'static str,
    /// Their name.
    pub(super) name: &'static str,
    /// Roles.
    pub(super) roles: &'static [&'static str],
    /// Groups.
    pub(super) groups: &'static [&'static str],
}

/// The four people.
pub(super) const PEOPLE: [Person; 4] = [
    Person { user: "ana", name: "Ana", roles: &["developer"], groups: &["engineering"] },
    Person { user: "ben", name: "Ben", roles: &["security"], groups: &["security"] },
    Person { user: "cho", name: "Cho", roles: &["finance"], groups: &["finance"] },
    Person { user: "dee", name: "Dee", roles: &["admin"], groups: &["platform"] },
];

/// Their tenant.
pub(super) const TENANT: &str = "demo";
/// The client that people talk to, and sign in through.
pub(super) const ASSISTANT: &str = "desk-assistant";
/// The agent that runs unattended, for whoever set it going.
pub(super) const NIGHTLY: &str = "night-batch";
