//! The file of logins: its owner alone may read it, it is replaced as a whole, and one process at a time changes it.

use super::{LoginError, flow};
use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Where logins are.
pub(crate) struct Logins {
    path: PathBuf,
}

/// One login: at a gateway, for one resource of it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Login {
    /// The client that the gateway knows us as.
    pub(crate) client_id: String,
    /// The token endpoint.
    pub(crate) token_endpoint: String,
    /// Where tokens are revoked, if anywhere.
    pub(crate) revocation_endpoint: Option<String>,
    /// The token.
    pub(crate) access_token: String,
    /// When it ends, in seconds since the epoch.
    pub(crate) expires_at: i64,
    /// What a new one is had with.
    pub(crate) refresh_token: Option<String>,
    /// Its scopes.
    pub(crate) scope: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
    /// By gateway, then by resource.
    #[serde(default)]
    logins: BTreeMap<String, BTreeMap<String, Login>>,
}

impl Logins {
    /// The file of whoever runs this: `portunus/logins.json` below `XDG_CONFIG_HOME`, or below `~/.config`.
    pub(crate) fn own() -> Result<Self, LoginError> {
        let folder = crate::environment::config_home().ok_or(LoginError::NoHome)?;
        Ok(Self { path: folder.join("portunus").join("logins.json") })
    }

    /// The file at another place.
    #[cfg(test)]
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Every login: gateway, resource, login.
    pub(crate) fn all(&self) -> Result<Vec<(String, String, Login)>, LoginError> {
        let content = self.read()?;
        let rows = content.logins.into_iter().flat_map(|(gateway, logins)| {
            logins.into_iter().map(move |(resource, login)| (gateway.clone(), resource, login))
        });
        Ok(rows.collect())
    }

    /// A token for a resource of a gateway that is good for half a minute at least. It is refreshed if it is not, by one
    /// process at a time, since a refresh token is used once.
    pub(crate) async fn access_token(&self, gateway: &str, resource: &str) -> Result<String, LoginError> {
        let gateway = flow::origin(gateway)?;
        let missing = || LoginError::NotSignedIn { gateway: gateway.clone() };
        let find = |content: Content| content.logins.get(&gateway).and_then(|all| all.get(resource)).cloned();
        let login = find(self.read()?).ok_or_else(missing)?;
        if login.expires_at > now() + SLACK {
            return Ok(login.access_token);
        }
        let _lock = self.lock()?;
        // Another process may have been quicker.
        let login = find(self.read()?).ok_or_else(missing)?;
        if login.expires_at > now() + SLACK {
            return Ok(login.access_token);
        }
        let fresh = flow::refresh(&login, resource).await?;
        let token = fresh.access_token.clone();
        self.change_locked(|content| put(content, &gateway, resource, fresh))?;
        Ok(token)
    }

    /// Keeps a login.
    pub(crate) fn keep(&self, gateway: &str, resource: &str, login: Login) -> Result<(), LoginError> {
        let _lock = self.lock()?;
        self.change_locked(|content| put(content, gateway, resource, login))
    }

    /// Forgets the logins at a gateway, and says what they were.
    pub(crate) fn forget(&self, gateway: &str) -> Result<Vec<Login>, LoginError> {
        let _lock = self.lock()?;
        let mut gone = Vec::new();
        self.change_locked(|content| {
            gone = content.logins.remove(gateway).unwrap_or_default().into_values().collect();
        })?;
        Ok(gone)
    }

    fn change_locked(&self, change: impl FnOnce(&mut Content)) -> Result<(), LoginError> {
        let mut content = self.read()?;
        change(&mut content);
        let text = serde_json::to_vec_pretty(&content).map_err(|error| self.fault(&error))?;
        let fresh = self.path.with_extension("new");
        let _ = std::fs::remove_file(&fresh);
        // SECURITY: private from its first moment on (test: `logins_are_readable_by_their_owner_alone`).
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&fresh, flags, Mode::RUSR | Mode::WUSR);
        let mut file = std::fs::File::from(opened.map_err(|error| self.fault(&error))?);
        let written = file.write_all(&text).and_then(|()| file.sync_all());
        written.and_then(|()| std::fs::rename(&fresh, &self.path)).map_err(|error| self.fault(&error))
    }

    fn read(&self) -> Result<Content, LoginError> {
        let mut file = match std::fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(self.fault(&error)),
        };
        let mode = file.metadata().map_err(|error| self.fault(&error))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(self.fault(&"others than its owner may read it; run `chmod 600`"));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| self.fault(&error))?;
        serde_json::from_str(&text).map_err(|_| self.fault(&"not a file of logins"))
    }

    /// Held as long as the value lives, against other processes too.
    fn lock(&self) -> Result<std::fs::File, LoginError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| self.fault(&error))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let path = self.path.with_extension("lock");
        let file =
            rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(|error| self.fault(&error))?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|error| self.fault(&error))?;
        Ok(file.into())
    }

    fn fault(&self, reason: &dyn std::fmt::Display) -> LoginError {
        LoginError::File { path: self.path.clone(), reason: reason.to_string() }
    }
}

fn put(content: &mut Content, gateway: &str, resource: &str, login: Login) {
    content.logins.entry(gateway.to_owned()).or_default().insert(resource.to_owned(), login);
}

/// Seconds since the epoch.
pub(super) fn now() -> i64 {
    use model::Clock as _;
    model::SystemClock::default().now().seconds()
}

/// Seconds for which a token must still be good.
const SLACK: i64 = 30;
