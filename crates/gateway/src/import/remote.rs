//! Wrappers that clients need and the gateway does not: `npx mcp-remote <url>`, which carries stdio to HTTP, and
//! `cmd /c`, which starts scripts on Windows.

use super::entry::{Child, Left, Pairs, Reach};
use super::json::Text;

/// The child itself, or the server it would have carried messages to.
pub(super) fn unwrapped(mut child: Child, notes: &mut Vec<String>) -> Result<Reach, Left> {
    let is_cmd = ["cmd", "cmd.exe"].contains(&child.command.to_ascii_lowercase().as_str());
    if is_cmd && child.args.len() > 1 && child.args.first().is_some_and(|arg| arg.eq_ignore_ascii_case("/c"))
    {
        child.command = child.args.drain(..2).nth(1).unwrap_or_default();
        notes.push("without `cmd /c`, which is for Windows".to_owned());
    }
    let Some(at) = bridge(&child) else { return Ok(Reach::Stdio(child)) };
    let arguments = child.args.split_off(at + 1);
    let is_unused = |name: &&str| {
        let spelled = format!("${{{name}}}");
        !arguments.iter().any(|argument| argument.contains(&spelled))
    };
    let unused: Vec<&str> = child.env.iter().map(|(name, _)| name.as_str()).filter(is_unused).collect();
    if !unused.is_empty() {
        notes.push(format!("not taken over: {}, for mcp-remote", unused.join(", ")));
    }
    let (url, headers) = bridged(arguments, &child.env, notes)?;
    notes.push("without mcp-remote: the gateway speaks HTTP itself".to_owned());
    Ok(Reach::Http { url, headers })
}

/// Where `mcp-remote` stands among the arguments of a program that runs packages.
fn bridge(child: &Child) -> Option<usize> {
    let program = child.command.rsplit(['/', '\\']).next().unwrap_or_default();
    let program = program.trim_end_matches(".cmd").trim_end_matches(".exe");
    if !["npx", "bunx", "pnpx", "pnpm", "yarn", "bun", "npm"].contains(&program) {
        return None;
    }
    let is_package = |arg: &&Text| !arg.starts_with('-') && !RUNNERS.contains(&arg.as_str());
    let package = child.args.iter().find(is_package)?;
    let is_bridge = package.as_str() == "mcp-remote" || package.starts_with("mcp-remote@");
    is_bridge.then(|| child.args.iter().position(|arg| arg == package)).flatten()
}

/// The address and the headers of a `mcp-remote` command line.
fn bridged(arguments: Vec<Text>, env: &Pairs, notes: &mut Vec<String>) -> Result<(Text, Pairs), Left> {
    let (mut url, mut headers) = (None, Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--header" | "-H" => {
                let header = arguments.next().unwrap_or_default();
                let (name, value) = header.split_once(':').ok_or_else(|| {
                    Left::because("a `--header` of mcp-remote without a colon", "`--header Name:value`")
                })?;
                headers.push((name.trim().to_owned(), filled_in(value.trim(), env)));
            }
            // The gateway finds out which transport it is.
            "--transport" => drop(arguments.next()),
            "--allow-http" | "--debug" | "--silent" | "--enable-proxy" => {}
            flag if flag.starts_with("--") => {
                let name: String =
                    flag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                notes.push(format!("not taken over: {name} of mcp-remote"));
            }
            text if url.is_none() && ["http://", "https://"].iter().any(|start| text.starts_with(start)) => {
                url = Some(argument);
            }
            // The port of its sign-in page, or what belongs to a flag.
            _ => {}
        }
    }
    let url =
        url.ok_or_else(|| Left::because("mcp-remote without an address", "the server's address after it"))?;
    Ok((url, headers))
}

