use super::*;
use crate::{KeyFile, Root};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use model::{FixedClock, Secret, SystemDice};
use testdb::TestDb;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn keys(db: &Db, clock: &Arc<FixedClock>) -> SigningKeys {
    let clock: Arc<dyn Clock> = Arc::<FixedClock>::clone(clock);
    let root = Root::new(&[KeyFile { id: 1, key: Secret::new(vec![1; 32]) }]).unwrap();
    let ring = Keyring::open(db.clone(), root, Arc::clone(&clock), Arc::new(SystemDice)).await.unwrap();
    SigningKeys::open(db.clone(), Arc::new(ring), Lifecycle::default(), clock).await.unwrap()
}

fn verifies(keys: &SigningKeys, signed: &SignedBy) -> bool {
    let published = keys.published();
    let Some(key) = published.iter().find(|key| *key.kid == *signed.kid) else { return false };
    let (text, signature) = signed.token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.point).verify(text.as_bytes(), &signature).is_ok()
}

async fn states(keys: &SigningKeys) -> Vec<KeyState> {
    let mut states: Vec<_> = keys.list().await.unwrap().iter().map(|row| row.state).collect();
    states.sort();
    states
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_after_it_signed() {
    for test in TestDb::each().await {
        let clock = Arc::new(FixedClock::at(Timestamp(1_000_000)));
        let (one, other) = (keys(&test.db, &clock).await, keys(&test.again().await, &clock).await);
        assert_eq!(states(&one).await, [KeyState::Next, KeyState::Active]);
        let first = one.sign("at+jwt", br#"{"a":1}"#).unwrap();
        assert!(verifies(&one, &first) && verifies(&other, &first));
        let header = first.token.split('.').next().unwrap();
        let header: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!(header, serde_json::json!({"alg": "ES256", "typ": "at+jwt", "kid": &*first.kid}));

        let announced = other.published();
        clock.advance(30 * DAY);
        one.tend().await.unwrap();
        let second = one.sign("at+jwt", b"{}").unwrap();
        assert_ne!(first.kid, second.kid);
        assert!(announced.iter().any(|key| *key.kid == *second.kid), "it was announced before it signed");
        assert!(verifies(&one, &first), "the old one is still published");
        other.tend().await.unwrap();
        assert_eq!(other.sign("at+jwt", b"{}").unwrap().kid, second.kid);
        assert_eq!(states(&other).await, [KeyState::Next, KeyState::Active, KeyState::Retiring]);

        clock.advance(DAY + HOUR);
        other.tend().await.unwrap();
        one.tend().await.unwrap();
        assert!(!verifies(&one, &first) && !verifies(&other, &first));
        let kept: Vec<Option<Vec<u8>>> = on!(test.db, pool => {
            let kept = sqlx::query_scalar("SELECT private FROM signing_keys WHERE state = 'removed'");
            kept.fetch_all(pool).await
        })
        .unwrap();
        assert_eq!(kept, [None], "its private half is gone");
    }
}

#[tokio::test]
async fn a_revoked_key_is_gone_at_once_and_the_next_one_signs() {
    for test in TestDb::each().await {
        let clock = Arc::new(FixedClock::at(Timestamp(1_000_000)));
        let (one, other) = (keys(&test.db, &clock).await, keys(&test.again().await, &clock).await);
        let first = one.sign("at+jwt", b"{}").unwrap();
        assert!(one.changes().is_empty(), "what was there at the start is no news");
        one.revoke(&first.kid).await.unwrap();
        let came: Vec<KeyState> = one.changes().into_iter().map(|(_, state)| state).collect();
        assert!(came.contains(&KeyState::Revoked) && came.contains(&KeyState::Active), "{came:?}");
        assert!(one.changes().is_empty());
        assert!(!verifies(&one, &first));
        let second = one.sign("at+jwt", b"{}").unwrap();
        assert!(verifies(&one, &second) && first.kid != second.kid);
        other.tend().await.unwrap();
        assert!(!verifies(&other, &first) && verifies(&other, &second));
        assert_eq!(states(&one).await, [KeyState::Next, KeyState::Active, KeyState::Revoked]);
        assert!(matches!(one.revoke(&first.kid).await, Err(VaultError::UnknownKey(_))));
        assert!(matches!(one.revoke("none").await, Err(VaultError::UnknownKey(_))));
    }
}

#[tokio::test]
async fn replicas_that_start_and_rotate_at_once_agree() {
    for test in TestDb::each().await {
        let clock = Arc::new(FixedClock::at(Timestamp(1_000_000)));
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(Arc::new(keys(&test.again().await, &clock).await));
        }
        for _ in 0..5 {
            let turn = |keys: &Arc<SigningKeys>| {
                let keys = Arc::clone(keys);
                tokio::spawn(async move { keys.rotate().await.unwrap() })
            };
            for task in all.iter().map(turn).collect::<Vec<_>>() {
                task.await.unwrap();
            }
        }
        for keys in &all {
            keys.tend().await.unwrap();
        }
        let kid = all[0].sign("at+jwt", b"{}").unwrap().kid;
        assert!(all.iter().all(|keys| keys.sign("at+jwt", b"{}").unwrap().kid == kid));
        let states = states(&all[0]).await;
        assert_eq!(states.iter().filter(|state| **state == KeyState::Active).count(), 1);
        assert_eq!(states.iter().filter(|state| **state == KeyState::Next).count(), 1);
    }
}
