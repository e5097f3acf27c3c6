//! Tokens of the gateway's own authorization server, whose keys are at hand.

use super::*;
use model::{Secret, SystemDice};
use testdb::TestDb;
use vault::{KeyFile, Keyring, Lifecycle, Root, SigningKeys};

const OWN: &str = "https://gw.test";

struct Own {
    world: World,
    keys: Arc<SigningKeys>,
    /// The keys as another replica has them.
    other: Arc<SigningKeys>,
    _test: TestDb,
}

impl Own {
    async fn on(test: TestDb) -> Self {
        let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(NOW)));
        let open = async |db: storage::Db| {
            let clock: Arc<dyn Clock> = Arc::<FixedClock>::clone(&clock);
            let root = Root::new(&[KeyFile { id: 1, key: Secret::new(vec![1; 32]) }]).unwrap();
            let keyring = Keyring::open(db.clone(), root, Arc::clone(&clock), Arc::new(SystemDice)).await;
            let keyring = Arc::new(keyring.unwrap());
            Arc::new(SigningKeys::open(db, keyring, Lifecycle::default(), clock).await.unwrap())
        };
        let (keys, other) = (open(test.db.clone()).await, open(test.again().await).await);
        let longest = Duration::from_secs(300);
        let own = IssuerConfig::own(OWN, Arc::clone(&keys), longest);
        let world = World::with(&[], move |config| config.issuers.insert(0, own)).await;
        Self { world, keys, other, _test: test }
    }

    fn claims(&self) -> Value {
        with(self.world.claims(), json!({"iss": OWN, "iat": NOW, "exp": NOW + 300, "agent_id": "agt_1"}))
    }

    fn sign(&self, change: Value) -> String {
        self.keys.sign("at+jwt", with(self.claims(), change).to_string().as_bytes()).unwrap().token
    }
}

#[tokio::test]
async fn a_token_of_ours_is_read_to_the_letter() {
    for test in TestDb::each().await {
        let own = Own::on(test).await;
        let who = own.world.present(&own.sign(json!({}))).await.unwrap().principal;
        assert_eq!((&*who.user, &*who.issuer, who.agent.as_deref()), ("alice", OWN, Some("agt_1")));
        let acts = own.sign(json!({"act": {"sub": "agt_2"}, "agent_id": null}));
        assert_eq!(own.world.present(&acts).await.unwrap().principal.agent.as_deref(), Some("agt_2"));
        for change in [
            json!({"aud": [RESOURCE]}),
            json!({"aud": "https://gw.test/mcp"}),
            json!({"iat": null}),
            json!({"jti": null}),
            json!({"client_id": null, "azp": "cli"}),
            json!({"tenant_id": null, "tenant": "acme"}),
            json!({"exp": NOW + 301}),
            json!({"iat": NOW + 6, "exp": NOW + 300}),
            json!({"exp": NOW - 5}),
        ] {
            assert!(own.world.present(&own.sign(change.clone())).await.is_err(), "{change}");
        }
        let other_type = own.keys.sign("JWT", own.claims().to_string().as_bytes()).unwrap().token;
        assert_eq!(own.world.present(&other_type).await.unwrap_err(), AuthnError::WrongType);
        let rsa = Signer::new("k1", Algorithm::Rs256).sign(&own.claims());
        assert!(own.world.present(&rsa).await.is_err());
    }
}

#[tokio::test]
async fn keys_of_ours_come_and_go_without_a_fetch() {
    for test in TestDb::each().await {
        let own = Own::on(test).await;
        let old = own.sign(json!({}));
        own.world.present(&old).await.unwrap();
        // Another replica makes a key and signs with it; nobody here has looked since.
        own.other.rotate().await.unwrap();
        own.other.rotate().await.unwrap();
        let new = own.other.sign("at+jwt", own.claims().to_string().as_bytes()).unwrap();
        own.world.present(&new.token).await.unwrap();
        own.world.present(&old).await.unwrap();
        // Revoked: not even from memory.
        own.keys.revoke(&new.kid).await.unwrap();
        assert_eq!(own.world.present(&new.token).await.unwrap_err(), AuthnError::UnknownKey);
        own.world.present(&old).await.unwrap();
    }
}
