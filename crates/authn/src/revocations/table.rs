//! The rows in force, made fit for looking up.

use super::marks::Facts;
use super::{Kind, Listed};
use model::{Digest, Timestamp};
use std::collections::HashMap;
use std::time::Duration;

/// The rows, by what they mean. Applying a row twice, or rows in another order than that of their numbers, comes to the
/// same.
#[derive(Default)]
pub(super) struct Table {
    kinds: [HashMap<Box<str>, Vec<Entry>>; Kind::ALL.len()],
    /// Tokens that are named by their digest.
    digests: HashMap<Digest, Vec<Entry>>,
    entries: usize,
}

/// What the rows of one kind, id, tenant and issuer come to.
struct Entry {
    tenant: Option<Box<str>>,
    issuer: Option<Box<str>>,
    /// Means what was issued before, in milliseconds: [`ALL`] of it, or [`NOTHING`] once it is lifted.
    not_before: i64,
    /// When it is over, in milliseconds.
    expires_at: i64,
    /// The number of the last row that revokes, and of the last one that lifts.
    revoked: i64,
    lifted: i64,
}

impl Table {
    /// Takes up a row.
    pub(super) fn apply(&mut self, row: &Listed) {
        let digest = (row.kind == Kind::Token).then(|| Digest::parse(&row.id)).flatten();
        let entries = match digest {
            Some(digest) => self.digests.entry(digest).or_default(),
            None => self.of_mut(row.kind).entry(row.id.as_str().into()).or_default(),
        };
        let same = |entry: &&mut Entry| {
            entry.tenant.as_deref() == row.tenant.as_deref()
                && entry.issuer.as_deref() == row.issuer.as_deref()
        };
        match entries.iter_mut().find(same) {
            Some(entry) => entry.take(row),
            None => {
                let mut entry = Entry {
                    tenant: row.tenant.as_deref().map(Into::into),
                    issuer: row.issuer.as_deref().map(Into::into),
                    not_before: NOTHING,
                    expires_at: i64::MIN,
                    revoked: i64::MIN,
                    lifted: i64::MIN,
                };
                entry.take(row);
                entries.push(entry);
                self.entries += 1;
            }
        }
    }

