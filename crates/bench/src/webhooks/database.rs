//! The databases that deliveries are kept in: a file of the server's own, or a MariaDB of the bench's own.
//!
//! Not testkit's: that one would draw the product's crates and an async runtime into a crate that every chore starts
//! with a build of. [`mariadb`] is the only place that knows how one is started.

use std::fs::File;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::clock::{now, pause};
use crate::programs::Programs;
use crate::socket::HeldPort;
use crate::subject::{end, server};

/// Longest wait until it answers.
const START_DEADLINE: Duration = Duration::from_secs(30);
const START_STEP: Duration = Duration::from_millis(50);
const HINT: &str = "it is not installed? Debian: `apt-get install mariadb-server`; without it: `--only sqlite`";
/// Whoever uses it, and nothing else is in there.
const SETUP: &str = "CREATE DATABASE hookswitch CHARACTER SET utf8mb4;\n\
                     CREATE USER bench@127.0.0.1 IDENTIFIED BY 'bench';\n\
                     GRANT ALL ON hookswitch.* TO bench@127.0.0.1;\n";
/// As a careful operator has it: a commit is on the disk before it is answered, and the data fits into memory.
const SETTINGS: [&str; 6] = [
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=1G",
    "--innodb-log-file-size=512M",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--bind-address=127.0.0.1",
];

/// Which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    MariaDb,
}

/// A running MariaDB; killed, and its data thrown away, with this value.
#[derive(Debug)]
pub(super) struct MariaDb {
    child: Child,
    folder: TempDir,
    port: HeldPort,
}

/// Fails with a hint where MariaDB is missing: before anything long has begun.
pub(super) fn look_for_mariadb() -> Result<()> {
    for name in ["mariadbd", "mariadb-install-db"] {
        // Whether it can be started at all: one of them calls it a failure to be asked for help.
        Command::new(program(name)).arg("--help").output().with_context(|| format!("cannot start {name}; {HINT}"))?;
    }
    Ok(())
}

/// Starts one on loopback and a free port, with an empty database of the schema that the server wants.
pub(super) fn mariadb(programs: &Programs) -> Result<MariaDb> {
    let (folder, port) = (tempfile::tempdir().context("no temporary folder")?, HeldPort::take()?);
    install(folder.path())?;
    std::fs::write(folder.path().join("setup.sql"), SETUP)?;
    let log = File::create(folder.path().join("mariadb.log"))?;
    let child = command("mariadbd", folder.path())
        .args(SETTINGS)
        .args([format!("--port={}", port.address.port()), option("socket", folder.path(), "socket")])
        .args([option("pid-file", folder.path(), "pid"), option("init-file", folder.path(), "setup.sql")])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start mariadbd; {HINT}"))?;
    let mut mariadb = MariaDb { child, folder, port };
    mariadb.wait_for_greeting()?;
    migrate(programs, &mariadb)?;
    Ok(mariadb)
}

impl MariaDb {
    /// Where servers find it.
    pub(super) fn url(&self) -> String {
        format!("mysql://bench:bench@{}/hookswitch", self.port.address)
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_for_greeting(&mut self) -> Result<()> {
        let started = now();
        while !self.greets() {
            if self.child.try_wait()?.is_some() || started.elapsed() > START_DEADLINE {
                let log = std::fs::read_to_string(self.folder.path().join("mariadb.log")).unwrap_or_default();
                bail!("mariadbd did not come up:\n{log}");
            }
            pause(START_STEP);
        }
        Ok(())
    }

    /// A server speaks first: the length of a packet, its number, and version 10 of the protocol.
    fn greets(&self) -> bool {
        let listen = || -> std::io::Result<[u8; 5]> {
            let mut stream = TcpStream::connect(self.port.address)?;
            stream.set_read_timeout(Some(START_DEADLINE))?;
            let mut greeting = [0; 5];
            stream.read_exact(&mut greeting).map(|()| greeting)
        };
        listen().is_ok_and(|greeting| greeting[4] == 10)
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The system tables.
fn install(folder: &Path) -> Result<()> {
    let output = command("mariadb-install-db", folder)
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .output()
        .with_context(|| format!("cannot start mariadb-install-db; {HINT}"))?;
    if !output.status.success() {
        bail!("mariadb-install-db failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// MySQL and MariaDB are migrated when told to, unlike SQLite.
fn migrate(programs: &Programs, mariadb: &MariaDb) -> Result<()> {
    let output = server(&programs.server, mariadb.folder.path())
        .args(["migrate", "up"])
        .env("DATABASE_URL", mariadb.url())
        .output()?;
    if !output.status.success() {
        bail!("`hookswitch migrate` failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// One of MariaDB's programs without the machine's own settings. As root it wants to be told that this is meant.
fn command(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(program(name));
    command.args(["--no-defaults".to_owned(), option("datadir", folder, "data")]).stdin(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.arg("--user=root");
    }
    command
}

fn option(name: &str, folder: &Path, file: &str) -> String {
    format!("--{name}={}", folder.join(file).display())
}

/// Debian keeps the server where the path of ordinary users does not lead.
fn program(name: &str) -> PathBuf {
    let aside = Path::new("/usr/sbin").join(name);
    if aside.exists() { aside } else { PathBuf::from(name) }
}
