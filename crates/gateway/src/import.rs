//! Taking over the servers of an MCP client's own file.
//!
//! In: a client's JSON, which stays as it is, and the configuration, if there is one. Out: a plan that can be
//! shown, and, when it is carried out, the configuration with more servers, a backup of what it was, and files of
//! secrets that only their owner reads. Never here: a secret's value in a text that is shown or in the
//! configuration; a change of what the configuration already says; a permission.
//! Described in `docs/operations.md`.

mod json;
mod source;

mod entry;
mod name;
mod package;
mod remote;
mod secrecy;
mod spelling;

mod convert;

mod plan;
mod starter;
mod verdict;

mod apply;
mod private;

#[cfg(test)]
mod tests;

pub(crate) use apply::{Applied, ApplyError, apply};
pub(crate) use convert::{Content, Place};
pub(crate) use entry::Left;
pub(crate) use plan::{Fate, Plan, PlanError, Row, plan};
pub(crate) use private::is_filled;
pub(crate) use source::{Dialect, SourceError, read};
pub(crate) use verdict::Missing;
