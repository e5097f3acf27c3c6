//! `portunus doctor`: tries what the gateway stands on.

use super::ConfigFile;
use super::exit::Failure;
use super::out::Out;
use crate::config::{self, Settings};
use crate::identity::Identity;
use issuer::sign_in::{Examination, ProviderConfig, Report, Verdict, examine};
use model::{Clock, Dice, SystemClock, SystemDice};
use serde_json::json;
use std::sync::Arc;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Tries a tenant's identity providers: discovery, keys, what they offer, the clocks, whether they know the gateway.
    Idp(Arguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// One provider of the tenant. Default: all of them.
    #[arg(long)]
    provider: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<(), Failure> {
    let Command::Idp(arguments) = command;
    let settings = config::load(&arguments.file.config)?;
    let public_url = settings.public_url(settings.listen.address);
    let issuing = settings.authorization_server.as_ref();
    let issuing =
        issuing.ok_or_else(|| Failure::Usage("there is no section authorization_server".to_owned()))?;
    let tenants = issuing.config(&public_url, Vec::new()).tenants;
    let tenant = tenants.iter().find(|tenant| *tenant.name == *arguments.tenant);
    let tenant = tenant.ok_or_else(|| Failure::Usage(format!("no tenant {:?}", arguments.tenant)))?;
    let chosen: Vec<_> = tenant
        .providers
        .iter()
        .filter(|provider| arguments.provider.as_ref().is_none_or(|name| *name == provider.name))
        .collect();
    if chosen.is_empty() {
        return Err(Failure::Usage("the tenant has no such identity provider".to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reports = runtime.block_on(try_all(&settings, &public_url, &tenant.name, &chosen));
    if arguments.json {
        let all: Vec<_> = reports
            .iter()
            .map(|(name, report)| json!({"provider": name, "usable": report.is_usable(), "findings": report.findings}))
            .collect();
        out.json(&json!({"tenant": &*tenant.name, "providers": all}))?;
    } else {
        for (name, report) in &reports {
            out.line(format!("{} / {name}", tenant.name))?;
            for finding in &report.findings {
                out.line(format!("  {:7}  {:18}  {}", word(finding.verdict), finding.what, finding.detail))?;
            }
        }
    }
    let broken = reports.iter().filter(|(_, report)| !report.is_usable()).count();
    if broken > 0 {
        return Err(Failure::Identity(format!("{broken} identity provider(s) cannot be used")));
    }
    Ok(())
}

async fn try_all(
    settings: &Settings,
    public_url: &str,
    tenant: &str,
    providers: &[&Arc<ProviderConfig>],
) -> Vec<(String, Report)> {
    let (clock, dice): (Arc<dyn Clock>, Arc<dyn Dice>) =
        (Arc::new(SystemClock::default()), Arc::new(SystemDice));
    // The keys are needed to show who we are; without a database that can be opened the rest is tried all the same.
    let identity = Identity::open(settings, &clock, &dice).await.ok().flatten();
    let redirect_uri = format!("{public_url}/sign-in/callback");
    let mut reports = Vec::new();
    for provider in providers {
        let logout_uri = format!("{public_url}/backchannel-logout/{tenant}/{}", provider.name);
        let examination = Examination {
            egress: &settings.egress,
            clock: &clock,
            dice: dice.as_ref(),
            keys: identity.as_ref().map(|identity| identity.keys.as_ref()),
            redirect_uri: &redirect_uri,
            logout_uri: &logout_uri,
        };
        reports.push((provider.name.clone(), examine(provider, &examination).await));
    }
    reports
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Without => "without",
        Verdict::Note => "note",
        Verdict::Broken => "BROKEN",
    }
}
