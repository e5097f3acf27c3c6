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
