//! `cargo xtask test`, `golden` and `soak`: how the suite is run, with or without nextest.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::run::{answers, cargo, run};
use crate::{javascript, setup, tools};

/// The variable that tells golden tests to write instead of compare.
const GOLDEN_SWITCH: &str = "HOOKSWITCH_GOLDEN";

/// What to test.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Only these packages (repeatable); without it, the whole workspace.
    #[arg(short, long = "package", value_name = "PACKAGE")]
    packages: Vec<String>,
    /// Passed on to the test runner (nextest or `cargo test`): filters and its own flags.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    runner_args: Vec<String>,
}

/// Which golden tests to refresh.
#[derive(Debug, Args)]
pub(crate) struct GoldenArgs {
    /// Only these packages (repeatable); without it, the whole workspace.
    #[arg(short, long = "package", value_name = "PACKAGE")]
    packages: Vec<String>,
    /// Only tests whose name contains this.
    #[arg(default_value = "golden")]
    filter: String,
}

/// How to run the long checks.
#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    /// Build the server in the release profile first (slower to build, faster to run).
    #[arg(long)]
    release: bool,
    /// Passed on to the test binary: name filters and harness flags.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    harness_args: Vec<String>,
}

/// Examples, doc tests, the client for JavaScript, then every test; the runner's summary comes last, so that it is what one sees.
pub(crate) fn test(args: &TestArgs) -> Result<()> {
    setup::ready()?;
    let (runner, tools) = (Runner::find(), tools::ready());
    let started = now();
    if args.runner_args.is_empty() {
        step("1/4", "examples", started);
        run(scope(cargo().arg("build"), &args.packages).arg("--examples"))?;
        step("2/4", "doc tests", started);
        doc_tests(&args.packages)?;
        step("3/4", "the client for JavaScript", started);
        if args.packages.is_empty() {
            javascript::test()?;
        } else {
            println!("packages were named: it is left out");
        }
    } else {
        println!(
            "arguments for the test runner were given: examples, doc tests and the client for JavaScript are left out"
        );
    }
    step("4/4", runner.label(), started);
    run(runner.command(&args.packages, &args.runner_args).env(tools::VARIABLE, tools))
}

/// Runs the golden tests in update mode; what changed shows in `git diff`.
pub(crate) fn golden(args: &GoldenArgs) -> Result<()> {
    let mut command = cargo();
    scope(command.arg("test"), &args.packages);
    run(command.args(["--tests", "--", &args.filter]).env(GOLDEN_SWITCH, "update"))?;
    println!("golden files are refreshed; read `git diff` before committing them");
    Ok(())
}

/// Runs the long checks one after another: each of them wants the machine for itself.
pub(crate) fn soak(args: &SoakArgs) -> Result<()> {
    setup::ready()?;
    setup::proxies();
    let mut command = cargo();
    command.args(["test", "--package", "hookswitch-server", "--features", "soak", "--test", "soak"]);
    if args.release {
        command.arg("--release");
    }
    command.args(["--", "--nocapture", "--test-threads=1"]).args(&args.harness_args);
    run(&mut command)
}

/// The program that runs the tests.
#[derive(Clone, Copy, Debug)]
enum Runner {
    Nextest,
    Plain,
}

impl Runner {
    fn find() -> Self {
        if answers(cargo().args(["nextest", "--version"])) { Self::Nextest } else { Self::Plain }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Nextest => "tests, run by nextest",
            Self::Plain => "tests, run by `cargo test` (nextest is not installed)",
        }
    }

    fn command(self, packages: &[String], runner_args: &[String]) -> Command {
        let mut command = cargo();
        match self {
            Self::Nextest => command.args(["nextest", "run", "--no-fail-fast"]),
            Self::Plain => command.args(["test", "--no-fail-fast", "--tests"]),
        };
        scope(&mut command, packages).args(runner_args);
        command
    }
}

/// Adds the choice of packages to a cargo command.
fn scope<'a>(command: &'a mut Command, packages: &[String]) -> &'a mut Command {
    if packages.is_empty() {
        command.arg("--workspace");
    }
    for package in packages {
        command.args(["--package", package]);
    }
    command
}

/// Doc tests of the chosen packages; cargo refuses to be asked for those of a package without a library.
fn doc_tests(packages: &[String]) -> Result<()> {
    let libraries = crate::tidy::library_packages()?;
    let chosen: Vec<String> = packages.iter().filter(|name| libraries.contains(name)).cloned().collect();
    if !packages.is_empty() && chosen.is_empty() {
        println!("none of these packages is a library");
        return Ok(());
    }
    run(scope(cargo().args(["test", "--doc", "--no-fail-fast"]), &chosen).arg("--quiet"))
}

#[expect(clippy::disallowed_methods, reason = "chores have no runtime whose clock could be paused")]
fn now() -> Instant {
    Instant::now()
}

fn step(number: &str, what: &str, started: Instant) {
    println!("\n== {number} {what} (after {} s)", started.elapsed().as_secs());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(command: &Command) -> Vec<String> {
        command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn packages_replace_the_workspace_and_arguments_pass_through() {
        let whole = Runner::Nextest.command(&[], &["outbox".to_owned()]);
        assert_eq!(line(&whole), ["nextest", "run", "--no-fail-fast", "--workspace", "outbox"]);
        let one = Runner::Plain.command(&["hookswitch-hub".to_owned()], &[]);
        let expected = ["test", "--no-fail-fast", "--tests", "--package", "hookswitch-hub"];
        assert_eq!(line(&one), expected);
    }
}
