//! What the tests of this room share: leaves, a writer, and a disk that breaks at will.

use super::{Config, Writer};
use crate::disk::{self, Files, Medium, Segment};
use crate::query::{Filter, query};
use ledger::segment::{Frames, Header};
use ledger::{
    Attempt, Call, Caller, Decision, Denial, Effect, Event, Intent, Latency, Leaf, Named, Outcome, Status,
    Target, What, decode,
};
use model::{CallId, Clock, Code, Digest, ErrorKind, FixedClock, SeededDice, SystemClock, Timestamp};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const NOW: Timestamp = Timestamp(1_795_219_200_000);

pub(crate) fn path(dir: &TempDir) -> PathBuf {
    dir.path().join("record")
}

pub(crate) fn config(dir: &TempDir) -> Config {
    Config {
        probe_every: Duration::from_millis(20),
        stall_after: Duration::from_millis(400),
        ..Config::at(path(dir))
    }
}

pub(crate) fn open(config: Config) -> Writer {
    open_with(config, Arc::new(FixedClock::at(NOW)))
}

pub(crate) fn open_with(config: Config, clock: Arc<dyn Clock>) -> Writer {
    Writer::open(config, clock, &SeededDice::new(1)).unwrap()
}

pub(crate) fn open_on(disk: &Arc<Brittle>, config: Config) -> Writer {
    let medium: Arc<dyn Medium> = Arc::clone(disk) as _;
    Writer::open_on(medium, config, Arc::new(SystemClock::default()), &SeededDice::new(1)).unwrap()
}

/// Blocks on a future of this room; they need no runtime.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        std::thread::park();
    }
}

pub(crate) fn put(writer: &Writer, leaf: &Leaf<'_>) -> u64 {
    put_at(writer, NOW, leaf)
}

pub(crate) fn put_at(writer: &Writer, time: Timestamp, leaf: &Leaf<'_>) -> u64 {
    let mut ticket = writer.append(time, leaf).unwrap();
    wait(ticket.written()).unwrap();
    ticket.sequence()
}

/// Waits until all that was appended is written.
pub(crate) fn settle(writer: &Writer) {
    until(|| writer.health().queued == 0);
}

pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not come to pass in ten seconds");
}

/// Every leaf of the record, oldest first: its number and kind. Fails on a gap and on damage.
pub(crate) fn record(dir: &Path) -> Vec<(u64, String)> {
    let answer = query(dir, &Filter::default(), usize::MAX).unwrap();
    assert_eq!(answer.damage, []);
    let mut leaves = Vec::new();
    let segments = disk::segments(dir).unwrap();
    for (place, (first, path)) in segments.iter().enumerate() {
        let end = segments.get(place + 1).map_or(u64::MAX, |(next, _)| *next);
        let bytes = fs::read(path).unwrap();
        let frames = Frames::new(&bytes, &Header::parse(&bytes).unwrap());
        assert!(*first == 1 || leaves.last().is_some_and(|(last, _)| last + 1 == *first));
        for frame in frames.map_while(Result::ok).take_while(|frame| frame.sequence < end) {
            let text = match decode(frame.payload).unwrap().leaf {
                Leaf::Intent(intent) => format!("intent {}", intent.call.caller.user),
                Leaf::Outcome(_) => "outcome".to_owned(),
                Leaf::Event(event) => event.what.as_str().to_owned(),
                other => panic!("{other:?}"),
            };
            leaves.push((frame.sequence, text));
        }
    }
    assert!(leaves.iter().zip(1..).all(|((sequence, _), expected)| *sequence == expected), "{leaves:?}");
    leaves
}
pub(crate) fn call(number: u64) -> CallId {
    CallId::new(Timestamp(1_000 + i64::try_from(number).unwrap()), &SeededDice::new(number))
}

