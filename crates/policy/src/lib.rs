//! The decision point: who may call what, with which arguments, in which context.
//!
//! In: policy texts, the shapes of tools and prompts, a verified principal, the argument bytes that will be
//! sent, and the facts of the moment. Out: a [`Revision`] or every fault of the texts; a [`Decision`] with the
//! rules that made it; a [`Report`] of what is partly typed, withheld or suspicious.
//! Never here: I/O, a clock, a log line, a permit without a rule. An evaluation error is a denial.
//! Specified in `docs/policy.md` and design §7; the language is Cedar (<https://docs.cedarpolicy.com>).

// In the order a value meets them: texts and shapes become a revision, a revision judges.
mod action;
mod condition;
mod constants;
mod context;
mod decide;
mod environment;
mod explain;
mod fault;
mod number;
mod plain;
mod revision;
mod rule;
mod rules;
mod schema;
mod server;
mod shape;
mod standing;
mod subject;
mod table;
#[cfg(test)]
mod tests;
mod validate;

pub use action::{Action, ActionName, Question};
pub use decide::{Decision, Denial, DenyReason};
pub use environment::{Environment, Plan, Zone, ZoneError};
pub use explain::{Clause, Explanation, Trial, Verdict};
pub use fault::{Lint, PartlyTyped, PolicyFault, Report, Withheld};
pub use revision::{PolicyFile, Revision, Settings};
pub use shape::{PromptShape, Shape, ToolShape};
pub use subject::{Subject, Subjects};
pub use table::{Defaults, Expect, PolicyTable, Row, RowOutcome, TableEnvironment, TablePrincipal};
