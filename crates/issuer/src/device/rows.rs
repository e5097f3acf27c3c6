//! The rows of devices that wait. What is decided is decided once, and a token is had once, by conditional writes.

use super::code;
use crate::secret_text;
use model::{Clock, Dice, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx, transaction};

/// What a device asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The client.
    pub(crate) client: String,
    /// What people are shown.
    pub(crate) client_name: String,
    /// The one resource.
    pub(crate) resource: String,
    /// Scopes.
    pub(crate) scopes: Vec<String>,
    /// The address that the request came from.
    pub(crate) came_from: String,
}

/// Both codes, in the clear once.
pub(crate) struct FreshCodes {
    pub(crate) device_code: String,
    pub(crate) user_code: String,
}

/// Who approved.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Approval {
    /// The person.
    pub(crate) user: String,
    /// The person's tenant.
    pub(crate) tenant: String,
    /// The browser session.
    pub(crate) session: String,
    /// When the person last proved who they are.
    pub(crate) auth_time: Timestamp,
    /// When they approved: whatever ended since ends this too.
    #[serde(default)]
    pub(crate) given_at: Timestamp,
}

/// What a device hears when it asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    /// Nobody has decided.
    Pending,
    /// It asks too often.
    TooSoon,
    /// No.
    Denied,
    /// The code's time is over.
    Expired,
    /// There is no such code, or another client's, or it was used.
    Unknown,
    /// Yes; nobody hears this a second time.
    Approved(Box<(Asked, Approval)>),
}

/// Devices that wait.
pub(crate) struct Devices {
    db: Db,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

#[derive(sqlx::FromRow)]
struct Row {
    client: String,
    client_name: String,
    resource: String,
    scopes: String,
    came_from: String,
    state: String,
    approval: Option<String>,
    expires_at: i64,
}

impl Devices {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { db, clock, dice }
    }

