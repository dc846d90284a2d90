//! `[database]`: a file that can be opened, or a server that can be asked.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use hookswitch::protocol::Secret;
use hookswitch::store::MySqlConfig;
use hookswitch::store::migrations::Database;
use hookswitch::webhooks::AddressPolicy;

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
                self.check_file(&path);
                return Database::Sqlite(path);
            }
            Err(BadDatabase::MySql) => match MySqlConfig::parse_url(&url) {
                Ok(config) => {
                    self.check_server(&config, &url);
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
            Err(BadDatabase::BadPath(wrong)) => (wrong, "write sqlite://path/to/file.db, the path as it is"),
        };
        self.refuse(&settings::DATABASE_URL, wrong, remedy);
        Database::Sqlite(PathBuf::new())
    }

    fn database_by_host(&mut self) -> Database {
        let host = values::host(&self.text(&settings::DB_HOST));
        if host.is_none() {
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
        Database::MySql(Box::new(MySqlConfig {
            port,
            password,
            ..MySqlConfig::new(host.unwrap_or_default(), user, name)
        }))
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

    /// What can be known of a server without asking it.
    fn check_server(&mut self, config: &MySqlConfig, url: &str) {
        if [&config.user, &config.database].iter().any(|name| name.chars().any(char::is_control)) {
            let remedy = "write the names without it; a URL from a file often ends with one";
            self.refuse(&settings::DATABASE_URL, "has a line break or another control character in a name", remedy);
        }
        let Some(file) = config.tls.as_ref().and_then(|tls| tls.ca_file.as_deref()) else {
            if url.contains("tls_ca=") {
                self.refuse(&settings::DATABASE_URL, "has a tls_ca, and tls=false after it", "leave one of them out");
            }
            return;
        };
        // Whether there are certificates in it is for the reader of such files to say, whoever it reads them for.
        let pem = std::fs::read(file).map_err(|error| error.to_string());
        let read = pem.and_then(|pem| AddressPolicy::strict().trust_authorities(&pem).map_err(|e| e.to_string()));
        if let Err(reason) = read {
            let wrong = format!("its tls_ca {:?} holds no authorities: {reason}", file.display().to_string());
            let remedy = "name a readable PEM file with the authority's certificate (-----BEGIN CERTIFICATE-----)";
            self.refuse(&settings::DATABASE_URL, &wrong, remedy);
        }
    }

    /// Directories are not made at start: a mistyped path would begin an empty database.
    fn check_file(&mut self, file: &Path) {
        let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
        if let Some(missing) = directory.filter(|directory| !directory.is_dir()) {
            let wrong = format!("the directory \"{}\" does not exist", missing.display());
            return self.refuse(&settings::DATABASE_URL, &wrong, "make it or correct the path");
        }
        if file.is_dir() {
            let wrong = format!("\"{}\" is a directory", file.display());
            return self.refuse(&settings::DATABASE_URL, &wrong, "name a file in it: sqlite://path/to/file.db");
        }
        if let Err(wrong) = try_file(file).and_then(|()| try_directory(directory.unwrap_or(Path::new(".")))) {
            self.refuse(
                &settings::DATABASE_URL,
                &wrong,
                "name a file that this user may write, in a directory of its own",
            );
        }
    }
}

/// What every SQLite file begins with; one that was just made is empty.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// Opens the file as the database would, where there is one, and changes nothing.
fn try_file(file: &Path) -> Result<(), String> {
    let mut opened = match OpenOptions::new().read(true).write(true).open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("\"{}\" cannot be opened for writing: {error}", file.display())),
    };
    let mut begin = Vec::new();
    let read = Read::by_ref(&mut opened).take(SQLITE_MAGIC.len() as u64).read_to_end(&mut begin);
    read.map_err(|error| format!("\"{}\" cannot be read: {error}", file.display()))?;
    if begin.is_empty() || begin == SQLITE_MAGIC {
        Ok(())
    } else {
        Err(format!("\"{}\" is no SQLite database", file.display()))
    }
}

/// Makes a file beside the database and takes it away again, as the database does with its log.
fn try_directory(directory: &Path) -> Result<(), String> {
    let probe = directory.join(format!(".hookswitch-probe-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create(true).truncate(true).open(&probe);
    made.map_err(|error| format!("no file can be made in \"{}\": {error}", directory.display()))?;
    // Two checks of one process at a time may find it gone.
    let _gone = std::fs::remove_file(&probe);
    Ok(())
}
