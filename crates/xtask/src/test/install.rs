//! What the tests need and a fresh machine lacks. Everything but system packages goes into the cache.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::ground::Ground;
use crate::shell;

/// A program, arguments with which it answers, and the Debian package it comes from.
type Package = (&'static str, &'static [&'static str], &'static str);

/// What the tests need.
const PACKAGES: [Package; 4] = [
    ("git", &["--version"], "git"),
    ("npm", &["--version"], "npm"),
    // The browser that presses the buttons of our pages.
    ("chromium", &["--version"], "chromium"),
    // Debian ships the interpreter without what `python3 -m venv` needs.
    ("python3", &["-c", "import venv, ensurepip"], "python3-venv"),
];

/// Versions of the cargo tools.
const DENY: &str = "0.20.2";
const NEXTEST: &str = "0.9.143";
const FUZZ: &str = "0.13.2";

/// What the bench measures besides.
const NGINX: Package = ("nginx", &["-v"], "nginx-light");

/// What the tests need of the system.
pub(super) fn system_packages() -> anyhow::Result<()> {
    system(&PACKAGES)
}

/// Where the programs of PostgreSQL are.
pub(super) fn postgres() -> anyhow::Result<PathBuf> {
    if let Some(found) = postgres_programs() {
        return Ok(found);
    }
    // Debian would make and start a cluster that nobody wants; a file that is there already is somebody's wish.
    let wishes = Path::new("/etc/postgresql-common/createcluster.conf");
    if !wishes.exists() {
        std::fs::create_dir_all("/etc/postgresql-common")?;
        std::fs::write(wishes, "create_main_cluster = false\n")?;
    }
    system(&[("initdb", &["--version"], "postgresql")])?;
    postgres_programs().context("the package postgresql brings no programs")
}

/// Debian keeps them out of the path, by version.
fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let programs = versions.map(|version| version.path().join("bin"));
    programs.filter(|programs| programs.join("initdb").exists()).max()
}

/// nginx, to be measured beside.
pub(crate) fn nginx() -> anyhow::Result<()> {
    system(&[NGINX])
}

/// Installs missing system packages with apt, without questions.
fn system(wanted: &[Package]) -> anyhow::Result<()> {
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(program, arguments, _)| !shell::answers(program, arguments))
        .map(|(_, _, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    shell::say(&format!("   installing {}", missing.join(", ")));
    let apt = |arguments: &[&str]| {
        let mut apt = shell::command("apt-get");
        apt.args(["--quiet", "--yes"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        shell::run(&mut apt)
    };
    apt(&["update"])?;
    let install = ["install", "--no-install-recommends"];
    apt(&install.iter().chain(&missing).copied().collect::<Vec<_>>())
        .with_context(|| format!("these have to be installed by hand: {}", missing.join(" ")))
}

/// `cargo nextest`.
pub(super) fn nextest(ground: &Ground) -> anyhow::Result<()> {
    cargo_tool(ground, "nextest", &["nextest", "--version"], &format!("cargo-nextest@{NEXTEST}"))
}

/// `cargo deny`.
pub(super) fn deny(ground: &Ground) -> anyhow::Result<()> {
    cargo_tool(ground, "deny", &["deny", "--version"], &format!("cargo-deny@{DENY}"))
}

/// `cargo fuzz`, for the soak.
pub(crate) fn fuzz(ground: &Ground) -> anyhow::Result<()> {
    cargo_tool(ground, "fuzz", &["fuzz", "--version"], &format!("cargo-fuzz@{FUZZ}"))
}

fn cargo_tool(ground: &Ground, name: &str, probe: &[&str], package: &str) -> anyhow::Result<()> {
    let mut there = with_cached_programs(ground, "cargo");
    if there.args(probe).output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    shell::say(&format!("   installing cargo-{name}, once"));
    let install = ["install", "--quiet", "--locked", package, "--root"];
    // Into its own target directory: the flags of the workspace must not rebuild it, nor it the workspace.
    let build = ground.cache.join("cargo-build");
    shell::run(shell::command("cargo").args(install).arg(&ground.cache).env("CARGO_TARGET_DIR", build))
}

/// A program that finds the cargo tools of the cache.
pub(crate) fn with_cached_programs(ground: &Ground, program: &str) -> Command {
    let mut path = OsString::from(ground.cache.join("bin"));
    path.push(":");
    path.push(shell::environment("PATH").unwrap_or_default());
    let mut command = shell::command(program);
    command.env("PATH", path);
    command
}

/// The npm packages of `interop/package.json`, and the Node they come with.
pub(crate) fn npm(ground: &Ground) -> anyhow::Result<PathBuf> {
    system_packages()?;
    let source = ground.root.join("interop");
    let files = [source.join("package.json"), source.join("package-lock.json"), source.join(".npmrc")];
    once(&ground.cache.join(format!("js-{}", digest(&files)?)), |folder| {
        shell::say("   installing npm packages, once");
        for file in &files {
            std::fs::copy(file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        shell::run(shell::command("npm").args(["ci", "--silent"]).current_dir(folder))
    })
}

/// A virtual environment for each of `interop/requirements-*.txt`, side by side.
pub(crate) fn python(ground: &Ground) -> anyhow::Result<PathBuf> {
    system_packages()?;
    let names = ["mcp1", "mcp2", "fastmcp", "servers"];
    let files = names.map(|name| ground.root.join(format!("interop/requirements-{name}.txt")));
    once(&ground.cache.join(format!("py-{}", digest(&files)?)), |folder| {
        shell::say("   installing Python packages, once");
        for (name, file) in names.iter().zip(&files) {
            let venv = folder.join(name);
            shell::run(shell::command("python3").args(["-m", "venv"]).arg(&venv))?;
            let install = ["install", "--quiet", "--disable-pip-version-check", "--requirement"];
            shell::run(shell::command(venv.join("bin/pip")).args(install).arg(file))?;
        }
        Ok(())
    })
}

/// Makes a folder unless it is there whole; a half-made one is begun again.
fn once(folder: &Path, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    let whole = folder.join(".whole");
    if !whole.exists() {
        if folder.exists() {
            std::fs::remove_dir_all(folder).with_context(|| format!("clearing {}", folder.display()))?;
        }
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        make(folder)?;
        std::fs::write(&whole, "")?;
    }
    Ok(folder.to_owned())
}

/// Names a state of some files; not for security.
fn digest(files: &[PathBuf]) -> anyhow::Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).with_context(|| format!("reading {}", file.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}
