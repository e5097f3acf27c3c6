//! Token contracts on the live path: published on the command line, obeyed by a running gateway.

use super::bed::{Bed, UP, bed_with, code, served};
use serde_json::{Value, json};
use std::path::PathBuf;
use testkit::{Reply, Token, eventually};

/// A bed with a database.
async fn stored() -> Bed {
    bed_with(|setup| setup.set(&["storage"], json!({}))).await
}

/// The end of a command: its exit code, and what it printed.
struct Ended(i32, String);

impl Bed {
    async fn portunus(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = tokio::process::Command::new(super::killed::portunus())
            .args(arguments)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        Ended(output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    fn config(&self) -> String {
        self.gateway.config_file().display().to_string()
    }

    /// Writes a contract about this bed's issuer.
    fn contract(&self, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let good = json!({
            "iss": self.idp.issuer(), "sub": "alice", "aud": self.gateway.resource(UP), "client_id": "c",
            "tenant": "acme", "mfa": true, "iat": 1_000_000, "exp": 1_003_600,
        });
        let mut bad = good.clone();
        bad["mfa"] = json!(false);
        let mut contract = json!({
            "issuer": self.idp.issuer(),
            "principal": {"tenant": {"from": ["tenant"]}},
            "max_lifetime_seconds": 7200,
            "require": {"mfa": {"equals": true}},
            "samples": {
                "good": [{"name": "alice", "claims": good}],
                "bad": [{"name": "one factor", "claims": bad, "fails": "mfa"}],
            },
        });
        change(&mut contract);
        let path = self.gateway.config_file().with_file_name(name);
        std::fs::write(&path, contract.to_string()).unwrap();
        path
    }

    async fn publish(&self, verb: &str, path: &std::path::Path) -> Ended {
        self.portunus(&["contract", verb, "--config", &self.config(), path.to_str().unwrap()], "").await
    }

    async fn call(&self, token: &Token) -> Reply {
        self.gateway.with_token(UP, token).call("echo", json!({"text": "in"})).await
    }

    /// Waits until a call with this token is answered with this status.
    async fn until(&self, status: u16, token: &Token) -> Reply {
        eventually("another answer", || async {
            let reply = self.call(token).await;
            (reply.status == status).then_some(reply)
        })
        .await
    }
}

#[tokio::test]
async fn a_published_contract_is_enforced_by_a_running_gateway_and_taken_back() {
    let bed = stored().await;
    let plain = bed.gateway.token(&bed.idp, "alice", UP).claim("mfa", "canary-value");
    let strong = bed.gateway.token(&bed.idp, "alice", UP).claim("mfa", true);
    served(&bed.call(&plain).await, "in");
    let path = bed.contract("contract.json", |_| {});
    let published = bed.publish("publish", &path).await;
    assert_eq!(published.0, 0, "{}", published.1);
    // Remembered or not, it is judged by the contract now; the refusal names the claim and not what it holds.
    let refused = bed.until(401, &plain).await;
    assert_eq!(code(&refused), "PTN-2002");
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("error=\"invalid_token\"") && challenge.contains("mfa"), "{challenge}");
    assert!(!challenge.contains("canary") && !refused.text().contains("canary"), "{challenge}");
    served(&bed.call(&strong).await, "in");
    let config = bed.config();
    let back = ["contract", "rollback", "--config", &config, "--issuer", bed.idp.issuer()];
    assert_eq!(bed.portunus(&back, "").await.0, 0);
    served(&bed.until(200, &plain).await, "in");
    let on_record: Vec<String> = bed
        .gateway
        .record()
        .iter()
        .filter(|found| found.leaf["what"] == "contract_changed")
        .map(|found| {
            format!("{} {}", found.leaf["by"].as_str().unwrap(), found.leaf["detail"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        on_record,
        ["operator version 1 is enforced", "operator version 1 is no longer enforced, and none is"]
    );
}

#[tokio::test]
async fn a_contract_in_shadow_is_counted_and_refuses_nobody() {
    let bed = stored().await;
    let path = bed.contract("contract.json", |_| {});
    assert_eq!(bed.publish("shadow", &path).await.0, 0);
    let plain = bed.gateway.token(&bed.idp, "alice", UP);
    let counted = || async {
        // A token that was not seen before each time: what is remembered is not judged again.
        static TURN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let turn = TURN.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        served(&bed.call(&plain.clone().claim("jti", format!("t-{turn}"))).await, "in");
        let metrics = bed.gateway.admin("/metrics").await.text();
        let line =
            metrics.lines().find(|line| line.starts_with("portunus_contract_shadow_differences_total"));
        line.map(str::to_owned)
    };
    let line = eventually("a difference", counted).await;
    assert!(line.contains("claim=\"mfa\"") && line.contains("does=\"refuses\""), "{line}");
    assert!(line.contains("version=\"1\""), "{line}");
    // Taken out of it, it is evaluated no longer.
    let (config, issuer) = (bed.config(), bed.idp.issuer().to_owned());
    let end = ["contract", "end-shadow", "--config", &config, "--issuer", &issuer];
    let Ended(ended, said) = bed.portunus(&end, "").await;
    assert!(ended == 0 && said.contains("retired"), "{said}");
    assert_ne!(bed.portunus(&end, "").await.0, 0, "nothing is in shadow");
}

#[tokio::test]
async fn a_contract_that_cannot_be_published_changes_nothing_and_says_why() {
    let bed = stored().await;
    let plain = bed.gateway.token(&bed.idp, "alice", UP);
    for (name, change, says) in [
        (
            "passes.json",
            (|c: &mut Value| c["require"] = json!({})) as fn(&mut Value),
            "has to fail, and passes",
        ),
        (
            "fails.json",
            |c| c["require"]["amr"] = json!({"type": "strings"}),
            "has to pass, and fails for amr",
        ),
        ("none.json", |c| c["samples"] = json!({}), "there is no good sample"),
        ("unknown.json", |c| c["required_claims"] = json!(["tenant_id"]), "required_claims"),
        ("pattern.json", |c| c["require"]["x"] = json!({"pattern": "("}), "require.x.pattern"),
        ("stranger.json", |c| c["issuer"] = json!("https://elsewhere.example"), "has to pass"),
    ] {
        let path = bed.contract(name, change);
        let refused = bed.publish("publish", &path).await;
        assert_eq!(refused.0, 3, "{name}: {}", refused.1);
        assert!(refused.1.contains(says), "{name}: {}", refused.1);
    }
    let listed = bed.portunus(&["contract", "list", "--json", "--config", &bed.config()], "").await;
    assert_eq!(serde_json::from_str::<Value>(&listed.1).unwrap(), json!([]));
    served(&bed.call(&plain).await, "in");
}

#[tokio::test]
async fn contract_check_says_which_clause_fails_and_never_a_value() {
    let bed = stored().await;
    let resource = bed.gateway.resource(UP);
    let path = bed.contract("contract.json", |_| {});
    let path = path.to_str().unwrap();
    let weak = bed.gateway.token(&bed.idp, "canary-user", UP).claim("mfa", "canary-value").sign();
    let strong = bed.gateway.token(&bed.idp, "canary-user", UP).claim("mfa", true).sign();
    let offline = ["contract", "check", "-", "--contract", path, "--resource", &resource, "--json"];
    let found = bed.portunus(&offline, &format!("{weak}\n")).await;
    assert_eq!(found.0, 1, "{}", found.1);
    let json: Value = serde_json::from_str(found.1.split("portunus:").next().unwrap()).unwrap();
    let failed: Vec<&Value> =
        json["clauses"].as_array().unwrap().iter().filter(|clause| clause["holds"] == false).collect();
    assert_eq!(failed.len(), 1, "{json}");
    assert_eq!((&failed[0]["clause"], &failed[0]["claim"]), (&json!("require"), &json!("mfa")));
    assert!(json["signature"].is_null() && !found.1.contains("canary"), "{}", found.1);
    assert_eq!(bed.portunus(&offline, &strong).await.0, 0);
    // With the configuration: the signature, and what is in force.
    let config = bed.config();
    let online = ["contract", "check", "-", "--config", &config, "--resource", &resource];
    let found = bed.portunus(&online, &weak).await;
    assert_eq!(found.0, 0, "{}", found.1);
    assert!(found.1.contains("signature") && !found.1.contains("canary"), "{}", found.1);
    let forged = bed.gateway.token(&bed.idp, "mallory", UP).by(testkit::Key::es256("ec-1")).sign();
    let found = bed.portunus(&online, &forged).await;
    assert_eq!(found.0, 1, "{}", found.1);
    assert!(found.1.contains("does not verify"), "{}", found.1);
}
