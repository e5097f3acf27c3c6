//! Every operation of the description is tried by nobody, by a stranger, without its scope, by an agent alone, by the
//! administrator of another tenant, and by whoever may. The description drives it: an operation without a row below fails.

use super::bed::{AdminBed, SCOPES, Someone, good, problem};
use super::rows::{Prepared, rows};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::Reply;

/// An operation, as the description has it.
struct Operation {
    name: String,
    method: Method,
    path: String,
    /// The scope it needs; an empty one: a token and no scope; none: nothing.
    scope: Option<String>,
}

async fn operations(bed: &AdminBed) -> Vec<Operation> {
    let description = good(&bed.get(&Someone(None), "/openapi.json").await);
    let mut found = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let requirement = &operation["security"][0];
            let scopes = requirement.get("bearer").map(|scopes| scopes.as_array().unwrap().clone());
            found.push(Operation {
                name: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                scope: scopes
                    .map(|scopes| scopes.first().map_or("", |scope| scope.as_str().unwrap()).to_owned()),
            });
        }
    }
    found
}

impl Operation {
    fn writes(&self) -> bool {
        self.scope.as_deref().is_some_and(|scope| scope.ends_with(":write"))
    }

    /// Whose it is: `self`, `admin` or `operator`.
    fn level(&self) -> &str {
        self.scope.as_deref().unwrap_or_default().split(':').next().unwrap_or_default()
    }

    fn at(&self, ids: &[(&str, String)]) -> String {
        let path = ids.iter().fold(self.path.clone(), |path, (name, id)| {
            let encoded: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
            path.replace(&format!("{{{name}}}"), &encoded)
        });
        assert!(!path.contains('{'), "{}: an id of {path} is not prepared", self.name);
        path
    }

    async fn by(&self, bed: &AdminBed, who: &Someone, prepared: &Prepared) -> Reply {
        self.by_at(bed, who, &self.at(&prepared.ids), prepared).await
    }

    async fn by_at(&self, bed: &AdminBed, who: &Someone, path: &str, prepared: &Prepared) -> Reply {
        let tag: Vec<(&str, &str)> = prepared.tag.iter().map(|tag| ("if-match", tag.as_str())).collect();
        let path = format!("{path}{}", prepared.query);
        bed.ask_with(who, &self.method, &path, prepared.body.as_ref(), &tag).await
    }
}

#[tokio::test]
async fn every_operation_is_refused_to_all_but_those_who_may() {
    let bed = AdminBed::open().await;
    let operations = operations(&bed).await;
    let rows = rows();
    let described: BTreeSet<&str> = operations.iter().map(|operation| operation.name.as_str()).collect();
    let tried: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    assert_eq!(described, tried, "every operation of the description has a row, and every row an operation");
    for operation in &operations {
        let row = rows.iter().find(|row| row.name == operation.name).unwrap();
        let prepared = (row.prepare)(&bed).await;
        nobody(&bed, operation, &prepared).await;
        if operation.scope.is_none() {
            continue;
        }
        strangers(&bed, operation, &prepared).await;
        agents(&bed, operation, &prepared).await;
        other_tenants(&bed, operation, &prepared).await;
        let before = bed.events("admin_changed").len();
        let reply = operation.by(&bed, &prepared.who, &prepared).await;
        assert!((200..300).contains(&reply.status), "{}: {}", operation.name, reply.text());
        assert_eq!(reply.headers["cache-control"], "no-store");
        if operation.writes() {
            on_record(&bed, operation, &prepared, before);
        }
    }
}

async fn nobody(bed: &AdminBed, operation: &Operation, prepared: &Prepared) {
    let reply = operation.by(bed, &Someone(None), prepared).await;
    if operation.scope.is_none() {
        assert_eq!(reply.status, 200, "{} is for everybody", operation.name);
        return;
    }
    assert_eq!(problem(&reply), (401, "PTN-2001".to_owned()), "{}: {}", operation.name, reply.text());
    let challenge = reply.headers["www-authenticate"].to_str().unwrap();
    let metadata = bed.gateway.resource("/.well-known/oauth-protected-resource/api/v1");
    assert!(challenge.starts_with("Bearer ") && challenge.contains(&metadata), "{challenge}");
    for (name, token) in [
        ("of another endpoint", bed.gateway.token(&bed.idp, "olga", "/mcp").claim("scope", SCOPES)),
        (
            "of the origin alone",
            bed.token("olga", "house", "operator").claim("aud", bed.gateway.resource("")),
        ),
        ("expired", bed.token("olga", "house", "operator").claim("exp", 1)),
        ("of another type", bed.token("olga", "house", "operator").header("typ", "JWT")),
    ] {
        let reply = operation.by(bed, &Someone(Some(token.sign())), prepared).await;
        assert_eq!(problem(&reply), (401, "PTN-2002".to_owned()), "{} with one {name}", operation.name);
        assert!(reply.headers["www-authenticate"].to_str().unwrap().contains("error=\"invalid_token\""));
    }
}

