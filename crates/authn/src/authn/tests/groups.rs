//! Groups that are too many for a token: asked for at a directory, and for how long its answer is believed.

use super::opaque::{Endpoint, Kept, LEGACY, TOKEN, active, world as opaque_world};
use super::*;
use crate::GroupDirectory;
use crate::contract::Status;

fn graph(directory: &Endpoint) -> GroupDirectory {
    GroupDirectory {
        name: "graph".into(),
        url: format!("{}/users/{{user}}/groups", directory.url),
        rule: Rule::LOOPBACK,
        authorization: Some(Arc::new(Kept(b"Bearer d-1".to_vec()))),
        list: "/value".into(),
        member: Some("id".into()),
        more: Some("/@odata.nextLink".into()),
    }
}

/// An issuer of signed tokens, whose groups are at the directory, and one of its tokens that is good for half an hour.
async fn signed_world(directory: &Endpoint) -> (World, String) {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::with(&[&key], |config| config.group_directories.push(graph(directory))).await;
    let document = world.contract(
        "principal: { groups_overage: { lookup: graph }, groups: { map: { g-1: [eng], g-2: [ops], g-3: [ops] } } }",
    );
    world.enforce(&[(1, Status::Enforced, document)]);
    let overage = json!({ "_claim_names": { "groups": "src1" }, "exp": NOW + 1800 });
    let token = key.sign(&with(world.claims(), overage));
    (world, token)
}

fn answer(groups: &[&str]) -> Value {
    json!({ "value": groups.iter().map(|group| json!({ "id": group })).collect::<Vec<_>>() })
}

async fn groups(world: &World, token: &str) -> Vec<String> {
    let verified = world.present(token).await.unwrap();
    verified.principal.groups.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn groups_that_were_looked_up_are_believed_for_a_minute_however_long_the_token_lives() {
    let directory = Endpoint::start().await;
    let (world, token) = signed_world(&directory).await;
    directory.says(answer(&["g-1"]));
    assert_eq!(groups(&world, &token).await, ["eng"]);
    directory.says(answer(&["g-2"]));
    world.advance(59);
    assert_eq!((groups(&world, &token).await, directory.asked()), (vec!["eng".to_owned()], 1));
    world.advance(1);
    assert_eq!((groups(&world, &token).await, directory.asked()), (vec!["ops".to_owned()], 2));
    // Whoever cannot be asked about is not let in by what was said before.
    directory.fails(500);
    world.advance(60);
    assert_eq!(world.present(&token).await.err(), Some(AuthnError::GroupsUnavailable));
}

#[tokio::test]
async fn a_stream_ends_when_its_callers_groups_are_others_or_cannot_be_had() {
    let directory = Endpoint::start().await;
    let (world, token) = signed_world(&directory).await;
    directory.says(answer(&["g-2"]));
    let verified = world.present(&token).await.unwrap();
    let asked = async |times: usize| {
        for _ in 0..1000 {
            if directory.asked() == times {
                // It is asked; what it says is heard a moment later.
                return tokio::time::sleep(Duration::from_millis(50)).await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("asked {} times instead of {times}", directory.asked());
    };
    // Asked again a little before the answer is too old, and what makes no difference here ends nothing.
    directory.says(answer(&["g-3", "g-9"]));
    world.advance(55);
    world.authn.recheck(&verified).unwrap();
    asked(2).await;
    world.advance(50);
    world.authn.recheck(&verified).unwrap();
    directory.says(answer(&["g-1"]));
    world.advance(5);
    world.authn.recheck(&verified).unwrap();
    asked(3).await;
    let ended = world.authn.recheck(&verified).unwrap_err();
    assert!(ended.to_string().contains("groups have changed"), "{ended}");
    assert_eq!(ended.status(), 401);
    // The next stream has the groups of now, and ends when nobody can say what they are.
    let verified = world.present(&token).await.unwrap();
    assert_eq!(&*verified.principal.groups, [Arc::from("eng")]);
    directory.fails(500);
    world.advance(59);
    world.authn.recheck(&verified).unwrap();
    asked(4).await;
    world.advance(1);
    assert_eq!(world.authn.recheck(&verified), Err(AuthnError::GroupsUnavailable));
}

#[tokio::test]
async fn groups_too_many_for_a_token_are_looked_up_whole_or_not_at_all() {
    let (endpoint, directory) = (Endpoint::start().await, Endpoint::start().await);
    let world = opaque_world(&endpoint, |all| {
        all.group_directories.push(graph(&directory));
    })
    .await;
    let yaml = format!(
        "issuer: {LEGACY}\nprincipal: {{ groups_overage: {{ lookup: graph }}, groups: {{ map: {{ g-1: [eng] }}, unmapped: keep }} }}"
    );
    let document = crate::contract::Document::parse(&yaml).unwrap();
    world.enforce(&[(1, Status::Enforced, document)]);
    let overage = json!({ "_claim_names": { "groups": "src1" }, "sub": "a/b?c" });
    endpoint.says(active(overage));
    for broken in [
        json!({ "value": [{ "id": "g-1" }], "@odata.nextLink": "https://graph.test/2" }),
        json!({ "value": [{ "name": "g-1" }] }),
        json!({ "value": "g-1" }),
        json!({}),
    ] {
        directory.says(broken.clone());
        assert_eq!(world.present(TOKEN).await.err(), Some(AuthnError::GroupsUnavailable), "{broken}");
    }
    directory.says(json!({ "value": [{ "id": "g-2" }, { "id": "g-1" }], "@odata.nextLink": null }));
    let groups = world.present(TOKEN).await.unwrap().principal.groups.clone();
    assert_eq!(groups.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["eng", "g-2"]);
    let (path, headers, _) = directory.heard.lock().unwrap()[0].clone();
    assert_eq!(
        (path.as_str(), &headers["authorization"]),
        ("/users/a%2Fb%3Fc/groups", &"Bearer d-1".parse().unwrap())
    );
}
