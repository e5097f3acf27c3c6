//! Who lives in the demo.

/// A demo person.
pub(super) struct Person {
    /// The user, as in `sub`.
    pub(super) user: &'static str,
    /// Roles.
    pub(super) roles: &'static [&'static str],
    /// Groups.
    pub(super) groups: &'static [&'static str],
}

/// The four people.
pub(super) const PEOPLE: [Person; 4] = [
    Person { user: "ana", roles: &["developer"], groups: &["engineering"] },
    Person { user: "ben", roles: &["security"], groups: &["security"] },
    Person { user: "cho", roles: &["finance"], groups: &["finance"] },
    Person { user: "dee", roles: &["admin"], groups: &["platform"] },
];

/// The agent that people talk to.
pub(super) const ASSISTANT: &str = "desk-assistant";
/// The agent that runs unattended.
pub(super) const NIGHTLY: &str = "night-batch";

/// The person of that name.
pub(super) fn person(user: &str) -> &'static Person {
    PEOPLE.iter().find(|person| person.user == user).unwrap_or(&PEOPLE[0])
}
