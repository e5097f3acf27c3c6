//! What ends with what, and stays ended.

use super::agents::{Bot, bot, change, token};
use super::id_jag::Enterprise;
use super::*;
use crate::agent::{Change, MayActFor};
use crate::grant::Why;
use crate::session::Opening;
use authn::revocations::{Kind, Revocation, revoke};

const WHY: Why<'static> = Why { by: "operator", reason: "a test" };
/// Longer than what a revocation of a session stays.
const LATER: u64 = 2 * 3600 + 1;

/// Alice's session, open.
async fn session(world: &World, vouched: Option<(String, String)>) -> crate::session::Session {
    let opening = Opening {
        user: "usr_alice".into(),
        tenant: "acme".into(),
        vouched,
        idp_sid: Some("sid-1".into()),
        ..Opening::default()
    };
    world.issuer.sessions().open(&opening).await.unwrap().0
}

/// Tokens of a sign-in in that session.
async fn tokens(world: &World, session: &str) -> (String, String) {
    let begun = world.authorize(&[]).await;
    let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap();
    let approval = Approval { session: session.into(), ..alice(world.clock.now()) };
    let back = finish(&world.issuer, tx, Decision::Approved(approval)).await.unwrap();
    world.redeem(&parameter(&back, "code").unwrap()).await.tokens()
}

async fn out(world: &World, user: &str) {
    let now = world.clock.now();
    let row = Revocation::new(Kind::User, user, "operator")
        .issued_before(now)
        .until(now.after(Duration::from_secs(7200)));
    revoke(&world.test.db, &row, now).await.unwrap();
}

