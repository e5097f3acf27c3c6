//! The folder of policies: `*.cedar`, and tables of expectations in `tests/*.yaml`.

use crate::shown::{Shown, render};
use miette::NamedSource;
use model::Code;
use policy::{PolicyFault, PolicyFile};
use std::path::{Path, PathBuf};

/// A file of the folder could not be read.
#[derive(Debug, thiserror::Error)]
#[error("read {}", path.display())]
pub struct PoliciesError {
    /// The file or folder.
    path: PathBuf,
    /// Why.
    #[source]
    source: std::io::Error,
}

/// The `.cedar` files of a folder, sorted by name, behind the shipped policies; a file of the same name takes the place of
/// one. An empty folder is allowed: no call is permitted then.
///
/// # Errors
/// [`PoliciesError`] when the folder or a file cannot be read.
pub(crate) fn read(folder: &Path) -> Result<Vec<PolicyFile>, PoliciesError> {
    let mut files = Vec::new();
    let paths = paths(folder, &["cedar"])?;
    for (shipped, text) in SHIPPED {
        if !paths.iter().any(|path| path.file_name().is_some_and(|name| name == shipped)) {
            files.push(PolicyFile { name: format!("(shipped) {shipped}"), text: text.to_owned() });
        }
    }
    for path in paths {
        let text =
            std::fs::read_to_string(&path).map_err(|source| PoliciesError { path: path.clone(), source })?;
        files.push(PolicyFile { name: path.display().to_string(), text });
    }
    Ok(files)
}

/// The gateway's own identity may ask servers what they have (invariant 11); servers may ask what clients answer.
const SHIPPED: [(&str, &str); 2] = [
    ("asking.cedar", include_str!("../../../policies/asking.cedar")),
    ("service.cedar", include_str!("../../../policies/service.cedar")),
];

/// The tables of expectations of a folder, sorted by name; none if it has no `tests`.
///
/// # Errors
/// [`PoliciesError`] when the folder cannot be read.
pub(crate) fn tables(folder: &Path) -> Result<Vec<PathBuf>, PoliciesError> {
    let tests = folder.join("tests");
    if tests.is_dir() { paths(&tests, &["yaml", "yml"]) } else { Ok(Vec::new()) }
}

fn paths(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, PoliciesError> {
    let failed = |source| PoliciesError { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if ending.is_some_and(|ending| endings.contains(&ending)) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Every fault of the texts, one a line, with its place.
pub(crate) fn lines(faults: &[PolicyFault]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

/// Faults of policies beside their text, for people.
pub(crate) fn render_faults(faults: &[PolicyFault], files: &[PolicyFile], colour: bool) -> String {
    let sources: Vec<NamedSource<String>> =
        files.iter().map(|file| NamedSource::new(&file.name, file.text.clone())).collect();
    let unknown = NamedSource::new("policies", String::new());
    let shown: Vec<Shown<'_>> = faults
        .iter()
        .map(|fault| {
            let source = sources.iter().find(|source| source.name() == fault.file).unwrap_or(&unknown);
            let file = files.iter().find(|file| file.name == fault.file);
            Shown {
                code: Code::POLICY_INVALID,
                what: format!(
                    "{}:{}:{}: {} ({})",
                    fault.file, fault.line, fault.column, fault.message, fault.code
                ),
                help: fault.fix.clone(),
                source,
                span: file.and_then(|file| span(&file.text, fault.line, fault.column)),
            }
        })
        .collect();
    render(&shown, colour)
}

/// The rest of the line from a place given as line and column, both from 1.
fn span(text: &str, line: usize, column: usize) -> Option<(usize, usize)> {
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let line = text.get(start..)?.lines().next()?;
    let skipped: usize = line.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
    Some((start + skipped, (line.len() - skipped).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_shown_with_its_line() {
        let files = [PolicyFile {
            name: "a.cedar".to_owned(),
            text: "permit(\n  principal, ü oops\n);\n".to_owned(),
        }];
        let fault = PolicyFault {
            file: "a.cedar".to_owned(),
            line: 2,
            column: 16,
            code: "syntax",
            message: "unexpected token".to_owned(),
            fix: "remove it".to_owned(),
        };
        let text = render_faults(&[fault], &files, false);
        assert!(text.contains("PTN-6002") && text.contains("ü oops") && text.contains("remove it"), "{text}");
        assert_eq!(span("ab\ncd\n", 2, 2), Some((4, 1)));
        assert_eq!(span("ab\ncd\n", 9, 1), None);
    }
}
