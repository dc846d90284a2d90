//! `cargo xtask tidy`: the rules of the house that no compiler checks. Lists every problem, each with what to do.

mod circles;
mod deps;
mod homes;
mod modules;
mod names;
mod rules;
mod source;
mod text;

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand, TargetKind};

use self::deps::{Package, Table};
use self::names::{GLOSSARY, Unwanted};
use self::source::RustFile;
use crate::run::workspace_root;

/// One broken rule: where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    place: String,
    text: String,
}

impl Problem {
    fn file(path: &str, text: impl Into<String>) -> Self {
        Self { place: path.to_owned(), text: text.into() }
    }

    fn line(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { place: format!("{path}:{line}"), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Checks the whole workspace.
pub(crate) fn run() -> Result<()> {
    let packages = packages()?;
    let mut problems = deps::check(&packages);
    let files = repository_files()?;
    let mut rust = Vec::new();
    for path in &files {
        // Deleted but not yet committed, or not text: neither can break a rule about text.
        if let Ok(text) = std::fs::read_to_string(workspace_root().join(path)) {
            problems.extend(text::check(path, &text));
            if is_rust(path) {
                match RustFile::parse(path, text) {
                    Ok(file) => rust.push(file),
                    Err(problem) => problems.push(problem),
                }
            }
        }
    }
    problems.extend(rust.iter().flat_map(source::check));
    problems.extend(check_shipped(&rust)?);
    if problems.is_empty() {
        println!("tidy: {} crates and {} files, no problem", packages.len(), files.len());
        return Ok(());
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    bail!("tidy found {} problems", problems.len())
}

/// What binds crates and binaries, but not tests, examples and chores.
fn check_shipped(files: &[RustFile]) -> Result<Vec<Problem>> {
    let glossary = std::fs::read_to_string(workspace_root().join(GLOSSARY)).context("cannot read the glossary")?;
    let unwanted = Unwanted::parse(&glossary);
    let shipped = || files.iter().filter(|file| file.is_shipped());
    let named = shipped().flat_map(|file| names::check(&unwanted, file));
    Ok(named.chain(shipped().flat_map(homes::check)).chain(circles::check(files)).collect())
}

/// Names of the workspace's packages that have a library.
pub(crate) fn library_packages() -> Result<Vec<String>> {
    Ok(packages()?.into_iter().filter(|package| package.has_library).map(|package| package.name).collect())
}

fn packages() -> Result<Vec<Package>> {
    let root = workspace_root();
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo cannot describe the workspace")?;
    metadata.packages.iter().map(|package| read_package(root, package)).collect()
}

fn read_package(root: &Path, package: &cargo_metadata::Package) -> Result<Package> {
    let path = package.manifest_path.as_std_path();
    let table = |kind| match kind {
        DependencyKind::Development => Table::Dev,
        DependencyKind::Build => Table::Build,
        _ => Table::Normal,
    };
    Ok(Package {
        name: package.name.to_string(),
        manifest: path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned(),
        manifest_text: std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        has_library: package.targets.iter().any(|target| target.kind.contains(&TargetKind::Lib)),
        dependencies: package.dependencies.iter().map(|used| (table(used.kind), used.name.clone())).collect(),
    })
}

/// Every file git tracks, and every new one it does not ignore, so that problems show before the commit.
fn repository_files() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(workspace_root())
        .output()
        .context("cannot start git, which knows the files of the repository")?;
    if !output.status.success() {
        bail!("git cannot list the files: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut files: Vec<String> = names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_read_as_cargo_sees_it() {
        let packages = packages().expect("the workspace this test is built in");
        let hub = packages.iter().find(|package| package.name == "hookswitch-hub").expect("the hub is a member");
        assert_eq!(hub.manifest, "crates/hub/Cargo.toml");
        assert!(hub.has_library);
        assert!(hub.dependencies.contains(&(Table::Normal, "hookswitch-protocol".to_owned())));
    }
}
