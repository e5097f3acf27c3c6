//! Many conversations at once that break off, expire, are replayed and lose their servers: nothing of them is left, and
//! nobody gets another's answer. A few in every run of the tests; `cargo xtask soak` sets the long counts.

use super::bed::answering;
use model::{Dice, SeededDice};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use testkit::{
    Act, Caller, Era, FakeIdp, FakeUpstream, Reply, Setup, Stream, TestGateway, clock, eventually,
};
use tokio::task::JoinSet;

/// A count of this test: few, or what the soak says.
fn count(variable: &str, few: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// Dice that several tasks throw.
struct Chance(SeededDice);

impl Chance {
    fn of(&self, sides: u8) -> u8 {
        let mut byte = [0];
        self.0.fill(&mut byte);
        byte[0] % sides
    }
}

/// A gateway between servers of both eras.
struct Town {
    idp: FakeIdp,
    older: FakeUpstream,
    newer: FakeUpstream,
    gateway: TestGateway,
    chance: Chance,
}

const OLDER: &str = "/servers/older/mcp";
const NEWER: &str = "/servers/newer/mcp";
const PIPES: &str = "/servers/pipes/mcp";

/// An older server on its pipes, whose tool asks for a name and says it.
const ASKS_ON_PIPES: &str = r#"
while read -r line; do
  id=${line#*'"id":'}; id=${id%%[,\}]*}
  case $line in
    *'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}}\n' "$id" ;;
    *'"tools/list"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"ask","inputSchema":{"type":"object"}}]}}\n' "$id" ;;
    *'"tools/call"'*) call=$id; printf '{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"which?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}}}}\n' ;;
    *'"id":"q"'*) name=${line#*'"name":"'}; name=${name%%'"'*}
      printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"{\\"name\\":\\"%s\\"}"}]}}\n' "$call" "$name" ;;
    *'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
  esac
done"#;

