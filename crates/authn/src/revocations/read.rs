//! Reading the rows one has not read yet, although numbers are given out before their transactions commit.

use super::Listed;
use super::row::listed;
use storage::sqlx;
use storage::{Db, StorageError, on};

/// How far the table was read. Numbers that were passed over may still be committed: they are looked for as long as a
/// transaction can be under way.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The highest number that was read.
    highest: i64,
    /// Numbers below it that were not, oldest first.
    gaps: Vec<Gap>,
}

/// Numbers that were passed over.
#[derive(Debug, PartialEq, Eq)]
struct Gap {
    from: i64,
    to: i64,
    /// When, in ticks of the clock.
    since: u64,
}

impl Reader {
    /// The rows that were not read yet, in the order of their numbers. Nothing is remembered before
    /// [`Reader::remember`].
    ///
    /// # Errors
    /// [`StorageError`].
    pub(super) async fn read(&self, db: &Db) -> Result<Vec<Listed>, StorageError> {
        let mut after = self.gaps.iter().map(|gap| gap.from - 1).min().unwrap_or(self.highest);
        let mut rows = Vec::new();
        loop {
            let page: Vec<Listed> = on!(db, pool => {
                let found = sqlx::query(PAGE).bind(after).bind(PAGE_ROWS).fetch_all(pool).await?;
                found.iter().map(|row| listed!(row)).collect::<Result<Vec<_>, StorageError>>()
            })?;
            let Some(last) = page.last() else { return Ok(rows) };
            after = last.seq;
            let whole = i64::try_from(page.len()).is_ok_and(|read| read >= PAGE_ROWS);
            rows.extend(page.into_iter().filter(|row| self.is_new(row.seq)));
            if rows.len() > MOST {
                return Err(StorageError::Corrupt(format!("more than {MOST} revocations")));
            }
            if !whole {
                return Ok(rows);
            }
        }
    }

    /// The highest number that was read.
    pub(super) fn highest(&self) -> i64 {
        self.highest
    }

    fn is_new(&self, seq: i64) -> bool {
        seq > self.highest || self.gaps.iter().any(|gap| (gap.from..=gap.to).contains(&seq))
    }

    /// These rows were taken up at `ticks`. `recent` says of a row whether what it passed over may still be under way.
    pub(super) fn remember(&mut self, rows: &[Listed], ticks: u64, recent: impl Fn(&Listed) -> bool) {
        for row in rows {
            if row.seq > self.highest {
                if row.seq > self.highest + 1 && recent(row) {
                    self.gaps.push(Gap { from: self.highest + 1, to: row.seq - 1, since: ticks });
                }
                self.highest = row.seq;
            } else if let Some(at) = self.gaps.iter().position(|gap| (gap.from..=gap.to).contains(&row.seq)) {
                let Gap { from, to, since } = self.gaps.remove(at);
                let halves = [(from, row.seq - 1), (row.seq + 1, to)];
                let left = halves.into_iter().filter(|(from, to)| from <= to);
                self.gaps.extend(left.map(|(from, to)| Gap { from, to, since }));
            }
        }
        // What has not come by now was rolled back.
        self.gaps.retain(|gap| ticks.saturating_sub(gap.since) < UNDER_WAY_NS);
    }
}

const PAGE: &str =
    "SELECT seq, kind, id, tenant, issuer, not_before, expires_at, lifts, reason, revoked_by, created_at
    FROM revocations WHERE seq > $1 ORDER BY seq LIMIT $2";
const PAGE_ROWS: i64 = 5000;
/// The most rows that a view holds.
const MOST: usize = 1_000_000;
/// How long a transaction can be under way after it got its number; the database ends one that does nothing.
const UNDER_WAY_NS: u64 = 60_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocations::Kind;
    use model::Timestamp;

    fn row(seq: i64) -> Listed {
        Listed {
            seq,
            kind: Kind::User,
            id: "a".into(),
            tenant: None,
            issuer: None,
            not_before: None,
            expires_at: None,
            lifts: false,
            reason: String::new(),
            by: "operator".into(),
            created_at: Timestamp(0),
        }
    }

    fn remember(reader: &mut Reader, seqs: &[i64], ticks: u64) {
        let rows: Vec<_> = seqs.iter().copied().map(row).collect();
        reader.remember(&rows, ticks, |_| true);
    }

    #[test]
    fn numbers_that_were_passed_over_are_looked_for_until_they_come_or_cannot() {
        let mut reader = Reader::default();
        remember(&mut reader, &[1, 2, 6], 0);
        assert!(reader.is_new(4) && reader.is_new(7) && !reader.is_new(6) && !reader.is_new(1));
        remember(&mut reader, &[4], 1);
        assert!(reader.is_new(3) && !reader.is_new(4) && reader.is_new(5));
        remember(&mut reader, &[3, 5], 2);
        assert!(reader.gaps.is_empty());
        remember(&mut reader, &[9], 3);
        remember(&mut reader, &[], UNDER_WAY_NS + 3);
        assert!(!reader.is_new(8), "it was rolled back");
    }

    #[test]
    fn what_is_missing_among_old_rows_is_over_and_not_under_way() {
        let mut reader = Reader::default();
        reader.remember(&[row(5), row(9)], 0, |row| row.seq == 9);
        assert!(!reader.is_new(3) && reader.is_new(7));
    }
}
