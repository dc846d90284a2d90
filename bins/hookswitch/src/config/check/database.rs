//! `[database]`: a file that can be opened, or a server that can be asked.

use std::path::{Path, PathBuf};

use hookswitch::protocol::Secret;
use hookswitch::store::MySqlConfig;
use hookswitch::store::migrations::Database;

use super::super::raw::Raw;
use super::super::settings::{self, Setting};
use super::super::values::{self, BadDatabase};
use super::super::{Problem, is_one_of};
use super::Checker;

/// What `DATABASE_URL` says by itself.
const SERVER: &[&Setting] =
    &[&settings::DB_HOST, &settings::DB_PORT, &settings::DB_USER, &settings::DB_PASSWORD, &settings::DB_NAME];

/// Why a setting that was given changes nothing; `None` for one that counts.
pub(in crate::config) fn without_effect(raw: &Raw, setting: &Setting) -> Option<String> {
    raw.get(setting)?;
    let is_ignored = raw.get(&settings::DATABASE_URL).is_some() && is_one_of(SERVER, setting);
    is_ignored.then(|| format!("is ignored because {} is set", raw.place(&settings::DATABASE_URL)))
}

impl Checker<'_> {
    pub(super) fn database(&mut self) -> Database {
        let raw = self.raw;
        self.warnings.extend(SERVER.iter().filter_map(|setting| {
            without_effect(raw, setting).map(|reason| format!("{} {reason}", raw.place(setting)))
        }));
        if raw.get(&settings::DATABASE_URL).is_none() {
            if raw.get(&settings::DB_HOST).is_some() {
                return self.database_by_host();
            }
            self.refuse_parts_of_a_server();
        }
        self.database_by_url()
    }

    fn database_by_url(&mut self) -> Database {
        let url = self.text(&settings::DATABASE_URL);
        let (wrong, remedy) = match values::sqlite_file(&url) {
            Ok(path) => {
                self.check_directory(&path);
                return Database::Sqlite(path);
            }
            Err(BadDatabase::MySql) => match MySqlConfig::parse_url(&url) {
                Ok(config) => {
                    self.check_authority(&config);
                    return Database::MySql(Box::new(config));
                }
                Err(error) => (
                    error.problem,
                    "write mysql://user:password@host:3306/database, special characters percent-encoded",
                ),
            },
            Err(BadDatabase::UnknownScheme) => {
                ("has no scheme we know", "write sqlite://path/to/file.db or mysql://user:password@host/database")
            }
            Err(BadDatabase::InMemory) => {
                ("a database in memory would forget what was promised to survive", "write sqlite://path/to/file.db")
            }
            Err(BadDatabase::NoPath) => ("names no file", "write sqlite://path/to/file.db"),
        };
        self.refuse(&settings::DATABASE_URL, wrong, remedy);
        Database::Sqlite(PathBuf::new())
    }

    fn database_by_host(&mut self) -> Database {
        let host = self.text(&settings::DB_HOST);
        if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) {
            // Not quoted: people write whole URLs here, passwords included.
            let remedy = "write the name or address alone; the port is DB_PORT, a whole URL is DATABASE_URL";
            self.refuse(&settings::DB_HOST, "is no host name and no IP address", remedy);
        }
        for needed in [&settings::DB_USER, &settings::DB_NAME] {
            // A file that cannot be read may set it.
            if self.raw.get(needed).is_none() && !self.raw.file_is_unreadable {
                self.refuse(needed, "is not set, and DB_HOST needs it", "set it, or use DATABASE_URL");
            }
        }
        let (user, name) = (self.text(&settings::DB_USER), self.text(&settings::DB_NAME));
        let password = self.raw.get(&settings::DB_PASSWORD).map(|given| Secret::new(given.text.as_str()));
        let port = self.number(&settings::DB_PORT) as u16;
        Database::MySql(Box::new(MySqlConfig { port, password, ..MySqlConfig::new(host, user, name) }))
    }

    /// Whoever names a user or a database means a server: a file instead would silently be less.
    fn refuse_parts_of_a_server(&mut self) {
        if self.raw.file_is_unreadable {
            return;
        }
        let raw = self.raw;
        let given = SERVER.iter().filter_map(|setting| raw.get(setting));
        self.problems.extend(given.map(|given| Problem {
            key: given.place.clone(),
            wrong: "is set, but DB_HOST is not".to_owned(),
            remedy: "set DB_HOST, or unset it to keep everything in a SQLite file".to_owned(),
        }));
    }

    fn check_authority(&mut self, config: &MySqlConfig) {
        let file = config.tls.as_ref().and_then(|tls| tls.ca_file.as_deref());
        if let Some(missing) = file.filter(|file| !file.is_file()) {
            let wrong = format!("its tls_ca \"{}\" is no file", missing.display());
            self.refuse(&settings::DATABASE_URL, &wrong, "name a readable PEM file with the authority's certificate");
        }
    }

    /// Directories are not made at start: a mistyped path would begin an empty database.
    fn check_directory(&mut self, file: &Path) {
        let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
        if let Some(missing) = directory.filter(|directory| !directory.is_dir()) {
            let wrong = format!("the directory \"{}\" does not exist", missing.display());
            self.refuse(&settings::DATABASE_URL, &wrong, "make it or correct the path");
        } else if file.is_dir() {
            let wrong = format!("\"{}\" is a directory", file.display());
            self.refuse(&settings::DATABASE_URL, &wrong, "name a file in it: sqlite://path/to/file.db");
        }
    }
}
