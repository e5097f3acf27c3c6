//! What is revoked is refused on every replica, whatever kind of thing it is, and a replica that does not know what was
//! revoked refuses what it must (T9 of the plan). Three gateways on one database, of either kind.

use super::bed::{UP, code, served};
use authn::revocations::{Kind, Revocation, lift, revoke};
use model::{Digest, FixedClock};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, Place, on, sqlx};
use testdb::TestDb;
use testkit::{Act, Caller, FakeIdp, FakeUpstream, Setup, TestGateway, Token, clock, eventually};
use tokio::net::{TcpListener, TcpStream};

/// Gateways that share a database and their keys.
pub(crate) struct Fleet {
    pub(crate) idp: FakeIdp,
    pub(crate) up: FakeUpstream,
    pub(crate) db: Db,
    pub(crate) gateways: Vec<TestGateway>,
    storage: Value,
    _test: TestDb,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// So many gateways on this database.
    pub(crate) async fn of(test: TestDb, size: usize) -> Self {
        let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
        let folder = tempfile::tempdir().unwrap();
        let storage = storage_of(&test, folder.path(), None);
        let mut gateways = Vec::new();
        for _ in 0..size {
            let setup = Setup::trusting(&idp).server("up", &up).set(&["storage"], storage.clone());
            gateways.push(setup.set(&["keys_dir"], json!(folder.path().join("keys"))).start().await);
        }
        Self { idp, up, db: test.again().await, gateways, storage, _test: test, folder }
    }

    /// Another gateway on the same database, with this server only.
    pub(crate) async fn beside(&self, server: Value) -> TestGateway {
        let setup = Setup::trusting(&self.idp).set(&["servers", "child"], server);
        let setup = setup.set(&["storage"], self.storage.clone());
        setup.set(&["keys_dir"], json!(self.folder.path().join("keys"))).start().await
    }

    /// Revokes as another process would.
    pub(crate) async fn revoke(&self, revocation: Revocation) {
        revoke(&self.db, &revocation, clock().now()).await.unwrap();
    }

    /// A caller at each gateway with a token of its own that is remembered there.
    async fn callers(&self, token: impl Fn(&TestGateway) -> Token) -> Vec<(Caller, String)> {
        let mut callers = Vec::new();
        for gateway in &self.gateways {
            let signed = token(gateway).sign();
            let caller = Caller::new(gateway.address(), UP, Some(signed.clone()));
            served(&caller.call("echo", json!({"text": "before"})).await, "before");
            callers.push((caller, signed));
        }
        callers
    }
}

/// Section `storage` for a database of a test; PostgreSQL perhaps by another port.
pub(crate) fn storage_of(test: &TestDb, folder: &std::path::Path, port: Option<u16>) -> Value {
    match &test.config.place {
        Place::Sqlite(path) => json!({"sqlite": path}),
        Place::Postgres(url) => {
            let url = url.lend(|url| String::from_utf8(url.to_vec()).unwrap());
            let (before, after) = url.rsplit_once(':').unwrap();
            let (usual, database) = after.split_once('/').unwrap();
            let port = port.map_or(usual.to_owned(), |port| port.to_string());
            let file = folder.join(format!("url-{port}"));
            std::fs::write(&file, format!("{before}:{port}/{database}")).unwrap();
            json!({"postgres": {"from_file": file}})
        }
    }
}

