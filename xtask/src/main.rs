//! Chores of the project: `cargo xtask <chore>`.
//!
//! Everything that is more than one line of shell lives here, so that `just`, `.ci/run` and people run the same thing.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who ran it")]

mod bench;
mod fuzz;
mod javascript;
mod migrate;
mod run;
mod setup;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Chores of the Hookswitch workspace", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Check what compilers do not: dependency arrows, homes of packages, file length, stray paths.
    Tidy,
    /// Build and run the whole suite: examples, doc tests, the client for JavaScript, then every test
    /// (nextest where it is installed).
    /// What tests need and the machine lacks is installed first (Redis and MariaDB, on Debian), or named with a hint.
    Test(test::TestArgs),
    /// Refresh the golden files by running the tests that hold them in update mode.
    Golden(test::GoldenArgs),
    /// Run the long must-holds of the server (minutes, thousands of connections).
    Soak(test::SoakArgs),
    /// Look at a database's schema, change it step by step, or begin a new step.
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Feed readers of strangers' bytes with what nobody thought of.
    Fuzz(fuzz::FuzzArgs),
    /// Measure, and hold the figures against their bars; `cargo xtask bench --help` says what.
    #[command(disable_help_flag = true)]
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().chore {
        Chore::Tidy => tidy::run(),
        Chore::Test(args) => test::test(&args),
        Chore::Golden(args) => test::golden(&args),
        Chore::Soak(args) => test::soak(&args),
        Chore::Migrate(what) => migrate::run(&what),
        Chore::Fuzz(args) => fuzz::run_targets(&args),
        Chore::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
