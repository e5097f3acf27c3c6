//! Standard output and standard error.

use super::exit::Failure;
use crate::config::ConfigError;
use std::io::{IsTerminal as _, Result, Write as _};

/// Where a command prints.
pub(crate) struct Out {
    colour: bool,
}

impl Out {
    /// The process's own output. Colour on a terminal, unless NO_COLOR is set.
    pub(crate) fn standard() -> Self {
        Self { colour: std::io::stderr().is_terminal() && !crate::environment::no_color() }
    }

    /// Whether faults are shown in colour.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// Prints one line of the command's result.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        writeln!(std::io::stdout().lock(), "{}", harmless(text.as_ref()))
    }

    /// Prints a result for programs.
    pub(crate) fn json(&mut self, value: &serde_json::Value) -> Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.line(text)
    }

    /// Prints rows under a head, in columns as wide as they need.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let mut widths: Vec<usize> = head.iter().map(|cell| cell.len()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let text: Vec<String> =
                cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            self.line(text.join("  ").trim_end())
        };
        line(&mut head.iter().copied())?;
        rows.iter().try_for_each(|row| line(&mut row.iter().map(String::as_str)))
    }

    /// Prints a remark that is no part of the result.
    pub(crate) fn remark(&mut self, text: impl AsRef<str>) -> Result<()> {
        writeln!(std::io::stderr().lock(), "{}", text.as_ref())
    }

    /// Says why the command failed. There is nobody to tell if that fails too.
    pub(crate) fn complain(&mut self, failure: &Failure) {
        let text = match failure {
            Failure::Config(ConfigError::Refused(refusal)) => refusal.render(self.colour),
            other => {
                let mut text = format!("portunus: {other}");
                let mut source = std::error::Error::source(other);
                while let Some(error) = source {
                    let said = error.to_string();
                    if !text.contains(&said) {
                        text.push_str(": ");
                        text.push_str(&said);
                    }
                    source = error.source();
                }
                text
            }
        };
        drop(self.remark(text));
    }
}

/// Text without control characters: names in the record were chosen by callers and servers, and a terminal
/// obeys escape sequences.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_command_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\nc");
    }
}
