//! Sessions of browsers: an opaque id of 256 bits in a cookie, kept by its digest.
//!
//! A session says who somebody is, since when, and how they showed it. It is ended by its owner, by time, by the
//! provider it came from, and with its person. Specified in RFC 6265 §4.1, RFC 8176 (`amr`).

mod cookies;

pub(crate) use cookies::Cookie;
pub use cookies::Cookies;

use crate::secret_text;
use model::{Clock, Dice, Digest, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx};

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Session {
    /// `ses_` and 32 hexadecimal digits: the `sid` of tokens. Not what is in the cookie.
    pub id: String,
    /// The person.
    pub user: String,
    /// Their tenant.
    pub tenant: String,
    /// Who vouched for them: the provider's issuer; `None` for a local account.
    pub issuer: Option<String>,
    /// When they showed who they are.
    pub auth_time: Timestamp,
    /// How they showed it.
    pub amr: Vec<String>,
    /// How well, in the provider's words.
    pub acr: Option<String>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The end, whatever happens.
    pub expires_at: Timestamp,
}

/// A session to be opened.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The person.
    pub user: String,
    /// Their tenant.
    pub tenant: String,
    /// The provider's issuer and its subject, if a provider vouches.
    pub vouched: Option<(String, String)>,
    /// The provider's own session (`sid`).
    pub idp_sid: Option<String>,
    /// When they showed who they are; now if it is not said.
    pub auth_time: Option<Timestamp>,
    /// How.
    pub amr: Vec<String>,
    /// How well.
    pub acr: Option<String>,
}

