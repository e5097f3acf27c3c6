//! A disk that is really full: a small tmpfs. What cannot be recorded is refused; it mends itself.

use super::bed::{UP, code, served};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::{FakeIdp, FakeUpstream, Setup, clock, eventually};

/// A mounted file system of a few megabytes; unmounted when dropped.
pub(crate) struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, and a word about it, where this machine does not let us mount.
    pub(crate) fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m,mode=0700", "portunus-test"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|done| done.status.success()) {
            return Some(Self { folder });
        }
        println!("SKIPPED: cannot mount a tmpfs here (needs root)");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no room at all.
    pub(crate) fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = std::fs::File::create(&ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.folder.path()).status());
    }
}

#[tokio::test]
async fn a_full_disk_refuses_calls_turns_readiness_red_and_mends_itself() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    let gateway = Setup::trusting(&idp).server("up", &up).data_dir(&disk.path().join("data")).start().await;
    let caller = gateway.caller(&idp, "alice", UP);
    served(&caller.call("write", json!({"text": "room"})).await, "room");
    assert_eq!(gateway.admin("/readyz").await.status, 200);
    let ballast = disk.fill();
    let sent = up.calls().len();
    let reply = eventually("a refusal", || async {
        let reply = caller.call("write", json!({"text": "no room"})).await;
        (!reply.is_success()).then_some(reply)
    })
    .await;
    assert!(matches!(code(&reply).as_str(), "PTN-5001" | "PTN-5002"), "{}", reply.text());
    let sent_meanwhile = up.calls().len() - sent;
    // From now on nothing is sent, whoever asks and whatever the tool does.
    for (user, tool) in [("alice", "write"), ("bob", "write"), ("bob", "echo")] {
        let reply = gateway.caller(&idp, user, UP).call(tool, json!({"text": "no room"})).await;
        assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-5001"), "{}", reply.text());
    }
    assert_eq!(up.calls().len(), sent + sent_meanwhile, "a call was sent that is not on record");
    assert_eq!(gateway.admin("/readyz").await.status, 503);
    assert_eq!(gateway.admin("/healthz").await.status, 200);
    std::fs::remove_file(ballast).unwrap();
    eventually("the record to mend", || async {
        (gateway.admin("/readyz").await.status == 200).then_some(())
    })
    .await;
    served(&caller.call("write", json!({"text": "room again"})).await, "room again");
    let record = gateway.record();
    assert!(record.iter().any(|found| found.leaf["what"] == "record_resumed"), "{record:?}");
    // What was sent is on record.
    let intents = record.iter().filter(|found| found.leaf["kind"] == "intent").count();
    assert!(intents >= up.calls().len(), "{intents} intents for {} calls", up.calls().len());
}

#[tokio::test]
async fn a_call_whose_intent_finds_no_room_is_not_sent() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    let setup = Setup::trusting(&idp).server("up", &up).data_dir(&disk.path().join("data"));
    let gateway = setup.set(&["record", "arguments"], json!("value")).start().await;
    let caller = gateway.caller(&idp, "alice", UP);
    served(&caller.call("write", json!({"text": "room"})).await, "room");
    disk.fill();
    // Intents of many pages: room for one is not there long before room for an outcome is not.
    let (sent, reply) = eventually("a refusal", || async {
        let sent = up.calls().len();
        let reply = caller.call("write", json!({"text": "x".repeat(48 << 10)})).await;
        (!reply.is_success()).then_some((sent, reply))
    })
    .await;
    assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-5001"), "{}", reply.text());
    assert_eq!(up.calls().len(), sent, "a call was sent that is not on record");
}

#[tokio::test]
async fn a_gateway_that_starts_on_a_full_disk_waits_for_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    let start = || Setup::trusting(&idp).server("up", &up).data_dir(&disk.path().join("data")).start();
    let mut first = start().await;
    let session = first.caller(&idp, "alice", UP).open().await;
    session.send(session.leaving()).await;
    first.shutdown().await;
    let ballast = disk.fill();
    let gateway = start().await;
    let caller = gateway.caller(&idp, "alice", UP);
    let reply = caller.call("echo", json!({"text": "no room"})).await;
    assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-5001"), "{}", reply.text());
    assert_eq!(gateway.admin("/readyz").await.status, 503);
    assert!(up.calls().is_empty());
    std::fs::remove_file(ballast).unwrap();
    eventually("room for the record", || async {
        (gateway.admin("/readyz").await.status == 200).then_some(())
    })
    .await;
    served(&caller.call("write", json!({"text": "room"})).await, "room");
    let started = gateway.record().iter().filter(|found| found.leaf["what"] == "started").count();
    assert_eq!(started, 2);
}
