//! Guesses at codes are counted before a code is looked up, by person and by address (RFC 8628 §5.1).

use model::Clock;
use std::sync::Arc;
use storage::{Db, StorageError, on, sqlx};

/// The counts.
pub(super) struct Guesses {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl Guesses {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }

    /// Counts one more; whether it may be looked at. SECURITY: the count is one statement, so that many at once are as many
    /// (test: `codes_cannot_be_guessed_at_will`).
    pub(super) async fn admits(&self, who: &str) -> Result<bool, StorageError> {
        const COUNT: &str = "INSERT INTO device_guesses (who, guesses, window_end) VALUES ($1, 1, $3)
            ON CONFLICT (who) DO UPDATE SET
                guesses = CASE WHEN device_guesses.window_end <= $2 THEN 1 ELSE device_guesses.guesses + 1 END,
                window_end = CASE WHEN device_guesses.window_end <= $2 THEN $3 ELSE device_guesses.window_end END
            RETURNING guesses";
        let now = self.clock.now().0;
        let guesses: i64 = on!(self.db, pool => {
            sqlx::query_scalar(COUNT).bind(who).bind(now).bind(now + WINDOW).fetch_one(pool).await
        })?;
        Ok(guesses <= MOST)
    }
}

/// The most in a window: ten in ten minutes against 43 bits and a thousand codes waiting is one in 880 million.
const MOST: i64 = 10;
/// Milliseconds.
const WINDOW: i64 = 600_000;
