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
    /// The configuration of the servers, which work on what lies in `folder`.
    pub(super) fn yaml(&self, folder: &Path) -> Result<String, DemoError> {
        let script = |name: &str| {
            let path = self.npm.join("node_modules/@modelcontextprotocol").join(name).join("dist/index.js");
            installed(&path, &format!("@modelcontextprotocol/{name}"), "npm")
        };
        let program = |name: &str| installed(&self.venv.join("bin").join(name), name, "PyPI");
        let node = installed(&self.node, "node", "Node")?;
        let (everything, filesystem) = (script("server-everything")?, script("server-filesystem")?);
        let (memory, git, time) =
            (script("server-memory")?, program("mcp-server-git")?, program("mcp-server-time")?);
        let (files, graph) = (quoted(&files(folder)), quoted(&absolute(&folder.join("memory.jsonl"))));
        furnish(folder)
            .map_err(|source| DemoError::Io { what: format!("write {}", folder.display()), source })?;
        Ok(format!(
            "  everything:
    stdio: {{ command: {node}, args: [{everything}, stdio] }}
    impact: {{ default: read }}
  filesystem:
    stdio: {{ command: {node}, args: [{filesystem}, {files}] }}
    impact: {{ default: write-reversible, tools: {{ read_text_file: read }} }}
  memory:
    stdio: {{ command: {node}, args: [{memory}], env: {{ MEMORY_FILE_PATH: {{ value: {graph} }} }} }}
    impact: {{ default: write-reversible, tools: {{ search_nodes: read }} }}
  git:
    stdio: {{ command: {git} }}
    impact: {{ default: write-reversible, tools: {{ git_log: read, git_status: read }} }}
  time:
    stdio: {{ command: {time}, args: [--local-timezone, UTC] }}
    impact: {{ default: read }}
limits: {{ discovery_timeout: 30s }}
"
        ))
    }
}

/// The files that `filesystem` may touch.
pub(super) fn files(folder: &Path) -> PathBuf {
    absolute(&folder.join("files"))
}

/// A repository for `git`.
pub(super) fn repository(folder: &Path) -> PathBuf {
    absolute(&folder.join("repository"))
}

fn furnish(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(files(folder).join("private"))?;
    std::fs::write(files(folder).join("hello.txt"), "Hello from a real file.\n")?;
    std::fs::write(files(folder).join("private/diary.txt"), "Nobody reads this.\n")?;
    // An empty repository is a folder with four things in it (gitrepository-layout(5)).
    let git = repository(folder).join(".git");
    std::fs::create_dir_all(git.join("objects"))?;
    std::fs::create_dir_all(git.join("refs"))?;
    std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n")?;
    std::fs::write(git.join("config"), "[core]\n\trepositoryformatversion = 0\n")
}

/// The path as YAML, if something is there.
fn installed(path: &Path, name: &str, registry: &str) -> Result<String, DemoError> {
    if path.exists() {
        return Ok(quoted(&absolute(path)));
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
