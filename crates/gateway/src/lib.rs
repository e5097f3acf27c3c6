//! The front hall: reads the configuration, composes the house top to bottom, watches over its life, and is
//! the command line.
//!
//! In: one YAML file, a folder of policies, signals. Out: a running gateway, or every fault of what it was
//! given. Never here: a decision about a call, a byte of MCP, a secret's value.
//! Specified in `docs/configuration.md` and `docs/operations.md`.

pub mod config;

mod aside;
mod compose;
mod contracts;
mod discover;
mod front;
mod health;
mod identity;
mod identity_page;
mod inside;
mod keys;
mod lifecycle;
mod login;
mod metrics;
mod policies;
mod probes;
mod reload;
mod revocations;
mod shown;
mod snapshot;
mod standing;
mod start_error;
mod telemetry;
mod traces;
mod watch;

pub mod cli;
mod demo;
mod environment;
mod errors;
mod import;

pub use compose::{Gateway, Options};
pub use identity::IdentityError;
pub use policies::PoliciesError;
pub use reload::ReloadError;
pub use start_error::StartError;

/// The folder of the record, in the data folder.
pub(crate) const RECORD: &str = "record";

/// The generated files of the repository, by path from its root: `cargo xtask gen` writes them, `tidy`
/// compares.
pub fn generated() -> Vec<(&'static str, String)> {
    let schema = serde_json::to_string_pretty(&config::schema()).unwrap_or_default();
    vec![
        ("schema/portunus.schema.json", schema + "\n"),
        ("docs/configuration.md", config::reference()),
        ("docs/errors.md", errors::page()),
        ("openapi/admin.json", admin::openapi()),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_generated_files_are_fresh() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        for (path, text) in super::generated() {
            let stored = std::fs::read_to_string(root.join(path)).unwrap_or_default();
            assert!(stored == text, "{path} is stale; `cargo xtask gen` writes it again");
        }
    }

    #[test]
    fn the_example_is_a_good_file_but_for_what_is_not_on_this_machine() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let example = root.join("examples/portunus.yaml");
        let document: serde_json::Value =
            serde_saphyr::from_str(&std::fs::read_to_string(&example).unwrap()).unwrap();
        assert!(jsonschema::is_valid(&super::config::schema(), &document));
        let Err(super::config::ConfigError::Refused(refusal)) = super::config::load(&example) else {
            panic!("loaded")
        };
        let absent = |line: &String| line.contains("cannot read") || line.contains("no folder");
        assert!(refusal.lines().iter().all(absent), "{:#?}", refusal.lines());
    }
}
