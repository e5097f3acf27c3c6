//! `portunus check`.

use super::ConfigFile;
use super::exit::Failure;
use super::out::Out;
use crate::config::{self, ConfigError, Settings};
use crate::{policies, snapshot};
use policy::{Revision, Shape};
use serde_json::json;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut Out) -> Result<(), Failure> {
    let settings = match config::load(&arguments.file.config) {
        Ok(settings) => settings,
        Err(ConfigError::Refused(refusal)) if arguments.json => {
            let faults: Vec<_> = refusal.faults().iter().map(config::Fault::to_json).collect();
            out.json(&json!({"ok": false, "faults": faults}))?;
            return Err(Failure::Policy(refusal.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let (files, actions) = check_policies(&settings, out)?;
    let facts = json!({
        "ok": true, "servers": settings.servers.len(), "issuers": settings.issuers.len(),
        "toolsets": settings.toolsets.len(), "policy_files": files, "actions": actions,
    });
    if arguments.json {
        return Ok(out.json(&facts)?);
    }
    let tools = actions.map_or_else(
        || "tools unknown: policies were read, not validated (start the gateway once, or `portunus policy check --discover`)".to_owned(),
        |actions| format!("validated over {actions} action(s)"),
    );
    Ok(out.line(format!(
        "{}: ok. {} server(s), {} issuer(s), {} toolset(s), {files} policy file(s), {tools}",
        arguments.file.config.display(),
        settings.servers.len(),
        settings.issuers.len(),
        settings.toolsets.len(),
    ))?)
}

/// How many files, and over how many actions they were validated, if a snapshot says what the tools are.
fn check_policies(settings: &Settings, out: &mut Out) -> Result<(usize, Option<usize>), Failure> {
    let files = policies::read(&settings.policies).map_err(|error| Failure::Policy(error.to_string()))?;
    let known = snapshot::read(&settings.data_dir.join(snapshot::FILE), settings).ok();
    let actions = known.as_ref().map(Vec::len);
    let shapes = known.unwrap_or_else(|| settings.servers.keys().cloned().map(Shape::Server).collect());
    match Revision::compile(&files, &shapes, &policy::Settings { zone: settings.zone.clone() }) {
        Ok(_) => Ok((files.len(), actions)),
        Err(faults) => {
            out.remark(policies::render_faults(&faults, &files, out.colour()))?;
            Err(Failure::Policy(format!("{} fault(s) in the policies", faults.len())))
        }
    }
}
