//! What the house does with news of the revocations: it is on record, in the log and in the metrics.

use crate::health::{HealthCheck, Status};
use authn::revocations::{Freshness, Kind, Listed, News, View};
use ledger::{About, Event, Leaf, What};
use model::{Clock, Code};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use vault::SigningKeys;

/// Whoever is told.
pub(crate) struct Teller {
    pub(crate) audit: audit::Writer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Arc<SigningKeys>,
}

impl Teller {
    /// Keeps the view and tells of it, for ever.
    pub(crate) async fn keep(self, view: Arc<View>) {
        view.keep(|news| self.tell(&news)).await;
    }

    fn tell(&self, news: &News<'_>) {
        match news {
            News::Rows(rows) => {
                rows.iter().for_each(|row| self.row(row));
                if rows.iter().any(|row| row.kind == Kind::Key) {
                    // Perhaps one of ours: this replica must not sign with it any more.
                    let keys = Arc::clone(&self.keys);
                    tokio::spawn(async move { drop(keys.tend().await) });
                }
            }
            News::Freshness(freshness, age) => self.freshness(*freshness, *age),
        }
    }

    fn row(&self, row: &Listed) {
        let detail = match (row.lifts, row.reason.is_empty()) {
            (true, _) => format!("taken back: {}", row.reason),
            (false, true) => String::new(),
            (false, false) => row.reason.clone(),
        };
        self.event(Event {
            tenant: row.tenant.as_deref().map(Into::into),
            by: Some(row.by.as_str().into()),
            about: Some(About::new(row.kind.as_str(), row.id.as_str())),
            detail: Some(detail.into()).filter(|detail: &std::borrow::Cow<'_, str>| !detail.is_empty()),
            ..Event::of(What::Revoked)
        });
    }

    fn freshness(&self, freshness: Freshness, age: Duration) {
        let age = age.as_millis();
        let (what, code, detail) = match freshness {
            Freshness::Fresh => (What::ViewFresh, None, "everything is served again".to_owned()),
            Freshness::Stale => (
                What::ViewStale,
                Some(Code::REVOCATIONS_STALE),
                format!("not read for {age} ms: plain reads only"),
            ),
            Freshness::Lost => (
                What::ViewStale,
                Some(Code::REVOCATIONS_STALE),
                format!("not read for {age} ms: everything is refused"),
            ),
        };
        tracing::warn!(
            state = freshness.as_str(),
            age_ms = u64::try_from(age).unwrap_or(u64::MAX),
            "revocations"
        );
        let by = Some("portunus".into());
        self.event(Event { by, code, detail: Some(detail.into()), ..Event::of(what) });
    }

    fn event(&self, event: Event<'_>) {
        let what = event.what;
        if self.audit.append(self.clock.now(), &Leaf::Event(event)).is_err() {
            tracing::warn!(what = what.as_str(), "an event could not be recorded");
        }
    }
}

/// Is it known what has been revoked?
pub(crate) fn health(view: &View) -> HealthCheck {
    let freshness = view.freshness();
    let (status, reason) = match freshness {
        Freshness::Fresh => (Status::Ok, None),
        Freshness::Stale => (Status::Degraded, Some("plain reads only")),
        Freshness::Lost => (Status::Failed, Some("everything is refused")),
    };
    let age = u64::try_from(view.age().as_millis()).unwrap_or(u64::MAX);
    let mut facts = json!({"state": freshness.as_str(), "age_ms": age, "revocations": view.size()});
    if let (Some(reason), Some(facts)) = (reason, facts.as_object_mut()) {
        facts.insert("reason".to_owned(), reason.into());
        facts.insert("code".to_owned(), Code::REVOCATIONS_STALE.to_string().into());
    }
    HealthCheck::new("revocations", status, facts)
}
