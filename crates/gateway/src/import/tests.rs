//! From a client's entry to the configuration's, and from a plan to files.

use super::*;
use crate::import::convert::Kept;
use model::{Clock, Timestamp};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// A moment that does not pass.
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_764_072_000)
    }

    fn ticks(&self) -> u64 {
        0
    }
}

const CONFIG: &str = "# Ours.
version: 1
issuers:
  - issuer: https://idp.example.org   # theirs
servers:
  web:
    http: { url: https://web.example.org/mcp }
  git:
    stdio: { command: git-server, args: [--verbose] }
log: { level: warn }
";

/// A folder with a configuration that passes.
fn house() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    std::fs::write(folder.path().join("portunus.yaml"), CONFIG).unwrap();
    folder
}

fn planned(folder: &Path, client: &str) -> Plan {
    let source =
        source::parse(Zeroizing::new(client.as_bytes().to_vec())).unwrap_or_else(|error| panic!("{error}"));
    plan(source, &folder.join("portunus.yaml")).unwrap_or_else(|error| panic!("{error}"))
}

/// What one entry called `new` comes to: the lines of the configuration and the notes, or why it is left out.
fn entry(json: &str) -> String {
    let folder = house();
    let inputs = r#"[{"id": "pat", "description": "Your token"}]"#;
    let plan = planned(folder.path(), &format!(r#"{{"inputs": {inputs}, "servers": {{"new": {json}}}}}"#));
    match &plan.rows[0].fate {
        Fate::Left(Left::Refused { why, .. }) => return format!("left out: {why}"),
        Fate::Left(Left::Disabled) => return "disabled".to_owned(),
        Fate::Present => return "present".to_owned(),
        Fate::Added => {}
    }
    let diff = plan.diff();
    let added =
        diff.lines().filter(|line| !line.starts_with("+++")).filter_map(|line| line.strip_prefix('+'));
    let mut out: Vec<String> = added.skip(1).map(str::to_owned).collect();
    out.extend(plan.rows[0].notes.iter().map(|note| format!("# {note}")));
    out.join("\n")
}

#[test]
fn http_entries_become_addresses_with_references() {
    for (json, expected) in [
        (
            r#"{"url": "https://a.example.org/mcp", "headers": {"Authorization": "Bearer abc", "X-Region": "eu"}}"#,
            "    http:\n      url: https://a.example.org/mcp\n      headers:\n        Authorization: { prefix: \"Bearer \", from_file: secrets/new.Authorization }\n        X-Region: { from_file: secrets/new.X-Region }",
        ),
        (
            r#"{"httpUrl": "https://a.example.org/mcp", "headers": {"X-Key": "${env:A_KEY}", "Authorization": "Bearer ${input:pat}"}}"#,
            "    http:\n      url: https://a.example.org/mcp\n      headers:\n        X-Key: { from_env: A_KEY }\n        Authorization: { prefix: \"Bearer \", from_file: secrets/new.Authorization }",
        ),
        (
            r#"{"type": "sse", "url": "https://a.example.org/sse"}"#,
            "    http: { url: https://a.example.org/sse }\n# no credential: if the client signs a person in there, the gateway cannot do that yet",
        ),
        (
            r#"{"type": "streamable-http", "serverUrl": "http://127.0.0.1:8080/mcp"}"#,
            "    http: { url: http://127.0.0.1:8080/mcp, allow_loopback: true }\n# allow_loopback: its address is on this machine",
        ),
        (
            r#"{"type": "http", "url": "https://10.1.2.3/mcp", "headers": {"Accept": "text/event-stream", "X-Key": "k"}}"#,
            "    http:\n      url: https://10.1.2.3/mcp\n      headers:\n        X-Key: { from_file: secrets/new.X-Key }\n      allow_private: true\n# not taken over: Accept, which the gateway sets itself\n# allow_private: its address is a private one",
        ),
        (
            r#"{"command": "npx", "args": ["-y", "mcp-remote", "https://a.example.org/mcp", "--header", "Authorization:${H}"], "env": {"H": "Bearer abc"}}"#,
            "    http:\n      url: https://a.example.org/mcp\n      headers:\n        Authorization: { prefix: \"Bearer \", from_file: secrets/new.Authorization }\n# without mcp-remote: the gateway speaks HTTP itself",
        ),
        (
            r#"{"url": "http://inside/mcp", "headers": {"X-Key": "k"}, "alwaysAllow": ["x"]}"#,
            "    http:\n      url: http://inside/mcp\n      headers:\n        X-Key: { from_file: secrets/new.X-Key }\n# not taken over: alwaysAllow\n# plain HTTP: whoever is on the way reads its secrets\n# if its name resolves to a private address, add `allow_private: true` beside the url",
        ),
    ] {
        assert_eq!(entry(json), expected, "{json}");
    }
}

#[test]
fn stdio_entries_become_children_with_references() {
    for (json, expected) in [
        (
            r#"{"command": "npx", "args": ["-y", "@a/b"], "env": {"A_TOKEN": "abc", "LOG": "debug", "COUNT": 3, "EMPTY": ""}}"#,
            "    stdio:\n      command: npx\n      args: [\"-y\", \"@a/b\"]\n      env:\n        A_TOKEN: { from_file: secrets/new.A_TOKEN }\n        LOG: { value: debug }\n        COUNT: { value: \"3\" }\n        EMPTY: { value: \"\" }\n# npx runs whatever version of @a/b is newest: write @a/b@VERSION",
        ),
        (
            r#"{"type": "stdio", "command": "/usr/bin/a", "env": {"A": "${env:A_VAR}", "B": "$B_VAR", "C": "${input:pat}"}}"#,
            "    stdio:\n      command: /usr/bin/a\n      env:\n        A: { from_env: A_VAR }\n        B: { from_env: B_VAR }\n        C: { from_file: secrets/new.C }",
        ),
        (
            r#"{"command": "cmd", "args": ["/c", "node", "yes: no"], "cwd": "/"}"#,
            "    stdio: { command: node, args: [\"yes: no\"], cwd: / }\n# without `cmd /c`, which is for Windows",
        ),
    ] {
        assert_eq!(entry(json), expected, "{json}");
    }
}

#[test]
fn a_secret_that_no_reference_can_hold_is_left_out() {
    for json in [
        r#"{"command": "a", "args": ["--api-key", "CANARY"]}"#,
        r#"{"command": "a", "args": ["--token=CANARY"]}"#,
        r#"{"command": "docker", "args": ["run", "-e", "API_KEY=CANARY", "image"]}"#,
        r#"{"command": "a", "args": ["--header", "Authorization: CANARY"]}"#,
        r#"{"command": "a", "args": ["postgresql://me:CANARY@db.example.org/x"]}"#,
        r#"{"command": "a", "args": ["x", "ghp_CANARY0123456789abcdef"]}"#,
        r#"{"command": "API_KEY=CANARY0a1b2c3d4e5f6a7b8 a"}"#,
        r#"{"url": "https://me:CANARY@a.example.org/mcp"}"#,
        r#"{"url": "https://a.example.org/mcp?api_key=CANARY"}"#,
        r#"{"url": "https://a.example.org/CANARYa1b2c3d4e5f6a7b8/mcp"}"#,
    ] {
        let said = entry(json);
        assert!(
            said.starts_with("left out: ") && said.contains("holds what looks like a secret"),
            "{json}: {said}"
        );
        assert!(!said.contains("CANARY"), "{said}");
    }
}

#[test]
fn what_cannot_be_taken_over_says_why() {
    for (json, why) in [
        ("3", "the entry is no JSON object"),
        ("{}", "neither `command` nor `url`"),
        (r#"{"command": ["a"]}"#, "`command` is no text"),
        (r#"{"command": " "}"#, "`command` is empty"),
        (r#"{"command": "a", "args": "b"}"#, "`args` is no list of texts"),
        (r#"{"command": "a", "env": ["B"]}"#, "`env` is no object of texts"),
        (r#"{"command": "a", "url": "https://a.example.org/"}"#, "both `command` and an address"),
        (
            r#"{"url": "https://a.example.org/", "httpUrl": "https://b.example.org/"}"#,
            "more than one address",
        ),
        (r#"{"type": "ws", "url": "wss://a.example.org/"}"#, "an unknown `type`"),
        (r#"{"type": "stdio"}"#, "`command` is missing"),
        (r#"{"type": "http"}"#, "`url` is missing"),
        (r#"{"url": "ftp://a.example.org/"}"#, "its address is"),
        (r#"{"url": "https://a.example.org/mcp?x=1"}"#, "its address is"),
        (r#"{"url": "http://169.254.169.254/"}"#, "its address is one that is never dialled"),
        (r#"{"url": "${env:URL}"}"#, "its address has a ${...}"),
        (r#"{"url": "https://a.example.org/", "headers": {"A b": "x"}}"#, "a header without a header's name"),
        (
            r#"{"url": "https://a.example.org/", "headers": {"X-A": "x", "x-a": "y"}}"#,
            "the header x-a is there twice",
        ),
        (r#"{"url": "https://a.example.org/", "headers": {"X-A": "a\nb"}}"#, "X-A holds what no header can"),
        (r#"{"url": "https://a.example.org/", "headers": {"X-A": "${B}-${C}"}}"#, "X-A has ${...} in it"),
        (r#"{"command": "a", "args": ["${workspaceFolder}/b"]}"#, "`args` has ${workspaceFolder} in it"),
        (r#"{"command": "a", "args": ["${input:pat}"]}"#, "`args` has ${...} in it"),
        (r#"{"command": "~/a"}"#, "`command` begins with ~"),
        (r#"{"command": "a", "cwd": "/nowhere/at/all"}"#, "the folder of `cwd` is not there"),
        (r#"{"command": "a", "env": {"PATH": "/x:${PATH}"}}"#, "PATH has ${...} in it"),
        (r#"{"command": "a", "env": {"A=B": "x"}}"#, "a variable without a variable's name"),
        (
            r#"{"command": "a", "env": {"A_KEY": "x", "A.KEY": "y"}}"#,
            "A.KEY and another one would share a file",
        ),
    ] {
        let said = entry(json);
        assert!(said.starts_with("left out: ") && said.contains(why), "{json}: {said}");
    }
    assert_eq!(entry(r#"{"command": "a", "disabled": true}"#), "disabled");
}

#[test]
fn names_that_meet_are_told_apart() {
    let folder = house();
    let client = r#"{"mcpServers": {
        "Web": {"url": "https://WEB.example.org:443/mcp"},
        "git": {"command": "git-server", "args": ["--quiet"]},
        "My Tool": {"command": "tool"},
        "my-tool": {"command": "tool"},
        "my_tool": {"command": "tool", "args": ["other"]},
        "Other web": {"url": "https://web.example.org/mcp"},
        "数据": {"command": "tool2"}
    }}"#;
    let plan = planned(folder.path(), client);
    let fates: Vec<String> = plan
        .rows
        .iter()
        .map(|row| match &row.fate {
            Fate::Added => format!("added {}", row.notes.join("; ")),
            Fate::Present => "present".to_owned(),
            Fate::Left(Left::Refused { why, .. }) => why.clone(),
            Fate::Left(Left::Disabled) => "disabled".to_owned(),
        })
        .collect();
    assert_eq!(
        fates,
        [
            "present",
            "there is another server called git",
            "added called my-tool here",
            "present",
            "there is another server called my-tool",
            "added called other-web here; the same server as web, under another name; no credential: if the client signs a person in there, the gateway cannot do that yet",
            "nothing of its name can be a server's name",
        ]
    );
}

const CLIENT: &str = r#"{"mcpServers": {
    "Tracker": {"url": "https://tracker.example.org/mcp", "headers": {"Authorization": "Bearer CANARY-1"}},
    "files": {"command": "files", "env": {"API_KEY": "CANARY-2", "ROOT": "/srv"}}
}}"#;

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.push((path.display().to_string() + "/", Vec::new()));
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_plan_writes_nothing() {
    let folder = house();
    let before = files(folder.path());
    let plan = planned(folder.path(), CLIENT);
    assert!(plan.changes() && plan.verdict().refusal.is_none() && plan.verdict().missing.is_empty());
    assert!(plan.diff().contains("+  tracker:"), "{}", plan.diff());
    assert!(!plan.diff().contains("CANARY"));
    assert_eq!(files(folder.path()), before);
}

#[test]
fn applying_keeps_secrets_privately_and_the_old_file_beside_the_new_one() {
    let folder = house();
    let config = folder.path().join("portunus.yaml");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o640)).unwrap();
    let plan = planned(folder.path(), CLIENT);
    let applied = apply(&plan, &Noon).unwrap();
    let secrets = folder.path().join("secrets");
    assert_eq!(std::fs::read(secrets.join("tracker.Authorization")).unwrap(), b"CANARY-1");
    assert_eq!(std::fs::read(secrets.join("files.API_KEY")).unwrap(), b"CANARY-2");
    assert_eq!((mode(&secrets), mode(&secrets.join("files.API_KEY"))), (0o700, 0o600));
    let backup = applied.backup.unwrap();
    assert_eq!(backup, folder.path().join("portunus.yaml.20251125T120000.000Z.bak"));
    assert_eq!(std::fs::read_to_string(&backup).unwrap(), CONFIG);
    assert_eq!((mode(&backup), mode(&config)), (0o640, 0o640));
    let written = std::fs::read_to_string(&config).unwrap();
    assert!(!written.contains("CANARY") && written.starts_with("# Ours.") && written.contains("# theirs"));
    let settings = crate::config::load(&config).unwrap();
    assert_eq!(settings.servers.len(), 4);

    let after = files(folder.path());
    let again = planned(folder.path(), CLIENT);
    assert!(!again.changes() && again.rows.iter().all(|row| matches!(row.fate, Fate::Present)));
    assert!(apply(&again, &Noon).unwrap().backup.is_none());
    assert_eq!(files(folder.path()), after, "the second time changes nothing");
}

#[test]
fn a_result_that_would_not_pass_changes_nothing() {
    let folder = house();
    let config = folder.path().join("portunus.yaml");
    std::fs::write(&config, CONFIG.replace("level: warn", "format: loud")).unwrap();
    let before = files(folder.path());
    let plan = planned(folder.path(), CLIENT);
    assert!(plan.verdict().refusal.is_some());
    let Err(ApplyError::Refused(refusal)) = apply(&plan, &Noon) else { panic!("applied") };
    assert!(refusal.lines()[0].contains("log.format"), "{:?}", refusal.lines());
    assert_eq!(files(folder.path()), before);
}

#[test]
fn another_secret_at_the_same_place_is_never_overwritten() {
    let folder = house();
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("tracker.Authorization"), "theirs").unwrap();
    std::fs::write(secrets.join("files.API_KEY"), "CANARY-2\n").unwrap();
    let plan = planned(folder.path(), CLIENT);
    assert!(
        matches!(&plan.rows[0].fate, Fate::Left(Left::Refused { why, .. }) if why.contains("holds something else"))
    );
    assert!(matches!(plan.rows[1].fate, Fate::Added));
    // It appears between the plan and its application.
    let late = planned(folder.path(), &CLIENT.replace("Tracker", "Late"));
    std::fs::write(secrets.join("late.Authorization"), "theirs").unwrap();
    let before = files(folder.path());
    assert!(matches!(apply(&late, &Noon), Err(ApplyError::Taken { .. })));
    assert_eq!(files(folder.path()), before);
    apply(&plan, &Noon).unwrap();
    assert_eq!(std::fs::read_to_string(secrets.join("tracker.Authorization")).unwrap(), "theirs");
    assert_eq!(std::fs::read_to_string(secrets.join("files.API_KEY")).unwrap(), "CANARY-2\n");
}

#[test]
fn a_configuration_that_changed_meanwhile_is_not_replaced() {
    let folder = house();
    let plan = planned(folder.path(), CLIENT);
    let config = folder.path().join("portunus.yaml");
    std::fs::write(&config, CONFIG.replace("warn", "info")).unwrap();
    let before = files(folder.path());
    assert!(matches!(apply(&plan, &Noon), Err(ApplyError::Changed { .. })));
    assert_eq!(files(folder.path()), before);
}

#[test]
fn what_root_writes_belongs_to_whom_the_configuration_belongs_to() {
    let folder = house();
    let config = folder.path().join("portunus.yaml");
    if std::os::unix::fs::chown(&config, Some(4711), Some(4712)).is_err() {
        // Only root can give files away, and only root needs to.
        return;
    }
    let applied = apply(&planned(folder.path(), CLIENT), &Noon).unwrap();
    let secrets = folder.path().join("secrets");
    for path in [&config, &applied.backup.unwrap(), &secrets, &secrets.join("files.API_KEY")] {
        let meta = std::fs::metadata(path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4711, 4712), "{}", path.display());
    }
}

#[test]
fn a_link_to_the_configuration_stays_a_link() {
    let folder = house();
    let config = folder.path().join("portunus.yaml");
    let real = folder.path().join("real.yaml");
    std::fs::rename(&config, &real).unwrap();
    std::os::unix::fs::symlink("real.yaml", &config).unwrap();
    apply(&planned(folder.path(), CLIENT), &Noon).unwrap();
    assert!(std::fs::symlink_metadata(&config).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().contains("tracker"));
}

#[test]
fn a_first_configuration_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portunus.yaml");
    let plan = planned(folder.path(), CLIENT);
    let verdict = plan.verdict();
    assert!(verdict.refusal.is_none(), "{:?}", verdict.refusal.map(|refusal| refusal.lines()));
    let applied = apply(&plan, &Noon).unwrap();
    let missing: Vec<&str> = applied.missing.iter().map(|missing| missing.pointer.as_str()).collect();
    assert_eq!(missing, ["/issuers"]);
    assert!(applied.backup.is_none() && folder.path().join("policies").is_dir());
    assert_eq!(mode(&config), 0o600);
    let with_issuer = std::fs::read_to_string(&config).unwrap().replace(
        "# issuers:\n#   - issuer: https://login.example.org/realms/staff   #",
        "issuers:\n  - issuer: https://login.example.org/realms/staff   #",
    );
    std::fs::write(&config, with_issuer).unwrap();
    assert_eq!(crate::config::load(&config).unwrap().servers.len(), 2);
}

#[test]
fn what_a_person_has_to_bring_gets_an_empty_place() {
    let folder = house();
    let client = r#"{"inputs": [{"id": "pat", "description": "Your token"}], "servers": {
        "asks": {"command": "a", "env": {"PAT": "${input:pat}"}},
        "reads": {"command": "a", "env": {"PAT": "${env:PORTUNUS_NO_SUCH_VARIABLE}"}}
    }}"#;
    let plan = planned(folder.path(), client);
    let asked = |(_, kept): &(_, Kept)| matches!(&kept.place, Place::File(_, Content::Asked(what)) if what == "Your token");
    assert!(plan.kept.iter().any(asked));
    let applied = apply(&plan, &Noon).unwrap();
    let missing: Vec<&str> = applied.missing.iter().map(|missing| missing.pointer.as_str()).collect();
    assert_eq!(missing, ["/servers/asks", "/servers/reads"]);
    let place = folder.path().join("secrets/asks.PAT");
    assert_eq!((std::fs::read(&place).unwrap().len(), mode(&place)), (0, 0o600));
}

#[test]
fn a_configuration_in_braces_is_not_touched() {
    let folder = house();
    let config = folder.path().join("portunus.yaml");
    std::fs::write(&config, r#"{"version": 1, "servers": {}}"#).unwrap();
    let source =
        source::parse(Zeroizing::new(CLIENT.as_bytes().to_vec())).unwrap_or_else(|error| panic!("{error}"));
    let error = plan(source, &config).err().unwrap();
    assert!(matches!(error, PlanError::Insert { .. }));
    assert!(error.to_string().contains("line 1: `servers` is written in braces"), "{error}");
}
