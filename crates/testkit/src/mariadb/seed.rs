//! The data directory that every server begins with.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cli::HINT;

/// The login that tests give to the product.
pub(super) const USER: &str = "hub";
pub(super) const PASSWORD: &str = "hubs-password";

/// Copies the seed, made when missing, into `to`.
///
/// # Panics
/// When MariaDB is not installed or makes no data directory.
pub(super) fn plant(to: &Path) {
    let seed = place();
    if !seed.exists() {
        make(&seed);
    }
    copy(&seed, to).unwrap_or_else(|e| panic!("{} cannot be copied: {e}; delete it", seed.display()));
}

/// One per user, and per version: a server refuses the directory of a later one.
fn place() -> PathBuf {
    let version = output(Command::new("mariadbd").args(["--no-defaults", "--version"]));
    let version: String = version.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
    std::env::temp_dir().join(format!("hookswitch-mariadb-{}-{version}", nix::unistd::getuid()))
}

/// Made aside and put in its place when it is whole: other test processes may want it at this moment.
fn make(seed: &Path) {
    let aside = tempfile::Builder::new().prefix("hookswitch-mariadb-").tempdir().expect("a temporary directory");
    let data = aside.path().join("data");
    std::fs::DirBuilder::new().mode(0o700).create(&data).expect("a fresh directory");
    let mut command = Command::new("mariadb-install-db");
    command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
    command.args(["--skip-name-resolve", "--innodb-log-file-size=4M", &user()]);
    output(command.arg(format!("--datadir={}", data.display())));
    // Whoever comes second finds it there and drops his own.
    if let Err(error) = std::fs::rename(&data, seed) {
        assert!(seed.exists(), "{} cannot be made: {error}", seed.display());
    }
}

/// Asked for when the server is started by root, and harmless otherwise.
pub(super) fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    format!("--user={}", user.map_or_else(|| "root".to_owned(), |user| user.name))
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?} does not start ({e}): {HINT}"));
    assert!(output.status.success(), "{command:?} fails: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