async fn strangers(bed: &AdminBed, operation: &Operation, prepared: &Prepared) {
    let stranger = bed.someone("mallory", "acme", "reader");
    let reply = operation.by(bed, &stranger, prepared).await;
    match operation.level() {
        "admin" | "operator" => {
            assert_eq!(problem(&reply), (403, "PTN-2120".to_owned()), "{}: {}", operation.name, reply.text());
        }
        // What is a person's own is not a stranger's.
        _ if !prepared.ids.is_empty() => {
            assert_eq!(problem(&reply), (404, "PTN-2122".to_owned()), "{}: {}", operation.name, reply.text());
        }
        _ => {}
    }
    // An operator's role, out of the operators' tenant, is nothing; neither is an operator's operation an administrator's.
    if operation.level() == "operator" {
        for who in [bed.someone("eve", "globex", "operator"), bed.admin_of("acme"), bed.admin_of("house")] {
            let reply = operation.by(bed, &who, prepared).await;
            assert_eq!(problem(&reply), (403, "PTN-2120".to_owned()), "{}: {}", operation.name, reply.text());
        }
    }
    let Some(scope) = operation.scope.as_deref().filter(|scope| !scope.is_empty()) else { return };
    let others: Vec<&str> = SCOPES.split(' ').filter(|other| *other != scope).collect();
    for role in ["operator", "admin"] {
        let token = bed.token("olga", "house", role).claim("scope", others.join(" ")).sign();
        let reply = operation.by(bed, &Someone(Some(token)), prepared).await;
        assert_eq!(problem(&reply), (403, "PTN-2004".to_owned()), "{}: {}", operation.name, reply.text());
        let challenge = reply.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{challenge}");
    }
}

/// An agent alone changes nothing, whatever its roles and scopes; what is a person's own is not an agent's.
async fn agents(bed: &AdminBed, operation: &Operation, prepared: &Prepared) {
    if !operation.writes() && operation.level() != "self" {
        return;
    }
    let token = bed.token("agt_1", "house", "operator").claim("client_id", "agt_1").sign();
    let reply = operation.by(bed, &Someone(Some(token)), prepared).await;
    assert_eq!(problem(&reply), (403, "PTN-2121".to_owned()), "{}: {}", operation.name, reply.text());
}

/// A thing of another tenant answers exactly as one that does not exist.
async fn other_tenants(bed: &AdminBed, operation: &Operation, prepared: &Prepared) {
    if operation.level() != "admin" || !prepared.is_of_acme {
        return;
    }
    let admin = bed.admin_of("globex");
    let known = operation.by(bed, &admin, prepared).await;
    assert_eq!(problem(&known), (404, "PTN-2122".to_owned()), "{}: {}", operation.name, known.text());
    let ids: Vec<(&str, String)> =
        prepared.ids.iter().map(|(name, id)| (*name, id.chars().map(other).collect())).collect();
    if ids.is_empty() {
        return;
    }
    let unknown = operation.by_at(bed, &admin, &operation.at(&ids), prepared).await;
    let bare = |reply: &Reply| {
        let mut body: Value = serde_json::from_slice(&reply.body).unwrap();
        body["reference"] = json!(null);
        (reply.status, body, reply.headers.keys().map(ToString::to_string).collect::<BTreeSet<_>>())
    };
    assert_eq!(bare(&known), bare(&unknown), "{}", operation.name);
}

/// Another id of the same shape.
fn other(c: char) -> char {
    match c {
        '0'..='8' => char::from_u32(u32::from(c) + 1).unwrap(),
        '9' => '1',
        _ => c,
    }
}

/// The change is on record: its intent first, then that it happened, with who and what.
fn on_record(bed: &AdminBed, operation: &Operation, prepared: &Prepared, before: usize) {
    let changed = bed.events("admin_changed");
    assert_eq!(changed.len(), before + 1, "{}", operation.name);
    let changed = changed.last().unwrap();
    let intended = bed.events("admin_intended");
    let intended = intended.iter().rfind(|event| event["detail"] == changed["detail"]).unwrap();
    assert!(intended["seq"].as_u64() < changed["seq"].as_u64());
    for event in [intended, changed] {
        assert_eq!(event["name"], operation.name.as_str());
        assert!(!event["by"].as_str().unwrap().is_empty() && !event["tenant"].as_str().unwrap().is_empty());
    }
    if let Some((_, id)) = prepared.ids.last() {
        assert_eq!(intended["about"]["id"], id.as_str(), "{intended}");
    }
    if operation.method == Method::POST && prepared.ids.is_empty() && prepared.creates {
        assert!(changed["about"]["id"].is_string(), "{changed}");
    }
}

#[tokio::test]
async fn no_method_answers_that_the_description_lacks() {
    let bed = AdminBed::open().await;
    let operations = operations(&bed).await;
    let operator = bed.operator();
    for path in operations.iter().map(|operation| &operation.path).collect::<BTreeSet<_>>() {
        let known: BTreeSet<&str> = operations
            .iter()
            .filter(|other| other.path == *path)
            .map(|other| other.method.as_str())
            .collect();
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if known.contains(method) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let reply = bed.ask(&operator, &method, &path.replace(['{', '}'], ""), None).await;
            assert_eq!(problem(&reply), (405, "PTN-2122".to_owned()), "{method} {path}: {}", reply.text());
        }
    }
    for path in ["/", "", "/nothing", "/keys/", "/openapi.json/x"] {
        assert_eq!(problem(&bed.get(&operator, path).await), (404, "PTN-2122".to_owned()), "{path}");
        // Who is not known is not told what is there.
        assert_eq!(problem(&bed.get(&Someone(None), path).await), (401, "PTN-2001".to_owned()), "{path}");
    }
}