impl Town {
    async fn start(size: usize) -> Arc<Self> {
        let form = json!({"message": "which?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}});
        let ask = Act::Ask("elicitation/create".to_owned(), form);
        let idp = FakeIdp::start(clock()).await;
        let older = FakeUpstream::of(&[Era::Session]).await.with("ask", ask.clone());
        let newer = FakeUpstream::of(&[Era::Stateless]).await.with("ask", ask);
        older.forgets();
        newer.forgets();
        let limits = json!({
            "question_timeout": format!("{}s", 4 + size / 200), "idle_timeout": "1s", "keep_alive": "1s",
            "cached_tokens": 64, "sessions": size * 2,
            "streams": size * 4, "streams_per_principal": size * 4, "calls_per_principal": size * 4,
        });
        let pipes = json!({"stdio": {"command": "/bin/sh", "args": ["-c", ASKS_ON_PIPES]}});
        let setup = Setup::trusting(&idp).server("older", &older).server("newer", &newer);
        let setup = setup.set(&["servers", "pipes"], pipes).set(&["limits"], limits);
        let gateway = setup.start().await;
        Arc::new(Self { idp, older, newer, gateway, chance: Chance(SeededDice::new(7)) })
    }

    /// One of `people`, at an endpoint; even ones are of one tenant, odd ones of another.
    fn caller(&self, person: usize, path: &str) -> Caller {
        let tenant = if person.is_multiple_of(2) { "acme" } else { "umbrella" };
        let token = self.gateway.token(&self.idp, &format!("person-{person}"), path).claim("tenant", tenant);
        self.gateway.with_token(path, &token).capable_of(json!({"elicitation": {}}))
    }

    /// What the servers hold open for the gateway.
    fn held(&self) -> [usize; 4] {
        [self.older.sessions(), self.older.streams(), self.newer.streams(), children()]
    }

    /// Waits until the gateway holds nothing, and its servers hold no more than at the start.
    async fn is_quiet(&self, start: [usize; 4]) {
        let quiet = async || {
            let metrics = self.gateway.admin("/metrics").await.text();
            let none = ["calls_parked", "streams_open", "calls_in_flight"];
            let none = none.iter().all(|gauge| metrics.contains(&format!("portunus_{gauge} 0")));
            let held = self.held();
            (none && held.iter().zip(start).all(|(held, start)| *held <= start)).then_some(())
        };
        eventually(&format!("nothing but {start:?} to be held"), quiet).await;
    }
}

/// One call that is asked something, and what becomes of it.
async fn conversation(town: Arc<Town>, number: usize, people: usize, parked: Arc<tokio::sync::Barrier>) {
    // Some on pipes, where every call that may be asked has a child of its own: another person's each.
    let (path, person) = if number.is_multiple_of(25) { (PIPES, number / 25) } else { (OLDER, number) };
    let caller = town.caller(person % people, path);
    let text = format!("call-{number}");
    let first = caller.call("ask", json!({"text": text})).await.result();
    parked.wait().await;
    parked.wait().await;
    let state = &first["requestState"];
    assert!(state.is_string(), "{text}: {first}");
    match town.chance.of(10) {
        // Nobody takes it up.
        0..=2 => {}
        3 => {
            // Somebody else tries first.
            let stranger = town.caller((person + 1) % people, path);
            let refused = retry(&stranger, &text, state).await;
            assert_eq!(refused.error()["data"]["code"], "PTN-1013", "{}", refused.text());
            taken_up(&retry(&caller, &text, state).await, &text);
        }
        4 => {
            // Twice at once: only one goes on.
            let (one, two) = tokio::join!(retry(&caller, &text, state), retry(&caller, &text, state));
            let refused = |reply: &Reply| reply.error()["data"]["code"] == "PTN-1013";
            assert!(refused(&one) || refused(&two), "{} {}", one.text(), two.text());
        }
        5 => drop(caller.begin(answering(&caller, &text, state, &text)).await),
        _ => taken_up(&retry(&caller, &text, state).await, &text),
    }
}

async fn retry(caller: &Caller, text: &str, state: &Value) -> Reply {
    caller.send(answering(caller, text, state, text)).await
}

/// The answer is its own; or the call has ended, because its time was over or its server was started anew.
fn taken_up(reply: &Reply, text: &str) {
    let code = reply.error()["data"]["code"].as_str().unwrap_or_default().to_owned();
    let own = reply.content().contains(&format!("\"name\":\"{text}\""));
    assert!(own || ["PTN-1013", "PTN-4001", "PTN-4002"].contains(&code.as_str()), "{text}: {}", reply.text());
}

/// Somebody who follows a resource until told to stop, of either era at a server of the other.
async fn follower(town: &Town, number: usize, people: usize) -> (Option<Caller>, Stream) {
    if number.is_multiple_of(2) {
        let caller = town.caller(number % people, OLDER);
        let wanted = json!({"notifications": {"resourceSubscriptions": ["fake://note"]}});
        let mut stream = caller.stream(caller.request("subscriptions/listen", wanted)).await;
        stream.next().await.unwrap();
        return (None, stream);
    }
    let caller = town.caller(number % people, NEWER).open().await;
    let stream = caller.stream(caller.listening()).await;
    let subscribed = caller.ask("resources/subscribe", json!({"uri": "fake://note"})).await;
    assert!(subscribed.is_success(), "{}", subscribed.text());
    (Some(caller), stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_conversations_that_broke_off() {
    let size = count("PORTUNUS_SOAK_PARKED", 24);
    let people = (size / 20).max(4);
    let town = Town::start(size).await;
    town.caller(0, OLDER).call("echo", json!({"text": "first"})).await;
    // The gateway's own: a session and a stream for what the older server lists, a stream at the newer, a child.
    let start = [1, 1, 1, 1];
    town.is_quiet(start).await;
    let rounds = count("PORTUNUS_SOAK_PARKED_ROUNDS", 2);
    let mut after = Vec::new();
    for round in 0..rounds {
        // All are parked, and all follow, at the same time.
        let parked = Arc::new(tokio::sync::Barrier::new(size + 1));
        let mut calls = JoinSet::new();
        for number in 0..size {
            calls.spawn(conversation(Arc::clone(&town), number, people, Arc::clone(&parked)));
        }
        let mut followers = Vec::new();
        for number in 0..size {
            followers.push(follower(&town, number, people).await);
        }
        parked.wait().await;
        let metrics = town.gateway.admin("/metrics").await.text();
        let waiting = gauge(&metrics, "portunus_calls_parked");
        // Those that were parked first may have expired by now.
        assert!(waiting > 0, "{metrics}");
        town.older.updated("fake://note");
        town.newer.updated("fake://note");
        let full = resident();
        parked.wait().await;
        // Some follow on, some leave, some sessions end and some just vanish; then a server is started anew.
        for (caller, stream) in followers.split_off(size / 2) {
            drop(stream);
            if let Some(caller) = caller
                && town.chance.of(2) == 0
            {
                assert_eq!(caller.send(caller.leaving()).await.status, 204);
            }
        }
        if round % 2 == 0 {
            town.older.restart().await;
        } else {
            town.newer.restart().await;
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap();
        }
        for (caller, stream) in followers {
            drop(stream);
            if let Some(caller) = caller {
                assert_eq!(caller.send(caller.leaving()).await.status, 204);
            }
        }
        town.is_quiet(start).await;
        let served = town.caller(1, OLDER).call("echo", json!({"text": "still"})).await;
        assert!(served.is_success(), "{}", served.text());
        after.push(resident());
        println!("round {round}: {waiting} parked, {} MB then, {} MB after", full >> 20, after[round] >> 20);
    }
    // What is kept on purpose (sessions of clients that vanished, the replays of streams) fills in the first rounds; what
    // grows for ever is a leak. Too few rounds say nothing.
    if let (Some(middle), Some(last), true) = (after.get(rounds / 2), after.last(), rounds >= 8) {
        assert!(*last <= middle + middle / 20, "{last} bytes after the last round, {middle} in the middle");
    }
    // Whatever began has ended, on record too.
    let unknown = town.gateway.record().into_iter().filter(|found| found.unknown).count();
    assert_eq!(unknown, 0);
}

fn gauge(metrics: &str, name: &str) -> usize {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap().parse().unwrap()
}

/// Child processes of this process (proc(5): the fourth field of `stat`, after a name that may hold anything).
fn children() -> usize {
    let own = std::process::id().to_string();
    let stats = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        std::fs::read_to_string(entry.path().join("stat")).ok()
    });
    stats
        .filter(|stat| stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&own))
        .count()
}

/// Resident memory of this process, in bytes (proc(5)).
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_anothers_answer() {
    let all = count("PORTUNUS_SOAK_CALLS", 2_000);
    let town = Town::start(64).await;
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for worker in 0..32 {
        let (town, next) = (Arc::clone(&town), Arc::clone(&next));
        workers.spawn(async move {
            let path = if worker % 4 < 2 { OLDER } else { NEWER };
            let newer = town.caller(worker, path);
            let caller = if worker % 2 == 0 { newer } else { newer.open().await };
            let asks = worker % 2 == 0 && path == OLDER;
            let mut connection = caller.connection().await;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= all {
                    return;
                }
                let text = format!("{worker}/{number}");
                if asks && number.is_multiple_of(50) {
                    let call = json!({"name": "ask", "arguments": {"text": text}});
                    let first = connection.send(caller.request("tools/call", call)).await.result();
                    let reply =
                        connection.send(answering(&caller, &text, &first["requestState"], &text)).await;
                    assert!(reply.content().contains(&format!("\"{text}\"")), "{text}: {}", reply.text());
                    continue;
                }
                let call = json!({"name": "echo", "arguments": {"text": text}});
                let reply = connection.send(caller.request("tools/call", call)).await;
                assert_eq!(reply.content(), json!({"text": text}).to_string(), "{}", reply.text());
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
    town.is_quiet([64, 64, 64, 64]).await;
}

/// How long a withdrawn call takes to be withdrawn at its server, for every pair of eras. The soak holds it to 100 ms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_call_is_withdrawn_at_its_server() {
    let times = count("PORTUNUS_SOAK_WITHDRAWN", 3);
    let limit =
        std::env::var("PORTUNUS_SOAK_WITHDRAWN").map_or(Duration::MAX, |_| Duration::from_millis(100));
    for (client, server) in [Era::Session, Era::Stateless]
        .into_iter()
        .flat_map(|era| [(era, Era::Session), (era, Era::Stateless)])
    {
        let idp = FakeIdp::start(clock()).await;
        let up = FakeUpstream::of(&[server]).await.with("slow", Act::Hang);
        let gateway = Setup::trusting(&idp).server("up", &up).start().await;
        let caller = gateway.caller(&idp, "alice", "/servers/up/mcp");
        let caller = if client == Era::Session { caller.open().await } else { caller };
        let mut longest = Duration::ZERO;
        for time in 1..=times {
            let call = caller.message("tools/call", json!({"name": "slow", "arguments": {"text": "a"}}));
            let line = caller.begin(caller.post(&call)).await;
            eventually("the call at the server", || {
                std::future::ready((up.calls().len() == time).then_some(()))
            })
            .await;
            let begun = Instant::now();
            if client == Era::Session {
                let params = json!({"requestId": call["id"]});
                let message =
                    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
                assert_eq!(caller.send(caller.post(&message)).await.status, 202);
            }
            drop(line);
            withdrawn(&up, server, time).await;
            longest = longest.max(begun.elapsed());
        }
        println!("{client:?} client, {server:?} server: withdrawn within {} ms", longest.as_millis());
        assert!(longest <= limit, "{client:?} client, {server:?} server: {longest:?}");
    }
}

/// Waits until the server has been told so often: by a notification in a session, by a closed connection without one.
async fn withdrawn(up: &FakeUpstream, server: Era, times: usize) {
    if server == Era::Stateless {
        return up.abandoned(times).await;
    }
    let told = || {
        let seen = up.seen();
        let told = seen
            .iter()
            .filter(|seen| String::from_utf8_lossy(&seen.body).contains("notifications/cancelled"));
        std::future::ready((told.count() >= times).then_some(()))
    };
    eventually("the withdrawal", told).await;
}
