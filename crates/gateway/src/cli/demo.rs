//! `portunus demo`.

use super::exit::Failure;
use super::out::Out;
use crate::demo::{Demo, DemoError, RealServers, Step, snippets};
use crate::lifecycle::{Signals, live};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where the demo keeps its configuration, keys and record.
    #[arg(long, value_name = "DIR", default_value = ".portunus")]
    folder: PathBuf,
    /// The port clients connect to; another one if it is taken.
    #[arg(long, default_value_t = 7575)]
    port: u16,
    /// End when the self-test is over.
    #[arg(long)]
    exit_after_self_test: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Add the real servers everything, filesystem, memory (npm), git and time (PyPI).
    #[arg(long)]
    with_real_servers: bool,
    /// The Node program, for the real servers.
    #[arg(long, value_name = "FILE", default_value = "/usr/bin/node")]
    node: PathBuf,
    /// The folder whose node_modules holds the npm servers.
    #[arg(long, value_name = "DIR", default_value = ".")]
    npm: PathBuf,
    /// The virtual environment with the PyPI servers.
    #[arg(long, value_name = "DIR", default_value = ".venv")]
    venv: PathBuf,
}

pub(super) fn run(arguments: &Arguments, out: &mut Out) -> Result<(), Failure> {
    super::run::runtime(None)?.block_on(demonstrate(arguments, out))
}

async fn demonstrate(arguments: &Arguments, out: &mut Out) -> Result<(), Failure> {
    let signals = Signals::catch()?;
    let real = arguments.with_real_servers.then(|| RealServers {
        node: arguments.node.clone(),
        npm: arguments.npm.clone(),
        venv: arguments.venv.clone(),
    });
    let demo = Demo::start(&arguments.folder, arguments.port, real.as_ref()).await?;
    let steps = demo.self_test().await?;
    let failed = steps.iter().filter(|step| !step.passed).count();
    if arguments.json {
        out.json(&as_json(&demo, &steps)?)?;
    } else {
        print(&demo, &steps, out)?;
    }
    let (gateway, _others) = demo.into_gateway();
    if arguments.exit_after_self_test {
        gateway.shutdown().await;
    } else {
        live(gateway, signals).await;
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(Failure::Found(format!("{failed} step(s) of the self-test failed")))
    }
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::Start(error) => Self::Start(error),
            DemoError::Io { what, source } => {
                Self::Io(std::io::Error::new(source.kind(), format!("{what}: {source}")))
            }
            DemoError::NotInstalled(_) => Self::Server(error.to_string()),
            DemoError::Staff(_) | DemoError::NotReady(_) | DemoError::Call(_) => {
                Self::Found(error.to_string())
            }
        }
    }
}

fn print(demo: &Demo, steps: &[Step], out: &mut Out) -> Result<(), Failure> {
    let folder = demo.folder().display();
    out.line(format!(
        "portunus {} demo: loopback only, demo people, data in {folder}\n",
        env!("CARGO_PKG_VERSION")
    ))?;
    let people: Vec<String> =
        demo.people().into_iter().map(|(user, roles)| format!("{user} ({roles})")).collect();
    out.line(format!("people   {}", people.join(", ")))?;
    out.line("client   desk-assistant\nagent    night-batch (trust: low)")?;
    out.line("servers  notes, tickets, payments, weather (misbehaves)\n\nself-test")?;
    for step in steps {
        let mark = if step.passed { "ok  " } else { "FAIL" };
        out.line(format!(
            "  {mark} {:<56} {:<22} {}",
            step.what,
            step.outcome,
            step.record.as_deref().unwrap_or("")
        ))?;
        out.line(format!("       {}", step.text.lines().next().unwrap_or_default()))?;
    }
    let config = demo.config().display();
    out.line(format!("\nendpoint {}", demo.url()))?;
    out.line(format!("health   http://{}/readyz   metrics http://{}/metrics", demo.admin(), demo.admin()))?;
    out.line(format!("record   portunus audit query --config {config}"))?;
    out.line(format!("policy   portunus policy explain --config {config} --as cho --tenant demo --role finance \\\n             --tool payments/refund --args '{{\"order\":7,\"money\":{{\"amount\":9999,\"currency\":\"EUR\"}}}}'"))?;
    out.line(format!(
        "people   portunus admin token --config {config}, for portunus people, agents, sessions, …"
    ))?;
    out.line(format!("\nconnect, and sign in as any of the people with the password {}", demo.password()))?;
    for (client, text) in snippets(&demo.url(), demo.base()) {
        out.line(format!("  {client}\n    {text}"))?;
    }
    Ok(())
}

fn as_json(demo: &Demo, steps: &[Step]) -> Result<Value, Failure> {
    let steps: Vec<Value> = steps
        .iter()
        .map(|step| {
            json!({"what": step.what, "passed": step.passed, "outcome": step.outcome, "text": step.text, "record": step.record})
        })
        .collect();
    let people: Vec<Value> = demo
        .people()
        .into_iter()
        .map(|(account, roles)| json!({"account": account, "password": demo.password(), "roles": roles}))
        .collect();
    Ok(json!({
        "endpoint": demo.url(), "admin": format!("http://{}", demo.admin()), "folder": demo.folder(),
        "config": demo.config(), "self_test": steps, "people": people,
    }))
}
