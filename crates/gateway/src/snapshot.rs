//! `catalog.json` in the data folder: what the servers list, as far as policy needs it, so that `portunus
//! policy` can check, test and explain without asking them. Written by a running gateway whenever it changes.

use crate::config::Settings;
use model::{Impact, ServerName};
use policy::{PromptShape, Shape, ToolShape};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file's name.
pub(crate) const FILE: &str = "catalog.json";

/// A snapshot could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// The file.
    #[error("no catalog snapshot at {}: {source}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its content.
    #[error("the catalog snapshot at {} is damaged: {source}", path.display())]
    Damaged {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

#[derive(Default, Serialize, Deserialize)]
struct Listed {
    tools: Vec<Tool>,
    prompts: Vec<Prompt>,
}

#[derive(Serialize, Deserialize)]
struct Tool {
    name: String,
    input_schema: Option<Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
struct Prompt {
    name: String,
    arguments: Vec<(String, bool)>,
}

/// Writes what is listed; readers see the old file or the new one.
pub(crate) fn write(path: &Path, shapes: &[Shape]) -> Result<(), SnapshotError> {
    let mut servers: BTreeMap<&str, Listed> = BTreeMap::new();
    for shape in shapes {
        let listed = servers.entry(shape.server().as_str()).or_default();
        match shape {
            Shape::Tool(tool) => {
                listed.tools.push(Tool { name: tool.name.clone(), input_schema: tool.input_schema.clone() });
            }
            Shape::Prompt(prompt) => {
                listed
                    .prompts
                    .push(Prompt { name: prompt.name.clone(), arguments: prompt.arguments.clone() });
            }
            Shape::Server(_) => {}
        }
    }
    let text = serde_json::to_vec(&servers)
        .map_err(|source| SnapshotError::Damaged { path: path.to_owned(), source })?;
    let fresh = path.with_extension("json.new");
    // For the gateway's user alone: an operator's own folder may be open to others.
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh);
    file.and_then(|mut file| file.write_all(&text))
        .and_then(|()| std::fs::rename(&fresh, path))
        .map_err(|source| SnapshotError::Io { path: path.to_owned(), source })
}

/// Reads a snapshot as shapes of the configured servers, with the impact classes of the configuration.
pub(crate) fn read(path: &Path, settings: &Settings) -> Result<Vec<Shape>, SnapshotError> {
    let text = std::fs::read(path).map_err(|source| SnapshotError::Io { path: path.to_owned(), source })?;
    let mut servers: BTreeMap<String, Listed> = serde_json::from_slice(&text)
        .map_err(|source| SnapshotError::Damaged { path: path.to_owned(), source })?;
    let mut shapes = Vec::new();
    for (name, config) in &settings.servers {
        shapes.push(Shape::Server(name.clone()));
        let listed = servers.remove(name.as_str()).unwrap_or_default();
        shapes.extend(listed.tools.into_iter().map(|tool| tool.shape(name, config.impact.of(&tool.name))));
        shapes.extend(listed.prompts.into_iter().map(|prompt| prompt.shape(name, config.impact.default)));
    }
    Ok(shapes)
}

impl Tool {
    fn shape(&self, server: &ServerName, impact: Impact) -> Shape {
        let input_schema = self.input_schema.clone();
        Shape::Tool(Arc::new(ToolShape {
            server: server.clone(),
            name: self.name.clone(),
            input_schema,
            impact,
        }))
    }
}

impl Prompt {
    fn shape(&self, server: &ServerName, impact: Impact) -> Shape {
        let (name, arguments) = (self.name.clone(), self.arguments.clone());
        Shape::Prompt(Arc::new(PromptShape { server: server.clone(), name, arguments, impact }))
    }
}
