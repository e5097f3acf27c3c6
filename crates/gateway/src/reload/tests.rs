//! Reloads of a running gateway: the last good one stays.

use crate::demo::Demo;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

async fn demo(folder: &Path) -> Demo {
    Demo::start(folder, 0, None).await.map_err(|error| error.to_string()).unwrap()
}

fn checks(demo: &Demo) -> Value {
    demo.gateway().health().to_json()["checks"].clone()
}

#[tokio::test]
async fn a_bad_policy_keeps_the_old_ones_and_says_where_it_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let demo = demo(folder.path()).await;
    let before = checks(&demo)["policies"]["revision"].clone();
    std::fs::write(folder.path().join("policies/bad.cedar"), "permit(principal, action resource);\n")
        .unwrap();
    let refused = demo.gateway().reload().await.unwrap_err();
    assert!(refused.0[0].contains("bad.cedar:1:"), "{refused}");
    let policies = checks(&demo)["policies"].clone();
    assert_eq!((&policies["status"], &policies["revision"]), (&Value::from("degraded"), &before));
    assert!(policies["faults"][0].as_str().unwrap().contains("bad.cedar:1:"), "{policies}");
    assert!(demo.gateway().health().is_ready());
    assert!(
        demo.self_test().await.map_err(|error| error.to_string()).unwrap().iter().all(|step| step.passed)
    );

    std::fs::write(
        folder.path().join("policies/bad.cedar"),
        "forbid(principal, action, resource) when { principal.user == \"x\" };\n",
    )
    .unwrap();
    demo.gateway().reload().await.unwrap();
    let policies = checks(&demo)["policies"].clone();
    assert_eq!(policies["status"], "ok");
    assert_ne!(policies["revision"], before);
}

#[tokio::test]
async fn a_bad_configuration_keeps_the_old_one_and_a_good_one_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let demo = demo(folder.path()).await;
    let file = folder.path().join("portunus.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace("toolsets:", "toolset:")).unwrap();
    let refused = demo.gateway().reload().await.unwrap_err();
    assert!(refused.0[0].contains("portunus.yaml:") && refused.0[0].contains("toolset"), "{refused}");
    assert_eq!(checks(&demo)["configuration"]["status"], "degraded");
    assert!(demo.gateway().health().is_ready());

    // Nobody asks this time: the file is watched.
    let fewer = good.replace("weather:", "forecasts:");
    std::fs::write(&file, fewer).unwrap();
    let noticed = async {
        while checks(&demo)["server:forecasts"].is_null() || checks(&demo)["configuration"]["status"] != "ok"
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noticed).await.unwrap();
    assert!(checks(&demo)["server:weather"].is_null());
}
