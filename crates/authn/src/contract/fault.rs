//! What is wrong with a contract.

/// One fault of a document, and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{at}: {what}")]
pub struct ContractFault {
    /// Where: keys joined by dots.
    pub at: String,
    /// What is wrong there, and what would be accepted.
    pub what: String,
}

/// The faults so far.
#[derive(Default)]
pub(super) struct Faults(pub(super) Vec<ContractFault>);

impl Faults {
    pub(super) fn add(&mut self, at: impl Into<String>, what: impl Into<String>) {
        self.0.push(ContractFault { at: at.into(), what: what.into() });
    }
}
