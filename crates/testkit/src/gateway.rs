//! A gateway inside the test, with a folder of its own.

use crate::client::{Caller, Reply, raw};
use crate::idp::{FakeIdp, Token};
use crate::patience::soon;
use crate::upstream::FakeUpstream;
use gateway::{Gateway, Options, ReloadError, StartError};
use model::{Clock, SystemClock};
use net::egress::Resolve;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The configuration of a gateway to be, with one policy that lets readers do everything.
pub struct Setup {
    config: Value,
    policies: Vec<(String, String)>,
    files: Vec<(String, String)>,
    data: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    resolver: Option<Arc<dyn Resolve>>,
}

/// A running gateway.
pub struct TestGateway {
    gateway: Option<Gateway>,
    address: SocketAddr,
    admin: SocketAddr,
    folder: tempfile::TempDir,
    data: PathBuf,
    config: Value,
}

/// One thing on record.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The leaf; of a call, its intent.
    pub leaf: Value,
    /// The outcome of a call, if it is on record.
    pub outcome: Option<Value>,
    /// Whether nobody will ever know how the call ended.
    pub unknown: bool,
}

impl Setup {
    /// A gateway that trusts this provider.
    pub fn trusting(idp: &FakeIdp) -> Self {
        let config = json!({
            "version": 1,
            "listen": {"address": "127.0.0.1:0"},
            "admin": {"address": "127.0.0.1:0"},
            "issuers": [{"issuer": idp.issuer(), "allow_loopback": true}],
            "servers": {},
        });
        Self {
            config,
            policies: vec![("readers".to_owned(), READERS.to_owned())],
            files: Vec::new(),
            data: None,
            clock: clock(),
            resolver: None,
        }
    }

    /// Trusts another provider, too.
    #[must_use]
    pub fn also_trusting(self, idp: &FakeIdp) -> Self {
        self.issuer(json!({"issuer": idp.issuer(), "allow_loopback": true}))
    }

    /// Puts a file beside the configuration.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Adds an entry to `issuers`.
    #[must_use]
    pub fn issuer(mut self, entry: Value) -> Self {
        self.config["issuers"].as_array_mut().unwrap().push(entry);
        self
    }

    /// Adds a server; `echo` reads, every other tool does its worst.
    #[must_use]
    pub fn server(self, name: &str, upstream: &FakeUpstream) -> Self {
        let server = json!({
            "http": {"url": upstream.url(), "allow_loopback": true},
            "impact": {"tools": {"echo": "read"}},
        });
        self.set(&["servers", name], server)
    }

    /// Sets a value anywhere in the configuration.
    #[must_use]
    pub fn set(mut self, path: &[&str], value: Value) -> Self {
        let place = path.iter().fold(&mut self.config, |place, key| &mut place[*key]);
        *place = value;
        self
    }

    /// Adds a policy file.
    #[must_use]
    pub fn policy(mut self, name: &str, text: &str) -> Self {
        self.policies.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Without the policy that lets readers do everything.
    #[must_use]
    pub fn without_policies(mut self) -> Self {
        self.policies.clear();
        self
    }

    /// Keeps record and keys here instead.
    #[must_use]
    pub fn data_dir(mut self, path: &Path) -> Self {
        self.data = Some(path.to_owned());
        self
    }

    /// Runs by this clock instead of the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Names have the addresses that this says, and not the operating system.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Writes the folder without starting anything: the path of the configuration, and what keeps it.
    pub fn write(mut self) -> (PathBuf, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let data = self.data.clone().unwrap_or_else(|| folder.path().join("data"));
        self.config["data_dir"] = json!(data);
        let policies = folder.path().join("policies");
        std::fs::create_dir(&policies).unwrap();
        for (name, text) in &self.policies {
            std::fs::write(policies.join(format!("{name}.cedar")), text).unwrap();
        }
        for (name, text) in &self.files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let file = folder.path().join("portunus.yaml");
        // JSON is YAML.
        std::fs::write(&file, self.config.to_string()).unwrap();
        (file, folder)
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(self) -> TestGateway {
        self.try_start().await.unwrap_or_else(|error| panic!("the gateway did not start: {error}"))
    }

    /// Starts it, if it can be.
    ///
    /// # Errors
    /// The gateway's own.
    pub async fn try_start(self) -> Result<TestGateway, StartError> {
        let config = self.config.clone();
        let data = self.data.clone();
        let (clock, resolver) = (Arc::clone(&self.clock), self.resolver.clone());
        let options = Options { watch: false, clock, resolver, ..Options::default() };
        let (file, folder) = self.write();
        let gateway = Gateway::start(&file, options).await?;
        let data = data.unwrap_or_else(|| folder.path().join("data"));
        let (address, admin) = (gateway.address(), gateway.admin_address());
        Ok(TestGateway { gateway: Some(gateway), address, admin, folder, data, config })
    }
}

impl TestGateway {
    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The canonical resource of an endpoint: the audience of its tokens.
    pub fn resource(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.as_ref().unwrap().public_url())
    }

    /// A good token of `user` for an endpoint.
    pub fn token(&self, idp: &FakeIdp, user: &str, path: &str) -> Token {
        idp.token(user, &self.resource(path))
    }

    /// `user`, with a good token, at an endpoint, in the stateless era.
    pub fn caller(&self, idp: &FakeIdp, user: &str, path: &str) -> Caller {
        self.with_token(path, &self.token(idp, user, path))
    }

    /// Whoever has this token, at an endpoint.
    pub fn with_token(&self, path: &str, token: &Token) -> Caller {
        Caller::new(self.address, path, Some(token.sign()))
    }

    /// A page of the admin listener.
    pub async fn admin(&self, path: &str) -> Reply {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.admin);
        raw(self.admin, request.as_bytes()).await
    }