/// Waits until a call is refused as revoked.
pub(crate) async fn is_refused(caller: &Caller) {
    let refused = eventually("a refusal", || async {
        let reply = caller.call("echo", json!({"text": "after"})).await;
        (!reply.is_success()).then_some(reply)
    })
    .await;
    assert_eq!((refused.status, code(&refused).as_str()), (401, "PTN-2100"), "{}", refused.text());
    assert!(refused.headers["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    // And for good.
    assert_eq!(caller.call("echo", json!({"text": "again"})).await.status, 401);
}

#[tokio::test]
async fn every_kind_of_thing_is_refused_on_every_replica_once_it_is_revoked() {
    for test in TestDb::each().await {
        let fleet = Fleet::of(test, 3).await;
        let bystanders = fleet.callers(|gateway| gateway.token(&fleet.idp, "bystander", UP)).await;
        let named = |kind: Kind| {
            let (idp, name) = (&fleet.idp, kind.as_str());
            move |gateway: &TestGateway| {
                let actors = json!({"sub": "another", "act": {"sub": format!("agent-of-{name}")}});
                gateway
                    .token(idp, &format!("user-of-{name}"), UP)
                    .claim("jti", format!("jti-of-{name}"))
                    .claim("grant_id", format!("grant-of-{name}"))
                    .claim("sid", format!("session-of-{name}"))
                    .claim("client_id", format!("client-of-{name}"))
                    .claim("act", actors)
            }
        };
        for (kind, id) in [
            (Kind::Token, "jti-of-token"),
            (Kind::Grant, "grant-of-grant"),
            (Kind::Session, "session-of-session"),
            (Kind::User, "user-of-user"),
            (Kind::Agent, "agent-of-agent"),
            (Kind::Client, "client-of-client"),
        ] {
            let callers = fleet.callers(named(kind)).await;
            fleet.revoke(Revocation::new(kind, id, "operator").because("the test says so")).await;
            for (caller, _) in &callers {
                is_refused(caller).await;
            }
        }
        // By its digest one token is meant, and no other of the same person.
        let callers = fleet.callers(|gateway| gateway.token(&fleet.idp, "digested", UP)).await;
        let digest = Digest::of(callers[1].1.as_bytes()).to_string();
        fleet.revoke(Revocation::new(Kind::Token, digest, "operator")).await;
        is_refused(&callers[1].0).await;
        for (caller, _) in bystanders.iter().chain([&callers[0], &callers[2]]) {
            served(&caller.call("echo", json!({"text": "still here"})).await, "still here");
        }
        // A key last: it is everybody's.
        let kid = fleet.idp.key("ES256").public()["kid"].as_str().unwrap().to_owned();
        fleet.revoke(Revocation::new(Kind::Key, kid, "operator").of_issuer(fleet.idp.issuer())).await;
        for (caller, _) in &bystanders {
            is_refused(caller).await;
        }
        // Each replica has on record what it took up, and from whom.
        for gateway in &fleet.gateways {
            let taken = || async {
                let found = gateway.record().into_iter().filter(|found| found.leaf["what"] == "revoked");
                let found: Vec<Value> = found.map(|found| found.leaf).collect();
                (found.len() == 8).then_some(found)
            };
            let taken = eventually("all of them on record", taken).await;
            assert_eq!(taken[3]["about"], json!({"kind": "user", "id": "user-of-user"}));
            assert_eq!(
                (&taken[3]["by"], &taken[3]["detail"]),
                (&json!("operator"), &json!("the test says so"))
            );
        }
    }
}

#[tokio::test]
async fn whoever_signs_in_again_is_let_in_and_what_is_taken_back_is_good_again() {
    let fleet = Fleet::of(TestDb::sqlite().await, 1).await;
    let gateway = &fleet.gateways[0];
    let now = clock().now();
    let old = fleet.callers(|gateway| gateway.token(&fleet.idp, "alice", UP)).await;
    fleet.revoke(Revocation::new(Kind::User, "alice", "alice").issued_before(now)).await;
    is_refused(&old[0].0).await;
    // Beyond what the clocks of two machines may differ by.
    let later = gateway.token(&fleet.idp, "alice", UP).claim("iat", now.seconds() + 3);
    served(&gateway.with_token(UP, &later).call("echo", json!({"text": "anew"})).await, "anew");
    let revocation = Revocation::new(Kind::User, "bob", "operator");
    let bob = fleet.callers(|gateway| gateway.token(&fleet.idp, "bob", UP)).await;
    fleet.revoke(revocation.clone()).await;
    is_refused(&bob[0].0).await;
    assert!(lift(&fleet.db, &revocation, clock().now()).await.unwrap());
    eventually("to be let in again", || async {
        bob[0].0.call("echo", json!({})).await.is_success().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_replica_without_its_database_refuses_writes_and_then_everything() {
    for test in TestDb::each().await {
        let time = Arc::new(FixedClock::at(clock().now()));
        let idp = FakeIdp::start(Arc::<FixedClock>::clone(&time)).await;
        let up = FakeUpstream::start().await;
        let folder = tempfile::tempdir().unwrap();
        let storage = storage_of(&test, folder.path(), None);
        let setup = Setup::trusting(&idp).server("up", &up).set(&["storage"], storage);
        let gateway = setup.clock(Arc::<FixedClock>::clone(&time)).start().await;
        let caller = gateway.caller(&idp, "alice", UP);
        served(&caller.call("write", json!({"text": "one"})).await, "one");
        // Time that passes while the database answers is no reason to refuse.
        time.advance(Duration::from_secs(60));
        served(&caller.call("write", json!({"text": "two"})).await, "two");

        rename(&test.db, "ALTER TABLE revocations RENAME TO elsewhere").await;
        // From the next look on it is known that it cannot be known.
        let state = async |state: &str| {
            let text = format!("\"state\":\"{state}\"");
            eventually(&format!("revocations to be {state}"), || async {
                let ready = gateway.admin("/readyz").await.text();
                ready.replace(": ", ":").contains(&text).then_some(())
            })
            .await;
        };
        let refused = async |tool: &str| {
            let refused = || async {
                let reply = caller.call(tool, json!({"text": "no"})).await;
                (!reply.is_success()).then_some(reply)
            };
            let reply = eventually("a refusal", refused).await;
            assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-2101"), "{}", reply.text());
            assert_eq!(reply.headers["retry-after"], "1");
        };
        tokio::time::sleep(Duration::from_millis(300)).await;
        time.advance(Duration::from_secs(2));
        state("stale").await;
        refused("write").await;
        served(&caller.call("echo", json!({"text": "a plain read"})).await, "a plain read");
        assert!(caller.tools().await.contains(&"echo".to_owned()));
        time.advance(Duration::from_secs(30));
        state("lost").await;
        refused("echo").await;

        rename(&test.db, "ALTER TABLE elsewhere RENAME TO revocations").await;
        state("fresh").await;
        served(&caller.call("write", json!({"text": "again"})).await, "again");
        let events = || async {
            let record = gateway.record();
            let has = |what: &str| record.iter().any(|found| found.leaf["what"] == what);
            (has("view_stale") && has("view_fresh")).then_some(())
        };
        eventually("both on record", events).await;
    }
}

#[tokio::test]
async fn an_older_clients_answer_to_a_server_waits_until_it_is_known_what_was_revoked() {
    let test = TestDb::sqlite().await;
    let time = Arc::new(FixedClock::at(clock().now()));
    let idp = FakeIdp::start(Arc::<FixedClock>::clone(&time)).await;
    let question = json!({"message": "sure?", "requestedSchema": {"type": "object", "properties": {}}});
    let up = FakeUpstream::start().await.with("ask", Act::Ask("elicitation/create".to_owned(), question));
    let folder = tempfile::tempdir().unwrap();
    let storage = storage_of(&test, folder.path(), None);
    let setup = Setup::trusting(&idp).server("up", &up).set(&["storage"], storage);
    let gateway = setup.clock(Arc::<FixedClock>::clone(&time)).start().await;
    let caller = gateway.caller(&idp, "alice", UP).capable_of(json!({"elicitation": {}})).open().await;
    let call = caller.request("tools/call", json!({"name": "ask", "arguments": {}}));
    let mut stream = caller.stream(call).await;
    let asked = stream.next().await.unwrap();
    assert_eq!(asked["method"], "elicitation/create", "{asked}");

    rename(&test.db, "ALTER TABLE revocations RENAME TO elsewhere").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    time.advance(Duration::from_secs(2));
    let result = json!({"action": "accept", "content": {"said": "yes"}});
    let answer = caller.post(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}));
    let ready = async |state: &str| {
        eventually(&format!("revocations to be {state}"), || async {
            let ready = gateway.admin("/readyz").await.text().replace(": ", ":");
            ready.contains(&format!("\"state\":\"{state}\"")).then_some(())
        })
        .await;
    };
    ready("stale").await;
    let reply = caller.send(answer.clone()).await;
    assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-2101"), "{}", reply.text());
    assert_eq!(reply.headers["retry-after"], "1");
    let said = || up.seen().iter().any(|seen| String::from_utf8_lossy(&seen.body).contains("\"said\""));
    assert!(!said(), "the server heard an answer");

    // The question still waits, and its answer is taken once that is known.
    rename(&test.db, "ALTER TABLE elsewhere RENAME TO revocations").await;
    ready("fresh").await;
    assert_eq!(caller.send(answer).await.status, 202);
    let done = stream.next().await.unwrap();
    assert!(done["result"]["content"][0]["text"].as_str().unwrap().contains("yes"), "{done}");
    assert!(said());
}

async fn rename(db: &Db, text: &'static str) {
    on!(db, pool => sqlx::query(text).execute(pool).await.map(drop)).unwrap();
}

/// A wire to PostgreSQL that can be cut.
struct Wire {
    port: u16,
    to: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Wire {
    async fn to(to: u16, port: u16) -> Self {
        let bind = || async { TcpListener::bind(("127.0.0.1", port)).await.ok() };
        let listener = eventually("a port", bind).await;
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let Ok(mut far) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
                open.spawn(async move { drop(tokio::io::copy_bidirectional(&mut near, &mut far).await) });
            }
        });
        Self { port, to, task }
    }

    /// Cuts it, and everything on it.
    async fn cut(&mut self) {
        self.task.abort();
        drop((&mut self.task).await);
    }

    async fn mend(&mut self) {
        *self = Self::to(self.to, self.port).await;
    }
}

#[tokio::test]
async fn a_replica_cut_off_from_postgresql_refuses_writes_while_the_others_serve() {
    let Some(test) = TestDb::postgres().await else { return };
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    let folder = tempfile::tempdir().unwrap();
    let url = storage_of(&test, folder.path(), None)["postgres"]["from_file"].as_str().unwrap().to_owned();
    let url = std::fs::read_to_string(url).unwrap();
    let to = url.rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap();
    let mut wire = Wire::to(to, 0).await;
    let mut gateways = Vec::new();
    for port in [None, Some(wire.port)] {
        let setup = Setup::trusting(&idp).server("up", &up);
        let setup = setup.set(&["keys_dir"], json!(folder.path().join("keys")));
        gateways.push(setup.set(&["storage"], storage_of(&test, folder.path(), port)).start().await);
    }
    let callers: Vec<_> = gateways.iter().map(|gateway| gateway.caller(&idp, "alice", UP)).collect();
    let writes = async |caller: &Caller| caller.call("write", json!({"text": "w"})).await;
    let served_again = async |caller: &Caller| {
        eventually("to be served", || async { writes(caller).await.is_success().then_some(()) }).await;
    };
    served_again(&callers[1]).await;
    wire.cut().await;
    let refused = || async {
        let reply = writes(&callers[1]).await;
        (!reply.is_success()).then_some(reply)
    };
    let reply = eventually("a refusal", refused).await;
    assert_eq!((reply.status, code(&reply).as_str()), (503, "PTN-2101"), "{}", reply.text());
    served_again(&callers[0]).await;
    // What is revoked meanwhile is known as soon as anything is served again.
    revoke(&test.db, &Revocation::new(Kind::User, "bob", "operator"), clock().now()).await.unwrap();
    wire.mend().await;
    served_again(&callers[1]).await;
    let bob = gateways[1].caller(&idp, "bob", UP).call("write", json!({"text": "w"})).await;
    assert_eq!((bob.status, code(&bob).as_str()), (401, "PTN-2100"), "{}", bob.text());
}