/// `${NAME}` as mcp-remote reads it: from the environment its client gives it.
fn filled_in(value: &str, env: &Pairs) -> Text {
    let mut text = Text::new(value.to_owned());
    for (name, value) in env {
        let spelled = format!("${{{name}}}");
        let times = text.matches(&spelled).count();
        // What grows beyond any header stays as it is spelled, and is refused for that.
        if times > 0 && text.len() + times * value.len() <= HEADER_BYTES {
            text = Text::new(text.replace(&spelled, value));
        }
    }
    text
}

/// The longest value of a header that is filled in.
const HEADER_BYTES: usize = 32 << 10;
/// What stands between a package manager and the package it runs.
const RUNNERS: &[&str] = &["dlx", "exec", "x", "run"];

#[cfg(test)]
mod tests {
    use super::*;

    fn child(command: &str, args: &[&str], env: &[(&str, &str)]) -> Child {
        let text = |text: &&str| Text::new((*text).to_owned());
        Child {
            command: text(&command),
            args: args.iter().map(text).collect(),
            env: env.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect(),
            cwd: None,
        }
    }

    #[test]
    fn what_fills_in_headers_is_bounded() {
        let long = "x".repeat(20 << 10);
        let spelled = "${A}".repeat(1000);
        let env = [("A".to_owned(), Text::new(long))];
        assert_eq!(filled_in(&spelled, &env.to_vec()).as_str(), spelled);
    }

    /// The address and headers, or the program and arguments.
    fn shown(child: Child) -> String {
        match unwrapped(child, &mut Vec::new()) {
            Ok(Reach::Http { url, headers }) => {
                let headers: Vec<String> =
                    headers.iter().map(|(name, value)| format!(" {name}={}", value.as_str())).collect();
                format!("{}{}", url.as_str(), headers.concat())
            }
            Ok(Reach::Stdio(child)) => {
                let args: Vec<&str> = child.args.iter().map(|arg| arg.as_str()).collect();
                format!("{} {}", child.command.as_str(), args.join(" "))
            }
            Err(Left::Refused { why, .. }) => why,
            Err(Left::Disabled) => "disabled".to_owned(),
        }
    }

    #[test]
    fn wrappers_come_off() {
        let url = "https://a.example.org/mcp";
        for (command, args, env, expected) in [
            ("npx", &["-y", "mcp-remote", url][..], &[][..], url.to_owned()),
            ("npx", &["mcp-remote@0.1.29", url, "3334", "--debug"], &[], url.to_owned()),
            (
                "npx.cmd",
                &["--yes", "mcp-remote@latest", url, "--header", "X-Key: abc"],
                &[],
                format!("{url} X-Key=abc"),
            ),
            ("pnpm", &["dlx", "mcp-remote", url], &[], url.to_owned()),
            ("cmd", &["/c", "npx", "-y", "mcp-remote", url], &[], url.to_owned()),
            (
                "npx",
                &["mcp-remote", url, "--header", "Authorization:${HEADER}", "--header", "X-Other:${OTHER}"],
                &[("HEADER", "Bearer abc")],
                format!("{url} Authorization=Bearer abc X-Other=${{OTHER}}"),
            ),
            (
                "npx",
                &["mcp-remote", url, "--transport", "http-only", "--host", "localhost"],
                &[],
                url.to_owned(),
            ),
            (
                "npx",
                &["mcp-remote", "https://a.example.org/sse", "--transport", "sse-only"],
                &[],
                "https://a.example.org/sse".to_owned(),
            ),
            ("npx", &["mcp-remote"], &[], "mcp-remote without an address".to_owned()),
            (
                "npx",
                &["mcp-remote", url, "--header", "abc"],
                &[],
                "a `--header` of mcp-remote without a colon".to_owned(),
            ),
            ("npx", &["-y", "other", "mcp-remote"], &[], "npx -y other mcp-remote".to_owned()),
            ("python", &["mcp-remote", url], &[], format!("python mcp-remote {url}")),
            ("cmd", &["/c", "node", "a.js"], &[], "node a.js".to_owned()),
        ] {
            assert_eq!(shown(child(command, args, env)), expected);
        }
    }
}
