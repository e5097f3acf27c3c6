//! What is kept of a provider that is asked again, on both databases and by two replicas.

use super::id_jag::{Enterprise, provider};
use super::site::Site;
use super::*;
use crate::person::Arrival;
use crate::sign_in::{ProviderConfig, Recheck, TenantConfig};
use crate::voucher;

const TOKEN: &str = "rt-of-the-provider";
/// When everybody signed in.
const SINCE: Timestamp = Timestamp(1_800_000_000_000);

/// A house whose provider is asked again, and a person of it who signed in just now.
async fn house(world: World, token: Option<&str>) -> (Enterprise, String) {
    let house = Enterprise::of(world).await;
    let corp = ProviderConfig { recheck: Some(Recheck::default()), ..provider(&house.idp.origin) };
    house.world.configure(|config| {
        let acme =
            TenantConfig { providers: vec![Arc::new(corp)], ..TenantConfig::clone(&config.tenants[0]) };
        config.tenants = vec![Arc::new(acme)];
    });
    let arrival = arrival(&house);
    let user = house.world.issuer.people.arrive(&arrival).await.unwrap().id;
    voucher::keep(&house.world.issuer, &user, &arrival, token).await.unwrap();
    (house, user)
}

fn arrival(house: &Enterprise) -> Arrival {
    Arrival {
        tenant: "acme".into(),
        provider: "corp".into(),
        issuer: house.idp.origin.clone(),
        subject: "alice@corp".into(),
        name: None,
        email: None,
        roles: Vec::new(),
        groups: Vec::new(),
    }
}

/// The provider answers refresh tokens with this.
fn answers(house: &Enterprise, status: u16, answer: &Value) {
    house.idp.put("/token", (status, None, answer.to_string()));
}

