//! `portunus contract check`.

use super::super::exit::Failure;
use super::super::out::Out;
use super::{failure, read};
use crate::config;
use authn::contract::{Examination, Standing};
use authn::{Authn, AuthnError, Contract, Contracts, Resource};
use model::{Clock, SystemClock};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use storage::Db;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The token, or `-`: read it from standard input, where no list of processes shows it.
    token: String,
    /// The configuration file, whose issuer is asked for its keys, or what an opaque token means. Default: portunus.yaml,
    /// unless --contract is given.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A contract, instead of the one in force. Without --config the signature is not verified.
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// The canonical URL of the endpoint that the token is for. Without it the audience is not asked for.
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, out: &mut Out) -> Result<(), Failure> {
    let resource = arguments.resource.as_deref().map(|url| Resource::new(url, vec![], vec![], vec![]));
    let resource = resource.transpose().map_err(|error| Failure::Usage(error.to_string()))?;
    let contract = arguments.contract.as_deref().map(|path| {
        Contract::compile(&read(path)?, 0).map_err(|faults| {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Failure::Policy(format!("{}:\n{}", path.display(), lines.join("\n")))
        })
    });
    let contract = contract.transpose()?;
    let token = token(&arguments.token)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let found = match (&arguments.config, &contract) {
        (None, Some(contract)) => contract.examine(&token, resource.as_ref(), clock.now()),
        (file, contract) => {
            let file = file.clone().unwrap_or_else(|| "portunus.yaml".into());
            let authn = authn(&file, contract.is_none(), &clock).await?;
            authn.examine(&token, contract.as_ref(), resource.as_ref()).await
        }
    };
    if arguments.json {
        out.json(&as_json(&found))?
    } else {
        print(&found, resource.is_some(), out)?
    }
    if found.holds() { Ok(()) } else { Err(Failure::Found("the token does not meet its contract".into())) }
}

fn token(argument: &str) -> Result<Vec<u8>, Failure> {
    if argument != "-" {
        return Ok(argument.trim().as_bytes().to_vec());
    }
    let mut text = Vec::new();
    std::io::stdin().lock().take(TOKEN_BYTES).read_to_end(&mut text)?;
    Ok(text.trim_ascii().to_vec())
}

/// Verification as a gateway of this configuration does it; with the stored contracts in force if `stored`.
async fn authn(file: &std::path::Path, stored: bool, clock: &Arc<dyn Clock>) -> Result<Authn, Failure> {
    let settings = config::load(file)?;
    let authn = Authn::new(settings.authn(None), settings.egress.clone(), Arc::clone(clock));
    let authn = authn.map_err(|faults| {
        Failure::Start(crate::StartError::Issuers(faults.iter().map(ToString::to_string).collect()))
    })?;
    if let (true, Some(config)) = (stored, &settings.storage) {
        let db = Db::open(config).await;
        let db = db.map_err(|error| Failure::Start(crate::IdentityError::from(error).into()))?;
        let rows = Contracts::new(db, Arc::clone(clock)).standing().await.map_err(failure)?;
        authn.enforce(Standing::of(&rows, &authn.standing()));
    }
    Ok(authn)
}

fn verdict(error: Option<AuthnError>) -> &'static str {
    if error.is_none() { "holds" } else { "fails" }
}

fn print(found: &Examination, asked_audience: bool, out: &mut Out) -> Result<(), Failure> {
    let mut rows = Vec::new();
    match found.signature {
        None if found.opaque => {}
        None => rows.push(
            ["not asked", "signature", "", "no configuration says where the keys are"].map(str::to_owned),
        ),
        Some(verified) => {
            let why = verified.err().map(|error| error.to_string()).unwrap_or_default();
            rows.push([verdict(verified.err()), "signature", "", &why].map(str::to_owned));
        }
    }
    for clause in &found.report.clauses {
        let why = clause.error.map(|error| error.to_string()).unwrap_or_default();
        rows.push([verdict(clause.error), clause.clause, clause.claim, &why].map(str::to_owned));
    }
    if !asked_audience {
        rows.push(["not asked", "audience", "aud", "--resource says for which endpoint"].map(str::to_owned));
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    out.table(&["verdict", "clause", "claim", "why"], &rows)?;
    let kind = if found.opaque { "opaque token, as its issuer tells it" } else { "signed token" };
    Ok(out.line(format!("{kind}; contract version {}", found.version))?)
}

fn as_json(found: &Examination) -> Value {
    let why = |error: Option<AuthnError>| error.map(|error| error.to_string());
    let clauses: Vec<Value> = found
        .report
        .clauses
        .iter()
        .map(|clause| {
            json!({"clause": clause.clause, "claim": clause.claim, "holds": clause.error.is_none(), "why": why(clause.error)})
        })
        .collect();
    let signature =
        found.signature.map(|verified| json!({"holds": verified.is_ok(), "why": why(verified.err())}));
    json!({
        "holds": found.holds(), "opaque": found.opaque, "version": found.version, "signature": signature,
        "clauses": clauses,
    })
}

/// The longest token that is read, in bytes; longer ones are refused anyway.
const TOKEN_BYTES: u64 = 64 << 10;
