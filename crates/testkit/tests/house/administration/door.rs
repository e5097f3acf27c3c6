//! What the door asks beyond token, scope and role.

use super::bed::{AdminBed, SCOPES, Someone, good, problem};
use http::Method;
use model::FixedClock;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use testkit::{clock, eventually};

#[tokio::test]
async fn nobody_is_anonymous_to_the_admin_api() {
    let anonymous = json!({
        "user": "anybody", "tenant": "house", "roles": ["operator"],
        "scopes": SCOPES.split(' ').collect::<Vec<_>>(),
    });
    let bed = AdminBed::with(|setup| setup.set(&["listen", "danger_anonymous"], anonymous)).await;
    for path in ["/whoami", "/keys", "/people"] {
        assert_eq!(problem(&bed.get(&Someone(None), path).await), (401, "PTN-2001".to_owned()), "{path}");
    }
    good(&bed.get(&bed.operator(), "/keys").await);
}

#[tokio::test]
async fn a_replica_that_may_not_know_what_was_revoked_changes_nothing() {
    let time = Arc::new(FixedClock::at(clock().now()));
    let bed = AdminBed::with(|setup| setup.clock(Arc::<FixedClock>::clone(&time))).await;
    let operator = bed.operator();
    let rotate = async || bed.ask(&operator, &Method::POST, "/keys/rotate?force=true", None).await;
    assert_eq!(rotate().await.status, 204);
    bed.alter("ALTER TABLE revocations RENAME TO elsewhere").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    time.advance(Duration::from_secs(2));
    eventually("a refusal", || async {
        (problem(&rotate().await) == (503, "PTN-2101".to_owned())).then_some(())
    })
    .await;
    // A plain read is still answered, and so is how old the view is.
    good(&bed.get(&operator, "/keys").await);
    assert_eq!(good(&bed.get(&operator, "/revocation-view").await)["freshness"], "stale");
    bed.alter("ALTER TABLE elsewhere RENAME TO revocations").await;
    eventually("a change", || async { (rotate().await.status == 204).then_some(()) }).await;
}

#[tokio::test]
async fn a_role_that_is_named_no_longer_administers_no_longer() {
    let mut bed = AdminBed::open().await;
    let (operator, admin) = (bed.operator(), bed.admin_of("acme"));
    good(&bed.get(&operator, "/keys").await);
    good(&bed.get(&admin, "/people").await);
    bed.gateway.write_config(|config| {
        config["admin_api"] = json!({"operator_tenant": "house", "operator_roles": ["another"]});
    });
    bed.gateway.reload().await.unwrap();
    assert_eq!(problem(&bed.get(&operator, "/keys").await), (403, "PTN-2120".to_owned()));
    assert_eq!(problem(&bed.get(&admin, "/people").await), (403, "PTN-2120".to_owned()));
}