#[tokio::test]
async fn two_replicas_ask_a_provider_once() {
    for world in World::each().await {
        let (house, user) = house(world, Some(TOKEN)).await;
        let other = house.world.replica().await;
        other.reload(Config::clone(&house.world.issuer.config()));
        voucher::check(&house.world.issuer, &user, SINCE).await.unwrap();
        // Nothing but that it still takes the token.
        answers(&house, 200, &json!({"access_token": "at", "refresh_token": "rt-2"}));
        house.world.pass(2 * 3600);
        let before = house.idp.asked_for("/token");
        let issuer = &house.world.issuer;
        let (one, two, three) = tokio::join!(
            voucher::check(issuer, &user, SINCE),
            voucher::check(&other, &user, SINCE),
            voucher::check(&other, &user, SINCE)
        );
        assert!([one, two, three].iter().all(Result::is_ok));
        assert_eq!(house.idp.asked_for("/token") - before, 1);
        // Neither token is in a row.
        const ROWS: &str = "SELECT token FROM vouchers";
        let kept: Vec<Vec<u8>> =
            on!(house.world.test.db, pool => sqlx::query_scalar(ROWS).fetch_all(pool).await).unwrap();
        assert_eq!(kept.len(), 1);
        for token in [TOKEN, "rt-2"] {
            assert!(!kept[0].windows(token.len()).any(|bytes| bytes == token.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_provider_that_says_no_ends_its_person_and_one_that_is_gone_lets_nobody_go_on() {
    for world in World::each().await {
        let (house, user) = house(world, Some(TOKEN)).await;
        let issuer = &house.world.issuer;
        // A word about us, and none at all.
        let words = [
            (401, json!({"error": "invalid_client"})),
            (503, json!({"error": "invalid_grant"})),
            (200, json!({"status": "maintenance"})),
        ];
        for (status, answer) in words {
            answers(&house, status, &answer);
            house.world.pass(16 * 60);
            voucher::check(issuer, &user, SINCE).await.unwrap();
        }
        // Past the grace it is told apart whether it is away, or says what cannot be used.
        house.world.pass(16 * 60);
        assert_eq!(voucher::check(issuer, &user, SINCE).await.unwrap_err().error, "invalid_grant");
        house.world.pass(60);
        answers(&house, 503, &json!({}));
        assert_eq!(voucher::check(issuer, &user, SINCE).await.unwrap_err().error, "temporarily_unavailable");
        assert!(issuer.people.find(&user).await.unwrap().unwrap().is_active);
        house.world.pass(120);
        answers(&house, 400, &json!({"error": "invalid_grant"}));
        let refused = voucher::check(issuer, &user, SINCE).await.unwrap_err();
        assert_eq!((refused.error, house.world.count("vouchers").await), ("invalid_grant", 0));
        assert!(house.world.record().contains("does not vouch"));
        // Signed in again, at a provider whose name another has since: that one is told nothing.
        voucher::keep(issuer, &user, &arrival(&house), Some(TOKEN)).await.unwrap();
        let elsewhere = Site::open().await;
        let other = ProviderConfig { recheck: Some(Recheck::default()), ..provider(&elsewhere.origin) };
        house.world.configure(|config| {
            let providers = vec![Arc::new(other)];
            let acme = TenantConfig { providers, ..TenantConfig::clone(&config.tenants[0]) };
            config.tenants = vec![Arc::new(acme)];
        });
        house.world.pass(16 * 60);
        assert_eq!(voucher::check(issuer, &user, SINCE).await.unwrap_err().error, "invalid_grant");
        assert_eq!(elsewhere.asked(), 0);
        // Nor is anything believed of one that is taken out of the configuration.
        house.world.configure(|config| {
            let acme = TenantConfig { providers: Vec::new(), ..TenantConfig::clone(&config.tenants[0]) };
            config.tenants = vec![Arc::new(acme)];
        });
        assert_eq!(voucher::check(issuer, &user, SINCE).await.unwrap_err().error, "invalid_grant");
        // A provider that is not asked leaves nothing to ask with.
        voucher::keep(issuer, &user, &arrival(&house), Some(TOKEN)).await.unwrap();
        assert_eq!(house.world.count("vouchers").await, 0);
        voucher::check(issuer, &user, SINCE).await.unwrap();
    }
}

#[tokio::test]
async fn a_sign_in_without_a_token_goes_on_with_the_one_before_it_and_old_words_are_swept() {
    for world in World::each().await {
        let (house, user) = house(world, Some(TOKEN)).await;
        let issuer = &house.world.issuer;
        house.world.pass(2 * 3600);
        voucher::keep(issuer, &user, &arrival(&house), None).await.unwrap();
        answers(&house, 200, &json!({"access_token": "at"}));
        for _ in 0..3 {
            house.world.pass(3600);
            voucher::check(issuer, &user, SINCE).await.unwrap();
        }
        issuer.tend().await.unwrap();
        assert_eq!(house.world.count("vouchers").await, 1);
        // What was given for somebody else there is not what they are asked about with.
        let renamed = Arrival { subject: "alice@new".into(), ..arrival(&house) };
        voucher::keep(issuer, &user, &renamed, None).await.unwrap();
        const NONE: &str = "SELECT COUNT(*) FROM vouchers WHERE token IS NULL";
        let without: i64 =
            on!(house.world.test.db, pool => sqlx::query_scalar(NONE).fetch_one(pool).await).unwrap();
        assert_eq!(without, 1);
        house.world.pass(368 * 86_400);
        issuer.tend().await.unwrap();
        assert_eq!(house.world.count("vouchers").await, 0);
    }
}

#[tokio::test]
async fn a_token_that_was_taken_for_another_is_not_lost_by_what_fails_after_it() {
    for world in World::each().await {
        let (house, user) = house(world, Some(TOKEN)).await;
        let issuer = &house.world.issuer;
        let kept = async || {
            const KEPT: &str = "SELECT token FROM vouchers";
            let kept: Vec<u8> =
                on!(house.world.test.db, pool => sqlx::query_scalar(KEPT).fetch_one(pool).await).unwrap();
            kept
        };
        let before = kept().await;
        house.world.pass(20 * 60);
        answers(&house, 200, &json!({"access_token": "at", "refresh_token": "rt-2", "id_token": "x.y.z"}));
        voucher::check(issuer, &user, SINCE).await.unwrap();
        assert_ne!(kept().await, before, "the next one is kept, although it is not known what it says");
        // It is no word of the provider's all the same.
        house.world.pass(41 * 60);
        assert_eq!(voucher::check(issuer, &user, SINCE).await.unwrap_err().error, "invalid_grant");
        assert_eq!(house.world.count("vouchers").await, 1, "nor is anybody ended by it");
    }
}

#[tokio::test]
async fn what_is_said_of_a_sign_in_of_before_is_nothing_about_the_one_since() {
    for world in World::each().await {
        let (house, user) = house(world, Some(TOKEN)).await;
        let issuer = &house.world.issuer;
        house.world.pass(20 * 60);
        // The provider takes so long that the person has signed in again when it says no.
        answers(&house, 400, &json!({"error": "invalid_grant"}));
        house.idp.pauses(Duration::from_millis(400));
        let asked = async { voucher::check(issuer, &user, SINCE).await };
        let signed_in = async {
            while house.idp.asked_for("/token") == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            voucher::keep(issuer, &user, &arrival(&house), Some("rt-new")).await.unwrap();
        };
        let (answer, ()) = tokio::join!(asked, signed_in);
        answer.unwrap();
        assert_eq!((house.world.count("vouchers").await, house.idp.asked_for("/token")), (1, 1));
    }
}

#[tokio::test]
async fn whoever_signed_in_before_providers_were_asked_again_signs_in_once_more() {
    for world in World::each().await {
        let (house, user) = house(world, None).await;
        let issuer = &house.world.issuer;
        const GONE: &str = "DELETE FROM vouchers";
        on!(house.world.test.db, pool => sqlx::query(GONE).execute(pool).await.map(drop)).unwrap();
        house.world.pass(59 * 60);
        voucher::check(issuer, &user, SINCE).await.unwrap();
        house.world.pass(60);
        assert_eq!(voucher::check(issuer, &user, SINCE).await.unwrap_err().error, "invalid_grant");
        // Whoever has an account of ours has no provider.
        voucher::check(issuer, "usr_alice", SINCE).await.unwrap();
    }
}

#[tokio::test]
async fn a_no_that_nobody_waited_for_is_heard_at_the_next_look() {
    for world in World::each().await {
        let (house, user) = house(world, Some(TOKEN)).await;
        let issuer = Arc::clone(&house.world.issuer);
        house.world.pass(20 * 60);
        answers(&house, 400, &json!({"error": "invalid_grant"}));
        house.idp.pauses(Duration::from_millis(300));
        let (asking, whose) = (Arc::clone(&issuer), user.clone());
        let gone = tokio::spawn(async move { voucher::check(&asking, &whose, SINCE).await });
        while house.idp.asked_for("/token") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        gone.abort();
        tokio::time::sleep(Duration::from_millis(500)).await;
        // Within the grace, and refused all the same.
        let refused = voucher::check(&issuer, &user, SINCE).await.unwrap_err();
        assert_eq!((refused.error, house.world.count("vouchers").await), ("invalid_grant", 0));
    }
}

#[tokio::test]
async fn a_token_that_a_sign_in_left_in_its_place_is_replaced_by_the_one_given_for_it() {
    for world in World::each().await {
        let (house, user) = house(world, Some(TOKEN)).await;
        let issuer = &house.world.issuer;
        const KEPT: &str = "SELECT token FROM vouchers";
        let kept = async || {
            let kept: Vec<u8> =
                on!(house.world.test.db, pool => sqlx::query_scalar(KEPT).fetch_one(pool).await).unwrap();
            kept
        };
        let before = kept().await;
        house.world.pass(20 * 60);
        answers(&house, 200, &json!({"access_token": "at", "refresh_token": "rt-2"}));
        house.idp.pauses(Duration::from_millis(300));
        let asked = async { voucher::check(issuer, &user, SINCE).await };
        let signed_in = async {
            while house.idp.asked_for("/token") == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            voucher::keep(issuer, &user, &arrival(&house), None).await.unwrap();
        };
        let (answer, ()) = tokio::join!(asked, signed_in);
        answer.unwrap();
        assert_ne!(kept().await, before);
    }
}

#[tokio::test]
async fn what_a_provider_said_before_a_sign_in_does_not_take_its_place() {
    for world in World::each().await {
        let (house, user) = house(world, None).await;
        let people = &house.world.issuer.people;
        let (before, roles) = (house.world.clock.now(), ["admin".to_owned()]);
        house.world.pass(1);
        people.arrive(&arrival(&house)).await.unwrap();
        people.hear(&user, (None, None), &roles, &[], before).await.unwrap();
        assert!(people.find(&user).await.unwrap().unwrap().roles.is_empty());
        house.world.pass(1);
        people.hear(&user, (Some("Alice"), None), &roles, &[], house.world.clock.now()).await.unwrap();
        let person = people.find(&user).await.unwrap().unwrap();
        assert_eq!((person.roles.as_slice(), person.name.as_str()), (&roles[..], "Alice"));
    }
}

#[tokio::test]
async fn a_question_that_has_lost_its_turn_shows_no_token() {
    for world in World::each().await {
        let (house, user) = house(world, Some(TOKEN)).await;
        let issuer = &house.world.issuer;
        house.world.pass(20 * 60);
        answers(&house, 200, &json!({"access_token": "at"}));
        house.idp.pauses(Duration::from_millis(400));
        let before = house.idp.asked();
        let first = async { voucher::check(issuer, &user, SINCE).await };
        let second = async {
            // The first waits for the provider's metadata until its turn is over.
            while house.idp.asked() == before {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            house.world.pass(91);
            voucher::check(issuer, &user, SINCE).await
        };
        let (one, two) = tokio::join!(first, second);
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(house.idp.asked_for("/token"), 0);
    }
}
