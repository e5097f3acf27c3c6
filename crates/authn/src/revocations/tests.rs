use super::marks::{Facts, Marks};
use super::*;
use model::{Clock, Digest, FixedClock, Principal, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx, transaction};
use testdb::TestDb;

const NOW: Timestamp = Timestamp(1_795_219_200_000);

fn user(id: &str) -> Revocation {
    Revocation::new(Kind::User, id, "usr_admin").because("left")
}

#[tokio::test]
async fn what_is_revoked_is_listed_until_it_is_over_or_lifted() {
    for test in TestDb::each().await {
        let (db, later) = (&test.db, NOW.after(Duration::from_secs(60)));
        let brief = Revocation::new(Kind::Token, "jti-1", "usr_a").of_issuer("https://idp").until(later);
        let first = revoke(db, &brief, NOW).await.unwrap();
        let second = revoke(db, &user("usr_b").of_tenant("acme").issued_before(NOW), NOW).await.unwrap();
        assert!(second > first);
        let listed = revocations(db, None, NOW, 10).await.unwrap();
        assert_eq!(listed.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["usr_b", "jti-1"]);
        assert_eq!(listed[0].tenant.as_deref(), Some("acme"));
        assert_eq!((listed[0].not_before, listed[0].expires_at), (Some(NOW), None));
        assert_eq!((listed[1].not_before, listed[1].expires_at), (None, Some(later)));
        assert_eq!((listed[0].by.as_str(), listed[0].reason.as_str()), ("usr_admin", "left"));
        assert_eq!(revocations(db, Some(Kind::Token), NOW, 10).await.unwrap().len(), 1);
        assert_eq!(revocations(db, None, NOW, 1).await.unwrap().len(), 1);
        assert_eq!(revocations(db, None, later, 10).await.unwrap().len(), 1, "the token's is over");

        assert!(!lift(db, &user("usr_b"), NOW).await.unwrap(), "of any tenant is another thing");
        assert!(lift(db, &user("usr_b").of_tenant("acme"), NOW).await.unwrap());
        assert!(!lift(db, &user("usr_b").of_tenant("acme"), NOW).await.unwrap());
        assert!(revocations(db, None, later, 10).await.unwrap().is_empty());

        assert_eq!(prune(db, later).await.unwrap(), 0, "clocks differ");
        assert_eq!(prune(db, NOW.after(Duration::from_secs(48 * 3600))).await.unwrap(), 2);
    }
}

async fn within(db: &Db, fails: bool) -> Result<(), StorageError> {
    transaction!(db, tx => {
        tx.revoke(&user("usr_a"), NOW).await?;
        if fails { Err(StorageError::Conflict) } else { Ok(()) }
    })
}

