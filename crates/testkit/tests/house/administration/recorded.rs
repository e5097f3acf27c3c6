//! A change that cannot be recorded is not made.

use super::bed::{AdminBed, good, problem};
use crate::house::full_disk::SmallDisk;
use serde_json::json;
use testkit::eventually;

#[tokio::test]
async fn what_cannot_be_recorded_is_not_changed() {
    let Some(disk) = SmallDisk::mount() else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let database = json!(elsewhere.path().join("portunus.db"));
    let bed = AdminBed::with(|setup| {
        setup.data_dir(&disk.path().join("data")).set(&["storage", "sqlite"], database)
    })
    .await;
    let operator = bed.operator();
    let count = async || good(&bed.get(&operator, "/revocations").await)["items"].as_array().unwrap().len();
    let revoke = async || bed.post(&operator, "/revocations", &json!({"kind": "user", "id": "usr_1"})).await;
    good(&revoke().await);
    let ballast = disk.fill();
    eventually("a refusal before anything happened", || async {
        (problem(&revoke().await) == (503, "PTN-5001".to_owned())).then_some(())
    })
    .await;
    let before = count().await;
    for _ in 0..5 {
        assert_eq!(problem(&revoke().await), (503, "PTN-5001".to_owned()));
    }
    assert_eq!(count().await, before, "nothing was revoked");
    std::fs::remove_file(ballast).unwrap();
    eventually("a change, once there is room", || async { (revoke().await.status == 201).then_some(()) })
        .await;
    assert_eq!(count().await, before + 1);
}
