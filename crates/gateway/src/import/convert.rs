//! From what a client says to an entry of the configuration: every secret becomes a reference, and nothing is
//! permitted by it (no impact, no policy).

mod http;
mod stdio;

use super::entry::{Draft, Left, Reach};
use super::json::Text;
use super::spelling::{Spelling, spelling};
use crate::config::Yaml;
use model::{Secret, ServerName};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What surrounds an entry.
pub(super) struct Around<'a> {
    /// The folder of the configuration.
    pub(super) base: &'a Path,
    /// What the client asks its person for: descriptions by id.
    pub(super) inputs: &'a BTreeMap<String, String>,
}

/// A server as the configuration will have it.
pub(super) struct Server {
    pub(super) transport: &'static str,
    pub(super) entry: Yaml,
    pub(super) kept: Vec<Kept>,
    pub(super) notes: Vec<String>,
}

/// A secret that the entry refers to.
pub(crate) struct Kept {
    /// The header or variable it is for.
    pub(crate) variable: String,
    pub(crate) place: Place,
}

/// Where a secret is kept.
pub(crate) enum Place {
    /// In a file, from the configuration's folder on, which gets this content.
    File(PathBuf, Content),
    /// In the environment of the gateway.
    Variable(String),
}

/// What a new file of a secret holds.
pub(crate) enum Content {
    Secret(Secret),
    /// Nothing: a person writes it. What the client says of it.
    Asked(String),
}

/// Makes an entry of a draft.
///
/// # Errors
/// Why it is left out.
pub(super) fn convert(name: &ServerName, draft: Draft, around: &Around<'_>) -> Result<Server, Left> {
    let Draft { reach, notes } = draft;
    let mut server = Server { transport: "", entry: Yaml::Yes, kept: Vec::new(), notes };
    match reach {
        Reach::Http { url, headers } => http::convert(name, &url, headers, around, &mut server)?,
        Reach::Stdio(child) => stdio::convert(name, child, around, &mut server)?,
    }
    Ok(server)
}

/// A scalar of a mapping.
fn said(key: &str, text: &str) -> (String, Yaml) {
    (key.to_owned(), Yaml::Text(text.to_owned()))
}

/// Keeps the value of a variable or header outside of the configuration and returns the reference to it.
fn keep(
    server: &ServerName,
    variable: &str,
    value: &Text,
    around: &Around<'_>,
    kept: &mut Vec<Kept>,
) -> Result<(String, Yaml), Left> {
    let place = match spelling(value) {
        Spelling::Variable(name) => Place::Variable(name.to_owned()),
        Spelling::Input(id) => {
            let asked = around.inputs.get(id).cloned().unwrap_or_default();
            Place::File(file(server, variable), Content::Asked(asked))
        }
        Spelling::Unknown(what) => {
            return Err(Left::because(
                format!("{variable} has ${{{what}}} in it, which only the client can fill in"),
                "write the value itself, or a reference that is all of it (after Bearer, in a header)",
            ));
        }
        Spelling::Plain => {
            let bytes = value.trim().as_bytes();
            if bytes.len() > SECRET_BYTES || bytes.contains(&0) {
                return Err(Left::because(
                    format!("{variable} is no secret the gateway can read"),
                    format!("at most {} KiB without a zero byte", SECRET_BYTES >> 10),
                ));
            }
            Place::File(file(server, variable), Content::Secret(Secret::new(bytes.to_vec())))
        }
    };
    let reference = match &place {
        Place::Variable(name) => said("from_env", name),
        Place::File(path, _) => said("from_file", &path.to_string_lossy()),
    };
    if kept
        .iter()
        .any(|other| matches!((&other.place, &place), (Place::File(a, _), Place::File(b, _)) if a == b))
    {
        return Err(Left::because(
            format!("{variable} and another one would share a file"),
            "names that differ in letters and digits",
        ));
    }
    kept.push(Kept { variable: variable.to_owned(), place });
    Ok(reference)
}

/// `secrets/<server>.<variable>`, whatever characters the variable has.
fn file(server: &ServerName, variable: &str) -> PathBuf {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let variable: String = variable.chars().take(VARIABLE_CHARS).map(safe).collect();
    Path::new(SECRETS).join(format!("{server}.{variable}"))
}

/// The folder of secrets, beside the configuration.
pub(super) const SECRETS: &str = "secrets";
/// The longest secret the gateway reads, in bytes.
const SECRET_BYTES: usize = 16 << 10;
/// How much of a variable's name goes into a file's.
const VARIABLE_CHARS: usize = 128;
