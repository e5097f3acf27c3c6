//! What an import would do: the fate of every entry, the new text of the configuration, the secrets to keep.
//! Making a plan reads files and writes none.

use super::convert::{self, Around, Content, Kept, Place};
use super::entry::{self, Left, Reach};
use super::json::Json;
use super::name::name;
use super::private;
use super::source::{Dialect, Source};
use super::starter;
use super::verdict::{self, Verdict};
use crate::config::{self, ConfigError, InsertError, Yaml};
use model::ServerName;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What an import would do.
pub(crate) struct Plan {
    pub(super) config: Existing,
    /// Every entry of the client's file, in its order.
    pub(crate) rows: Vec<Row>,
    /// The secrets of the new servers, by server.
    pub(crate) kept: Vec<(ServerName, Kept)>,
    /// The configuration with the new servers; `None` if there are none.
    pub(super) text: Option<String>,
    /// Who wrote the client's file.
    pub(crate) dialect: Dialect,
}

/// The configuration as it is.
pub(super) struct Existing {
    pub(super) path: PathBuf,
    /// Its text; `None` if there is no file.
    pub(super) text: Option<String>,
}

/// One entry of the client's file.
pub(crate) struct Row {
    /// Its name there.
    pub(crate) from: String,
    /// Its name here, if it can have one.
    pub(crate) name: Option<ServerName>,
    /// `http`, `stdio`, or nothing if that is not known.
    pub(crate) transport: &'static str,
    /// What becomes of it.
    pub(crate) fate: Fate,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// What becomes of an entry.
pub(crate) enum Fate {
    Added,
    /// The configuration, or an entry before it, has this server under this name.
    Present,
    Left(Left),
}

/// There is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration cannot be added to.
    #[error("{}: {source}; write `servers:` on a line of its own and each server below it, then import again", path.display())]
    Insert {
        /// The configuration.
        path: PathBuf,
        /// Why.
        source: InsertError,
    },
}

