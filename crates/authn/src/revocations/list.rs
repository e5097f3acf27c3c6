//! Tokens that are no longer good, from a list that the operator edits.

use super::marks::Facts;
use model::{Clock, Digest, Timestamp};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// The list, as it stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationList {
    /// What is revoked.
    #[serde(default)]
    pub revoked: Vec<Revoked>,
}

/// One entry: it means the tokens for which all of its fields are true. An entry that names no token
/// names an issuer and at least one more field.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// SHA-256 of the token, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Digest>,
    /// The issuer, as in `iss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The token's own id, as in `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The user, as mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The client, as mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Issued before this moment, in seconds since the epoch; a token without `iat` is taken to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_before: Option<i64>,
    /// Why; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not the YAML or JSON that is expected.
    #[error("not a list of revoked tokens: {0}")]
    Syntax(String),
    /// An entry that names neither a token nor an issuer and something of it.
    #[error(
        "entry {0} (from zero) names neither a token nor an issuer and at least one of jti, user, client, issued_before"
    )]
    Entry(usize),
}

impl RevocationList {
    /// Reads YAML, of which JSON is a part.
    ///
    /// # Errors
    /// [`RevocationError::Syntax`] or [`RevocationError::Entry`].
    pub fn parse(text: &str) -> Result<Self, RevocationError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let list: Self =
            serde_saphyr::from_str(text).map_err(|error| RevocationError::Syntax(error.to_string()))?;
        match list.revoked.iter().position(|entry| !entry.is_complete()) {
            Some(at) => Err(RevocationError::Entry(at)),
            None => Ok(list),
        }
    }
}

impl Revoked {
    fn is_complete(&self) -> bool {
        let names_some = self.jti.is_some()
            || self.user.is_some()
            || self.client.is_some()
            || self.issued_before.is_some();
        self.token.is_some() || (self.issuer.is_some() && names_some)
    }

    fn means(&self, token: &Facts<'_>) -> bool {
        self.token.is_none_or(|digest| digest == token.digest)
            && self.issuer.as_deref().is_none_or(|issuer| issuer == &*token.principal.issuer)
            && self.jti.as_deref().is_none_or(|jti| Some(jti) == token.marks.id.as_deref())
            && self.user.as_deref().is_none_or(|user| user == &*token.principal.user)
            && self.client.as_deref().is_none_or(|client| client == &*token.principal.client)
            && self.issued_before.is_none_or(|moment| {
                token.marks.issued_at.is_none_or(|issued| issued < Timestamp::from_seconds(moment))
            })
    }
}

/// The list made fit for looking up.
pub(crate) struct View {
    tokens: HashSet<Digest>,
    by_issuer: HashMap<String, Index>,
}

/// The entries of one issuer under their most telling field.
#[derive(Default)]
struct Index {
    jti: HashMap<String, Vec<Revoked>>,
    user: HashMap<String, Vec<Revoked>>,
    client: HashMap<String, Vec<Revoked>>,
    rest: Vec<Revoked>,
}

impl View {
    fn new(list: RevocationList) -> Self {
        let mut view = Self { tokens: HashSet::new(), by_issuer: HashMap::new() };
        for entry in list.revoked {
            if let Some(token) = entry.token {
                view.tokens.insert(token);
                continue;
            }
            let index = view.by_issuer.entry(entry.issuer.clone().unwrap_or_default()).or_default();
            let slot = match (&entry.jti, &entry.user, &entry.client) {
                (Some(jti), ..) => index.jti.entry(jti.clone()).or_default(),
                (_, Some(user), _) => index.user.entry(user.clone()).or_default(),
                (_, _, Some(client)) => index.client.entry(client.clone()).or_default(),
                _ => &mut index.rest,
            };
            slot.push(entry);
        }
        view
    }

    /// Whether an entry means this token.
    pub(crate) fn revokes(&self, token: &Facts<'_>) -> bool {
        if self.tokens.contains(&token.digest) {
            return true;
        }
        let principal = token.principal;
        let Some(index) = self.by_issuer.get(&*principal.issuer) else { return false };
        let jti = token.marks.id.as_deref().and_then(|jti| index.jti.get(jti));
        let (user, client) = (index.user.get(&*principal.user), index.client.get(&*principal.client));
        [jti, user, client, Some(&index.rest)].into_iter().flatten().flatten().any(|entry| entry.means(token))
    }
}

/// The list in force and the file it came from.
pub(crate) struct Revocations {
    view: arc_swap::ArcSwap<View>,
    file: Option<PathBuf>,
    max_age: Duration,
    /// When the file was last seen to say what `view` says, in milliseconds; never in the future.
    seen_at: AtomicI64,
    stamp: std::sync::Mutex<Option<(SystemTime, u64)>>,
}

