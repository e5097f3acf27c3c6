//! Programs that fetch what they run: without a version they run whatever is newest at the next start.

use super::json::Text;

/// The remark about a command line that runs a package without a version, if it does.
pub(super) fn unpinned(command: &str, args: &[Text]) -> Option<String> {
    let program = command.rsplit('/').next().unwrap_or_default();
    let args: Vec<&str> = args.iter().map(|arg| arg.as_str()).collect();
    let (package, python) = match (program, args.as_slice()) {
        ("npx" | "bunx" | "pnpx", args) => (package(args, &["-p", "--package"])?, false),
        ("pnpm" | "yarn", ["dlx", args @ ..]) | ("bun", ["x", args @ ..]) | ("npm", ["exec", args @ ..]) => {
            (package(args, &["-p", "--package"])?, false)
        }
        ("uvx", args) | ("uv", ["tool", "run", args @ ..]) => (package(args, &["--from"])?, true),
        ("pipx", ["run", args @ ..]) => (package(args, &["--spec"])?, true),
        _ => return None,
    };
    let is_pinned = match package.rsplit_once('@') {
        Some((name, version)) if !name.is_empty() => version.contains(|c: char| c.is_ascii_digit()),
        _ => python && package.contains("=="),
    };
    let is_local = package.starts_with(['.', '/']);
    let how = if python { "==VERSION" } else { "@VERSION" };
    (!is_pinned && !is_local)
        .then(|| format!("{program} runs whatever version of {package} is newest: write {package}{how}"))
}

/// The package among the arguments: what one of these flags names, else the first that is no flag.
fn package<'a>(args: &[&'a str], flags: &[&str]) -> Option<&'a str> {
    let named = args.iter().position(|arg| flags.contains(arg)).and_then(|at| args.get(at + 1)).copied();
    let glued = || {
        args.iter().find_map(|arg| {
            let (flag, value) = arg.split_once('=')?;
            flags.contains(&flag).then_some(value)
        })
    };
    named.or_else(glued).or_else(|| {
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            match *arg {
                "--python" | "--with" | "--index-url" | "--index" | "--registry" => drop(rest.next()),
                arg if arg.starts_with('-') => {}
                arg => return Some(arg),
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(line: &str) -> Option<String> {
        let mut words = line.split(' ');
        let command = words.next().unwrap();
        let args: Vec<Text> = words.map(|word| Text::new(word.to_owned())).collect();
        unpinned(command, &args)
    }

    #[test]
    fn packages_without_a_version_are_named() {
        for (line, package) in [
            ("npx -y @modelcontextprotocol/server-everything", "@modelcontextprotocol/server-everything"),
            ("npx -y @scope/a@latest --port 80", "@scope/a@latest"),
            ("/usr/bin/npx a", "a"),
            ("npx --package=@scope/a b", "@scope/a"),
            ("pnpm dlx a", "a"),
            ("uvx mcp-server-git --repository /srv", "mcp-server-git"),
            ("uvx --python 3.12 a", "a"),
            ("uvx --from git+https://example.org/a b", "git+https://example.org/a"),
            ("pipx run a", "a"),
        ] {
            let remark = remark(line).unwrap_or_else(|| panic!("{line}"));
            assert!(remark.contains(&format!("write {package}")), "{line}: {remark}");
        }
    }

    #[test]
    fn pinned_and_local_ones_are_not() {
        for line in [
            "npx -y @modelcontextprotocol/server-everything@2025.12.18",
            "npx a@1",
            "npx ./server",
            "uvx mcp-server-git==2025.12.18",
            "uvx mcp-server-git@2025.12.18",
            "uvx --from mcp-server-git==1.0 mcp-server-git",
            "uv run server.py",
            "node server.js",
            "npx",
        ] {
            assert_eq!(remark(line), None, "{line}");
        }
    }
}