/// Which sessions a provider ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<'a> {
    /// Those of its own session.
    Sid(&'a str),
    /// All of a person.
    Subject(&'a str),
}

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting {
    /// Without being used.
    pub idle: Duration,
    /// At most.
    pub absolute: Duration,
}

impl Default for Lasting {
    fn default() -> Self {
        Self { idle: Duration::from_secs(3600), absolute: Duration::from_secs(12 * 3600) }
    }
}

/// All sessions.
#[derive(Clone)]
pub struct Sessions {
    db: Db,
    lasting: Lasting,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

type Row = (String, String, String, Option<String>, i64, String, Option<String>, i64, i64);

impl Sessions {
    /// The sessions of this database.
    pub fn new(db: Db, lasting: Lasting, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { db, lasting, clock, dice }
    }

    /// Opens a session. The second value is the cookie's: it exists nowhere else.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn open(&self, opening: &Opening) -> Result<(Session, String), StorageError> {
        const OPEN: &str =
            "INSERT INTO browser_sessions (digest, id, user_id, tenant, issuer, subject, idp_sid,
            auth_time, amr, acr, created_at, seen_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)";
        let secret = secret_text::bare(self.dice.as_ref());
        let now = self.clock.now();
        let (issuer, subject) = opening.vouched.clone().unzip();
        let session = Session {
            id: secret_text::id("ses_", self.dice.as_ref()),
            user: opening.user.clone(),
            tenant: opening.tenant.clone(),
            issuer,
            auth_time: opening.auth_time.map_or(now, |at| at.min(now)),
            amr: opening.amr.clone(),
            acr: opening.acr.clone(),
            opened_at: now,
            expires_at: now.after(self.lasting.absolute),
        };
        let amr = serde_json::json!(session.amr).to_string();
        on!(self.db, pool => {
            sqlx::query(OPEN).bind(digest(&secret)).bind(&session.id).bind(&session.user).bind(&session.tenant)
                .bind(&session.issuer).bind(&subject).bind(&opening.idp_sid).bind(session.auth_time.0).bind(&amr)
                .bind(&session.acr).bind(now.0).bind(session.expires_at.0).execute(pool).await.map(drop)
        })?;
        Ok((session, secret))
    }

    /// The session whose cookie this is, if it has not ended and its person is active. Being asked for keeps it from
    /// idling.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn find(&self, cookie: &str) -> Result<Option<Session>, StorageError> {
        // SECURITY: a disabled person's sessions find nobody, nor do those that a revocation means, before any view has
        // taken it up (tests: `a_session_ends_with_its_person_its_time_and_its_owner`, `a_revocation_ends_sessions`).
        const FIND: &str = "UPDATE browser_sessions SET seen_at = $1
            WHERE digest = $2 AND expires_at > $1 AND seen_at > $3
              AND EXISTS (SELECT 1 FROM users WHERE users.id = browser_sessions.user_id AND users.status = 'active')
              AND NOT EXISTS (SELECT 1 FROM revocations WHERE NOT revocations.lifts AND NOT revocations.spares_grants
                AND (revocations.expires_at IS NULL OR revocations.expires_at > $1)
                AND revocations.not_before > browser_sessions.created_at
                AND (revocations.tenant IS NULL OR revocations.tenant = browser_sessions.tenant)
                AND ((revocations.kind = 'session' AND revocations.id = browser_sessions.id)
                  OR (revocations.kind = 'user' AND revocations.id = browser_sessions.user_id)))
            RETURNING id, user_id, tenant, issuer, auth_time, amr, acr, created_at, expires_at";
        let now = self.clock.now().0;
        let idle = i64::try_from(self.lasting.idle.as_millis()).unwrap_or(i64::MAX);
        let digest = digest(cookie);
        let row: Option<Row> = on!(self.db, pool => {
            sqlx::query_as(FIND).bind(now).bind(&digest).bind(now.saturating_sub(idle)).fetch_optional(pool).await
        })?;
        row.map(session).transpose()
    }

    /// The session of that id, whether or not it is still open: what was granted in it may stand.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn by_id(&self, id: &str) -> Result<Option<Session>, StorageError> {
        const FIND: &str = "SELECT id, user_id, tenant, issuer, auth_time, amr, acr, created_at, expires_at
            FROM browser_sessions WHERE id = $1";
        let row: Option<Row> =
            on!(self.db, pool => sqlx::query_as(FIND).bind(id).fetch_optional(pool).await)?;
        row.map(session).transpose()
    }

    /// The open sessions of a person, the latest first, at most 100.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn of_user(&self, user: &str) -> Result<Vec<Session>, StorageError> {
        const LIST: &str = "SELECT id, user_id, tenant, issuer, auth_time, amr, acr, created_at, expires_at
            FROM browser_sessions WHERE user_id = $1 AND expires_at > $2 ORDER BY created_at DESC LIMIT 100";
        let now = self.clock.now().0;
        let rows: Vec<Row> =
            on!(self.db, pool => sqlx::query_as(LIST).bind(user).bind(now).fetch_all(pool).await)?;
        rows.into_iter().map(session).collect()
    }

    /// The sessions of a person that are known, open or not, at most 100.
    pub(crate) async fn known_of_user(&self, user: &str) -> Result<Vec<Session>, StorageError> {
        const LIST: &str = "SELECT id, user_id, tenant, issuer, auth_time, amr, acr, created_at, expires_at
            FROM browser_sessions WHERE user_id = $1 LIMIT 100";
        let rows: Vec<Row> = on!(self.db, pool => sqlx::query_as(LIST).bind(user).fetch_all(pool).await)?;
        rows.into_iter().map(session).collect()
    }

    /// Closes a session that another took the place of: its cookie finds nobody, and whoever it came from can still say
    /// that it is over.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn close(&self, id: &str) -> Result<(), StorageError> {
        const CLOSE: &str = "UPDATE browser_sessions SET expires_at = $1 WHERE id = $2 AND expires_at > $1";
        let now = self.clock.now().0;
        on!(self.db, pool => sqlx::query(CLOSE).bind(now).bind(id).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Forgets one session, the last step of ending it ([`crate::Issuer::end_session`]).
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn forget(&self, id: &str) -> Result<(), StorageError> {
        const FORGET: &str = "DELETE FROM browser_sessions WHERE id = $1";
        on!(self.db, pool => sqlx::query(FORGET).bind(id).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// The sessions, open or not, that came from a provider and that it means.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn of_provider(
        &self,
        tenant: &str,
        issuer: &str,
        ended: &Ended<'_>,
    ) -> Result<Vec<Session>, StorageError> {
        const BY_SID: &str = "SELECT id, user_id, tenant, issuer, auth_time, amr, acr, created_at, expires_at
            FROM browser_sessions WHERE tenant = $1 AND issuer = $2 AND idp_sid = $3";
        const BY_SUBJECT: &str =
            "SELECT id, user_id, tenant, issuer, auth_time, amr, acr, created_at, expires_at
            FROM browser_sessions WHERE tenant = $1 AND issuer = $2 AND subject = $3";
        let (text, what) = match ended {
            Ended::Sid(sid) => (BY_SID, *sid),
            Ended::Subject(subject) => (BY_SUBJECT, *subject),
        };
        let rows: Vec<Row> = on!(self.db, pool => {
            sqlx::query_as(text).bind(tenant).bind(issuer).bind(what).fetch_all(pool).await
        })?;
        rows.into_iter().map(session).collect()
    }

    /// Forgets what ended long ago. Until then a provider may still say that the session it came from is over, and what
    /// was granted in it ends.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn sweep(&self) -> Result<(), StorageError> {
        const SWEEP: &str = "DELETE FROM browser_sessions WHERE expires_at <= $1";
        let before = self.clock.now().0.saturating_sub(KEPT_MS);
        on!(self.db, pool => sqlx::query(SWEEP).bind(before).execute(pool).await.map(drop))?;
        Ok(())
    }
}

