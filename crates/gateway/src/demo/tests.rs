//! The demo as a person would see it.

use super::*;

#[tokio::test]
async fn the_demo_shows_what_it_promises() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path(), 0, None).await.map_err(|error| error.to_string()).unwrap();
    let steps = demo.self_test().await.map_err(|error| error.to_string()).unwrap();
    assert!(steps.iter().all(|step| step.passed), "{steps:#?}");
    let refund = steps.iter().find(|step| step.text.contains("refunded")).unwrap();
    let cho = &demo.staff.people["cho"];
    assert_eq!(refund.text, format!("order 7 refunded, as asked by {cho} through desk-assistant"));
    assert!(steps.iter().skip(2).all(|step| step.record.is_some()), "{steps:#?}");
    let (gateway, _others) = demo.into_gateway();
    gateway.shutdown().await;
}

#[test]
fn a_missing_real_server_is_named_with_its_fix() {
    let folder = tempfile::tempdir().unwrap();
    let real = RealServers { node: "/bin/sh".into(), npm: folder.path().into(), venv: folder.path().into() };
    let text = real.yaml(folder.path()).unwrap_err().to_string();
    assert!(text.contains("server-everything (npm) is not at") && text.contains("--npm"), "{text}");
}