    /// Forgets what is over.
    pub(super) fn prune(&mut self, now: Timestamp) {
        let fresh = |entries: &mut Vec<Entry>| {
            entries.retain(|entry| entry.expires_at > now.0);
            !entries.is_empty()
        };
        self.kinds.iter_mut().for_each(|kind| kind.retain(|_, entries| fresh(entries)));
        self.digests.retain(|_, entries| fresh(entries));
        let kinds = self.kinds.iter().flat_map(HashMap::values);
        self.entries = kinds.chain(self.digests.values()).map(Vec::len).sum();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// Whether a row means this token.
    pub(super) fn revokes(&self, facts: &Facts<'_>, now: Timestamp) -> bool {
        let marks = facts.marks;
        let any = |entries: Option<&Vec<Entry>>| {
            entries.is_some_and(|entries| entries.iter().any(|entry| entry.means(facts, now)))
        };
        let is = |kind: Kind, id: Option<&str>| {
            let of = self.of(kind);
            !of.is_empty() && id.is_some_and(|id| any(of.get(id)))
        };
        let named = |kind: Kind| !self.of(kind).is_empty() && facts.names().any(|name| is(kind, Some(name)));
        let client = &*facts.principal.client;
        (!self.digests.is_empty() && any(self.digests.get(&facts.digest)))
            || is(Kind::Token, marks.id.as_deref())
            || is(Kind::Grant, marks.grant.as_deref())
            || is(Kind::Session, marks.session.as_deref())
            || is(Kind::Key, marks.key.as_deref())
            || is(Kind::Client, Some(client))
            || is(Kind::Agent, Some(client))
            || named(Kind::User)
            || named(Kind::Agent)
    }

    /// Whether a server is contained for a tenant; for everybody, without one.
    pub(super) fn contains(&self, server: &str, tenant: Option<&str>, now: Timestamp) -> bool {
        let fits = |entry: &Entry| {
            entry.not_before != NOTHING
                && entry.expires_at > now.0
                && entry.tenant.as_deref().is_none_or(|of| Some(of) == tenant)
        };
        self.of(Kind::Server).get(server).is_some_and(|entries| entries.iter().any(fits))
    }

    fn of(&self, kind: Kind) -> &HashMap<Box<str>, Vec<Entry>> {
        let [token, grant, session, user, agent, client, key, server] = &self.kinds;
        match kind {
            Kind::Token => token,
            Kind::Grant => grant,
            Kind::Session => session,
            Kind::User => user,
            Kind::Agent => agent,
            Kind::Client => client,
            Kind::Key => key,
            Kind::Server => server,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut HashMap<Box<str>, Vec<Entry>> {
        let [token, grant, session, user, agent, client, key, server] = &mut self.kinds;
        match kind {
            Kind::Token => token,
            Kind::Grant => grant,
            Kind::Session => session,
            Kind::User => user,
            Kind::Agent => agent,
            Kind::Client => client,
            Kind::Key => key,
            Kind::Server => server,
        }
    }
}

impl Entry {
    fn take(&mut self, row: &Listed) {
        let expires_at = row.expires_at.map_or(i64::MAX, |moment| moment.0);
        if row.lifts {
            self.lifted = self.lifted.max(row.seq);
            if self.revoked < self.lifted {
                self.not_before = NOTHING;
            }
        } else if row.seq > self.lifted {
            self.not_before = self.not_before.max(row.not_before.map_or(ALL, |moment| moment.0));
            self.revoked = self.revoked.max(row.seq);
        } else {
            return;
        }
        self.expires_at = self.expires_at.max(expires_at);
    }

    fn means(&self, facts: &Facts<'_>, now: Timestamp) -> bool {
        // Of unknown age is as old as can be.
        let issued = facts.marks.issued_at.map_or(i64::MIN, |moment| moment.0);
        let before = self.not_before == ALL
            || (self.not_before != NOTHING && issued < self.not_before.saturating_add(CLOCKS_MS));
        before
            && self.expires_at > now.0
            && self.tenant.as_deref().is_none_or(|tenant| tenant == &*facts.principal.tenant)
            && self.issuer.as_deref().is_none_or(|issuer| issuer == &*facts.principal.issuer)
    }
}

const ALL: i64 = i64::MAX;
const NOTHING: i64 = i64::MIN;
/// By how much the clocks of whoever issues and whoever revokes may differ: what was issued so soon after a revocation
/// is taken to be issued before it.
pub const CLOCKS: Duration = Duration::from_secs(2);
const CLOCKS_MS: i64 = 2000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocations::Revocation;
    use crate::revocations::marks::Marks;
    use model::Principal;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn row(seq: i64, revocation: Revocation, lifts: bool) -> Listed {
        let Revocation { kind, id, tenant, issuer, not_before, expires_at, reason, by, .. } = revocation;
        let created_at = NOW;
        Listed { seq, kind, id, tenant, issuer, not_before, expires_at, lifts, reason, by, created_at }
    }

    fn of(kind: Kind, id: &str) -> Revocation {
        Revocation::new(kind, id, "operator")
    }

    fn revokes(rows: &[Listed]) -> bool {
        let principal = Principal {
            user: "usr_1".into(),
            client: "cli".into(),
            agent: Some("agt_1".into()),
            actors: vec!["agt_2".into(), "agt_3".into()],
            tenant: "acme".into(),
            issuer: "https://gw".into(),
            ..Principal::service()
        };
        let text = |text: &str| Some(text.into());
        let marks = Marks {
            id: text("jti"),
            grant: text("gr"),
            session: text("sid"),
            subject: text("sub"),
            key: text("kid"),
            issued_at: Some(Timestamp(900_000)),
            may_act: None,
        };
        let facts = Facts { digest: Digest([7; 32]), principal: &principal, marks: &marks };
        let mut table = Table::default();
        rows.iter().for_each(|row| table.apply(row));
        table.revokes(&facts, NOW)
    }

    #[test]
    fn every_kind_means_the_tokens_that_it_names_and_no_others() {
        let digest = Digest([7; 32]).to_string();
        for (kind, id) in [
            (Kind::Token, "jti"),
            (Kind::Token, digest.as_str()),
            (Kind::Grant, "gr"),
            (Kind::Session, "sid"),
            (Kind::User, "usr_1"),
            (Kind::User, "sub"),
            (Kind::User, "agt_3"),
            (Kind::Agent, "agt_1"),
            (Kind::Agent, "agt_2"),
            (Kind::Agent, "agt_3"),
            (Kind::Agent, "usr_1"),
            (Kind::Agent, "cli"),
            (Kind::Client, "cli"),
            (Kind::Key, "kid"),
        ] {
            assert!(revokes(&[row(1, of(kind, id), false)]), "{kind:?} {id}");
            assert!(!revokes(&[row(1, of(kind, "other"), false)]), "{kind:?}");
            for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
                let named = matches!((kind, other), (Kind::User | Kind::Agent | Kind::Client, _));
                assert!(named || !revokes(&[row(1, of(other, id), false)]), "{other:?} {id}");
            }
        }
        assert!(!revokes(&[row(1, of(Kind::Server, "cli"), false)]));
        assert!(!revokes(&[row(1, of(Kind::Client, "usr_1"), false)]));
    }

    #[test]
    fn a_row_means_its_tenant_its_issuer_and_its_time_only() {
        let user = || of(Kind::User, "usr_1");
        for (revocation, expect) in [
            (user().of_tenant("acme"), true),
            (user().of_tenant("other"), false),
            (user().of_issuer("https://gw"), true),
            (user().of_issuer("https://other"), false),
            (user().issued_before(Timestamp(900_001)), true),
            (user().issued_before(Timestamp(898_001)), true),
            (user().issued_before(Timestamp(898_000)), false),
            (user().until(NOW), false),
            (user().until(Timestamp(NOW.0 + 1)), true),
        ] {
            assert_eq!(revokes(&[row(1, revocation.clone(), false)]), expect, "{revocation:?}");
        }
    }

    #[test]
    fn whatever_order_rows_come_in_the_last_by_number_counts() {
        let user = || of(Kind::User, "usr_1");
        let (revoked, lifted, again) =
            (row(1, user(), false), row(2, user().until(Timestamp(i64::MAX)), true), row(3, user(), false));
        assert!(!revokes(&[revoked.clone(), lifted.clone()]));
        assert!(!revokes(&[lifted.clone(), revoked.clone()]));
        assert!(!revokes(&[revoked.clone(), lifted.clone(), revoked.clone()]));
        for order in [[&revoked, &lifted, &again], [&again, &lifted, &revoked], [&again, &revoked, &lifted]] {
            assert!(revokes(&order.map(Clone::clone)), "{order:?}");
        }
        // A shorter one does not undo a longer one.
        let brief = row(4, user().issued_before(Timestamp(1)).until(NOW), false);
        assert!(revokes(&[revoked, brief]));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut table = Table::default();
        table.apply(&row(1, of(Kind::Token, "a").until(Timestamp(10)), false));
        table.apply(&row(2, of(Kind::Token, &Digest([1; 32]).to_string()).until(Timestamp(10)), false));
        table.apply(&row(3, of(Kind::Server, "git"), false));
        table.apply(&row(4, of(Kind::Server, "web").of_tenant("acme"), false));
        assert_eq!(table.len(), 4);
        table.prune(Timestamp(10));
        assert_eq!(table.len(), 2);
        assert!(table.contains("git", None, NOW) && table.contains("git", Some("acme"), NOW));
        assert!(!table.contains("web", None, NOW) && table.contains("web", Some("acme"), NOW));
    }
}
