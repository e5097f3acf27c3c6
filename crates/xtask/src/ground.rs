//! Where things are: the checkout, the build, and the cache of what tests install.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::shell;

/// The folders every task works in.
pub(crate) struct Ground {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
    /// What the tests install: `$PORTUNUS_CACHE`, or a folder in the target directory.
    pub(crate) cache: PathBuf,
    /// `cargo metadata` of the workspace, without dependencies.
    pub(crate) metadata: Value,
}

impl Ground {
    /// The ground of this checkout.
    pub(crate) fn here() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("no workspace")?;
        let metadata = metadata(root)?;
        let target =
            metadata.get("target_directory").and_then(Value::as_str).context("no target directory")?;
        let target = PathBuf::from(target);
        let cache = shell::environment("PORTUNUS_CACHE").map_or_else(|| target.join("peers"), PathBuf::from);
        Ok(Self { root: root.to_owned(), target, cache, metadata })
    }

    /// A program of the workspace, as built for tests.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }
}

/// `cargo metadata` of the workspace in `folder`, without dependencies.
pub(crate) fn metadata(folder: &Path) -> anyhow::Result<Value> {
    let text = shell::command("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(folder)
        .output()
        .context("running cargo metadata")?;
    serde_json::from_slice(&text.stdout)
        .with_context(|| format!("reading cargo metadata of {}", folder.display()))
}