/// Plans the import of a client's file into the configuration at `path`.
///
/// # Errors
/// [`PlanError`].
pub(crate) fn plan(source: Source, path: &Path) -> Result<Plan, PlanError> {
    let config = Existing::read(path)?;
    let mut taken = config.servers()?;
    let around = Around { base: config::folder_of(path), inputs: &source.inputs };
    let (mut rows, mut kept, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for (from, json) in source.entries {
        let mut row = Row { name: name(&from), from, transport: "", fate: Fate::Added, notes: Vec::new() };
        match take(&mut row, json, &around, &taken) {
            Err(fate) => row.fate = fate,
            Ok((name, entry, secrets)) => {
                taken.insert(name.to_string(), identity(&entry.to_json()));
                entries.push((name.to_string(), entry));
                kept.extend(secrets.into_iter().map(|secret| (name.clone(), secret)));
            }
        }
        rows.push(row);
    }
    let written = config.text.as_deref().filter(|text| !text.trim().is_empty());
    let text =
        (!entries.is_empty()).then(|| config::with_servers(written.unwrap_or(starter::TEXT), &entries));
    let text = text.transpose().map_err(|source| PlanError::Insert { path: path.to_owned(), source })?;
    Ok(Plan { config, rows, kept, text, dialect: source.dialect })
}

/// The fate of one entry; if it is added, its name, its entry and its secrets.
fn take(
    row: &mut Row,
    json: Json,
    around: &Around<'_>,
    taken: &BTreeMap<String, Option<Identity>>,
) -> Result<(ServerName, Yaml, Vec<Kept>), Fate> {
    let draft = entry::read(json).map_err(Fate::Left)?;
    row.transport = match &draft.reach {
        Reach::Http { .. } => "http",
        Reach::Stdio(_) => "stdio",
    };
    let left = |why: String, fix: &str| Fate::Left(Left::because(why, fix));
    let name = row.name.clone().ok_or_else(|| {
        left(
            "nothing of its name can be a server's name".to_owned(),
            "a name with letters a-z or digits, in a copy of the file",
        )
    })?;
    let server = convert::convert(&name, draft, around).map_err(Fate::Left)?;
    if let Some(other) = taken.get(name.as_str()) {
        if other.is_some() && *other == identity(&server.entry.to_json()) {
            return Err(Fate::Present);
        }
        return Err(left(
            format!("there is another server called {name}"),
            "another name for one of them; nothing is overwritten",
        ));
    }
    for kept in &server.kept {
        if let Place::File(path, Content::Secret(secret)) = &kept.place {
            let place = around.base.join(path);
            if private::state(&place, secret) == private::State::Other {
                return Err(left(
                    format!("{} is there and holds something else", path.display()),
                    "move that file away, or name the server otherwise; nothing is overwritten",
                ));
            }
        }
    }
    if name.as_str() != row.from {
        row.notes.push(format!("called {name} here"));
    }
    let same = identity(&server.entry.to_json());
    if let Some((other, _)) = taken.iter().find(|(_, other)| other.is_some() && **other == same) {
        row.notes.push(format!("the same server as {other}, under another name"));
    }
    row.notes.extend(server.notes);
    Ok((name, server.entry, server.kept))
}

impl Plan {
    /// What changes in the configuration, as a unified diff; empty if nothing does.
    pub(crate) fn diff(&self) -> String {
        let Some(new) = &self.text else { return String::new() };
        let old = self.config.text.as_deref().unwrap_or_default();
        let name = self.config.path.display().to_string();
        let from = if self.config.text.is_some() { name.clone() } else { "/dev/null".to_owned() };
        similar::TextDiff::from_lines(old, new).unified_diff().header(&from, &name).to_string()
    }

    /// What the gateway would say of the result before anything is written: what is not there yet because this
    /// import has not written it, or because a person has to, is no fault of it.
    pub(crate) fn verdict(&self) -> Verdict {
        let mut expected: BTreeSet<String> = self.added().map(|name| format!("/servers/{name}")).collect();
        if self.config.text.is_none() {
            expected.insert("/policies".to_owned());
        }
        let mut verdict = self.judged(&expected);
        verdict.missing.retain(|missing| missing.pointer == verdict::ISSUERS);
        verdict
    }

    /// What the gateway says of the result once the secrets are written.
    pub(super) fn judged(&self, expected: &BTreeSet<String>) -> Verdict {
        let text = self.text.as_deref().or(self.config.text.as_deref()).unwrap_or_default();
        verdict::judge(&self.config.path, text, expected)
    }

    /// The servers whose secrets a person has to bring.
    pub(super) fn waiting(&self) -> BTreeSet<String> {
        let waits = |kept: &Kept| !matches!(kept.place, Place::File(_, Content::Secret(_)));
        self.kept.iter().filter(|(_, kept)| waits(kept)).map(|(name, _)| format!("/servers/{name}")).collect()
    }

    /// Whether anything would be written.
    pub(crate) fn changes(&self) -> bool {
        self.text.is_some()
    }

    /// Whether there is no configuration yet.
    pub(crate) fn is_first(&self) -> bool {
        self.config.text.is_none()
    }

    /// Where clients reach the gateway of the result.
    pub(crate) fn endpoint(&self) -> String {
        let text = self.text.as_deref().or(self.config.text.as_deref()).unwrap_or_default();
        endpoint(&config::document(text).unwrap_or_default())
    }

    fn added(&self) -> impl Iterator<Item = &ServerName> {
        self.rows.iter().filter(|row| matches!(row.fate, Fate::Added)).filter_map(|row| row.name.as_ref())
    }
}

impl Existing {
    fn read(path: &Path) -> Result<Self, PlanError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }.into()),
        };
        Ok(Self { path: path.to_owned(), text })
    }

    /// Its servers by name, each with what makes it the same as another.
    fn servers(&self) -> Result<BTreeMap<String, Option<Identity>>, PlanError> {
        let Some(text) = &self.text else { return Ok(BTreeMap::new()) };
        let Some(document) = config::document(text) else {
            let refusal =
                config::parse(&self.path.display().to_string(), text, config::folder_of(&self.path)).err();
            return Err(match refusal {
                Some(refusal) => ConfigError::Refused(Box::new(refusal)).into(),
                None => PlanError::Insert { path: self.path.clone(), source: InsertError::Unreadable },
            });
        };
        let servers = document.get("servers").and_then(Value::as_object);
        Ok(servers.into_iter().flatten().map(|(name, entry)| (name.clone(), identity(entry))).collect())
    }
}

/// What makes two entries the same server: its address, or its command line.
#[derive(PartialEq, Eq)]
enum Identity {
    Http(String),
    Stdio(String, Vec<String>),
}

fn identity(entry: &Value) -> Option<Identity> {
    if let Some(url) = entry.pointer("/http/url").and_then(Value::as_str) {
        let address = config::WebAddress::parse(url).ok()?;
        return Some(Identity::Http(format!("{}{}", address.origin(), address.path)));
    }
    let command = entry.pointer("/stdio/command")?.as_str()?.to_owned();
    let args = entry.pointer("/stdio/args").and_then(Value::as_array).cloned().unwrap_or_default();
    let args = args.iter().map(|arg| arg.as_str().unwrap_or_default().to_owned()).collect();
    Some(Identity::Stdio(command, args))
}

/// The shared endpoint of a configuration, as its clients call it.
fn endpoint(document: &Value) -> String {
    let listen = |key: &str| document.pointer(&format!("/listen/{key}"));
    let origin = listen("public_url").and_then(Value::as_str).map_or_else(
        || {
            let scheme = if listen("tls").is_some() { "https" } else { "http" };
            let address = listen("address").and_then(Value::as_str).unwrap_or("127.0.0.1:7575");
            format!("{scheme}://{address}")
        },
        |url| url.trim_end_matches('/').to_owned(),
    );
    format!("{origin}/mcp")
}