#[tokio::test]
async fn a_revocation_within_a_transaction_happens_with_it_or_not_at_all() {
    for test in TestDb::each().await {
        assert!(matches!(within(&test.db, true).await, Err(StorageError::Conflict)));
        assert!(revocations(&test.db, None, NOW, 10).await.unwrap().is_empty());
        within(&test.db, false).await.unwrap();
        assert_eq!(revocations(&test.db, None, NOW, 10).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_revocation_of_nothing_and_by_nobody_is_refused() {
    for test in TestDb::each().await {
        for wrong in [user(""), user(&"x".repeat(513)), Revocation::new(Kind::User, "a", "")] {
            assert!(
                matches!(revoke(&test.db, &wrong, NOW).await, Err(StorageError::Refused(_))),
                "{wrong:?}"
            );
        }
        let longest = user(&"x".repeat(512)).because("y".repeat(5000));
        revoke(&test.db, &longest, NOW).await.unwrap();
        let kinds: i64 = on!(test.db, pool => {
            sqlx::query_scalar("SELECT COUNT(*) FROM revocations").fetch_one(pool).await
        })
        .unwrap();
        assert_eq!(kinds, 1);
    }
}

#[tokio::test]
async fn every_kind_has_its_word_and_its_place_in_the_table() {
    for test in TestDb::each().await {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            revoke(&test.db, &Revocation::new(kind, "x", "operator"), NOW).await.unwrap();
        }
        assert_eq!(revocations(&test.db, None, NOW, 100).await.unwrap().len(), Kind::ALL.len());
    }
}

/// A view that is kept, and a token to ask it about.
struct Kept {
    view: Arc<View>,
    clock: Arc<FixedClock>,
    task: tokio::task::JoinHandle<()>,
}

impl Kept {
    async fn of(db: &Db) -> Self {
        let clock = Arc::new(FixedClock::at(NOW));
        let view = View::open(db, Ages::default(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        let view = Arc::new(view);
        let kept = Arc::clone(&view);
        let task = tokio::spawn(async move { kept.keep(|_| {}).await });
        Self { view, clock, task }
    }

    fn revokes(&self, user: &str) -> bool {
        let principal = Principal { user: user.into(), ..Principal::service() };
        let facts = Facts { digest: Digest([1; 32]), principal: &principal, marks: &Marks::default() };
        self.view.revokes(&facts, NOW)
    }

    async fn comes_to(&self, what: &str, is: impl Fn(&Self) -> bool) {
        for _ in 0..3000 {
            if is(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain for {what}");
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_view_knows_what_was_there_and_takes_up_what_comes_from_whoever_writes() {
    for test in TestDb::each().await {
        revoke(&test.db, &user("before"), NOW).await.unwrap();
        let kept = Kept::of(&test.db).await;
        assert!(kept.revokes("before") && !kept.revokes("later"));
        let mut epoch = kept.view.epoch.subscribe();
        epoch.mark_unchanged();
        // Another process, whose notice this one hears with PostgreSQL only.
        revoke(&test.again().await, &user("later"), NOW).await.unwrap();
        kept.comes_to("the row", |kept| kept.revokes("later")).await;
        assert!(epoch.has_changed().unwrap(), "whoever watches is told");
        assert!(lift(&test.db, &user("before"), NOW).await.unwrap());
        kept.comes_to("its end", |kept| !kept.revokes("before")).await;
        assert!(kept.revokes("later"));
    }
}

#[tokio::test]
async fn a_row_that_is_committed_after_a_later_one_was_read_is_found() {
    let Some(test) = TestDb::postgres().await else { return };
    let kept = Kept::of(&test.db).await;
    async fn late(db: &Db, other: &Db, kept: &Kept) -> Result<(), StorageError> {
        transaction!(db, tx => {
            tx.revoke(&user("slow"), NOW).await?;
            revoke(other, &user("quick"), NOW).await?;
            kept.comes_to("the later row", |kept| kept.revokes("quick")).await;
            assert!(!kept.revokes("slow"), "it is not committed");
            Ok(())
        })
    }
    late(&test.db, &test.again().await, &kept).await.unwrap();
    kept.comes_to("the row that was passed over", |kept| kept.revokes("slow")).await;
    // Also by a view that begins while it is under way.
    async fn later(db: &Db, other: &Db) -> Result<Kept, StorageError> {
        transaction!(db, tx => {
            tx.revoke(&user("slow-2"), NOW).await?;
            revoke(other, &user("quick-2"), NOW).await?;
            let kept = Kept::of(other).await;
            assert!(kept.revokes("quick-2") && !kept.revokes("slow-2"));
            Ok(kept)
        })
    }
    let kept = later(&test.db, &test.again().await).await.unwrap();
    kept.comes_to("the row that was passed over", |kept| kept.revokes("slow-2")).await;
}

#[tokio::test]
async fn a_view_that_stood_still_looks_before_it_is_believed() {
    for test in TestDb::each().await {
        let kept = Kept::of(&test.db).await;
        kept.clock.advance(Duration::from_secs(10));
        kept.view.settle().await;
        assert_eq!(kept.view.freshness(), Freshness::Fresh);
    }
}

#[tokio::test]
async fn a_view_ages_by_its_limits() {
    let test = TestDb::sqlite().await;
    let clock = Arc::new(FixedClock::at(NOW));
    let view = View::open(&test.db, Ages::default(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
    for (milliseconds, expect) in
        [(1000, Freshness::Fresh), (1, Freshness::Stale), (28_999, Freshness::Stale), (1, Freshness::Lost)]
    {
        clock.advance(Duration::from_millis(milliseconds));
        assert_eq!(view.freshness(), expect);
    }
}

#[tokio::test]
async fn a_key_of_ours_is_refused_and_unpublished_at_once() {
    use model::{Secret, SystemDice};
    use vault::{KeyFile, Keyring, Lifecycle, Root, SigningKeys};
    for test in TestDb::each().await {
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(NOW));
        let root = Root::new(&[KeyFile { id: 1, key: Secret::new(vec![1; 32]) }]).unwrap();
        let ring =
            Keyring::open(test.db.clone(), root, Arc::clone(&clock), Arc::new(SystemDice)).await.unwrap();
        let keys =
            SigningKeys::open(test.db.clone(), Arc::new(ring), Lifecycle::default(), clock).await.unwrap();
        let kid = keys.sign("at+jwt", b"{}").unwrap().kid.to_string();
        let kept = Kept::of(&test.db).await;
        let principal = Principal::service();
        let marks = Marks { key: Some(kid.as_str().into()), ..Marks::default() };
        let revoked = |kept: &Kept| {
            let facts = Facts { digest: Digest([1; 32]), principal: &principal, marks: &marks };
            kept.view.revokes(&facts, NOW)
        };
        assert!(!revoked(&kept));
        for _ in 0..2 {
            let revocation = Revocation::new(Kind::Key, &kid, "operator");
            revoke_key(&test.db, &keys, revocation, NOW).await.unwrap();
        }
        assert!(keys.published().iter().all(|key| *key.kid != *kid), "it is still published");
        assert_ne!(*keys.sign("at+jwt", b"{}").unwrap().kid, *kid);
        kept.comes_to("its tokens to be refused", revoked).await;
    }
}

#[tokio::test]
async fn pages_are_of_one_tenant_and_follow_each_other() {
    for test in TestDb::each().await {
        let db = &test.db;
        for (id, tenant) in [("a", "acme"), ("b", "globex"), ("c", "acme"), ("d", "acme")] {
            revoke(db, &user(id).of_tenant(tenant), NOW).await.unwrap();
        }
        revoke(db, &Revocation::new(Kind::Server, "up", "operator"), NOW).await.unwrap();
        let ids = |rows: &[Listed]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
        let acme = Page { tenant: Some("acme"), ..Page::default() };
        let first = page(db, &acme, NOW, 2).await.unwrap();
        assert_eq!(ids(&first), ["d", "c"]);
        let rest = Page { before: Some(first[1].seq), ..acme };
        assert_eq!(ids(&page(db, &rest, NOW, 2).await.unwrap()), ["a"]);
        assert_eq!(page(db, &Page::default(), NOW, 10).await.unwrap().len(), 5);
        let servers = Page { kind: Some(Kind::Server), ..Page::default() };
        assert_eq!(ids(&page(db, &servers, NOW, 10).await.unwrap()), ["up"]);
        assert_eq!(revocation(db, first[0].seq, NOW).await.unwrap().as_ref(), Some(&first[0]));
        assert_eq!(revocation(db, 999_999, NOW).await.unwrap(), None);
    }
}