    /// Everything on record, oldest first.
    pub fn record(&self) -> Vec<Recorded> {
        read_record(&self.data)
    }

    /// What is on record about the calls of a tool, prompt or resource by its own name, oldest first.
    pub fn record_of(&self, name: &str) -> Vec<Recorded> {
        self.record().into_iter().filter(|found| found.leaf["target"]["name"] == name).collect()
    }

    /// Every file below the data folder, as one heap of bytes.
    pub fn data(&self) -> Vec<u8> {
        fn heap(folder: &Path, out: &mut Vec<u8>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    heap(&path, out);
                } else {
                    out.extend(std::fs::read(&path).unwrap());
                }
            }
        }
        let mut out = Vec::new();
        heap(&self.data, &mut out);
        out
    }

    /// The file it was configured by.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("portunus.yaml")
    }

    /// The folder of record and keys.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// Replaces or adds a policy file; [`TestGateway::reload`] makes it count.
    pub fn write_policy(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("policies").join(format!("{name}.cedar")), text).unwrap();
    }

    /// Takes the folder of policies away.
    pub fn remove_policies(&self) {
        std::fs::remove_dir_all(self.folder.path().join("policies")).unwrap();
    }

    /// Changes the configuration file; [`TestGateway::reload`] makes it count.
    pub fn write_config(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.config);
        let mut config = self.config.clone();
        config["data_dir"] = json!(self.data);
        std::fs::write(self.folder.path().join("portunus.yaml"), config.to_string()).unwrap();
    }

    /// Replaces the configuration file by any text.
    pub fn write_config_text(&self, text: &str) {
        std::fs::write(self.folder.path().join("portunus.yaml"), text).unwrap();
    }

    /// Reads configuration and policies again.
    ///
    /// # Errors
    /// The gateway's own.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        soon("a reload", self.gateway.as_ref().unwrap().reload()).await
    }

    /// Drains and stops; what it wrote can still be read.
    pub async fn shutdown(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            soon("the end of a gateway", gateway.shutdown()).await;
        }
    }

    /// The gateway itself, to shut it down while something else goes on.
    pub fn take(&mut self) -> Gateway {
        self.gateway.take().unwrap()
    }
}

/// Everything on record in a data folder, oldest first.
pub fn read_record(data: &Path) -> Vec<Recorded> {
    let answer =
        audit::query::query(&data.join("record"), &audit::query::Filter::default(), usize::MAX).unwrap();
    assert!(answer.damage.is_empty(), "{:?}", answer.damage);
    let json = |stored: &audit::query::Stored| serde_json::from_slice::<Value>(stored.as_bytes()).unwrap();
    let recorded = |found: &audit::query::Found| match found {
        audit::query::Found::Call { intent, outcome, ending } => Recorded {
            leaf: json(intent),
            outcome: outcome.as_ref().map(json),
            unknown: *ending == audit::query::Ending::Unknown,
        },
        audit::query::Found::Alone(leaf) => Recorded { leaf: json(leaf), outcome: None, unknown: false },
    };
    answer.found.iter().rev().map(recorded).collect()
}

/// The machine's clock, by which gateways of tests run unless told otherwise: tokens are made by the same.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

const READERS: &str = r#"
@id("readers")
permit (principal, action, resource) when { principal.roles.contains("reader") };
"#;
