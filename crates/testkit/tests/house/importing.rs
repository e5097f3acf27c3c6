//! `portunus import`: a client's servers become the gateway's, and their secrets nobody's to see.

use super::bed::served;
use super::children::script;
use super::killed::{portunus, ready};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use testkit::{Caller, FakeIdp, FakeUpstream, clock, free_address};

const HEADER: &str = "CANARY-header-0a1b";
const VARIABLE: &str = "CANARY-variable-2c3d";

fn import(folder: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(portunus());
    command.current_dir(folder).args(["import", "mcp.json"]).args(more).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A folder whose configuration trusts this provider and has no servers yet.
fn folder(idp: &FakeIdp, address: &str, admin: &str, client: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "# Ours.\nversion: 1\nlisten: {{ address: '{address}' }}\nadmin: {{ address: '{admin}' }}\nissuers:\n  - issuer: {}\n    allow_loopback: true\nservers: {{}} # none yet\nlog: {{ level: warn }}\n",
        idp.issuer()
    );
    std::fs::write(folder.path().join("portunus.yaml"), config).unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    std::fs::write(folder.path().join("mcp.json"), client).unwrap();
    folder
}

#[tokio::test]
async fn an_imported_file_is_served_with_its_secrets_once_policy_permits_it() {
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    let (address, admin) = (free_address(), free_address());
    let client = json!({"mcpServers": {
        "The Web": {"type": "http", "url": up.url(), "headers": {"Authorization": format!("Bearer {HEADER}")}},
        "child": {"command": "/bin/sh", "args": ["server.sh"], "env": {"API_KEY": VARIABLE}},
    }});
    let folder = folder(&idp, &address, &admin, &client.to_string());
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("server.sh"), script(true, "secret:$API_KEY")).unwrap();
    let old = std::fs::read_to_string(path("portunus.yaml")).unwrap();

    let shown = import(folder.path(), &[]);
    assert!(shown.status.success(), "{}", said(&shown));
    assert!(said(&shown).contains("+  the-web:") && said(&shown).contains("--apply"), "{}", said(&shown));
    assert_eq!(std::fs::read_to_string(path("portunus.yaml")).unwrap(), old);
    assert!(!path("secrets").exists());

    let applied = import(folder.path(), &["--apply", "--json"]);
    assert!(applied.status.success(), "{}", said(&applied));
    let report: Value = serde_json::from_slice(&applied.stdout).unwrap();
    assert_eq!((&report["applied"], &report["missing"]), (&json!(true), &json!([])));
    assert_eq!(std::fs::read_to_string(path(report["backup"].as_str().unwrap())).unwrap(), old);
    assert_eq!(report["client"]["mcpServers"]["portunus"]["url"], format!("http://{address}/mcp"));
    assert_eq!(std::fs::read_to_string(path("mcp.json")).unwrap(), client.to_string());
    let written = std::fs::read_to_string(path("portunus.yaml")).unwrap();
    assert!(!written.contains("CANARY") && written.starts_with("# Ours."), "{written}");

    let checked = Command::new(portunus()).current_dir(folder.path()).arg("check").output().unwrap();
    assert!(checked.status.success(), "{}", said(&checked));

    let mut gateway = start(&path("portunus.yaml"));
    ready(&admin).await;
    let caller = |server: &str| {
        let door = format!("/servers/{server}/mcp");
        let token = idp.token("alice", &format!("http://{address}{door}")).sign();
        Caller::new(address.parse().unwrap(), &door, Some(token))
    };
    // Nobody wrote a policy yet: nothing is permitted.
    assert!(caller("the-web").tools().await.is_empty() && caller("child").tools().await.is_empty());
    gateway.kill().await.unwrap();

    let permit = "@id(\"readers\")\npermit (principal, action, resource) when { principal.roles.contains(\"reader\") };\n";
    std::fs::write(path("policies/readers.cedar"), permit).unwrap();
    let _gateway = start(&path("portunus.yaml"));
    ready(&admin).await;
    served(&caller("the-web").call("echo", json!({"text": "hello"})).await, "hello");
    let bearer = format!("Bearer {HEADER}");
    let seen = up.seen();
    let call = seen.iter().rfind(|seen| String::from_utf8_lossy(&seen.body).contains("tools/call")).unwrap();
    assert_eq!(call.headers["authorization"], bearer.as_str());
    served(&caller("child").call("look", json!({})).await, &format!("secret:{VARIABLE}"));

    let again = import(folder.path(), &["--apply"]);
    assert!(again.status.success() && said(&again).contains("nothing to change"), "{}", said(&again));
    let backups = std::fs::read_dir(folder.path()).unwrap();
    let is_backup = |name: &str| name.ends_with(".bak");
    assert_eq!(
        backups.filter(|entry| is_backup(&entry.as_ref().unwrap().file_name().to_string_lossy())).count(),
        1
    );
}

