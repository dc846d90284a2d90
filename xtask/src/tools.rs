//! Validators in other languages, which judge what a node says of itself: installed below `target/`, in pinned
//! versions, where Python and Node are there. The tests do without what is not, and this says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::run::{answers, run, workspace_root};

/// Where the tests look for them.
pub(crate) const VARIABLE: &str = "HOOKSWITCH_TOOLS";

/// The folder that has them; whatever is missing was told.
pub(crate) fn ready() -> PathBuf {
    let folder = workspace_root().join("target/tools");
    for (what, done) in [("Python", python(&folder)), ("Node", node(&folder))] {
        match done {
            Ok(true) => {}
            Ok(false) => println!("{what} is not installed: its validators of OpenAPI and AsyncAPI are LEFT OUT"),
            Err(error) => println!("{what}'s validators of OpenAPI and AsyncAPI are LEFT OUT: {error:#}"),
        }
    }
    folder
}

fn python(folder: &Path) -> Result<bool> {
    if !answers(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        return Ok(false);
    }
    let wanted = workspace_root().join("xtask/tools/requirements.txt");
    once(&wanted, &folder.join("python.done"), || {
        let venv = folder.join("venv");
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(venv.join("bin/python")).args(quiet).arg(&wanted))
    })
}

fn node(folder: &Path) -> Result<bool> {
    if !answers(Command::new("node").arg("--version")) || !answers(Command::new("npm").arg("--version")) {
        return Ok(false);
    }
    let wanted = workspace_root().join("xtask/tools/package.json");
    once(&wanted, &folder.join("node.done"), || {
        fs::copy(&wanted, folder.join("package.json")).context("cannot copy package.json")?;
        let quiet = ["install", "--silent", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"];
        run(Command::new("npm").args(quiet).current_dir(folder))
    })
}

/// Installs what is wanted, unless it was before; what was installed is noted.
fn once(wanted: &Path, note: &Path, install: impl FnOnce() -> Result<()>) -> Result<bool> {
    let text = fs::read(wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    if fs::read(note).is_ok_and(|noted| noted == text) {
        return Ok(true);
    }
    if let Some(folder) = note.parent() {
        fs::create_dir_all(folder).context("cannot make a folder below target/")?;
    }
    install()?;
    fs::write(note, text).context("cannot note what was installed")?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_installed_again_only_when_another_version_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let (wanted, note) = (dir.path().join("wanted"), dir.path().join("tools/note"));
        let mut n_installed = 0;
        for version in ["1", "1", "2"] {
            fs::write(&wanted, version).unwrap();
            let install = || {
                n_installed += 1;
                Ok(())
            };
            assert!(once(&wanted, &note, install).unwrap());
        }
        assert_eq!(n_installed, 2);
        fs::write(&wanted, "3").unwrap();
        assert!(once(&wanted, &note, || anyhow::bail!("no network")).is_err());
        assert_eq!(fs::read(&note).unwrap(), b"2", "it is tried again next time");
    }
}
