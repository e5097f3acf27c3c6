use super::*;
use model::{SealingKey, Secret, SeededDice, ServerName};
use protocol::{Raw, Version};

fn sessions(folder: &std::path::Path) -> Sessions {
    let key = SealingKey::new(1, &Secret::new(vec![7; 32])).unwrap();
    let ended = Ended::open(&folder.join("ended"), 8, Timestamp(0)).unwrap();
    Sessions::new(Arc::new(Sealer::new(vec![key]).unwrap()), ended, 2)
}

fn facts(principal: &Principal, nonce: u8) -> Facts {
    Facts {
        owner: owner_of(principal),
        endpoint: Endpoint::Shared,
        version: Version::V2025_11_25,
        capabilities: Raw::of_value(&serde_json::json!({"elicitation": {}})),
        client_info: None,
        nonce: [nonce; 16],
        expires: Timestamp(1000),
    }
}

#[test]
fn a_session_survives_a_restart_and_ends_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let who = Principal::service();
    let dice = SeededDice::new(1);
    let id = sessions(folder.path()).open(facts(&who, 1), &dice, Timestamp(0)).unwrap().id().clone();

    let after = sessions(folder.path());
    let live = after.find(&id, &who, &Endpoint::Shared, Timestamp(10)).unwrap();
    assert_eq!(live.facts().capabilities.as_bytes(), br#"{"elicitation":{}}"#);
    after.end(&live, Timestamp(10)).unwrap();
    assert!(after.find(&id, &who, &Endpoint::Shared, Timestamp(10)).is_err());
    assert!(sessions(folder.path()).find(&id, &who, &Endpoint::Shared, Timestamp(10)).is_err());
}

#[test]
fn nothing_opens_a_session_again_that_has_just_ended() {
    let folder = tempfile::tempdir().unwrap();
    let who = Principal::service();
    let sessions = sessions(folder.path());
    let live = sessions.open(facts(&who, 1), &SeededDice::new(1), Timestamp(0)).unwrap();
    // It is not yet written down.
    sessions.forget(&live, Timestamp(10));
    assert!(sessions.find(live.id(), &who, &Endpoint::Shared, Timestamp(10)).is_err());
}

#[test]
fn a_session_of_another_principal_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let who = Principal::service();
    let sessions = sessions(folder.path());
    let id = sessions.open(facts(&who, 1), &SeededDice::new(1), Timestamp(0)).unwrap().id().clone();
    let other = Principal { user: "eve".into(), ..who.clone() };
    assert!(sessions.find(&id, &other, &Endpoint::Shared, Timestamp(1)).is_err());
    let elsewhere = Endpoint::Server(ServerName::new("git").unwrap());
    assert!(sessions.find(&id, &who, &elsewhere, Timestamp(1)).is_err());
    assert!(sessions.find(&id, &who, &Endpoint::Shared, Timestamp(1000)).is_err(), "expired");
    assert!(sessions.find("forged", &who, &Endpoint::Shared, Timestamp(1)).is_err());
    let promoted = Principal { roles: vec!["admin".into()], ..who };
    assert!(sessions.find(&id, &promoted, &Endpoint::Shared, Timestamp(1)).is_ok());
}

#[test]
fn the_table_is_bounded_and_what_falls_out_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let who = Principal::service();
    let sessions = sessions(folder.path());
    let ids: Vec<_> = (1..=5)
        .map(|n| {
            sessions
                .open(facts(&who, n), &SeededDice::new(n.into()), Timestamp(n.into()))
                .unwrap()
                .id()
                .clone()
        })
        .collect();
    assert_eq!(sessions.size(), 2);
    for id in ids {
        assert!(sessions.find(&id, &who, &Endpoint::Shared, Timestamp(9)).is_ok());
    }
}

#[tokio::test]
async fn an_event_of_a_table_that_was_lost_is_none_of_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let who = Principal::service();
    let first = sessions(folder.path()).open(facts(&who, 1), &SeededDice::new(1), Timestamp(10)).unwrap();
    let (_replay, mut hears) = first.replays().begin(true);
    let event = String::from_utf8(hears.recv().await.unwrap().to_vec()).unwrap();
    let place = replay::Place::parse(event.lines().next().unwrap().strip_prefix("id: ").unwrap()).unwrap();
    assert!(first.replays().find(place).unwrap().resume(place).is_some());
    // Another node, or this one after a restart.
    let second = sessions(folder.path());
    let second = second.find(first.id(), &who, &Endpoint::Shared, Timestamp(11)).unwrap();
    let (other, _) = second.replays().begin(true);
    other.push(b"{}");
    assert!(second.replays().find(place).is_none_or(|stream| stream.resume(place).is_none()));
}

#[test]
fn a_call_that_is_withdrawn_while_it_is_handed_over_ends() {
    let folder = tempfile::tempdir().unwrap();
    let who = Principal::service();
    let live = sessions(folder.path()).open(facts(&who, 1), &SeededDice::new(1), Timestamp(0)).unwrap();
    let (before, _) = futures_util::future::AbortHandle::new_pair();
    let (after, _) = futures_util::future::AbortHandle::new_pair();
    let call = live.begin(&protocol::Id::Number(1), before.clone()).unwrap();
    assert!(live.cancel(&protocol::Id::Number(1)) && before.is_aborted());
    call.hand_over(after.clone());
    assert!(after.is_aborted());
}

#[tokio::test]
async fn the_streams_of_a_session_end_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let who = Principal::service();
    let sessions = sessions(folder.path());
    let live = sessions.open(facts(&who, 1), &SeededDice::new(1), Timestamp(0)).unwrap();
    let (unasked, (_replay, answer)) = (live.listen(), live.replays().begin(false));
    sessions.end(&live, Timestamp(1)).unwrap();
    assert!(unasked.is_closed() && answer.is_closed() && !live.is_listening());
}

#[test]
fn a_session_is_forgotten_only_by_a_client_that_neither_listens_nor_waits() {
    let folder = tempfile::tempdir().unwrap();
    let who = Principal::service();
    let live = sessions(folder.path()).open(facts(&who, 1), &SeededDice::new(1), Timestamp(0)).unwrap();
    let forgotten = |at| live.is_forgotten(Timestamp(at), std::time::Duration::from_millis(100));
    assert!(!forgotten(100) && forgotten(101));
    let stream = live.listen();
    assert!(!forgotten(101));
    drop(stream);
    let (task, _) = futures_util::future::AbortHandle::new_pair();
    let call = live.begin(&protocol::Id::Number(1), task);
    assert!(!forgotten(101));
    drop(call);
    assert!(forgotten(101));
}

#[test]
fn a_session_with_a_call_under_way_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let who = Principal::service();
    let sessions = sessions(folder.path());
    let open =
        |n: u8| sessions.open(facts(&who, n), &SeededDice::new(n.into()), Timestamp(n.into())).unwrap();
    let oldest = open(1);
    let (task, _) = futures_util::future::AbortHandle::new_pair();
    let call = oldest.begin(&protocol::Id::Number(1), task.clone()).unwrap();
    for n in 2..6 {
        open(n);
    }
    let found = sessions.find(oldest.id(), &who, &Endpoint::Shared, Timestamp(9)).unwrap();
    assert!(found.cancel(&protocol::Id::Number(1)) && task.is_aborted());
    drop(call);
}
