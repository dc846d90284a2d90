//! `[database]`: a file that can be opened, and a clear word about databases that are not there.

use std::path::{Path, PathBuf};

use super::super::values::{self, BadDatabase};
use super::super::{Problem, settings};
use super::Checker;

impl Checker<'_> {
    pub(super) fn database(&mut self) -> PathBuf {
        let file = values::sqlite_file(&self.text(&settings::DATABASE_URL));
        let (wrong, remedy) = match file {
            Ok(path) => {
                self.check_directory(&path);
                return path;
            }
            Err(BadDatabase::MySql) => {
                ("MySQL/MariaDB support is not in this version", "use sqlite://path/to/file.db or unset it")
            }
            Err(BadDatabase::UnknownScheme) => ("has no scheme we know", "write sqlite://path/to/file.db"),
            Err(BadDatabase::InMemory) => {
                ("a database in memory would forget what was promised to survive", "write sqlite://path/to/file.db")
            }
            Err(BadDatabase::NoPath) => ("names no file", "write sqlite://path/to/file.db"),
        };
        self.refuse(&settings::DATABASE_URL, wrong, remedy);
        PathBuf::new()
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

    /// Settings of earlier deployments that would silently mean less than they say.
    pub(super) fn refuse_mysql(&mut self) {
        let has_url = self.raw.get(&settings::DATABASE_URL).is_some();
        for &name in &self.raw.unsupported {
            if has_url {
                self.warnings.push(format!("{name} is ignored because DATABASE_URL is set"));
                continue;
            }
            self.problems.push(Problem {
                key: name.to_owned(),
                wrong: "MySQL/MariaDB support is not in this version".to_owned(),
                remedy: "unset it, or set DATABASE_URL=sqlite://path/to/file.db".to_owned(),
            });
        }
    }
}
