use super::*;
use model::Timestamp;
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
