//! The generated files of the repository: `cargo xtask gen` writes them, `tidy` compares.

use super::exit::Failure;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The root of the repository.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    for (path, text) in crate::generated() {
        let path = arguments.root.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}
