//! Tables of faults: what is said, where, and what would be accepted.

use super::*;

const GOOD: &str = "
version: 1
issuers:
  - issuer: https://idp.example.org
    claims: { client: [client_id, azp], roles: realm_access.roles }
servers:
  git:
    stdio: { command: mcp-server-git, args: [--verbose], env: { LANG: { value: C } } }
    impact: { tools: { git_log: read } }
  web:
    http: { url: https://web.example.org/mcp }
    timeout: 30s
toolsets:
  dev: { tools: [git/git_log, web/*] }
limits: { request_bytes: 1MiB, call_timeout: 1m, json_depth: 32 }
traces: { endpoint: 'http://10.0.0.1:4318/v1/traces', sample: 0.25 }
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    folder
}

/// Each fault as `line path: what`.
fn faults(text: &str) -> Vec<String> {
    let folder = folder();
    let refusal = parse("portunus.yaml", text, folder.path()).err().expect("refused");
    let line = |fault: &Fault| fault.line().map_or_else(|| "-".to_owned(), |line| line.to_string());
    refusal.faults().iter().map(|fault| format!("{} {fault}", line(fault))).collect()
}

#[test]
fn a_good_file_becomes_settings() {
    let folder = folder();
    let settings =
        parse("portunus.yaml", GOOD, folder.path()).map_err(|refusal| refusal.render(false)).unwrap();
    assert_eq!(settings.limits.request_bytes, 1 << 20);
    assert_eq!(settings.servers.len(), 2);
    let git = settings.servers.values().next().unwrap();
    assert_eq!(git.impact.of("git_log"), model::Impact::Read);
    assert_eq!(git.impact.of("git_commit"), model::Impact::ExternalOrRegulated);
    assert_eq!(git.timeout, std::time::Duration::from_secs(60));
    assert_eq!(settings.data_dir, folder.path().join("data"));
    assert_eq!(settings.listen.address.to_string(), "127.0.0.1:7575");
    let traces = settings.traces.unwrap();
    assert_eq!((traces.sample, traces.service_name.as_str()), (0.25, "portunus"));
}

#[test]
fn all_faults_come_at_once_with_their_places() {
    let text = "
version: 2
lisen: { address: 1.2.3.4:1 }
listen:
  address: localhost
  public_url: http://mcp.example.org/x
admin: { address: 127.0.0.1:99999 }
issuers:
  - issuer: idp.example.org
    algorithms: [HS256]
  - isuer: https://idp.example.org
servers:
  Git: { stdio: { command: git } }
  both: { stdio: { command: x }, http: { url: https://a.example.org/ } }
  neither: {}
  web:
    http: { url: https://web.example.org/mcp, headers: { Mcp-Name: { from_file: x } } }
    timeout: 30
    impact: { tools: { a: reed } }
  typo: { http: { url: 'http://127.0.0.1/mcp', hedaers: {} } }
toolsets:
  dev: { tools: [git/x, webb/*, nonsense] }
limits: { request_bytes: 12, json_depth: 0, sessionz: 3 }
traces: { endpoint: 'http://127.0.0.1:4318', sample: 1.5, service_name: '', headers: { Host: { from_env: CARGO_PKG_NAME } } }
";
    let found = faults(text);
    let expected = [
        "2 version: unknown version (it is 2)",
        "3 lisen: unknown key `lisen`",
        "5 listen.address: not an address and port",
        "6 listen.public_url: a public URL has no path",
        "7 admin.address: not an address and port",
        "10 issuers.0.algorithms.0: no such choice",
        "11 issuers.1.isuer: unknown key `isuer`",
        "11 issuers.1: `issuer` is missing",
        "13 servers.Git: not a server's name",
        "14 servers.both: both `http` and `stdio`",
        "15 servers.neither: nothing says how to reach it",
        "18 servers.web.timeout: a number where it does not belong",
        "19 servers.web.impact.tools.a: no such choice",
        "20 servers.typo.http.url: a loopback address",
        "20 servers.typo.http.hedaers: unknown key `hedaers`",
        "22 toolsets.dev.tools.0: no server `git`",
        "22 toolsets.dev.tools.1: no server `webb`",
        "22 toolsets.dev.tools.2: \"nonsense\" is not `server/name`",
        "23 limits.request_bytes: a number where it does not belong",
        "23 limits.sessionz: unknown key `sessionz`",
        "24 traces.endpoint: an address without a path",
        "24 traces.sample: not a share",
        "24 traces.service_name: no name",
        "24 traces.headers: the header host belongs to the protocol",
    ];
    for line in expected {
        assert!(found.iter().any(|fault| fault.starts_with(line)), "{line}\nin {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn each_fault_says_what_would_be_accepted() {
    let folder = folder();
    for (text, accepted) in [
        ("version: 1\nsevrers: {}", "did you mean `servers`?"),
        ("version: 1\nlimits: { head_timeout: soon }", "(\"30s\")"),
        ("version: 1\nlimits: { head_bytes: 4 MB }", "(\"4MiB\")"),
        ("version: 1\nrecord: { arguments: values }", "one of digest, value"),
        ("version: 1\npolicy_zone: Mars/Olympus", "Europe/Berlin"),
        ("version: 1\nservers: { a: { http: { url: 'http://127.0.0.1/mcp' } } }", "`allow_loopback: true`"),
        (
            "version: 1\nlisten: { address: '0.0.0.0:1', danger_anonymous: { user: a, tenant: b } }",
            "a loopback `listen.address`",
        ),
        (
            "version: 1\nauthorization_server: { tenants: { a: { providers: [{ name: g, profile: google, \
             issuer: 'https://accounts.google.com', client_id: c }] } } }",
            "the one organisation whose people are let in",
        ),
        ("version: 1\nversion: 1", "each key once"),
        ("version: 1\ntraces: {}", "a `endpoint` here"),
        ("version: 1\ntraces: { endpoint: 'ftp://a/v1/traces' }", "http://127.0.0.1:4318/v1/traces"),
        (
            "version: 1\ntraces: { endpoint: 'http://169.254.1.1/v1/traces' }",
            "http://127.0.0.1:4318/v1/traces",
        ),
        ("version: [", "YAML 1.2"),
        ("", "version: 1"),
    ] {
        let refusal = parse("portunus.yaml", text, folder.path()).err().expect(text);
        let shown = refusal.render(false);
        assert!(shown.contains(accepted), "{text}\n{accepted}\n{shown}");
    }
}

#[test]
fn a_pasted_secret_is_not_repeated() {
    let folder = folder();
    let text = "version: 1\nservers:\n  a:\n    http:\n      url: https://a.example.org/\n      headers:\n        Authorization: hunter2\n";
    let refusal = parse("portunus.yaml", text, folder.path()).err().expect("refused");
    assert!(refusal.faults().iter().any(|fault| fault.pointer() == "/servers/a/http/headers/Authorization"));
    assert!(!format!("{:?}", refusal.lines()).contains("hunter2"));
    assert!(!refusal.faults().iter().any(|fault| fault.to_json().to_string().contains("hunter2")));
}

#[test]
fn the_schema_accepts_what_the_reader_accepts() {
    let value: serde_json::Value = serde_saphyr::from_str(GOOD).unwrap();
    assert!(jsonschema::is_valid(&schema(), &value));
}

#[test]
fn every_key_is_described() {
    let reference = reference();
    for line in reference.lines().filter(|line| line.starts_with("| `")) {
        assert!(!line.ends_with("|  |"), "{line}");
    }
    assert!(reference.contains("| `servers.<name>.impact.default` | `read`"), "{reference}");
    assert!(reference.contains("| `limits.call_timeout` | a length of time"), "{reference}");
}

#[test]
fn the_place_of_the_record_needs_no_secret_and_no_server() {
    let folder = folder();
    let file = folder.path().join("portunus.yaml");
    let secret = "servers: { web: { http: { url: https://web.example.org/, headers: { Key: { from_file: gone } } } } }";
    std::fs::write(&file, format!("version: 1\ndata_dir: kept\n{secret}\n")).unwrap();
    assert!(super::load(&file).is_err());
    assert_eq!(super::data_dir(&file).unwrap(), folder.path().join("kept"));
    std::fs::write(&file, "version: 1\n").unwrap();
    assert_eq!(super::data_dir(&file).unwrap(), folder.path().join("data"));
    std::fs::write(&file, "data_dir: [").unwrap();
    assert!(super::data_dir(&file).is_err());
}
