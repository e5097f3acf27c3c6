//! Token contracts: what an issuer's tokens have to say before anybody is let in by them, and what it means here.
//!
//! A contract is a [`Document`], checked and compiled once into a [`Contract`]. What the configuration says of an
//! issuer is its contract of version 0; one that is stored (in the table of contracts) takes its place.

mod compile;
mod document;
mod examine;
mod fault;
mod judge;
mod mapping;
mod name;
mod requirement;
pub(crate) mod rows;
mod samples;
mod standing;

pub use compile::Contract;
pub use document::{
    AudienceRule, ClaimType, Document, Many, Mapping, Omittable, One, OpaqueRule, Overage, Requirement,
    Sample, Samples, Tenant, TokenHeader, Unmapped,
};
pub use examine::Examination;
pub use fault::ContractFault;
pub(crate) use judge::{Claims, Form, Presented};
pub use judge::{Clause, Report};
pub(crate) use name::interned;
pub use rows::{ContractError, ContractKey, ContractRow, Contracts, Status};
pub use samples::SampleFault;
pub(crate) use standing::Rules;
pub use standing::Standing;

#[cfg(test)]
mod tests;
