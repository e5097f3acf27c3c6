//! What is done with the house: shown, tested, soaked, tidied, generated, measured.
//!
//! In: a subcommand. Out: lines on the terminal and an exit code. Never here: code the gateway runs.
//! Specified in `CONTRIBUTING.md`.

mod bench;
mod demo;
mod ground;
mod shell;
mod soak;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ground::Ground;

/// Portunus, from its checkout.
#[derive(Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds and runs `portunus demo`; what follows is passed on.
    Demo(demo::Arguments),
    /// Installs what the tests need and runs everything the project tests.
    Test(test::Arguments),
    /// The long counts: more cases for every property, fuzzing, the real peers again and again.
    Soak(soak::Arguments),
    /// Compares the house with its documents: rooms, names, dead files, links, generated files.
    Tidy,
    /// Writes the generated files again.
    Gen,
    /// Measures the gateway beside nginx and the floor.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let outcome = Ground::here().and_then(|ground| match Arguments::parse().task {
        Task::Demo(arguments) => demo::run(&ground, &arguments),
        Task::Test(arguments) => test::run(&ground, &arguments),
        Task::Soak(arguments) => soak::run(&ground, &arguments),
        Task::Tidy => tidy::run(&ground),
        Task::Gen => tidy::generate(&ground),
        Task::Bench(arguments) => bench::run(&arguments),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