fn described(number: u64, user: &str) -> Call<'static> {
    Call {
        id: call(number),
        caller: Caller {
            user: user.to_owned().into(),
            agent: Some(format!("agent-{user}").into()),
            client: "client".into(),
            tenant: "acme".into(),
            issuer: "https://idp.example".into(),
        },
        conversation: None,
        endpoint: "/mcp".into(),
        method: "tools/call".into(),
        target: Some(Target {
            server: "git".into(),
            named: Some(Named::Tool),
            name: Some("git_log".into()),
            definition: Some(Digest([3; 32])),
        }),
        downstream: None,
        impact: None,
        trace: None,
        request_bytes: 100,
        arguments: None,
    }
}

pub(crate) fn intent(number: u64, user: &str) -> Leaf<'static> {
    let decision =
        Decision { effect: Effect::Permit, rules: Vec::new(), obligations: Vec::new(), policy: None };
    Leaf::Intent(Intent { call: described(number, user), decision })
}

pub(crate) fn denial(number: u64, user: &str) -> Leaf<'static> {
    Leaf::Denial(Denial {
        call: described(number, user),
        decision: None,
        kind: ErrorKind::Denied,
        code: Code::DENIED,
        reason: None,
        latency: Latency::default(),
    })
}

pub(crate) fn outcome(number: u64) -> Leaf<'static> {
    Leaf::Outcome(Outcome {
        call: call(number),
        status: Status::Ok,
        attempt: Attempt::Answered,
        code: None,
        reason: None,
        upstream: Some("1".into()),
        token: None,
        findings: Vec::new(),
        answer_bytes: 10,
        reply_bytes: 10,
        latency: Latency::default(),
    })
}

pub(crate) fn event(server: &str) -> Leaf<'static> {
    Leaf::Event(Event { server: Some(server.to_owned().into()), ..Event::of(What::ServerMissing) })
}

/// A disk of real files that can be told to fail or to hang.
pub(crate) struct Brittle {
    files: Files,
    fault: Arc<Fault>,
}

/// What goes wrong from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Sound,
    /// A write takes half of its bytes and fails.
    WriteFails,
    SyncFails,
    WriteHangs,
    SyncHangs,
}

#[derive(Default)]
pub(crate) struct Fault {
    mode: Mutex<Mode>,
    changed: Condvar,
    pub(crate) syncs: AtomicU32,
    pub(crate) syncs_after_failure: AtomicU32,
}

impl Brittle {
    pub(crate) fn at(dir: &TempDir) -> Arc<Self> {
        Arc::new(Self { files: Files::at(&path(dir)).unwrap(), fault: Arc::default() })
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.fault.mode.lock().unwrap() = mode;
        self.fault.changed.notify_all();
    }

    pub(crate) fn fault(&self) -> &Fault {
        &self.fault
    }
}

impl Fault {
    fn mode(&self, hang: Mode) -> Mode {
        let mut mode = self.mode.lock().unwrap();
        while *mode == hang {
            mode = self.changed.wait(mode).unwrap();
        }
        *mode
    }
}

impl Medium for Brittle {
    fn begin(&self, header: &Header, reserve: u64) -> io::Result<Arc<dyn Segment>> {
        if self.fault.mode(Mode::WriteHangs) == Mode::WriteFails {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let segment = self.files.begin(header, reserve)?;
        Ok(Arc::new(BrittleSegment { segment, fault: Arc::clone(&self.fault), failed: AtomicU32::new(0) }))
    }
}

struct BrittleSegment {
    segment: Arc<dyn Segment>,
    fault: Arc<Fault>,
    failed: AtomicU32,
}

impl Segment for BrittleSegment {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if self.fault.mode(Mode::WriteHangs) == Mode::WriteFails {
            self.segment.append(&bytes[..bytes.len() / 2])?;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.segment.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.fault.syncs.fetch_add(1, Ordering::SeqCst);
        self.fault.syncs_after_failure.fetch_add(self.failed.load(Ordering::SeqCst), Ordering::SeqCst);
        if self.fault.mode(Mode::SyncHangs) == Mode::SyncFails {
            self.failed.store(1, Ordering::SeqCst);
            return Err(io::Error::from_raw_os_error(5));
        }
        self.segment.sync()
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        self.segment.cut(bytes)
    }
}
