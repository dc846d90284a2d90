//! `cargo xtask bench`: builds `crates/bench` as the server is built, and hands over to it.
//!
//! A program of its own, so that `cargo xtask tidy` and `cargo xtask test` start with a small build, and so that load
//! clients and floors are as optimised as the server they stand beside.

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use crate::run::{self, cargo};

/// What the bench is told.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Builds and runs it.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    run::run(cargo().args(["run", "--release", "--package", "hookswitch-bench", "--"]).args(&args.args))
}
