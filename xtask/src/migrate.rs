//! `cargo xtask migrate`: the schema's steps.
//!
//! The steps themselves are taken by the server program, `hookswitch migrate`, so that this crate needs
//! no database driver and `cargo xtask tidy` starts with a small build.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};

use crate::run::{self, cargo, workspace_root};

/// What to do with the schema.
#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    /// Tell which steps the database has.
    Status(Target),
    /// Take all steps that it does not have.
    Up(Target),
    /// Take the newest step back, with everything that its tables hold.
    Down(Target),
    /// Make the folders of a new step, one for each kind of database.
    New {
        /// Verb and noun, like `add-webhook-labels`.
        name: String,
    },
}

/// Which database.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// `sqlite://path/to/file.db` or `mysql://user:password@host/database`; by default what `DATABASE_URL` says.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

pub(crate) fn run(what: &Migrate) -> Result<()> {
    match what {
        Migrate::Status(target) => ask_server("status", target),
        Migrate::Up(target) => ask_server("up", target),
        Migrate::Down(target) => ask_server("down", target),
        Migrate::New { name } => {
            for file in make(&workspace_root().join("migrations"), name, &stamp()?)? {
                println!("{file}");
            }
            Ok(())
        }
    }
}

fn ask_server(action: &str, target: &Target) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "hookswitch-server", "--", "migrate", action]);
    if let Some(url) = &target.database_url {
        // As a variable: other users of the machine can read the arguments of a process.
        command.env("DATABASE_URL", url);
    }
    run::run(&mut command)
}

/// The present second, as steps are numbered.
fn stamp() -> Result<String> {
    let output = std::process::Command::new("date").args(["-u", "+%Y%m%d%H%M%S"]).output().context("no `date`")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The files of a new step, each with what it has to become.
fn make(migrations: &Path, name: &str, stamp: &str) -> Result<Vec<String>> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(!name.is_empty() && name.chars().all(is_word), "a name like add-webhook-labels: small letters and dashes");
    let mut made = Vec::new();
    for dialect in ["mysql", "sqlite"] {
        let newest = newest(&migrations.join(dialect))?;
        ensure!(*stamp > *newest, "the newest step, {newest}, is later than this machine's clock: {stamp}");
        let folder = migrations.join(dialect).join(format!("{stamp}_{name}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (file, text) in [
            ("up.sql", "-- What it is for. One schema statement per step, safe to run twice (IF NOT EXISTS).\n"),
            ("down.sql", "-- Back to the schema before.\n"),
        ] {
            let path = folder.join(file);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            made.push(path.display().to_string());
        }
    }
    Ok(made)
}

/// The number of the newest step in a folder of steps.
fn newest(folder: &Path) -> Result<String> {
    let mut newest = String::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        newest = newest.max(name.split('_').next().unwrap_or_default().to_owned());
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_step_has_a_folder_for_each_kind_of_database_and_comes_last() {
        let dir = tempfile::tempdir().unwrap();
        for dialect in ["mysql", "sqlite"] {
            std::fs::create_dir_all(dir.path().join(dialect).join("20261121090000_create-x")).unwrap();
        }
        let made = make(dir.path(), "add-labels", "20261201000000").unwrap();
        assert_eq!(made.len(), 4);
        assert!(dir.path().join("mysql/20261201000000_add-labels/down.sql").exists());
        assert!(make(dir.path(), "add-labels", "20261120000000").is_err(), "older than the newest");
        assert!(make(dir.path(), "Add Labels", "20261202000000").is_err());
    }

    #[test]
    fn both_kinds_of_database_have_the_same_steps() {
        let steps = |dialect: &str| {
            let folder = workspace_root().join("migrations").join(dialect);
            let mut names: Vec<_> =
                std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(steps("mysql"), steps("sqlite"));
    }
}
