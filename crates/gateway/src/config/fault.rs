//! What is wrong with a configuration, said so that it can be mended: place, value, what would be accepted.

use super::check::At;
use crate::shown::{Shown, render};
use miette::NamedSource;
use model::Code;
use std::fmt;

/// One fault of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) at: At,
    pub(super) what: String,
    pub(super) value: Option<String>,
    pub(super) accepts: String,
    pub(super) meant: Option<String>,
    /// The key itself should not be there; without it the rest can still be looked at.
    pub(super) surplus: bool,
    /// What is written is right; what it speaks of is not there.
    pub(super) absent: bool,
    pub(super) place: Option<Place>,
}

/// Where in the text a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) offset: usize,
    pub(super) length: usize,
}

/// A refused configuration: every fault at once, with the text they are in.
#[derive(Debug)]
pub struct Refusal {
    source: NamedSource<String>,
    faults: Vec<Fault>,
}

impl Fault {
    pub(super) fn new(at: At, what: impl Into<String>, accepts: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
            value: None,
            accepts: accepts.into(),
            meant: None,
            surplus: false,
            absent: false,
            place: None,
        }
    }

    /// "one of a, b, c", short enough for a line or two.
    pub(super) fn one_of(known: &[&str]) -> String {
        match known {
            [] => "nothing".to_owned(),
            [one] => (*one).to_owned(),
            many => format!("one of {}", many.join(", ")),
        }
    }

    /// Adds the known name nearest to the one that was written, if it is near.
    pub(super) fn meant(mut self, name: &str, known: &[&str]) -> Self {
        let nearest = known.iter().map(|candidate| (distance(name, candidate), *candidate)).min();
        self.meant =
            nearest.filter(|(d, c)| *d <= 1 + c.len().min(name.len()) / 4).map(|(_, c)| c.to_owned());
        self
    }

    /// The place as a JSON pointer (RFC 6901).
    pub fn pointer(&self) -> String {
        self.at.pointer()
    }

    /// Whether only what the file speaks of is not there: an issuer, a folder, a secret.
    pub(crate) fn is_absent(&self) -> bool {
        self.absent
    }

    /// What would be accepted.
    pub(crate) fn accepts(&self) -> &str {
        &self.accepts
    }

    /// The line, from 1, if the fault is somewhere in the text.
    pub fn line(&self) -> Option<u64> {
        self.place.map(|place| place.line)
    }

    fn shown<'a>(&self, source: &'a NamedSource<String>) -> Shown<'a> {
        let accepts = &self.accepts;
        Shown {
            code: Code::CONFIG_INVALID,
            what: self.to_string(),
            help: match &self.meant {
                Some(meant) => format!("did you mean `{meant}`? Accepted: {accepts}"),
                None => format!("accepted: {accepts}"),
            },
            source,
            span: self.place.map(|place| (place.offset, place.length)),
        }
    }

    /// The fault for programs.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "code": Code::CONFIG_INVALID.to_string(), "path": self.pointer(), "what": self.what, "value": self.value,
            "accepts": self.accepts, "did_you_mean": self.meant,
            "line": self.place.map(|p| p.line), "column": self.place.map(|p| p.column),
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)?;
        self.value.as_ref().map_or(Ok(()), |value| write!(f, " (it is {value})"))
    }
}

/// Damerau's edit distance, for names of a few dozen bytes.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    let cell = |rows: &[Vec<usize>], i: usize, j: usize| rows.get(i).and_then(|row| row.get(j)).copied();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let above = cell(&rows, i, j + 1).unwrap_or(usize::MAX - 1) + 1;
            let left = row.last().copied().unwrap_or(usize::MAX - 1) + 1;
            let diagonal = cell(&rows, i, j).unwrap_or(usize::MAX - 1) + usize::from(x != y);
            let swapped = (i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x))
                .then(|| cell(&rows, i - 1, j - 1).map(|d| d + 1))
                .flatten();
            row.push(above.min(left).min(diagonal).min(swapped.unwrap_or(usize::MAX)));
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(usize::MAX)
}

impl Refusal {
    pub(super) fn new(name: &str, text: &str, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| (fault.place.map(|p| p.offset), fault.at.clone()));
        faults.dedup();
        Self { source: NamedSource::new(name, text.to_owned()).with_language("yaml"), faults }
    }

    /// Every fault, in the order of the text.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The faults as one line each, for a log.
    pub fn lines(&self) -> Vec<String> {
        let name = self.source.name();
        self.faults
            .iter()
            .map(|fault| match fault.place {
                Some(place) => format!("{name}:{}:{}: {fault}", place.line, place.column),
                None => format!("{name}: {fault}"),
            })
            .collect()
    }

    /// All faults as a person reads them, each with its line of the file; `colour` for a terminal.
    pub fn render(&self, colour: bool) -> String {
        let shown: Vec<Shown<'_>> = self.faults.iter().map(|fault| fault.shown(&self.source)).collect();
        render(&shown, colour)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has {} fault(s)", self.source.name(), self.faults.len())?;
        self.faults.first().map_or(Ok(()), |first| write!(f, ", the first: {first}"))
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["listen", "servers", "issuers", "policies"];
        let meant = |name: &str| Fault::new(At::default(), "", "").meant(name, &known).meant;
        assert_eq!(meant("sevrers").as_deref(), Some("servers"));
        assert_eq!(meant("lisen").as_deref(), Some("listen"));
        assert_eq!(meant("banana"), None);
    }
}