#[tokio::test]
async fn what_was_granted_in_a_session_ends_with_it_for_good() {
    for world in World::each().await {
        let (one, two) = (session(&world, None).await, session(&world, None).await);
        let ((_, first), (_, second)) = (tokens(&world, &one.id).await, tokens(&world, &two.id).await);
        world.issuer.end_session(&one, WHY).await.unwrap();
        assert_eq!(world.refresh(&first).await.error(), "invalid_grant");
        world.pass(LATER);
        assert_eq!(world.refresh(&first).await.error(), "invalid_grant", "two hours later");
        world.refresh(&second).await.tokens();
        assert!(world.issuer.sessions().by_id(&one.id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_session_that_ended_half_way_is_closed_and_can_be_ended_again() {
    for world in World::each().await {
        let one = session(&world, None).await;
        let rename = async |text: &'static str| {
            on!(world.test.db, pool => sqlx::query(text).execute(pool).await.map(drop)).unwrap();
        };
        let sessions = world.issuer.sessions();
        rename("ALTER TABLE grants RENAME TO away").await;
        assert!(world.issuer.end_session(&one, WHY).await.is_err());
        rename("ALTER TABLE away RENAME TO grants").await;
        assert!(sessions.of_user("usr_alice").await.unwrap().is_empty());
        let known = sessions.by_id(&one.id).await.unwrap().unwrap();
        world.issuer.end_session(&known, WHY).await.unwrap();
        assert!(sessions.by_id(&one.id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn whoever_is_signed_out_everywhere_keeps_nothing() {
    for world in World::each().await {
        let one = session(&world, None).await;
        let ((access, first), (_, elsewhere)) =
            (tokens(&world, &one.id).await, tokens(&world, "ses_gone").await);
        world.issuer.end_person("acme", "usr_alice", WHY).await.unwrap();
        for token in [&first, &elsewhere] {
            assert_eq!(world.refresh(token).await.error(), "invalid_grant");
        }
        let asked = [("client_id", "shop"), ("client_secret", "s3cret+/: x"), ("token", access.as_str())];
        assert_eq!(world.form("/oauth/introspect", &asked).await.json()["active"], false);
        assert!(world.issuer.sessions().of_user("usr_alice").await.unwrap().is_empty());
        world.pass(LATER);
        for token in [&first, &elsewhere] {
            assert_eq!(world.refresh(token).await.error(), "invalid_grant");
        }
        // And may sign in again.
        world.tokens().await;
    }
}

#[tokio::test]
async fn what_ends_while_a_code_is_under_way_ends_the_code() {
    for world in World::each().await {
        let code = world.code(&[]).await;
        world.pass(3);
        out(&world, "usr_alice").await;
        world.pass(3);
        assert_eq!(world.redeem(&code).await.error(), "invalid_grant");
        let (code, another) = (world.code(&[]).await, world.code(&[]).await);
        world.redeem(&code).await.tokens();
        world.issuer.people.set_active("usr_alice", false).await.unwrap();
        assert_eq!(world.redeem(&another).await.error(), "invalid_grant");
    }
}

#[tokio::test]
async fn a_code_of_a_replica_of_before_ends_with_what_may_have_ended_since() {
    for world in World::each().await {
        let begin = async || {
            let begun = world.authorize(&[]).await;
            let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap();
            let approval = Approval { given_at: Timestamp(0), ..alice(world.clock.now()) };
            let back = finish(&world.issuer, tx, Decision::Approved(approval)).await.unwrap();
            parameter(&back, "code").unwrap()
        };
        out(&world, "usr_alice").await;
        world.pass(601);
        let (one, two) = (begin().await, begin().await);
        world.redeem(&one).await.tokens();
        out(&world, "usr_alice").await;
        assert_eq!(world.redeem(&two).await.error(), "invalid_grant");
    }
}

#[tokio::test]
async fn what_a_person_takes_back_is_not_had_by_what_was_under_way() {
    for world in World::each().await {
        let begin = async || {
            let begun = world.authorize(&[]).await;
            let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap();
            let approval = Approval { by_consent: true, ..alice(world.clock.now()) };
            let back = finish(&world.issuer, tx, Decision::Approved(approval)).await.unwrap();
            parameter(&back, "code").unwrap()
        };
        let asked = crate::consent::Asked {
            client: "cli".into(),
            client_name: "Client".into(),
            resource: MCP.into(),
            scopes: Vec::new(),
            redirect_host: "127.0.0.1".into(),
            is_local: true,
            metadata_hash: "h".into(),
            is_approved: false,
        };
        let consent = world.issuer.consents().give("usr_alice", "acme", &asked).await.unwrap();
        let (one, two) = (begin().await, begin().await);
        let (_, refresh) = world.redeem(&one).await.tokens();
        assert!(world.issuer.withdraw("usr_alice", &consent.id, "usr_alice").await.unwrap().is_some());
        assert_eq!(world.refresh(&refresh).await.error(), "invalid_grant");
        assert_eq!(world.redeem(&two).await.error(), "invalid_grant");
        // Nor is there a grant that nobody has.
        let all = crate::grant::Filter { tenant: "acme".into(), ..crate::grant::Filter::default() };
        assert!(crate::grant::list(&world.issuer, &all, 10).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_a_person_may_do_is_what_they_may_do_when_the_client_comes() {
    for world in World::each().await {
        let code = world.code(&[]).await;
        world.issuer.people.change("usr_alice", "Alice", None, &["reader".into()], &[]).await.unwrap();
        let got = claims(&world.redeem(&code).await.tokens().0);
        assert_eq!((&got["roles"], &got["groups"]), (&json!(["reader"]), &json!([])), "{got}");
    }
}

#[tokio::test]
async fn a_revocation_of_tokens_alone_leaves_what_was_granted() {
    for world in World::each().await {
        let one = session(&world, None).await;
        let (access, refresh) = tokens(&world, &one.id).await;
        world.pass(1);
        let now = world.clock.now();
        let row = Revocation::new(Kind::User, "usr_alice", "operator").issued_before(now).sparing_grants();
        revoke(&world.test.db, &row, now).await.unwrap();
        let asked = [("client_id", "shop"), ("client_secret", "s3cret+/: x"), ("token", access.as_str())];
        assert_eq!(world.form("/oauth/introspect", &asked).await.json()["active"], false);
        world.refresh(&refresh).await.tokens();
    }
}

#[tokio::test]
async fn a_session_that_another_took_the_place_of_ends_with_its_provider() {
    for world in World::each().await {
        let house = Enterprise::of(world).await;
        let world = &house.world;
        let vouched = Some((house.idp.origin.clone(), "alice@corp".to_owned()));
        let one = session(world, vouched).await;
        let (_, refresh) = tokens(world, &one.id).await;
        world.issuer.sessions().close(&one.id).await.unwrap();
        world.refresh(&refresh).await.tokens();
        assert_eq!(house.log_out("l1", &json!({"sid": "sid-1"})).await.status, 200);
        assert_eq!(world.refresh(&refresh).await.error(), "invalid_grant");
    }
}

#[tokio::test]
async fn a_logout_that_failed_half_way_may_come_again() {
    for world in World::each().await {
        let house = Enterprise::of(world).await;
        let world = &house.world;
        let vouched = Some((house.idp.origin.clone(), "alice@corp".to_owned()));
        let one = session(world, vouched).await;
        let (_, refresh) = tokens(world, &one.id).await;
        let rename = async |text: &'static str| {
            on!(world.test.db, pool => sqlx::query(text).execute(pool).await.map(drop)).unwrap();
        };
        let says = json!({"sid": "sid-1"});
        rename("ALTER TABLE revocations RENAME TO away").await;
        assert_eq!(house.log_out("l1", &says).await.status, 503);
        rename("ALTER TABLE away RENAME TO revocations").await;
        assert_eq!(house.log_out("l1", &says).await.status, 200);
        assert_eq!(world.refresh(&refresh).await.error(), "invalid_grant");
        assert_eq!(house.log_out("l1", &says).await.status, 400, "once it was carried out");
    }
}

#[tokio::test]
async fn an_agent_that_gives_its_token_back_ends_nothing_of_the_persons() {
    for world in World::each().await {
        let agent = bot(&world, Change { may_act_for: MayActFor::Tenant, ..change() }).await;
        let (access, refresh) = world.tokens().await;
        let exchanged = token(&agent.exchange(&world, &access, &[]).await);
        let active = async |of: &str| {
            let asked = [("client_id", "shop"), ("client_secret", "s3cret+/: x"), ("token", of)];
            world.form("/oauth/introspect", &asked).await.json()["active"] == true
        };
        assert!(active(&exchanged).await);
        assert_eq!(agent.send(&world, "/oauth/revoke", &[("token", &exchanged)]).await.status, 200);
        assert!(!active(&exchanged).await && active(&access).await);
        world.refresh(&refresh).await.tokens();
    }
}

#[tokio::test]
async fn introspection_knows_a_token_by_every_name_that_revokes_it() {
    for world in World::each().await {
        let (inner, outer) = (delegate(&world).await, delegate(&world).await);
        let (access, _) = world.tokens().await;
        let first = token(&inner.exchange(&world, &access, &[]).await);
        let second = token(&outer.exchange(&world, &first, &[]).await);
        let digest = Digest::of(second.as_bytes()).to_string();
        for (kind, id) in [
            (Kind::Token, digest.as_str()),
            (Kind::User, &inner.agent.id),
            (Kind::Agent, &inner.agent.id),
            (Kind::Agent, &outer.agent.id),
            (Kind::User, "usr_alice"),
        ] {
            let asked = [("client_id", "shop"), ("client_secret", "s3cret+/: x"), ("token", second.as_str())];
            let ask = async || world.form("/oauth/introspect", &asked).await.json()["active"].clone();
            assert_eq!(ask().await, true, "{kind:?} {id}");
            let row = Revocation::new(kind, id, "operator");
            revoke(&world.test.db, &row, world.clock.now()).await.unwrap();
            assert_eq!(ask().await, false, "{kind:?} {id}");
            authn::revocations::lift(&world.test.db, &row, world.clock.now()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_token_of_the_moment_after_a_revocation_is_taken_to_be_of_before_it() {
    for world in World::each().await {
        out(&world, "usr_alice").await;
        world.pass(1);
        let (soon, _) = world.tokens().await;
        world.pass(2);
        let (later, _) = world.tokens().await;
        for (token, active) in [(&soon, false), (&later, true)] {
            let asked = [("client_id", "shop"), ("client_secret", "s3cret+/: x"), ("token", token.as_str())];
            assert_eq!(world.form("/oauth/introspect", &asked).await.json()["active"], active);
        }
    }
}

#[tokio::test]
async fn nothing_is_believed_of_a_chain_that_is_longer_than_any_of_ours() {
    let world = World::new().await;
    let (access, _) = world.tokens().await;
    for (depth, active) in [(6, true), (7, false)] {
        let chain = (0..depth).fold(Value::Null, |act, at| match act {
            Value::Null => json!({"sub": format!("agt_{at}")}),
            act => json!({"sub": format!("agt_{at}"), "act": act}),
        });
        let claims = with(&claims(&access), &json!({"act": chain})).to_string();
        let token = world.issuer.keys.sign("at+jwt", claims.as_bytes()).unwrap().token;
        let asked = [("client_id", "shop"), ("client_secret", "s3cret+/: x"), ("token", token.as_str())];
        assert_eq!(world.form("/oauth/introspect", &asked).await.json()["active"], active, "{depth}");
    }
}

async fn delegate(world: &World) -> Bot {
    let delegation = crate::agent::Delegation { depth: 2, scopes: None };
    bot(world, Change { may_act_for: MayActFor::Tenant, delegation, ..change() }).await
}