impl Revocations {
    /// Reads the file for the first time; without one, nothing is revoked and nothing goes stale.
    pub(crate) fn open(
        file: Option<PathBuf>,
        max_age: Duration,
        clock: &dyn Clock,
    ) -> Result<Self, RevocationError> {
        let revocations = Self {
            view: arc_swap::ArcSwap::from_pointee(View::new(RevocationList::default())),
            file,
            max_age,
            seen_at: AtomicI64::new(i64::MIN),
            stamp: std::sync::Mutex::new(None),
        };
        revocations.reload(clock)?;
        Ok(revocations)
    }

    /// Looks at the file and reads it if it has changed; says whether it had. A list that cannot be read leaves the last one in
    /// force, growing old.
    pub(crate) fn reload(&self, clock: &dyn Clock) -> Result<bool, RevocationError> {
        let Some(path) = &self.file else { return Ok(false) };
        let mut changed = false;
        let now = clock.now();
        let stamp = stamp(path)?;
        let mut known = self.stamp.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *known != Some(stamp) {
            let text = std::fs::read_to_string(path).map_err(|source| file_error(path, source))?;
            let list = RevocationList::parse(&text)?;
            self.view.store(Arc::new(View::new(list)));
            *known = Some(stamp);
            changed = true;
        }
        self.seen_at.store(now.0, Ordering::Release);
        Ok(changed)
    }

    /// The list in force.
    ///
    /// # Errors
    /// [`crate::AuthnError::RevocationStale`] when it is older than it may be.
    pub(crate) fn view(&self, now: Timestamp) -> Result<arc_swap::Guard<Arc<View>>, crate::AuthnError> {
        let seen_at = Timestamp(self.seen_at.load(Ordering::Acquire));
        if self.file.is_some() && now.since(seen_at) > self.max_age {
            return Err(crate::AuthnError::RevocationStale);
        }
        Ok(self.view.load())
    }
}

fn stamp(path: &Path) -> Result<(SystemTime, u64), RevocationError> {
    let metadata = std::fs::metadata(path).map_err(|source| file_error(path, source))?;
    let modified = metadata.modified().map_err(|source| file_error(path, source))?;
    Ok((modified, metadata.len()))
}

fn file_error(path: &Path, source: std::io::Error) -> RevocationError {
    RevocationError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocations::marks::Marks;
    use model::Principal;

    fn means(yaml: &str, issued_at: Option<Timestamp>) -> bool {
        let principal = Principal {
            issuer: "https://idp.test".into(),
            user: "alice".into(),
            client: "cli".into(),
            ..Principal::service()
        };
        let marks = Marks { id: Some("j1".into()), issued_at, ..Marks::default() };
        let facts = Facts { digest: Digest([7; 32]), principal: &principal, marks: &marks };
        View::new(RevocationList::parse(yaml).unwrap()).revokes(&facts)
    }

    fn revokes(yaml: &str) -> bool {
        means(yaml, Some(Timestamp(1_000_000)))
    }

    #[test]
    fn an_entry_means_the_tokens_for_which_all_its_fields_are_true() {
        let digest = Digest([7; 32]);
        for (yaml, expect) in [
            (format!("revoked: [{{token: \"{digest}\"}}]"), true),
            ("revoked: [{issuer: 'https://idp.test', jti: j1}]".into(), true),
            ("revoked: [{issuer: 'https://other.test', jti: j1}]".into(), false),
            ("revoked: [{issuer: 'https://idp.test', user: alice}]".into(), true),
            ("revoked: [{issuer: 'https://idp.test', user: bob}]".into(), false),
            ("revoked: [{issuer: 'https://idp.test', user: alice, client: web}]".into(), false),
            ("revoked: [{issuer: 'https://idp.test', client: cli}]".into(), true),
            ("revoked: [{issuer: 'https://idp.test', user: alice, issued_before: 1000}]".into(), false),
            ("revoked: [{issuer: 'https://idp.test', user: alice, issued_before: 1001}]".into(), true),
            ("revoked: [{issuer: 'https://idp.test', issued_before: 1001, reason: leak}]".into(), true),
            ("{\"revoked\":[{\"issuer\":\"https://idp.test\",\"client\":\"cli\"}]}".into(), true),
            ("".into(), false),
            ("revoked: []".into(), false),
        ] {
            assert_eq!(revokes(&yaml), expect, "{yaml}");
        }
        assert!(means("revoked: [{issuer: 'https://idp.test', issued_before: 1}]", None));
    }

    #[test]
    fn entries_that_mean_nothing_or_everything_are_refused() {
        for bad in [
            "revoked: [{}]",
            "revoked: [{jti: a}]",
            "revoked: [{issuer: a}]",
            "revoked: [{reason: x}]",
            "revoke: []",
            "- x",
            "revoked: [{token: zz}]",
        ] {
            assert!(RevocationList::parse(bad).is_err(), "{bad}");
        }
    }
}