fn start(config: &Path) -> tokio::process::Child {
    tokio::process::Command::new(portunus())
        .args(["run", "--config"])
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Client files with `CANARY` wherever a secret can stand, good ones and broken ones.
fn canaries() -> Vec<String> {
    let entries = [
        r#""url": "https://a.example.org/mcp", "headers": {"Authorization": "Bearer CANARY", "X-Region": "CANARY"}"#,
        r#""url": "https://a.example.org/mcp", "headers": {"X-A": "CANARY\n"}"#,
        r#""url": "https://a.example.org/mcp", "headers": {"X-A": "CANARY${B:-CANARY}"}"#,
        r#""url": "https://a.example.org/mcp", "headers": {"A B": "CANARY"}"#,
        r#""url": "https://me:CANARY@a.example.org/mcp""#,
        r#""url": "https://a.example.org/mcp?token=CANARY""#,
        r#""url": "https://a.example.org/CANARYa1b2c3d4e5f6a7b8c9/mcp""#,
        r#""url": "CANARY""#,
        r#""url": ["CANARY"]"#,
        r#""type": "CANARY", "url": "https://a.example.org/mcp""#,
        r#""command": "a", "env": {"API_KEY": "CANARY", "PASSWORD": "pa${CANARY}ss", "X": "${CANARY:-CANARY}"}"#,
        r#""command": "a", "env": {"API_KEY": "CANARY"}"#,
        r#""command": "a", "env": {"API_KEY": "CANARY\u0000"}"#,
        r#""command": "a", "env": {"DATABASE_URL": "postgresql://me:CANARY@db.example.org/x"}"#,
        r#""command": "a", "env": {"API_KEY": ["CANARY"]}"#,
        r#""command": "a", "args": ["--api-key", "CANARY"]"#,
        r#""command": "a", "args": ["--token=CANARY", "${CANARY:-CANARY}"]"#,
        r#""command": "a", "args": [{"--token": "CANARY"}]"#,
        r#""command": "npx", "args": ["mcp-remote", "https://a.example.org/mcp", "--header", "Authorization: CANARY"]"#,
        r#""command": "npx", "args": ["mcp-remote", "https://a.example.org/mcp", "--header", "CANARY"]"#,
        r#""command": "npx", "args": ["-y", "git+https://me:CANARY@a.example.org/x"]"#,
        r#""url": "https://a.example.org/sse", "headers": {"X-A": "CANARY"}"#,
        r#""url": "https://a.example.org/mcp", "disabled": true, "headers": {"X-A": "CANARY"}"#,
        r#""url": "https://a.example.org/mcp", "oauth": {"secret": "CANARY"}, "alwaysAllow": ["CANARY"]"#,
    ];
    let mut files: Vec<String> = entries
        .iter()
        .map(|entry| format!(r#"{{"mcpServers": {{"taken": {{{entry}}}, "new": {{{entry}}}}}}}"#))
        .collect();
    let good = r#"{"mcpServers": {"new": {"command": "a", "env": {"API_KEY": "CANARY"}}}}"#;
    files.extend(["CANARY", "", ",", "}"].map(|end| format!("{}{end}", good.trim_end_matches('}'))));
    files.extend([
        good.replace("\"CANARY\"", "CANARY"),
        good.replace("\"CANARY\"", "\"CANARY"),
        good.replace("\"CANARY\"", "\"CANARY\\x\""),
        good.replace("\"CANARY\"", "\"CANARY\" / \"CANARY\""),
        good.replace("{\"API_KEY\"", "{\"API_KEY\": \"CANARY\", \"API_KEY\""),
        "\"CANARY\"".to_owned(),
        "{\"mcpServers\": \"CANARY\"}".to_owned(),
        "{\"mcpServers\": {\"new\": \"CANARY\"}}".to_owned(),
    ]);
    files
}

#[test]
fn no_output_holds_a_secret() {
    let config = "version: 1\nlisten: { danger_anonymous: { user: a, tenant: b } }\nservers:\n  taken:\n    stdio: { command: x }\n";
    let broken = config.replace("version: 1", "version: 2");
    let mut kept = 0;
    for client in canaries() {
        for (config, secret) in
            [(config, None), (config, Some("other")), (&broken, None), ("servers: {a: {}}", None), ("", None)]
        {
            for more in [&[][..], &["--apply"], &["--apply", "--json"]] {
                let folder = tempfile::tempdir().unwrap();
                let path = |name: &str| folder.path().join(name);
                std::fs::create_dir(path("policies")).unwrap();
                std::fs::write(path("portunus.yaml"), config).unwrap();
                std::fs::write(path("mcp.json"), &client).unwrap();
                if let Some(secret) = secret {
                    std::fs::create_dir(path("secrets")).unwrap();
                    std::fs::write(path("secrets/new.API_KEY"), secret).unwrap();
                }
                let output = import(folder.path(), more);
                assert!(!said(&output).contains("CANARY"), "{client}\n{more:?}\n{}", said(&output));
                assert!(!said(&output).is_empty(), "{client}");
                for entry in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    if name.contains("portunus.yaml") {
                        let text = std::fs::read_to_string(entry.path()).unwrap();
                        assert!(!text.contains("CANARY"), "{client}\n{name}\n{text}");
                    }
                }
                kept += usize::from(
                    more == ["--apply"] && path("secrets/new.API_KEY").exists() && secret.is_none(),
                );
            }
        }
    }
    assert!(kept > 0, "no secret was ever kept");
}

#[test]
fn what_is_left_out_or_refused_says_so_with_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("policies")).unwrap();
    let run = |config: Option<&str>, client: &str, more: &[&str]| {
        match config {
            Some(config) => std::fs::write(path("portunus.yaml"), config).unwrap(),
            None => drop(std::fs::remove_file(path("portunus.yaml"))),
        }
        std::fs::write(path("mcp.json"), client).unwrap();
        let output = import(folder.path(), more);
        (output.status.code().unwrap(), said(&output))
    };
    let good = r#"{"mcpServers": {"a": {"command": "a"}}}"#;
    let half = r#"{"mcpServers": {"a": {"command": "a"}, "b": {"command": "b", "args": ["--token", "x"]}}}"#;
    let config = "version: 1\nlisten: { danger_anonymous: { user: a, tenant: b } }\nservers: {}\n";
    for (config, client, more, code, text) in [
        (Some(config), good, &[][..], 0, "would be added"),
        (None, good, &[], 0, "write `issuers` into portunus.yaml"),
        (Some(config), half, &[], 1, "1 of 2 server(s) left out"),
        (Some(config), "{\"mcpServers\": {}}", &[], 0, "names no servers"),
        (Some(config), "", &[], 1, "an empty file"),
        (Some(config), "{\n \"mcpServers\": {1}\n}", &[], 1, "at line 2 column"),
        (
            Some("version: 1\nservers: { a: { stdio: { command: x } } }\n"),
            good,
            &[],
            1,
            "another server called a",
        ),
        (Some("version: 1\nservers: { b: { stdio: { command: x } } }\n"), good, &[], 3, "written in braces"),
        (Some("version: 1\nservers:\n\t- x"), good, &[], 3, "YAML 1.2"),
        (Some("version: 2\nservers: {}\n"), good, &["--apply"], 3, "unknown version"),
        (Some(config), good, &["--config", "no/such/folder/portunus.yaml", "--apply"], 1, "failed to write"),
    ] {
        let (found, said) = run(config, client, more);
        assert_eq!(found, code, "{client}: {said}");
        assert!(said.contains(text), "{client}: {said}");
    }
    let (code, said) = run(Some(config), half, &["--apply"]);
    assert!(code == 1 && said.contains("--token in `args` holds what looks like a secret"), "{said}");
    let written = std::fs::read_to_string(path("portunus.yaml")).unwrap();
    assert!(written.contains("  a:\n") && !written.contains("  b:\n"), "{written}");
    std::fs::remove_file(path("mcp.json")).unwrap();
    assert_eq!(import(folder.path(), &[]).status.code(), Some(1));
}
