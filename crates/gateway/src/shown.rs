//! A fault beside the text it is in, for people.

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};
use model::Code;
use std::fmt;

/// One fault, ready to be shown.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    /// Its code.
    pub(crate) code: Code,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) help: String,
    /// The file it is in.
    pub(crate) source: &'a NamedSource<String>,
    /// Byte offset and length in the file, if it is at a place.
    pub(crate) span: Option<(usize, usize)>,
}

/// All faults, one below the other; `colour` for a terminal.
pub(crate) fn render(faults: &[Shown<'_>], colour: bool) -> String {
    let theme =
        if colour { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() };
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_links(false).with_width(100);
    let mut out = String::new();
    for fault in faults {
        if handler.render_report(&mut out, fault).is_err() {
            out.push_str(&fault.what);
        }
    }
    out
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.span.map(|_| self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (offset, length) = self.span?;
        Some(Box::new(std::iter::once(LabeledSpan::new(Some("here".to_owned()), offset, length))))
    }
}
