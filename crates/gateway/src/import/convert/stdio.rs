//! Servers that are child processes.

use super::super::entry::{Child, Left};
use super::super::json::Text;
use super::super::package;
use super::super::secrecy;
use super::super::spelling::{Spelling, spelling};
use super::{Around, Server, keep, said};
use crate::config::Yaml;
use model::ServerName;

pub(super) fn convert(
    name: &ServerName,
    child: Child,
    around: &Around<'_>,
    server: &mut Server,
) -> Result<(), Left> {
    server.transport = "stdio";
    let command = child.command.trim();
    if command.is_empty() {
        return Err(Left::because("`command` is empty", "the program to run"));
    }
    written_out("`command`", command)?;
    if secrecy::looks_secret(command) {
        return Err(in_the_open("`command`"));
    }
    arguments(&child.args)?;
    server.notes.extend(package::unpinned(command, &child.args));
    if command.contains('/') && !command.starts_with('/') {
        server.notes.push("`command` is looked for from the configuration's folder on".to_owned());
    }
    let mut stdio = vec![said("command", command)];
    if !child.args.is_empty() {
        let args = child.args.iter().map(|arg| arg.to_string()).collect();
        stdio.push(("args".to_owned(), Yaml::List(args)));
    }
    let mut env: Vec<(String, Yaml)> = Vec::new();
    for (variable, value) in child.env {
        env.push(self::variable(name, variable, &value, around, server)?);
    }
    if !env.is_empty() {
        stdio.push(("env".to_owned(), Yaml::Map(env)));
    }
    if let Some(cwd) = &child.cwd {
        written_out("`cwd`", cwd)?;
        if !around.base.join(cwd.as_str()).is_dir() {
            return Err(Left::because("the folder of `cwd` is not there", "an existing folder"));
        }
        stdio.push(said("cwd", cwd));
    }
    server.entry = Yaml::Map(vec![("stdio".to_owned(), Yaml::Map(stdio))]);
    Ok(())
}

fn variable(
    name: &ServerName,
    variable: String,
    value: &Text,
    around: &Around<'_>,
    server: &mut Server,
) -> Result<(String, Yaml), Left> {
    if variable.is_empty() || variable.contains(['=', '\0']) {
        return Err(Left::because("a variable without a variable's name", "names without ="));
    }
    let is_secret = secrecy::is_secret(&variable, value);
    let place = if spelling(value) == Spelling::Plain && !is_secret {
        said("value", value)
    } else {
        if is_secret && value.trim().len() < value.len() {
            server.notes.push(format!("{variable}: the white space around it is dropped"));
        }
        keep(name, &variable, value, around, &mut server.kept)?
    };
    Ok((variable, Yaml::Map(vec![place])))
}

/// Refuses arguments that only the client can fill in, and secrets among them.
fn arguments(args: &[Text]) -> Result<(), Left> {
    let mut flag: Option<&str> = None;
    for arg in args {
        written_out("`args`", arg)?;
        if let Some(name) =
            flag.take().filter(|name| !arg.starts_with('-') && secrecy::is_secret_argument(name, arg))
        {
            return Err(in_the_open(&shown(name)));
        }
        let bare = arg.trim_start_matches('-');
        match arg.split_once(['=', ':']) {
            // `--token=x`, `TOKEN=x`, `Authorization: Bearer x`; not `https://…`.
            Some((name, value)) if !value.starts_with("//") && secrecy::is_secret_argument(name, value) => {
                return Err(in_the_open(&shown(name)));
            }
            _ if secrecy::looks_secret(arg) => return Err(in_the_open("`args`")),
            None if arg.starts_with('-') && !bare.is_empty() => flag = Some(arg.as_str()),
            _ => {}
        }
    }
    Ok(())
}

fn written_out(of: &str, text: &str) -> Result<(), Left> {
    let filled_in = match spelling(text) {
        Spelling::Unknown(what) => Some(what),
        Spelling::Input(_) => Some("..."),
        // The bare form is for shells, and there is none.
        Spelling::Variable(_) => text.starts_with("${").then_some("..."),
        Spelling::Plain => None,
    };
    if let Some(what) = filled_in {
        return Err(Left::because(
            format!("{of} has ${{{what}}} in it, which only the client can fill in"),
            "write the value itself; a secret belongs under `env`, if the server reads it there",
        ));
    }
    if text.starts_with("~/") {
        return Err(Left::because(
            format!("{of} begins with ~, which no shell expands here"),
            "write the whole path",
        ));
    }
    Ok(())
}

/// SECURITY: a secret in a command line can be seen by every process of the machine, and no reference can stand
/// for it: the entry is left out (test: a_secret_that_no_reference_can_hold_is_left_out).
fn in_the_open(what: &str) -> Left {
    Left::because(
        format!("{what} holds what looks like a secret, and the configuration has references for `env` only"),
        "if the server reads it from a variable, move it to `env` in a copy of the file and import that",
    )
}

/// The name of a flag or variable, if it is nothing but a name.
fn shown(name: &str) -> String {
    let is_name = name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if is_name && !secrecy::looks_secret(name) { format!("{name} in `args`") } else { "`args`".to_owned() }
}
