//! `cargo xtask fuzz`: builds the targets of `crates/fuzz` with libFuzzer's eyes and lets them run.
//!
//! What cargo-fuzz does, on the stable toolchain and without an extension: code is compiled with counters that tell the
//! engine what an input reached. Sanitizers are left out, as they need a nightly compiler and there is no `unsafe` here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::run::{cargo, run, workspace_root};

/// Counters at every branch and the operands of every comparison; `cfg(fuzzing)` makes the program libFuzzer's.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Longer than any limit but those of whole bodies.
const MAX_INPUT_BYTES: u32 = 16 * 1024;

/// What to fuzz.
#[derive(Debug, Args)]
pub(crate) struct FuzzArgs {
    /// The target, a folder of crates/fuzz/seeds; without it, all of them one after another.
    target: Option<String>,
    /// How long each.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Builds, then runs; fails at the first input that breaks a promise, and keeps it.
pub(crate) fn run_targets(args: &FuzzArgs) -> Result<()> {
    let targets = chosen(args.target.as_deref())?;
    let program = build()?;
    for target in targets {
        fuzz(&program, &target, args.seconds)?;
    }
    Ok(())
}

fn chosen(target: Option<&str>) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder("seeds")).context("cannot read the seeds")?;
    let mut names: Vec<String> =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<_>>()?;
    names.sort_unstable();
    match target {
        None => Ok(names),
        Some(target) if names.iter().any(|name| name == target) => Ok(vec![target.to_owned()]),
        Some(target) => bail!("there is no target `{target}`: they are {}", names.join(", ")),
    }
}

/// A target triple is given, so that the flags do not reach macros and build scripts.
fn build() -> Result<PathBuf> {
    let triple = host()?;
    let into = workspace_root().join("target/fuzz");
    let mut command = cargo();
    command.args(["build", "--package", "hookswitch-fuzz", "--target", &triple, "--target-dir"]).arg(&into);
    run(command.env("RUSTFLAGS", FLAGS).env("CARGO_INCREMENTAL", "0"))?;
    Ok(into.join(triple).join("debug/hookswitch-fuzz"))
}

fn host() -> Result<String> {
    let output = cargo().arg("-vV").output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("cargo does not tell its host")?.to_owned())
}

/// New inputs go to the first folder; those of seeds and earlier findings are run first.
fn fuzz(program: &Path, target: &str, seconds: u32) -> Result<()> {
    let corpus = workspace_root().join("target/fuzz/corpus").join(target);
    let artifacts = folder("artifacts").join(target);
    for made in [&corpus, &artifacts] {
        fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
    }
    let mut command = Command::new(program);
    command.arg(format!("--target={target}"));
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={MAX_INPUT_BYTES}"));
    command.args(["-timeout=10", "-verbosity=1", "-print_final_stats=1"]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args([&corpus, &folder("seeds").join(target), &artifacts]);
    println!("\n== {target}, {seconds} s");
    let output = command.output().context("cannot start the fuzzer")?;
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        let figures = told.lines().filter(|line| line.starts_with("stat::") || line.contains("DONE"));
        figures.for_each(|line| println!("{line}"));
        return Ok(());
    }
    eprintln!("{told}");
    bail!("`{target}` broke a promise; the input is in crates/fuzz/artifacts/{target}/: make it a test of the crate")
}

fn folder(name: &str) -> PathBuf {
    workspace_root().join("crates/fuzz").join(name)
}