    /// A device begins to wait.
    pub(crate) async fn begin(&self, asked: &Asked) -> Result<FreshCodes, StorageError> {
        const INSERT: &str =
            "INSERT INTO device_codes (digest, user_code, client, client_name, resource, scopes,
            came_from, state, pause_ms, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9, $10)";
        let now = self.clock.now();
        let scopes = serde_json::json!(asked.scopes).to_string();
        let pause = i64::try_from(PAUSE.as_millis()).unwrap_or(5000);
        // A code that waits already has one chance in trillions; then another is rolled.
        for _ in 0..3 {
            let fresh = FreshCodes {
                device_code: secret_text::fresh("dev_", self.dice.as_ref()),
                user_code: code::fresh(self.dice.as_ref()),
            };
            let (digest, typed) = (secret_text::digest(&fresh.device_code), of_typed(&fresh.user_code));
            let inserted = on!(self.db, pool => {
                sqlx::query(INSERT).bind(&digest).bind(&typed).bind(&asked.client).bind(&asked.client_name)
                    .bind(&asked.resource).bind(&scopes).bind(&asked.came_from).bind(pause).bind(now.0)
                    .bind(now.after(LIFE).0).execute(pool).await.map(drop)
            });
            match inserted.map_err(StorageError::from) {
                Err(StorageError::Conflict) => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(fresh),
            }
        }
        Err(StorageError::Conflict)
    }

    /// What waits under a code that somebody typed.
    pub(crate) async fn waiting(&self, typed: &str) -> Result<Option<Asked>, StorageError> {
        const FIND: &str =
            "SELECT client, client_name, resource, scopes, came_from, state, approval, expires_at
            FROM device_codes WHERE user_code = $1 AND state = 'pending' AND expires_at > $2";
        let (digest, now) = (of_typed(typed), self.clock.now().0);
        let row: Option<Row> = on!(self.db, pool => {
            sqlx::query_as(FIND).bind(&digest).bind(now).fetch_optional(pool).await
        })?;
        row.map(|row| row.asked()).transpose()
    }

    /// Decides, once: what was decided, or `None` if nothing waits under that code any more.
    pub(crate) async fn decide(
        &self,
        typed: &str,
        approval: Option<&Approval>,
    ) -> Result<Option<Asked>, StorageError> {
        const DECIDE: &str = "UPDATE device_codes SET state = $3, approval = $4
            WHERE user_code = $1 AND state = 'pending' AND expires_at > $2
            RETURNING client, client_name, resource, scopes, came_from, state, approval, expires_at";
        let (digest, now) = (of_typed(typed), self.clock.now().0);
        let state = if approval.is_some() { "approved" } else { "denied" };
        let approval = approval.map(|approval| serde_json::to_string(approval).unwrap_or_default());
        let row: Option<Row> = on!(self.db, pool => {
            sqlx::query_as(DECIDE).bind(&digest).bind(now).bind(state).bind(&approval).fetch_optional(pool).await
        })?;
        row.map(|row| row.asked()).transpose()
    }

    /// A device asks whether somebody has decided. One that asks too often is told to wait longer from then on
    /// (RFC 8628 §3.5).
    pub(crate) async fn poll(&self, device_code: &str, client: &str) -> Result<Poll, StorageError> {
        const LOOK: &str =
            "SELECT client, client_name, resource, scopes, came_from, state, approval, expires_at
            FROM device_codes WHERE digest = $1 AND client = $2";
        const TURN: &str = "UPDATE device_codes SET polled_at = $2
            WHERE digest = $1 AND (polled_at IS NULL OR polled_at + pause_ms <= $2) RETURNING client";
        const SLOWER: &str =
            "UPDATE device_codes SET polled_at = $2, pause_ms = pause_ms + 5000 WHERE digest = $1";
        const TAKE: &str = "DELETE FROM device_codes WHERE digest = $1 AND state IN ('approved', 'denied')
            RETURNING client, client_name, resource, scopes, came_from, state, approval, expires_at";
        let (digest, now) = (secret_text::digest(device_code), self.clock.now().0);
        let row: Option<Row> = on!(self.db, pool => {
            sqlx::query_as(LOOK).bind(&digest).bind(client).fetch_optional(pool).await
        })?;
        let Some(row) = row else { return Ok(Poll::Unknown) };
        if row.expires_at <= now {
            return Ok(Poll::Expired);
        }
        let taken: Result<Option<Row>, StorageError> = transaction!(self.db, tx => {
            let turn: Option<String> =
                sqlx::query_scalar(TURN).bind(&digest).bind(now).fetch_optional(&mut **tx).await?;
            if turn.is_none() {
                sqlx::query(SLOWER).bind(&digest).bind(now).execute(&mut **tx).await?;
                return Ok(None);
            }
            if row.state == "pending" {
                return Ok(Some(row));
            }
            // SECURITY: of many at once one takes it (test: `a_device_code_gives_one_token`).
            Ok(sqlx::query_as::<_, Row>(TAKE).bind(&digest).fetch_optional(&mut **tx).await?)
        });
        let Some(taken) = taken? else { return Ok(Poll::TooSoon) };
        match (taken.state.as_str(), taken.approval.as_deref()) {
            ("denied", _) => Ok(Poll::Denied),
            ("approved", Some(approval)) => {
                let approval = serde_json::from_str(approval)
                    .map_err(|_| StorageError::Corrupt("a device's approval".to_owned()))?;
                Ok(Poll::Approved(Box::new((taken.asked()?, approval))))
            }
            _ => Ok(Poll::Pending),
        }
    }
}

impl Row {
    fn asked(&self) -> Result<Asked, StorageError> {
        let scopes = serde_json::from_str(&self.scopes)
            .map_err(|_| StorageError::Corrupt("a device's scopes".to_owned()))?;
        Ok(Asked {
            client: self.client.clone(),
            client_name: self.client_name.clone(),
            resource: self.resource.clone(),
            scopes,
            came_from: self.came_from.clone(),
        })
    }
}

/// What is kept of a code that people type; one that cannot be any is nobody's.
fn of_typed(typed: &str) -> String {
    code::read(typed).map_or_else(String::new, |letters| secret_text::digest(&letters))
}

/// How long a device waits.
pub(crate) const LIFE: Duration = Duration::from_secs(600);
/// How long it pauses between two questions.
pub(crate) const PAUSE: Duration = Duration::from_secs(5);
