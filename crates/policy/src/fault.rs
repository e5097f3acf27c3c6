//! What is wrong, and what is merely suspicious, in words an operator can act on.

use crate::PolicyFile;
use miette::Diagnostic;
use std::sync::Arc;

/// A reason why policy texts are refused. Shown with [`model::Code::POLICY_INVALID`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyFault {
    /// The file as given in [`crate::PolicyFile::name`].
    pub file: String,
    /// First line is 1.
    pub line: usize,
    /// First column is 1, counted in characters.
    pub column: usize,
    /// A stable word: `syntax`, `template`, `annotation`, `duplicate-id`, `invalid`, `obligation`.
    pub code: &'static str,
    /// What is wrong, lower case.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl std::fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}:{}: {} ({}); {}",
            self.file, self.line, self.column, self.message, self.code, self.fix
        )
    }
}

/// What an operator should know about a revision that is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Arguments policy cannot read, per action.
    pub partly_typed: Vec<PartlyTyped>,
    /// Actions that nobody may call or see until the policy or the definition changes.
    pub withheld: Vec<Withheld>,
    /// Suspicious policies.
    pub lints: Vec<Lint>,
}

/// A part of an input schema that has no Cedar type, so no policy can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartlyTyped {
    /// The action's id, `<server>/<tool>`.
    pub action: String,
    /// JSON pointer into the input schema (RFC 6901).
    pub pointer: String,
    /// Why it is left out.
    pub reason: String,
}

/// An action against which a live policy does not validate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The action's id.
    pub action: String,
    /// The id of the policy that fails.
    pub rule: Arc<str>,
    /// Why, as the validator says it.
    pub reason: String,
}

/// A policy that is valid and probably not what its author meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// The file.
    pub file: String,
    /// First line is 1.
    pub line: usize,
    /// The policy's id.
    pub rule: Arc<str>,
    /// A stable word: `no-id`, `unknown-annotation`, `no-such-action`, `unconstrained-permit`, `never-applies`.
    pub code: &'static str,
    /// What is suspicious, and what to do.
    pub message: String,
}

/// Where a policy starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// The place of byte `offset` in `text`.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
        Self { line, column }
    }
}

impl PolicyFault {
    pub(crate) fn new(
        file: &PolicyFile,
        place: Place,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            file: file.name.clone(),
            line: place.line,
            column: place.column,
            code,
            message: message.into(),
            fix: String::new(),
        }
    }

    pub(crate) fn fix(self, fix: &str) -> Self {
        Self { fix: fix.to_owned(), ..self }
    }

    /// What Cedar's parser says.
    pub(crate) fn syntax(file: &PolicyFile, error: &(impl Diagnostic + ?Sized)) -> Self {
        Self::new(file, place_of(file, error), "syntax", error.to_string()).fix(
            &help_of(error)
                .unwrap_or_else(|| "see https://docs.cedarpolicy.com/policies/syntax-policy.html".into()),
        )
    }
}

/// The place a diagnostic points at.
pub(crate) fn place_of(file: &PolicyFile, error: &(impl Diagnostic + ?Sized)) -> Place {
    error
        .labels()
        .and_then(|mut labels| labels.next())
        .map_or(Place::START, |label| Place::of(&file.text, label.offset()))
}

/// What a diagnostic advises.
pub(crate) fn help_of(error: &(impl Diagnostic + ?Sized)) -> Option<String> {
    error.help().map(|help| help.to_string())
}
