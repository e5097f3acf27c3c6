//! Carrying out a plan: secrets first, then the gateway's own check of the result, then the backup, and last,
//! in one step, the configuration. What fails before that step leaves nothing behind.

use super::convert::{Content, Place, SECRETS};
use super::plan::Plan;
use super::private::{self, Owner, State};
use super::verdict::{Missing, Verdict};
use crate::config::{self, Refusal};
use model::Clock;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What was done.
#[derive(Default)]
pub(crate) struct Applied {
    /// The configuration as it was before, if there was one.
    pub(crate) backup: Option<PathBuf>,
    /// The files of secrets that were written.
    pub(crate) secrets: Vec<PathBuf>,
    /// The folder of policies, if there was none.
    pub(crate) policies: Option<PathBuf>,
    /// What a person still has to bring.
    pub(crate) missing: Vec<Missing>,
}

/// A plan could not be carried out, and nothing has changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// A file could not be written.
    #[error("write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something else appeared at the place of a secret.
    #[error("{} is there and holds something else; nothing was changed", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else changed the configuration meanwhile.
    #[error("{} was changed by somebody else meanwhile; nothing was changed, import again", path.display())]
    Changed {
        /// The configuration.
        path: PathBuf,
    },
    /// The result would not pass.
    #[error("{0}")]
    Refused(Box<Refusal>),
}

/// Carries out a plan. Without changes it does nothing.
///
/// # Errors
/// [`ApplyError`].
pub(crate) fn apply(plan: &Plan, clock: &dyn Clock) -> Result<Applied, ApplyError> {
    let Some(text) = &plan.text else { return Ok(Applied::default()) };
    let path = &plan.config.path;
    let base = config::folder_of(path);
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ApplyError::Write { path, source }
    };
    // A link to the file stays a link.
    let real = if plan.is_first() { path.clone() } else { std::fs::canonicalize(path).map_err(io(path))? };
    let meta = if plan.is_first() { None } else { Some(std::fs::metadata(&real).map_err(io(&real))?) };
    let owner = meta.as_ref().map(|meta| Owner { user: meta.uid(), group: meta.gid() });
    let mode = meta.as_ref().map_or(0o600, |meta| meta.permissions().mode() & 0o777);
    let mut undo = Undo::default();
    let mut applied = Applied::default();
    if plan.is_first() {
        let policies = base.join("policies");
        if !policies.exists() {
            std::fs::create_dir(&policies).map_err(io(&policies))?;
            undo.0.push(policies.clone());
            applied.policies = Some(policies);
        }
    }
    secrets(plan, base, owner, &mut undo, &mut applied)?;
    let Verdict { missing, refusal } = plan.judged(&plan.waiting());
    if let Some(refusal) = refusal {
        return Err(ApplyError::Refused(refusal));
    }
    applied.missing = missing;
    if let Some(old) = &plan.config.text {
        let backup = backup(&real, clock);
        private::create(&backup, old.as_bytes(), mode, owner).map_err(io(&backup))?;
        undo.0.push(backup.clone());
        applied.backup = Some(backup);
        if std::fs::read(&real).map_err(io(&real))? != old.as_bytes() {
            return Err(ApplyError::Changed { path: path.clone() });
        }
        private::replace(&real, text.as_bytes(), mode, owner).map_err(io(&real))?;
    } else {
        private::create(&real, text.as_bytes(), mode, owner).map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => ApplyError::Changed { path: path.clone() },
            _ => ApplyError::Write { path: path.clone(), source },
        })?;
    }
    undo.0.clear();
    Ok(applied)
}

/// Writes the secrets that are not there yet, and an empty file for each that a person has to bring.
fn secrets(
    plan: &Plan,
    base: &Path,
    owner: Option<Owner>,
    undo: &mut Undo,
    applied: &mut Applied,
) -> Result<(), ApplyError> {
    for (_, kept) in &plan.kept {
        let Place::File(relative, content) = &kept.place else { continue };
        let (folder, path) = (base.join(SECRETS), base.join(relative));
        if private::folder(&folder, owner)
            .map_err(|source| ApplyError::Write { path: folder.clone(), source })?
        {
            undo.0.push(folder);
        }
        let written = match content {
            Content::Secret(secret) => secret.lend(|bytes| private::create(&path, bytes, 0o600, owner)),
            Content::Asked(_) => private::create(&path, b"", 0o600, owner),
        };
        match written {
            Ok(()) => {
                undo.0.push(path.clone());
                applied.secrets.push(path);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if let Content::Secret(secret) = content
                    && private::state(&path, secret) != State::Same
                {
                    return Err(ApplyError::Taken { path });
                }
            }
            Err(source) => return Err(ApplyError::Write { path, source }),
        }
    }
    Ok(())
}

/// `portunus.yaml.20261125T203758.123Z.bak`, beside the file.
fn backup(path: &Path, clock: &dyn Clock) -> PathBuf {
    let now: String = clock.now().to_string().chars().filter(|c| !['-', ':'].contains(c)).collect();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{now}.bak"));
    path.with_file_name(name)
}

/// Takes away what was made, in the opposite order, unless it was emptied: nobody is left with half of it.
#[derive(Default)]
struct Undo(Vec<PathBuf>);

impl Drop for Undo {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // What cannot be taken away is private and harmless; the failure itself is what is told. A folder
            // that somebody has put something into stays.
            drop(if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) });
        }
    }
}
