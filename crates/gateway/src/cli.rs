//! The command line: nouns, then verbs. Quiet when all is well; `--json` for programs.

mod admin_token;
mod api;
mod audit;
mod check;
mod contract;
mod demo;
mod doctor;
mod exit;
mod generate;
mod import;
mod login;
mod out;
mod policy;
mod revoke;
mod run;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use exit::Failure;
use out::Out;
use std::any::TypeId;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// The one door between AI agents and the tools they use.
#[derive(Debug, Parser)]
#[command(name = "portunus", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gateway until it is told to stop (SIGTERM, Ctrl-C); SIGHUP reloads.
    Run(run::Arguments),
    /// Checks a configuration, the policies and every file they refer to, without starting.
    Check(check::Arguments),
    /// Takes over the servers of an MCP client's own file (mcp.json); shows what would change, `--apply` does it.
    Import(import::Arguments),
    /// Checks, tests and explains policies.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Reads the record, also that of a running gateway.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Tries tokens against token contracts, and publishes contracts.
    #[command(subcommand)]
    Contract(contract::Command),
    /// Makes an operator's first token.
    #[command(subcommand)]
    Admin(admin_token::Command),
    #[command(flatten)]
    Api(api::Noun),
    /// Signs in at a gateway, in the browser, or by a code with `--device`.
    Login(login::LoginArguments),
    /// Ends the logins at a gateway.
    Logout(login::LogoutArguments),
    /// Prints a token of a login, fresh if the last one has ended.
    Token(login::TokenArguments),
    /// Says who is signed in where.
    Whoami(login::WhoamiArguments),
    /// Revokes a token, grant, session, user, agent, client or key, or contains a server, in the gateway's database.
    Revoke(revoke::Arguments),
    /// Lists what is revoked, and takes it back.
    #[command(subcommand)]
    Revoked(revoke::Command),
    /// Tries what the gateway stands on, and says what it can and cannot do.
    #[command(subcommand)]
    Doctor(doctor::Command),
    /// Prints the JSON schema of the configuration.
    Schema,
    /// A whole gateway on loopback with demo people, servers and policies, and a self-test.
    Demo(demo::Arguments),
    /// Writes the generated files of the repository.
    #[command(hide = true)]
    Generate(generate::Arguments),
}

/// The configuration most commands start from.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "portunus.yaml")]
    config: PathBuf,
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let arguments = match parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { exit::USAGE } else { 0 };
            // There is nobody to tell if the terminal is gone.
            drop(error.print());
            return ExitCode::from(code);
        }
    };
    let mut out = Out::standard();
    let done = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments, &mut out),
        Command::Import(arguments) => import::run(&arguments, &mut out),
        Command::Policy(command) => policy::run(&command, &mut out),
        Command::Audit(command) => audit::run(&command, &mut out),
        Command::Contract(command) => contract::run(&command, &mut out),
        Command::Login(arguments) => login::login(&arguments, &mut out),
        Command::Logout(arguments) => login::logout(&arguments, &mut out),
        Command::Token(arguments) => login::token(&arguments, &mut out),
        Command::Whoami(arguments) => login::whoami(&arguments, &mut out),
        Command::Admin(command) => admin_token::run(&command, &mut out),
        Command::Api(noun) => noun.run(&mut out),
        Command::Revoke(arguments) => revoke::revoke(&arguments, &mut out),
        Command::Revoked(command) => revoke::run(&command, &mut out),
        Command::Doctor(command) => doctor::run(&command, &mut out),
        Command::Schema => out.json(&crate::config::schema()).map_err(Failure::from),
        Command::Demo(arguments) => demo::run(&arguments, &mut out),
        Command::Generate(arguments) => generate::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            out.complain(&failure);
            ExitCode::from(failure.code())
        }
    }
}

fn parse(words: impl IntoIterator<Item = OsString>) -> clap::error::Result<Arguments> {
    let matches = taking_ids(Arguments::command()).try_get_matches_from(words)?;
    Arguments::from_arg_matches(&matches)
}

/// Lets an id begin with a hyphen, as one in 64 of those does that are written in base64url.
fn taking_ids(command: clap::Command) -> clap::Command {
    let taking = |argument: clap::Arg| {
        let is_text = argument.get_value_parser().type_id() == TypeId::of::<String>();
        let is_id = argument.is_positional() || ID_OPTIONS.contains(&argument.get_id().as_str());
        if is_text && is_id { argument.allow_hyphen_values(true) } else { argument }
    };
    command.mut_args(taking).mut_subcommands(taking_ids)
}

/// The options that take the id of something.
const ID_OPTIONS: [&str; 4] = ["owner", "person", "user", "client"];

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 configuration or policy, 4 address in use, \
                          5 record or data folder, 6 server, 7 identity provider.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_begin_with_a_hyphen() {
        let parsed = |words: &[&str]| parse(words.iter().map(OsString::from));
        for words in [
            &["portunus", "keys", "revoke", "-OaC", "--config", "x.yaml"][..],
            &["portunus", "revoke", "grant", "--OaC"],
            &["portunus", "agents", "create", "--name", "Robot", "--owner", "-OaC"],
        ] {
            assert!(parsed(words).is_ok(), "{words:?}: {}", parsed(words).unwrap_err());
        }
        for words in [
            &["portunus", "keys", "revoke", "--config", "x.yaml"][..],
            &["portunus", "keys", "list", "--OaC"],
            &["portunus", "agents", "create", "--owner", "me", "--name", "-OaC"],
        ] {
            assert!(parsed(words).is_err(), "{words:?}");
        }
    }
}
