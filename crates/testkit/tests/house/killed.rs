//! A gateway that is killed leaves a record that says what nobody knows, and starts again from it.

use super::bed::UP;
use serde_json::json;
use std::path::PathBuf;
use std::process::Stdio;
use testkit::{Act, Caller, FakeIdp, FakeUpstream, Setup, clock, eventually, free_address, raw, read_record};

/// The program under test, beside the test's own.
pub(crate) fn portunus() -> PathBuf {
    let path = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("portunus");
    assert!(
        path.exists(),
        "{} is missing: `cargo build --bin portunus` first, as `cargo xtask test` does",
        path.display()
    );
    path
}

/// Waits until a gateway says it is ready.
pub(crate) async fn ready(admin: &str) {
    eventually("a ready gateway", || async move {
        if tokio::net::TcpStream::connect(admin).await.is_err() {
            return None;
        }
        let request = format!("GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
        let reply = raw(admin.parse().unwrap(), request.as_bytes()).await;
        (reply.status == 200).then_some(())
    })
    .await;
}

/// Asks a process to end.
pub(crate) fn terminate(child: &tokio::process::Child) {
    let done = std::process::Command::new("kill").arg(child.id().unwrap().to_string()).status().unwrap();
    assert!(done.success());
}

#[tokio::test]
async fn a_killed_gateway_leaves_its_open_calls_as_unknown_and_starts_again() {
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await.with("slow", Act::Hang));
    let (address, admin) = (free_address(), free_address());
    let (config, folder) = Setup::trusting(&idp)
        .server("up", &up)
        .set(&["listen", "address"], json!(address))
        .set(&["admin", "address"], json!(admin))
        .write();
    let start = || {
        tokio::process::Command::new(portunus())
            .args(["run", "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    };
    let caller = |user: &str| {
        let token = idp.token(user, &format!("http://{address}{UP}")).sign();
        Caller::new(address.parse().unwrap(), UP, Some(token))
    };
    let mut child = start();
    ready(&admin).await;
    assert!(caller("bob").call("write", json!({"text": "before"})).await.is_success());
    let alice = caller("alice");
    let _line = alice.begin(alice.request("tools/call", json!({"name": "slow", "arguments": {}}))).await;
    up.call_of("slow").await;
    child.kill().await.unwrap();
    let data = folder.path().join("data");
    let slow = read_record(&data).into_iter().find(|found| found.leaf["target"]["name"] == "slow").unwrap();
    assert!(slow.unknown && slow.outcome.is_none(), "{slow:?}");
    let _again = start();
    ready(&admin).await;
    assert!(caller("bob").call("write", json!({"text": "after"})).await.is_success());
    let record = read_record(&data);
    let sequences: Vec<u64> = record
        .iter()
        .flat_map(|found| std::iter::once(&found.leaf).chain(found.outcome.as_ref()))
        .map(|leaf| leaf["sequence"].as_u64().or_else(|| leaf["seq"].as_u64()).unwrap())
        .collect();
    let mut sorted = sequences.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), sequences.len());
    assert_eq!(sorted, (sorted[0]..sorted[0] + sorted.len() as u64).collect::<Vec<_>>(), "no gap");
    let still = record.iter().find(|found| found.leaf["target"]["name"] == "slow").unwrap();
    assert!(still.unknown, "a restart does not make it known");
    assert_eq!(record.iter().filter(|found| found.leaf["target"]["name"] == "write").count(), 2);
}
