//! The databases that deliveries are kept in: a file of the server's own, or a MariaDB of the bench's own.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use hookswitch_testkit::{MariaDbServer, MariaDbSpec};

use crate::programs::Programs;
use crate::subject::server;

const HINT: &str = "it is not installed? Debian: `apt-get install mariadb-server`; without it: `--only sqlite`";
/// As a careful operator has it: a commit is on the disk before it is answered, and the data fits into memory.
const SETTINGS: [(&str, &str); 3] =
    [("innodb-flush-log-at-trx-commit", "1"), ("innodb-buffer-pool-size", "1G"), ("innodb-log-file-size", "512M")];

/// Which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    MariaDb,
}

/// Fails with a hint where MariaDB is missing: before anything long has begun.
pub(super) fn look_for_mariadb() -> Result<()> {
    for name in ["mariadbd", "mariadb-install-db", "mariadb"] {
        // Whether it can be started at all: one of them calls it a failure to be asked for help.
        Command::new(name).arg("--help").output().with_context(|| format!("cannot start {name}; {HINT}"))?;
    }
    Ok(())
}

/// Starts one with an empty database of the schema that the server wants, and says where the server finds it.
pub(super) async fn mariadb(programs: &Programs) -> Result<(MariaDbServer, String)> {
    let spec = SETTINGS.iter().fold(MariaDbSpec::new(), |spec, (name, value)| spec.setting(name, value));
    let mariadb = spec.start().await;
    let url = mariadb.create_database().await.url();
    // MySQL and MariaDB are migrated when told to, unlike SQLite.
    let migrated = server(&programs.server).env("DATABASE_URL", &url).args(&["migrate", "up"]).run().await;
    ensure!(migrated.code == Some(0), "`hookswitch migrate` failed:\n{}", migrated.stderr);
    Ok((mariadb, url))
}
