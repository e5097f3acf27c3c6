//! What holds of every change: tags, idempotency, strict bodies, secrets shown once.

use super::bed::{AdminBed, Someone, good, problem};
use super::rows::contract;
use http::Method;
use serde_json::json;

#[tokio::test]
async fn a_change_names_the_state_it_is_a_change_of() {
    let bed = AdminBed::open().await;
    let admin = bed.admin_of("acme");
    let body = json!({"owner": bed.person("acme").await, "name": "Robot"});
    let made = bed.post(&admin, "/agents", &body).await;
    let path = format!("/agents/{}", good(&made)["id"].as_str().unwrap());
    assert_eq!(made.headers["location"], format!("/api/v1{path}").as_str());
    let first = made.headers["etag"].to_str().unwrap().to_owned();
    let change = |name: &str| json!({"name": name});
    let patch = async |tag: Option<&str>, name: &str| {
        let tag: Vec<(&str, &str)> = tag.iter().map(|tag| ("if-match", *tag)).collect();
        bed.ask_with(&admin, &Method::PATCH, &path, Some(&change(name)), &tag).await
    };
    assert_eq!(problem(&patch(None, "A").await), (428, "PTN-2124".to_owned()));
    assert_eq!(problem(&patch(Some("\"x\""), "A").await), (412, "PTN-2124".to_owned()));
    let changed = patch(Some(&first), "A").await;
    assert_eq!(good(&changed)["name"], "A");
    assert_eq!(problem(&patch(Some(&first), "B").await), (412, "PTN-2124".to_owned()));
    assert_eq!(good(&bed.get(&admin, &path).await)["name"], "A");
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_not_done_again() {
    let bed = AdminBed::open().await;
    let admin = bed.admin_of("acme");
    let body = json!({"owner": bed.person("acme").await, "name": "Robot"});
    let create = async |key: &str, body: &serde_json::Value, who: &Someone| {
        bed.ask_with(who, &Method::POST, "/agents", Some(body), &[("idempotency-key", key)]).await
    };
    let first = create("one", &body, &admin).await;
    let again = create("one", &body, &admin).await;
    assert_eq!((first.status, &first.body), (201, &again.body));
    assert_eq!(first.headers["location"], again.headers["location"]);
    let agents = good(&bed.get(&admin, "/agents").await);
    assert_eq!(agents["items"].as_array().unwrap().len(), 1);
    let other = json!({"owner": "usr_1", "name": "Another"});
    assert_eq!(problem(&create("one", &other, &admin).await), (422, "PTN-2125".to_owned()));
    // One that was refused leaves its key free; a key is its caller's alone.
    assert_eq!(create("two", &other, &admin).await.status, 400);
    assert_eq!(create("two", &body, &admin).await.status, 201);
    assert_eq!(problem(&create("one", &body, &bed.admin_of("globex")).await).0, 400, "no such owner there");
    // A secret that was made comes again for whoever lost the answer, and is in no file.
    let path = format!("/agents/{}/credentials", good(&first)["id"].as_str().unwrap());
    let make = async || {
        let make = json!({"make": "api_key"});
        bed.ask_with(&admin, &Method::POST, &path, Some(&make), &[("idempotency-key", "key")]).await
    };
    let (made, again) = (good(&make().await), good(&make().await));
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(again["secret"], secret);
    let listed = bed.get(&admin, &path).await;
    assert!(!listed.text().contains(secret));
    assert_eq!(good(&listed)["items"].as_array().unwrap().len(), 1);
    assert!(!bed.gateway.data().windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
}

#[tokio::test]
async fn what_an_operation_does_not_take_is_refused() {
    let bed = AdminBed::open().await;
    let admin = bed.admin_of("acme");
    for body in [
        json!({"kind": "user", "id": "usr_1", "surplus": 1}),
        json!({"kind": "user"}),
        json!({"kind": "planet", "id": "x"}),
        json!({"kind": "user", "id": ""}),
        json!({"kind": "user", "id": "a b"}),
        json!([]),
    ] {
        assert_eq!(
            problem(&bed.post(&admin, "/revocations", &body).await),
            (400, "PTN-2123".to_owned()),
            "{body}"
        );
    }
    for query in
        ["?limit=0", "?limit=201", "?limit=x", "?cursor=!", "?surplus=1", "?kind=planet", "?limit=1&limit=1"]
    {
        let reply = bed.get(&admin, &format!("/revocations{query}")).await;
        assert_eq!(problem(&reply), (400, "PTN-2123".to_owned()), "{query}: {}", reply.text());
    }
    let long = json!({"kind": "user", "id": "x", "reason": "x".repeat(300_000)});
    assert_eq!(problem(&bed.post(&admin, "/revocations", &long).await), (413, "PTN-2123".to_owned()));
    let typed = [("content-type", "text/plain")];
    let reply = bed.ask_with(&admin, &Method::POST, "/revocations", None, &typed).await;
    assert_eq!(problem(&reply), (415, "PTN-2123".to_owned()));
    assert!(good(&bed.get(&admin, "/revocations").await)["items"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn anothers_token_with_the_id_of_a_person_of_ours_is_not_theirs() {
    let bed = AdminBed::open().await;
    let alice = bed.person("acme").await;
    let consent = bed.consent("acme", &alice).await;
    let (session, grant) = (bed.session("acme", &alice).await, bed.grant("acme", &alice).await);
    let agent = bed.agent_consent("acme", &alice).await;
    // The provider knows somebody else by that id, and vouches for other tenants besides.
    bed.alter("UPDATE user_identities SET subject = 'another'").await;
    for tenant in ["acme", "globex"] {
        let who = bed.someone(&alice, tenant, "reader");
        for path in ["sessions", "consents", "grants", "agent-consents"] {
            let reply = bed.get(&who, &format!("/me/{path}")).await;
            assert_eq!(problem(&reply), (404, "PTN-2122".to_owned()), "{path}: {}", reply.text());
        }
        for path in [
            format!("sessions/{session}"),
            format!("consents/{consent}"),
            format!("grants/{grant}"),
            format!("agent-consents/{agent}"),
        ] {
            let reply = bed.ask(&who, &Method::DELETE, &format!("/me/{path}"), None).await;
            assert_eq!(problem(&reply), (404, "PTN-2122".to_owned()), "{path}: {}", reply.text());
        }
    }
    // Nor are they of anybody else of the tenant.
    let bob = bed.person("acme").await;
    let who = bed.someone(&bob, "acme", "reader");
    for path in [
        format!("sessions/{session}"),
        format!("consents/{consent}"),
        format!("grants/{grant}"),
        format!("agent-consents/{agent}"),
    ] {
        let reply = bed.ask(&who, &Method::DELETE, &format!("/me/{path}"), None).await;
        assert_eq!(problem(&reply), (404, "PTN-2122".to_owned()), "{path}: {}", reply.text());
    }
    let who = bed.someone("another", "acme", "reader");
    for path in ["sessions", "consents", "grants", "agent-consents"] {
        let own = good(&bed.get(&who, &format!("/me/{path}")).await);
        assert_eq!(own["items"].as_array().unwrap().len(), 1, "{path}: {own}");
    }
}

#[tokio::test]
async fn what_was_granted_in_a_session_ends_with_it() {
    let bed = AdminBed::open().await;
    let admin = bed.admin_of("acme");
    let alice = bed.person("acme").await;
    for path in ["/sessions", "/me/sessions"] {
        let (session, grant) = (bed.session("acme", &alice).await, bed.grant("acme", &alice).await);
        let other = bed.grant("acme", &alice).await;
        bed.grant_in(&grant, &session).await;
        let who = if path == "/sessions" { admin.clone() } else { bed.someone(&alice, "acme", "reader") };
        let ended = bed.ask(&who, &Method::DELETE, &format!("{path}/{session}"), None).await;
        assert_eq!(ended.status, 204, "{}", ended.text());
        let left = good(&bed.get(&admin, &format!("/grants?user={alice}")).await);
        let left: Vec<&str> =
            left["items"].as_array().unwrap().iter().map(|grant| grant["id"].as_str().unwrap()).collect();
        assert!(left.contains(&other.as_str()) && !left.contains(&grant.as_str()), "{left:?}");
    }
    assert_eq!(bed.events("signed_out").len(), 2);
}

#[tokio::test]
async fn a_change_of_a_person_ends_tokens_only_if_they_say_something_else_now() {
    let bed = AdminBed::open().await;
    let admin = bed.admin_of("acme");
    let made = good(&bed.post(&admin, "/accounts", &json!({"account": "alice"})).await);
    let path = format!("/people/{}", made["user"].as_str().unwrap());
    let change = async |body: serde_json::Value| {
        let shown = bed.get(&admin, &path).await;
        let tag = [("if-match", shown.headers["etag"].to_str().unwrap())];
        good(&bed.ask_with(&admin, &Method::PATCH, &path, Some(&body), &tag).await)
    };
    let rows = async || {
        let rows = good(&bed.get(&bed.operator(), "/revocations").await);
        rows["items"].as_array().unwrap().len()
    };
    assert_eq!(change(json!({"name": "Alice"})).await["name"], "Alice");
    assert_eq!(rows().await, 0);
    assert_eq!(change(json!({"roles": ["reader"]})).await["roles"], json!(["reader"]));
    assert_eq!(rows().await, 1);
    // Whoever refreshes is read anew, and nobody is signed out.
    assert_eq!(bed.count("SELECT COUNT(*) FROM revocations WHERE spares_grants").await, 1);
}

#[tokio::test]
async fn a_tenants_admin_revokes_in_the_tenant_and_nowhere_else() {
    let bed = AdminBed::open().await;
    let (acme, globex) = (bed.admin_of("acme"), bed.admin_of("globex"));
    for kind in ["key", "server"] {
        let body = json!({"kind": kind, "id": "up"});
        assert_eq!(problem(&bed.post(&acme, "/revocations", &body).await), (403, "PTN-2120".to_owned()));
    }
    let elsewhere = json!({"kind": "user", "id": "x", "tenant": "globex"});
    assert_eq!(problem(&bed.post(&acme, "/revocations", &elsewhere).await), (404, "PTN-2122".to_owned()));
    let made = good(&bed.post(&acme, "/revocations", &json!({"kind": "user", "id": "acme-admin"})).await);
    assert_eq!(made["tenant"], "acme");
    assert!(good(&bed.get(&globex, "/revocations").await)["items"].as_array().unwrap().is_empty());
    // They revoked themselves: within a second nothing answers them any more.
    testkit::eventually("a refusal", || async {
        (problem(&bed.get(&acme, "/whoami").await).0 == 401).then_some(())
    })
    .await;
    good(&bed.get(&globex, "/whoami").await);
}

#[tokio::test]
async fn nobody_is_made_operator_by_a_tenants_admin() {
    let bed = AdminBed::open().await;
    let (admin, operator) = (bed.admin_of("house"), bed.operator());
    let account = |name: &str, role: &str| json!({"account": name, "roles": [role]});
    assert_eq!(
        problem(&bed.post(&admin, "/accounts", &account("eve", "operator")).await),
        (403, "PTN-2120".to_owned())
    );
    let made = good(&bed.post(&operator, "/accounts", &account("olga", "operator")).await);
    let path = format!("/people/{}", made["user"].as_str().unwrap());
    let reset = format!("/accounts/{}/reset", made["user"].as_str().unwrap());
    let reply = bed.ask(&admin, &Method::POST, &reset, None).await;
    assert_eq!(problem(&reply), (403, "PTN-2120".to_owned()), "whoever has the link is that person");
    let plain = good(&bed.post(&admin, "/accounts", &account("bob", "reader")).await);
    let path_of_bob = format!("/people/{}", plain["user"].as_str().unwrap());
    for path in [&path, &path_of_bob] {
        let shown = bed.get(&admin, path).await;
        let tag = [("if-match", shown.headers["etag"].to_str().unwrap())];
        let change = json!({"roles": ["operator"]});
        let reply = bed.ask_with(&admin, &Method::PATCH, path, Some(&change), &tag).await;
        assert_eq!(problem(&reply), (403, "PTN-2120".to_owned()), "{}", reply.text());
    }
    // In another tenant the role is a word like any other.
    good(&bed.post(&bed.admin_of("acme"), "/accounts", &account("eve", "operator")).await);
}

#[tokio::test]
async fn a_disabled_person_keeps_nothing() {
    let bed = AdminBed::open().await;
    let admin = bed.admin_of("acme");
    let person = bed.person("acme").await;
    let (_, session) = (bed.grant("acme", &person).await, bed.session("acme", &person).await);
    let agent = good(&bed.post(&admin, "/agents", &json!({"owner": person, "name": "Robot"})).await);
    let agent = format!("/agents/{}", agent["id"].as_str().unwrap());
    let disabled = bed.ask(&admin, &Method::POST, &format!("/people/{person}/disable"), None).await;
    assert_eq!(good(&disabled)["active"], false);
    let grants = good(&bed.get(&admin, &format!("/grants?user={person}")).await);
    assert!(grants["items"].as_array().unwrap().is_empty());
    let path = format!("/sessions/{session}");
    assert_eq!(problem(&bed.ask(&admin, &Method::DELETE, &path, None).await).0, 404, "it has ended");
    assert_eq!(good(&bed.get(&admin, &agent).await)["status"], "owner_disabled");
    let revoked = good(&bed.get(&bed.operator(), "/revocations?kind=user").await);
    assert!(revoked["items"].as_array().unwrap().iter().any(|row| row["id"] == person.as_str()));
    assert_eq!(bed.events("user_changed").last().unwrap()["about"]["id"], person.as_str());
    good(&bed.ask(&admin, &Method::POST, &format!("/people/{person}/enable"), None).await);
    assert_eq!(good(&bed.get(&admin, &agent).await)["status"], "active");
}

#[tokio::test]
async fn an_agent_whose_owner_left_goes_on_with_another() {
    let bed = AdminBed::open().await;
    let admin = bed.admin_of("acme");
    let (leaver, heir, idler) =
        (bed.person("acme").await, bed.person("acme").await, bed.person("acme").await);
    let stranger = bed.person("globex").await;
    let made = good(&bed.post(&admin, "/agents", &json!({"owner": leaver, "name": "Robot"})).await);
    let id = made["id"].as_str().unwrap();
    let path = format!("/agents/{id}");
    for person in [&leaver, &idler] {
        good(&bed.ask(&admin, &Method::POST, &format!("/people/{person}/disable"), None).await);
    }
    let hand_over = async |to: &str| {
        let shown = bed.get(&admin, &path).await;
        let tag = [("if-match", shown.headers["etag"].to_str().unwrap())];
        let change = json!({"owner": to});
        bed.ask_with(&admin, &Method::PATCH, &path, Some(&change), &tag).await
    };
    assert_eq!(good(&bed.get(&admin, &path).await)["status"], "owner_disabled");
    // To an active person of the same tenant, and to nobody else.
    for nobody in [stranger.as_str(), idler.as_str(), "usr_unknown", ""] {
        assert_eq!(problem(&hand_over(nobody).await), (400, "PTN-2123".to_owned()), "{nobody}");
        assert_eq!(good(&bed.get(&admin, &path).await)["owner"], leaver.as_str());
    }
    let changed = good(&hand_over(&heir).await);
    assert_eq!((&changed["owner"], &changed["status"]), (&json!(heir), &json!("active")));
    assert_eq!((&changed["name"], &changed["scopes"]), (&made["name"], &made["scopes"]));
    // It follows the new owner from now on, and the one who left no longer.
    good(&bed.ask(&admin, &Method::POST, &format!("/people/{leaver}/enable"), None).await);
    good(&bed.ask(&admin, &Method::POST, &format!("/people/{heir}/disable"), None).await);
    assert_eq!(good(&bed.get(&admin, &path).await)["status"], "owner_disabled");
    // What it held under the other one is no longer good, and who has it now is on record.
    let revoked = good(&bed.get(&bed.operator(), "/revocations?kind=agent").await);
    assert!(revoked["items"].as_array().unwrap().iter().any(|row| row["id"] == id), "{revoked}");
    let told = bed.events("agent_changed").into_iter().any(|event| {
        event["about"]["id"] == id && event["detail"].as_str().is_some_and(|detail| detail.contains(&heir))
    });
    assert!(told, "{:?}", bed.events("agent_changed"));
    // One that was stopped itself is not started by it.
    good(&bed.ask(&admin, &Method::POST, &format!("{path}/disable"), None).await);
    assert_eq!(good(&hand_over(&leaver).await)["status"], "disabled");
}

#[tokio::test]
async fn a_contract_is_taken_out_of_its_shadow() {
    let bed = AdminBed::open().await;
    let operator = bed.operator();
    let issuer = "https://shade.test";
    good(&bed.post(&operator, "/contracts", &contract(issuer)).await);
    let key = json!({"issuer": issuer});
    let end = async || bed.post(&operator, "/contracts/shadow/end", &key).await;
    assert_eq!(problem(&end().await), (404, "PTN-2122".to_owned()), "nothing is in shadow");
    good(&bed.post(&operator, "/contracts/shadow", &json!({"issuer": issuer, "version": 1})).await);
    let ended = good(&end().await);
    assert_eq!((&ended["version"], &ended["status"]), (&json!(1), &json!("retired")));
    assert_eq!(problem(&end().await), (404, "PTN-2122".to_owned()), "it has ended");
    let told = bed
        .events("contract_changed")
        .into_iter()
        .any(|event| event["about"]["id"] == format!("{issuer} * 1") && event["detail"] == "out of shadow");
    assert!(told, "{:?}", bed.events("contract_changed"));
}
