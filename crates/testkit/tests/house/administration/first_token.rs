//! `portunus admin token`: the first way in.

use super::bed::{AdminBed, Someone, good, problem};
use crate::house::killed::portunus;
use serde_json::json;
use std::process::Command;
use testkit::{eventually, free_address};

#[tokio::test]
async fn a_token_of_the_command_line_is_on_record() {
    let address = free_address();
    let bed = AdminBed::with(|setup| setup.set(&["listen", "address"], json!(address))).await;
    let file = bed.gateway.config_file();
    let made = Command::new(portunus()).args(["admin", "token", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8(made.stdout).unwrap();
    assert!(made.status.success(), "{said}{}", String::from_utf8_lossy(&made.stderr));
    // On record before anybody uses it.
    let token = said.trim().to_owned();
    let events = eventually("its event", || async {
        let events = bed.events("token_issued");
        (!events.is_empty()).then_some(events)
    })
    .await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["by"], "operator");
    assert!(!events[0].to_string().contains(&token));
    let who = Someone(Some(token.clone()));
    let whoami = good(&bed.get(&who, "/whoami").await);
    assert_eq!((&whoami["standing"], &whoami["tenant"]), (&json!("operator"), &json!("house")));
    good(&bed.get(&who, "/keys").await);
    // It opens nothing else.
    let caller = testkit::Caller::new(bed.gateway.address(), "/mcp", Some(token));
    assert_eq!(caller.call("echo", json!({})).await.status, 401);
    let other = Someone(Some(bed.gateway.token(&bed.idp, "alice", "/mcp").sign()));
    assert_eq!(problem(&bed.get(&other, "/whoami").await), (401, "PTN-2002".to_owned()));
}

#[tokio::test]
async fn the_command_line_speaks_to_the_api() {
    let address = free_address();
    let bed = AdminBed::with(|setup| setup.set(&["listen", "address"], json!(address))).await;
    let run = |token: &str, arguments: &[&str]| {
        let mut command = Command::new(portunus());
        command.env("PORTUNUS_GATEWAY", format!("http://{address}")).env("PORTUNUS_TOKEN", token);
        command.args(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let operator = bed.operator().0.unwrap();
    let said = run(&operator, &["keys", "list"]).await.unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.success() && text.starts_with("KEY ") && text.contains(" active "), "{text}");
    let said = run(&operator, &["keys", "list", "--json"]).await.unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    let said = run(&operator, &["keys", "rotate"]).await.unwrap();
    assert_eq!(said.status.code(), Some(1), "its next key is not known yet");
    let said = run(&operator, &["keys", "rotate", "--force"]).await.unwrap();
    assert!(said.status.success());
    let said = run(&operator, &["revoke", "user", "usr_x", "--reason", "left"]).await.unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = run(&operator, &["revocations", "list"]).await.unwrap();
    assert!(String::from_utf8(said.stdout).unwrap().contains("usr_x"));
    let stranger = bed.someone("bob", "house", "reader").0.unwrap();
    let said = run(&stranger, &["keys", "list"]).await.unwrap();
    let text = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(7));
    assert!(
        text.contains("PTN-2120") && text.contains("fix: ") && text.contains("reference: call_"),
        "{text}"
    );
}
