//! Real MCP servers beside the demo's own: what `--with-real-servers` adds.

use super::DemoError;
use std::path::{Path, PathBuf};

/// Where the real servers are installed.
#[derive(Clone, Debug)]
pub(crate) struct RealServers {
    /// The Node program.
    pub(crate) node: PathBuf,
    /// The folder whose `node_modules` holds the npm servers.
    pub(crate) npm: PathBuf,
    /// The virtual environment with the PyPI servers.
    pub(crate) venv: PathBuf,
}

impl RealServers {
    /// The configuration of the servers, which work on files below `folder`.
    pub(super) fn yaml(&self, folder: &Path) -> Result<String, DemoError> {
        let files = folder.join("files");
        let io = |source| DemoError::Io { what: format!("write {}", files.display()), source };
        std::fs::create_dir_all(&files).map_err(io)?;
        std::fs::write(files.join("hello.txt"), "Hello from a real file.\n").map_err(io)?;
        let script = |name: &str| {
            let path = self.npm.join("node_modules/@modelcontextprotocol").join(name).join("dist/index.js");
            installed(path, &format!("@modelcontextprotocol/{name}"), "npm")
        };
        let program = |name: &str| installed(self.venv.join("bin").join(name), name, "PyPI");
        let node = installed(self.node.clone(), "node", "Node")?;
        let (node, files) = (quoted(&node), absolute(&files));
        let (memory, repository) =
            (quoted(&absolute(&folder.join("memory.jsonl"))), quoted(&absolute(&folder.join("repository"))));
        let (everything, filesystem) =
            (quoted(&script("server-everything")?), quoted(&script("server-filesystem")?));
        let (graph, git, time) = (
            quoted(&script("server-memory")?),
            quoted(&program("mcp-server-git")?),
            quoted(&program("mcp-server-time")?),
        );
        let files = quoted(&files);
        Ok(format!(
            "  everything: {{ stdio: {{ command: {node}, args: [{everything}, stdio] }}, impact: {{ default: read }} }}
  filesystem: {{ stdio: {{ command: {node}, args: [{filesystem}, {files}] }}, impact: {{ default: write-reversible }} }}
  memory: {{ stdio: {{ command: {node}, args: [{graph}], env: {{ MEMORY_FILE_PATH: {{ value: {memory} }} }} }}, impact: {{ default: write-reversible }} }}
  git: {{ stdio: {{ command: {git} }}, impact: {{ default: write-reversible, tools: {{ git_log: read, git_status: read }} }} }}
  time: {{ stdio: {{ command: {time}, args: [--local-timezone, UTC] }}, impact: {{ default: read }} }}
# `git` works on any repository its caller names, such as {repository}.
"
        ))
    }
}

/// The path, if something is there.
fn installed(path: PathBuf, name: &str, registry: &str) -> Result<PathBuf, DemoError> {
    if path.exists() {
        return Ok(absolute(&path));
    }
    Err(DemoError::NotInstalled(format!(
        "{name} ({registry}) is not at {}. `cargo xtask test` installs the real servers; then pass \
         --node, --npm and --venv",
        path.display()
    )))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path as a YAML text (JSON strings are YAML).
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}