/// How long an ended session is remembered: as long as a grant may live.
const KEPT_MS: i64 = 90 * 24 * 3600 * 1000;

fn session(row: Row) -> Result<Session, StorageError> {
    let (id, user, tenant, issuer, auth_time, amr, acr, opened_at, expires_at) = row;
    let amr = serde_json::from_str(&amr).map_err(|_| StorageError::Corrupt(format!("session {id}")))?;
    let [auth_time, opened_at, expires_at] = [auth_time, opened_at, expires_at].map(Timestamp);
    Ok(Session { id, user, tenant, issuer, auth_time, amr, acr, opened_at, expires_at })
}

fn digest(cookie: &str) -> String {
    Digest::of(cookie.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::{Arrival, People};
    use model::{FixedClock, SystemDice};
    use testdb::TestDb;

    struct Bed {
        clock: Arc<FixedClock>,
        people: People,
        sessions: Sessions,
        user: String,
    }

    async fn bed(db: &Db) -> Bed {
        let clock = Arc::new(FixedClock::at(Timestamp(1_000_000)));
        let people = People::new(db.clone(), Arc::<FixedClock>::clone(&clock), Arc::new(SystemDice));
        let arrival = Arrival {
            tenant: "acme".into(),
            provider: "main".into(),
            issuer: "https://idp.example".into(),
            subject: "s1".into(),
            name: None,
            email: None,
            roles: Vec::new(),
            groups: Vec::new(),
        };
        let user = people.arrive(&arrival).await.unwrap().id;
        let lasting = Lasting { idle: Duration::from_secs(100), absolute: Duration::from_secs(1000) };
        let sessions =
            Sessions::new(db.clone(), lasting, Arc::<FixedClock>::clone(&clock), Arc::new(SystemDice));
        Bed { clock, people, sessions, user }
    }

    impl Bed {
        async fn open(&self, sid: Option<&str>) -> (Session, String) {
            let opening = Opening {
                user: self.user.clone(),
                tenant: "acme".into(),
                vouched: Some(("https://idp.example".into(), "s1".into())),
                idp_sid: sid.map(str::to_owned),
                amr: vec!["pwd".into()],
                ..Opening::default()
            };
            self.sessions.open(&opening).await.unwrap()
        }

        async fn is_open(&self, cookie: &str) -> bool {
            self.sessions.find(cookie).await.unwrap().is_some()
        }
    }

    #[tokio::test]
    async fn a_session_ends_with_its_person_its_time_and_its_owner() {
        for test in TestDb::each().await {
            let bed = bed(&test.db).await;
            let (session, cookie) = bed.open(None).await;
            assert_eq!(bed.sessions.find(&cookie).await.unwrap(), Some(session.clone()));
            // Neither the id nor anything else is the cookie.
            assert!(!bed.is_open(&session.id).await && !bed.is_open("").await);
            for _ in 0..12 {
                assert!(bed.is_open(&cookie).await);
                bed.clock.advance(Duration::from_secs(90));
            }
            assert!(!bed.is_open(&cookie).await, "past its absolute end");
            let (_, idle) = bed.open(None).await;
            bed.clock.advance(Duration::from_secs(101));
            assert!(!bed.is_open(&idle).await, "idle");
            let (left, cookie) = bed.open(None).await;
            bed.sessions.close(&left.id).await.unwrap();
            assert!(!bed.is_open(&cookie).await && bed.sessions.by_id(&left.id).await.unwrap().is_some());
            bed.sessions.forget(&left.id).await.unwrap();
            assert!(bed.sessions.by_id(&left.id).await.unwrap().is_none());
            let (_, cookie) = bed.open(None).await;
            bed.people.set_active(&bed.user, false).await.unwrap();
            assert!(!bed.is_open(&cookie).await, "of a disabled person");
            assert_eq!(bed.sessions.of_user(&bed.user).await.unwrap().len(), 2);
            bed.clock.advance(Duration::from_secs(91 * 24 * 3600));
            bed.sessions.sweep().await.unwrap();
            assert!(bed.sessions.by_id(&session.id).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_revocation_ends_sessions() {
        use authn::revocations::{Kind, Revocation, revoke};
        for test in TestDb::each().await {
            let bed = bed(&test.db).await;
            let (one, first) = bed.open(None).await;
            let (_, second) = bed.open(None).await;
            let now = Timestamp(1_000_000);
            revoke(&test.db, &Revocation::new(Kind::Session, &one.id, "operator"), now).await.unwrap();
            assert!(!bed.is_open(&first).await && bed.is_open(&second).await);
            bed.clock.advance(Duration::from_secs(10));
            let tokens = Revocation::new(Kind::User, &bed.user, "operator")
                .issued_before(Timestamp(1_005_000))
                .sparing_grants();
            revoke(&test.db, &tokens, now).await.unwrap();
            assert!(bed.is_open(&second).await, "tokens alone");
            let of_user =
                Revocation::new(Kind::User, &bed.user, "operator").issued_before(Timestamp(1_005_000));
            revoke(&test.db, &of_user, now).await.unwrap();
            assert!(!bed.is_open(&second).await);
            // Whoever may sign in again does so.
            let (_, third) = bed.open(None).await;
            assert!(bed.is_open(&third).await);
        }
    }

    #[tokio::test]
    async fn a_providers_sessions_are_found_open_or_not_and_no_others() {
        for test in TestDb::each().await {
            let bed = bed(&test.db).await;
            let (one, _) = bed.open(Some("sid-1")).await;
            let (two, _) = bed.open(Some("sid-2")).await;
            bed.sessions.close(&one.id).await.unwrap();
            for (tenant, issuer) in [("other", "https://idp.example"), ("acme", "https://other.example")] {
                let found = bed.sessions.of_provider(tenant, issuer, &Ended::Subject("s1")).await.unwrap();
                assert!(found.is_empty());
            }
            let find = async |ended: &Ended<'_>| {
                let found = bed.sessions.of_provider("acme", "https://idp.example", ended).await.unwrap();
                found.into_iter().map(|session| session.id).collect::<std::collections::BTreeSet<_>>()
            };
            assert_eq!(find(&Ended::Sid("sid-1")).await, [one.id.clone()].into());
            assert_eq!(find(&Ended::Sid("sid-3")).await, [].into());
            assert_eq!(find(&Ended::Subject("s1")).await, [one.id, two.id].into());
        }
    }

    #[tokio::test]
    async fn what_is_in_the_cookie_is_not_in_the_database() {
        let test = TestDb::sqlite().await;
        let bed = bed(&test.db).await;
        let (_, cookie) = bed.open(None).await;
        let storage::Place::Sqlite(path) = &test.config.place else { panic!("SQLite") };
        let mut heap = std::fs::read(path).unwrap();
        heap.extend(std::fs::read(path.with_extension("db-wal")).unwrap_or_default());
        let found = |needle: &[u8]| heap.windows(needle.len()).any(|window| window == needle);
        assert!(found(bed.user.as_bytes()) && !found(cookie.as_bytes()));
    }
}
