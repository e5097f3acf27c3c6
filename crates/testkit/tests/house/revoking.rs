//! Many are revoked while they call, at three gateways on one database: each is refused, and nobody else. A few in every
//! run of the tests; `cargo xtask soak` revokes thousands and prints how long the last call that was let in began after
//! the commit.

use super::bed::{UP, code, served};
use super::revocation::Fleet;
use authn::revocations::{Kind, Revocation};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testdb::TestDb;
use testkit::{Caller, soon};
use tokio::task::JoinSet;

/// What names one token or its owner.
const KINDS: [Kind; 6] = [Kind::Token, Kind::Grant, Kind::Session, Kind::User, Kind::Agent, Kind::Client];
/// Who call at once.
const CROWD: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn many_are_revoked_while_they_call_and_every_one_is_refused() {
    let victims =
        std::env::var("PORTUNUS_SOAK_REVOKED").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    for test in TestDb::each().await {
        let kind = test.db.kind();
        let fleet = Arc::new(Fleet::of(test, 3).await);
        fleet.up.forgets();
        let over = Arc::new(AtomicBool::new(false));
        let bystanders: Vec<_> = (0..fleet.gateways.len())
            .map(|gateway| tokio::spawn(bystander(Arc::clone(&fleet), gateway, Arc::clone(&over))))
            .collect();
        let mut lags = Vec::new();
        let mut running = JoinSet::new();
        for number in 0..victims {
            if running.len() >= CROWD {
                lags.extend(running.join_next().await.map(Result::unwrap));
            }
            running.spawn(victim(Arc::clone(&fleet), number));
        }
        lags.extend(running.join_all().await);
        over.store(true, Ordering::SeqCst);
        let mut served = 0;
        for bystander in bystanders {
            served += bystander.await.unwrap();
        }
        lags.sort_unstable();
        let at = |percent: usize| lags[(lags.len() - 1) * percent / 100].as_millis();
        println!(
            "{kind}: {} revoked under load, {served} calls of others served; from the commit to the beginning of the last \
             call that was let in: p50 {} ms, p90 {} ms, p99 {} ms, most {} ms",
            lags.len(),
            at(50),
            at(90),
            at(99),
            at(100)
        );
        assert_eq!(lags.len(), victims);
    }
}

/// Calls all the while, is revoked in the middle, and is refused from then on. How long after the commit the last call
/// began that was let in.
async fn victim(fleet: Arc<Fleet>, number: usize) -> Duration {
    let kind = KINDS[number % KINDS.len()];
    let id = format!("{}-{number}", kind.as_str());
    let gateway = &fleet.gateways[number / KINDS.len() % fleet.gateways.len()];
    let token = gateway.token(&fleet.idp, &id, UP);
    let token = token.claim("jti", id.as_str()).claim("grant_id", id.as_str()).claim("sid", id.as_str());
    let token = token.claim("client_id", id.as_str()).claim("act", json!({"sub": id}));
    let caller = gateway.with_token(UP, &token).with_token(Some(token.sign()));
    served(&caller.call("echo", json!({"text": id})).await, &id);
    let calls = async {
        let mut last = Instant::now();
        loop {
            let begun = Instant::now();
            let reply = caller.call("echo", json!({"text": id})).await;
            if reply.is_success() {
                last = begun;
                continue;
            }
            assert_eq!((reply.status, code(&reply).as_str()), (401, "PTN-2100"), "{}", reply.text());
            return last;
        }
    };
    let revoke = async {
        fleet.revoke(Revocation::new(kind, id.clone(), "soak")).await;
        Instant::now()
    };
    let (last, committed) = soon("a refusal", async { tokio::join!(calls, revoke) }).await;
    last.saturating_duration_since(committed)
}

/// Calls all the while and is never refused.
async fn bystander(fleet: Arc<Fleet>, gateway: usize, over: Arc<AtomicBool>) -> usize {
    let gateway = &fleet.gateways[gateway];
    let token = gateway.token(&fleet.idp, "bystander", UP).sign();
    let caller = Caller::new(gateway.address(), UP, Some(token));
    let mut calls = 0;
    while !over.load(Ordering::SeqCst) {
        served(&caller.call("echo", json!({"text": "here"})).await, "here");
        calls += 1;
    }
    calls
}
