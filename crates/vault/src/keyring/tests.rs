use super::*;
use crate::{KeyFile, Root};
use model::{FixedClock, SystemDice, Timestamp};
use testdb::TestDb;

fn root(ids: &[u8]) -> Root {
    let files: Vec<_> =
        ids.iter().map(|id| KeyFile { id: u32::from(*id), key: Secret::new(vec![*id; 32]) }).collect();
    Root::new(&files).unwrap()
}

async fn keyring(db: Db, ids: &[u8]) -> Result<Keyring, VaultError> {
    Keyring::open(db, root(ids), Arc::new(FixedClock::at(Timestamp(1))), Arc::new(SystemDice)).await
}

#[tokio::test]
async fn a_value_opens_only_where_it_was_sealed_for() {
    for test in TestDb::each().await {
        let ring = keyring(test.db.clone(), &[1]).await.unwrap();
        let sealed = ring.seal("acme", "thing|1", b"hello").await.unwrap();
        assert!(!sealed.windows(5).any(|window| window == b"hello"));
        let open = ring.unseal("acme", "thing|1", &sealed).await.unwrap();
        assert_eq!(open.lend(<[u8]>::to_vec), b"hello");
        ring.seal("globex", "thing|1", b"x").await.unwrap();
        for (tenant, place) in
            [("acme", "thing|2"), ("globex", "thing|1"), ("acm", "ething|1"), ("none", "thing|1")]
        {
            assert!(
                matches!(ring.unseal(tenant, place, &sealed).await, Err(VaultError::Sealed)),
                "{tenant} {place}"
            );
        }
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(ring.unseal("acme", "thing|1", &bent).await.is_err(), "byte {at}");
            assert!(ring.unseal("acme", "thing|1", &sealed[..at]).await.is_err(), "cut at {at}");
        }
    }
}

#[tokio::test]
async fn rotated_keys_still_open_and_a_new_root_takes_over() {
    for test in TestDb::each().await {
        let ring = keyring(test.db.clone(), &[1]).await.unwrap();
        let old = ring.seal("acme", "a", b"old").await.unwrap();
        ring.rotate("acme").await.unwrap();
        let new = ring.seal("acme", "a", b"new").await.unwrap();
        assert_ne!(old[..20], new[..20], "another wrapping key");

        // Both roots are there once, then the old one is not needed any more.
        keyring(test.db.clone(), &[2, 1]).await.unwrap();
        let ring = keyring(test.again().await, &[2]).await.unwrap();
        for (sealed, plain) in [(&old, b"old"), (&new, b"new")] {
            assert_eq!(ring.unseal("acme", "a", sealed).await.unwrap().lend(<[u8]>::to_vec), plain);
        }
        assert!(matches!(keyring(test.again().await, &[3]).await, Err(VaultError::Root(_))));
    }
}

#[tokio::test]
async fn many_that_make_the_first_key_use_the_same_one() {
    for test in TestDb::each().await {
        let ring = Arc::new(keyring(test.db.clone(), &[1]).await.unwrap());
        let seal = |at: usize| {
            let ring = Arc::clone(&ring);
            tokio::spawn(async move { ring.seal("acme", &format!("{at}"), b"x").await.unwrap() })
        };
        for (at, task) in (0..20).map(|at| (at, seal(at))).collect::<Vec<_>>() {
            let sealed = task.await.unwrap();
            ring.unseal("acme", &format!("{at}"), &sealed).await.unwrap();
        }
        let count: i64 =
            on!(test.db, pool => sqlx::query_scalar("SELECT COUNT(*) FROM wrapping_keys").fetch_one(pool).await)
                .unwrap();
        assert_eq!(count, 1);
    }
}
