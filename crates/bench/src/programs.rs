//! The programs that take part, and how they are built.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The optimised programs that take part.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) server: PathBuf,
    /// Another build of the server.
    pub(crate) baseline: Option<PathBuf>,
    /// This program: load clients, floors and the receiver of webhooks.
    pub(crate) chores: PathBuf,
}

/// Builds the server in the release profile, as we are built ourselves: an unoptimised floor would flatter it.
/// Returns the programs and cargo's target folder.
pub(crate) fn build(with_server: bool) -> Result<(Programs, PathBuf)> {
    let chores = std::env::current_exe().context("this program cannot find itself")?;
    let release = chores.parent().context("a program is in a folder")?;
    let target = release.parent().context("cargo builds into a folder of its target folder")?.to_path_buf();
    if with_server {
        let mut cargo = cargo();
        cargo.args(["build", "--release", "--package", "hookswitch-server", "--target-dir"]).arg(&target);
        if !cargo.status().context("cannot start cargo")?.success() {
            bail!("the server cannot be built");
        }
    }
    let server = target.join("release").join(format!("hookswitch{}", std::env::consts::EXE_SUFFIX));
    Ok((Programs { server, baseline: None, chores }, target))
}

/// The cargo that runs us, or the one on the path when the program is started by hand.
#[expect(clippy::disallowed_methods, reason = "cargo names itself through the environment")]
fn cargo() -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// The absolute path of a program that somebody named.
pub(crate) fn existing(program: &Path) -> Result<PathBuf> {
    program.canonicalize().with_context(|| format!("no program at {}", program.display()))
}
