//! Where a secret is kept, and the one place that reads it.

use model::Secret;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// A secret by reference: a variable of the gateway's environment, or a file. Two references to the same
/// place are equal.
#[derive(Clone)]
pub struct Reference {
    place: Place,
    prefix: Arc<str>,
    kept: Arc<Mutex<Option<Kept>>>,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Variable(Arc<str>),
    File(Arc<Path>),
}

/// What was read, and of which state of the file.
struct Kept {
    state: Option<(SystemTime, u64)>,
    secret: Arc<Secret>,
}

/// A secret could not be read. Names its place, never its value.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// No such variable.
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    /// The file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The place is there and holds nothing.
    #[error("{0} is empty")]
    Empty(String),
    /// More than a secret can be.
    #[error("{0} holds more than {SECRET_BYTES} bytes")]
    TooLong(String),
}

impl Reference {
    /// The variable `name` of the gateway's own environment.
    pub fn variable(name: &str) -> Self {
        Self::at(Place::Variable(name.into()))
    }

    /// The file at `path`, without white space around its content; read again when it changes.
    pub fn file(path: &Path) -> Self {
        Self::at(Place::File(path.into()))
    }

    /// The same with `prefix` in front of what is read, such as `Bearer `.
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        Self { prefix: prefix.into(), kept: Arc::default(), ..self }
    }

    fn at(place: Place) -> Self {
        Self { place, prefix: "".into(), kept: Arc::default() }
    }

    /// Reads the secret, or remembers it if its place has not changed.
    ///
    /// # Errors
    /// [`ReferenceError`].
    pub fn read(&self) -> Result<Arc<Secret>, ReferenceError> {
        let state = self.place.state()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.as_ref().filter(|known| known.state == state) {
            return Ok(Arc::clone(&known.secret));
        }
        let value = self.place.read()?;
        let bare = value.trim_ascii();
        if bare.is_empty() {
            return Err(ReferenceError::Empty(self.to_string()));
        }
        if bare.len() > SECRET_BYTES {
            return Err(ReferenceError::TooLong(self.to_string()));
        }
        // Sized once: a vector that grows leaves copies behind.
        let mut bytes = Vec::with_capacity(self.prefix.len() + bare.len());
        bytes.extend_from_slice(self.prefix.as_bytes());
        bytes.extend_from_slice(bare);
        let secret = Arc::new(Secret::new(bytes));
        *kept = Some(Kept { state, secret: Arc::clone(&secret) });
        Ok(secret)
    }
}

impl Place {
    /// What changes when the secret does. The environment does not change.
    fn state(&self) -> Result<Option<(SystemTime, u64)>, ReferenceError> {
        match self {
            Self::Variable(_) => Ok(None),
            Self::File(path) => {
                let state = std::fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len())));
                state.map(Some).map_err(|source| file_error(path, source))
            }
        }
    }

    fn read(&self) -> Result<Zeroizing<Vec<u8>>, ReferenceError> {
        match self {
            Self::Variable(name) => {
                #[allow(
                    clippy::disallowed_methods,
                    reason = "this is where references to variables are read"
                )]
                let value = std::env::var_os(name.as_ref());
                let value = value.ok_or_else(|| ReferenceError::NoVariable(name.to_string()))?;
                Ok(Zeroizing::new(value.into_encoded_bytes()))
            }
            Self::File(path) => {
                std::fs::read(path).map(Zeroizing::new).map_err(|source| file_error(path, source))
            }
        }
    }
}

fn file_error(path: &Path, source: std::io::Error) -> ReferenceError {
    ReferenceError::File { path: path.to_owned(), source }
}

impl fmt::Display for Reference {
    /// The place, never the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Variable(name) => write!(f, "environment variable {name}"),
            Place::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place && self.prefix == other.prefix
    }
}

impl Eq for Reference {}

/// The longest secret, in bytes.
const SECRET_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, " s3cret\n").unwrap();
        let reference = Reference::file(&path).with_prefix("Bearer ");
        reference.read().unwrap().lend(|bytes| assert_eq!(bytes, b"Bearer s3cret"));
        std::fs::write(&path, "another one\n").unwrap();
        reference.read().unwrap().lend(|bytes| assert_eq!(bytes, b"Bearer another one"));
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(reference.read(), Err(ReferenceError::Empty(_))));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(reference.read(), Err(ReferenceError::File { .. })));
    }

    #[test]
    fn a_variable_is_read_from_the_environment() {
        // Cargo sets this one for every test.
        let name = "CARGO_PKG_NAME";
        Reference::variable(name).read().unwrap().lend(|bytes| assert_eq!(bytes, b"broker"));
        let missing = Reference::variable("PORTUNUS_NO_SUCH_VARIABLE").read();
        assert_eq!(
            missing.err().unwrap().to_string(),
            "the environment variable PORTUNUS_NO_SUCH_VARIABLE is not set"
        );
    }

    #[test]
    fn references_print_their_place_and_never_their_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cret").unwrap();
        let reference = Reference::file(&path);
        reference.read().unwrap();
        assert!(!format!("{reference} {reference:?}").contains("s3cret"));
        assert_eq!(reference, Reference::file(&path));
        assert_ne!(reference, Reference::file(&path).with_prefix("Bearer "));
    }
}
