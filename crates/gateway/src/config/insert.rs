//! New entries below `servers`, put into the text of a configuration as a person would: not a byte of what is
//! there changes, and what comes out is read again and compared before anybody gets it.

use super::check::At;
use super::tree::Tree;
use super::yaml::{Indent, Yaml};
use serde_json::{Map, Value};

/// The text cannot take the entries without being written anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InsertError {
    /// Not a mapping that can be read. Its faults are for the check to tell.
    #[error("it cannot be read")]
    Unreadable,
    /// Braces around what should get more entries.
    #[error("line {line}: `servers` is written in braces, which cannot be added to without rewriting them")]
    Flow {
        /// The line of the braces, from 1.
        line: u64,
    },
    /// Added to, it would not be read as what it was and the new entries.
    #[error("its layout is one that cannot be added to safely")]
    Layout,
}

/// `text` with more servers, each a name and its entry; the names are new.
///
/// # Errors
/// [`InsertError`].
pub(crate) fn servers(text: &str, added: &[(String, Yaml)]) -> Result<String, InsertError> {
    let tree: Tree =
        serde_saphyr::from_str_with_options(text, super::options()).map_err(|_| InsertError::Unreadable)?;
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let gap = gap(text, &tree, newline)?;
    let entries: String = added.iter().map(|(name, entry)| entry.entry(name, gap.indent, newline)).collect();
    let (head, tail) = (text.get(..gap.start).unwrap_or_default(), text.get(gap.end..).unwrap_or_default());
    let merged = format!("{head}{}{entries}{tail}", gap.before);
    // INVARIANT: the file means what it meant, and the new servers.
    if read(&merged) == Some(sum(tree.to_json(), added)) { Ok(merged) } else { Err(InsertError::Layout) }
}

/// Where the entries go: what stands from `start` to `end` makes room for `before` and them.
struct Gap {
    start: usize,
    end: usize,
    before: String,
    indent: Indent,
}

fn gap(text: &str, tree: &Tree, newline: &str) -> Result<Gap, InsertError> {
    let members = match tree {
        Tree::Map(members) => members,
        Tree::Leaf(Value::Null) => return Ok(at_the_end(text, newline)),
        Tree::Leaf(_) | Tree::List(_) => return Err(InsertError::Unreadable),
    };
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return Err(InsertError::Flow { line: 1 });
    }
    let Some(key) = tree.place(&At::default().key("servers")) else {
        return Ok(at_the_end(text, newline));
    };
    let margin = margin(text, key.offset).ok_or(InsertError::Layout)?;
    let after = members.iter().filter_map(|(name, _)| tree.place(&At::default().key(&name.value)));
    let next = after.map(|place| place.offset).filter(|offset| *offset > key.offset).min();
    let limit = next.map_or(text.len(), |offset| line_start(text, offset));
    let servers = members.iter().find(|(name, _)| name.value == "servers").map(|(_, value)| &value.value);
    let first = match servers {
        Some(Tree::Map(entries)) => entries.first(),
        Some(Tree::Leaf(Value::Null)) => None,
        _ => return Err(InsertError::Unreadable),
    };
    let Some((first, _)) = first else {
        return nothing_yet(text, key.offset, margin, newline);
    };
    let place = tree.place(&At::default().key("servers").key(&first.value)).ok_or(InsertError::Layout)?;
    let flow = || InsertError::Flow { line: key.line };
    if is_in_braces(text, key.offset) {
        return Err(flow());
    }
    let entries = self::margin(text, place.offset).filter(|entries| *entries > margin).ok_or_else(flow)?;
    let end = end_of_entries(text, key.offset, limit, entries);
    Ok(Gap {
        start: end,
        end,
        before: line_ended(text, end, newline),
        indent: Indent { margin: entries, step: entries - margin },
    })
}

/// Whether the value of the key at `offset` begins with a brace on its own line.
fn is_in_braces(text: &str, offset: usize) -> bool {
    let line = text.get(offset..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    line.split_once(':').is_some_and(|(_, value)| value.trim_start().starts_with('{'))
}

/// A `servers` of its own after everything else.
fn at_the_end(text: &str, newline: &str) -> Gap {
    let end = text.len();
    let air = if text.trim().is_empty() { "" } else { newline };
    let before = format!("{}{air}servers:{newline}", line_ended(text, end, newline));
    Gap { start: end, end, before, indent: Indent { margin: STEP, step: STEP } }
}

/// `servers` is there and empty: the entries begin on the next line, a comment beside it stays.
fn nothing_yet(text: &str, key: usize, margin: usize, newline: &str) -> Result<Gap, InsertError> {
    let line = text.get(key..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let (name, value) = line.split_once(':').ok_or(InsertError::Layout)?;
    let bare = value.split_once(" #").map_or(value, |(value, _)| value);
    let written: String = bare.split_whitespace().collect();
    if name.trim_end().trim_matches(['"', '\'']) != "servers"
        || !["", "{}", "~", "null"].contains(&written.as_str())
    {
        return Err(InsertError::Layout);
    }
    let start = key + name.len() + 1;
    let comment = value.get(bare.len()..).unwrap_or_default();
    let line_end = key + line.len();
    let end = text.get(line_end..).map_or(line_end, |rest| {
        line_end + if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) }
    });
    let before = format!("{comment}{newline}");
    Ok(Gap { start, end, before, indent: Indent { margin: margin + STEP, step: STEP } })
}

/// The end of the last line that belongs to the entries. Empty lines and comments further left before the next
/// section belong to that.
fn end_of_entries(text: &str, from: usize, limit: usize, margin: usize) -> usize {
    let mut end = from;
    let mut at = from;
    for line in text.get(from..limit).unwrap_or_default().split_inclusive('\n') {
        at += line.len();
        let bare = line.trim();
        let stands = line.len() - line.trim_start_matches(' ').len();
        let is_elsewhere = bare.starts_with('#') && stands < margin;
        if !(bare.is_empty() || is_elsewhere || bare == "...") {
            end = at;
        }
    }
    end
}

/// A line break, if what comes before `end` lacks one.
fn line_ended(text: &str, end: usize, newline: &str) -> String {
    let head = text.get(..end).unwrap_or_default();
    if head.is_empty() || head.ends_with('\n') { String::new() } else { newline.to_owned() }
}

/// Spaces before `offset` on its line; `None` if there is something else.
fn margin(text: &str, offset: usize) -> Option<usize> {
    let before = text.get(line_start(text, offset)..offset)?.trim_start_matches('\u{feff}');
    before.bytes().all(|b| b == b' ').then_some(before.len())
}

fn line_start(text: &str, offset: usize) -> usize {
    text.get(..offset).and_then(|head| head.rfind('\n')).map_or(0, |at| at + 1)
}

fn read(text: &str) -> Option<Value> {
    let tree: Tree = serde_saphyr::from_str_with_options(text, super::options()).ok()?;
    Some(tree.to_json())
}

fn sum(old: Value, added: &[(String, Yaml)]) -> Value {
    let mut document = match old {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let servers = document.entry("servers").or_insert(Value::Null);
    if servers.is_null() {
        *servers = Value::Object(Map::new());
    }
    if let Value::Object(servers) = servers {
        servers.extend(added.iter().map(|(name, entry)| (name.clone(), entry.to_json())));
    }
    Value::Object(document)
}

/// Spaces for each level where the file does not say.
const STEP: usize = 2;

#[cfg(test)]
mod tests;
