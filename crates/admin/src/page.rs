//! Long lists, a page a time: `limit` rows after `cursor`.

use crate::problem::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Page<T: ToSchema> {
    /// The rows.
    pub(crate) items: Vec<T>,
    /// Where the next page begins: give it as `cursor`. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Which page of a list is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paged {
    /// The most rows, 1 to 200.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl Paged {
    /// The page.
    ///
    /// # Errors
    /// Those of [`Window::read`].
    pub(crate) fn window(&self) -> Result<Window, Problem> {
        Window::read(self.limit, self.cursor.as_deref())
    }
}

/// Which page of a tenant's list is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantPaged {
    /// The tenant. Default: the caller's own.
    pub(crate) tenant: Option<String>,
    /// The most rows, 1 to 200.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl TenantPaged {
    /// The page.
    ///
    /// # Errors
    /// Those of [`Window::read`].
    pub(crate) fn window(&self) -> Result<Window, Problem> {
        Window::read(self.limit, self.cursor.as_deref())
    }
}

/// Where a page begins and how long it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The key of the last row of the page before.
    pub(crate) after: Option<String>,
    /// The most rows.
    pub(crate) limit: usize,
}

impl Window {
    /// Reads the two parameters.
    ///
    /// # Errors
    /// A limit out of its bounds, or a cursor that no list gave out.
    pub(crate) fn read(limit: Option<u32>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::invalid(format!("`limit` is not 1 to {MOST}")));
        }
        let read = |cursor: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            String::from_utf8(bytes).ok().filter(|key| !key.is_empty() && !key.contains('\0'))
        };
        let after = match cursor {
            None => None,
            Some(cursor) => {
                Some(read(cursor).ok_or_else(|| Problem::invalid("`cursor` is none that a list gave out"))?)
            }
        };
        Ok(Self { after, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
    }

    /// How many rows to read: one more than the page holds says whether there is another.
    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// The same, as others count.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.limit).unwrap_or(MOST).saturating_add(1)
    }

    /// The page of the rows that were read, by the key that orders them.
    pub(crate) fn page<R, T: ToSchema>(
        &self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> String,
        shown: impl FnMut(R) -> T,
    ) -> Page<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = rows.last().filter(|_| more).map(|row| URL_SAFE_NO_PAD.encode(key(row)));
        Page { items: rows.into_iter().map(shown).collect(), next }
    }

    /// The same for a list that is read as a whole, in the order of its key.
    pub(crate) fn page_of_all<R, T: ToSchema>(
        &self,
        rows: Vec<R>,
        key: impl Fn(&R) -> String,
        shown: impl FnMut(R) -> T,
    ) -> Page<T> {
        let after = |row: &R| self.after.as_ref().is_none_or(|after| key(row) > *after);
        let rows = rows.into_iter().filter(after).take(self.limit.saturating_add(1)).collect();
        self.page(rows, key, shown)
    }
}

/// Rows of a page, unless asked otherwise.
const USUAL: u32 = 50;
/// The most rows of a page.
const MOST: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_end() {
        let all = || vec!["a", "b", "c", "d", "e"];
        let mut cursor: Option<String> = None;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let window = Window::read(Some(2), cursor.as_deref()).unwrap();
            let page = window.page_of_all(all(), |row| (*row).to_owned(), str::to_owned);
            assert!(page.items.len() <= 2);
            seen.extend(page.items);
            cursor = page.next;
        }
        assert_eq!(cursor, None);
        assert_eq!(seen, all());
    }

    #[test]
    fn limits_and_cursors_have_bounds() {
        for (limit, cursor) in [(Some(0), None), (Some(201), None), (None, Some("!")), (None, Some(""))] {
            assert!(Window::read(limit, cursor).is_err(), "{limit:?} {cursor:?}");
        }
        assert_eq!(Window::read(None, None).unwrap(), Window { after: None, limit: 50 });
    }
}
