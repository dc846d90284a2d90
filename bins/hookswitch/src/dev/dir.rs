//! `./.hookswitch-dev/`: what `hookswitch dev` keeps between runs.

use std::fmt::{self, Write as _};
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hookswitch::protocol::Secret;
use rand::TryRng as _;
use rand::rngs::SysRng;

const NAME: &str = ".hookswitch-dev";

/// The directory; made on first use.
#[derive(Debug, Clone)]
pub(crate) struct DevDir(PathBuf);

impl DevDir {
    /// Below the working directory.
    pub(crate) fn here() -> Self {
        Self::below(Path::new("."))
    }

    pub(super) fn below(folder: &Path) -> Self {
        Self(folder.join(NAME))
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("hookswitch.db")
    }

    /// The secret of an earlier run, if there was one.
    pub(crate) fn read_secret(&self) -> anyhow::Result<Option<Secret>> {
        match std::fs::read_to_string(self.secret_file()) {
            Ok(text) => Ok(Some(Secret::new(text.trim()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", self.secret_file().display())),
        }
    }

    /// The secret; the first run makes one up. Nobody but the owner may read it.
    pub(crate) fn secret(&self) -> anyhow::Result<Secret> {
        let made = self.make_secret().with_context(|| format!("cannot write {}", self.secret_file().display()));
        if let Some(secret) = made? {
            return Ok(secret);
        }
        let secret = self.read_secret()?.filter(|secret| !secret.reveal().is_empty());
        secret.with_context(|| format!("{} is empty; delete it and start again", self.secret_file().display()))
    }

    fn make_secret(&self) -> io::Result<Option<Secret>> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.secret_file());
        let mut file = match opened {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            opened => opened?,
        };
        // The mode above is filtered by the umask only downwards; this also repairs an odd one.
        file.set_permissions(Permissions::from_mode(0o600))?;
        let mut bytes = [0_u8; 32];
        SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
        let mut text = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        }
        file.write_all(text.as_bytes())?;
        Ok(Some(Secret::new(text)))
    }

    fn secret_file(&self) -> PathBuf {
        self.0.join("secret")
    }
}

impl fmt::Display for DevDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_for_the_owner_only() {
        let root = tempfile::TempDir::new().expect("a directory");
        let dir = DevDir::below(root.path());
        assert!(dir.read_secret().expect("no file is no error").is_none());
        let first = dir.secret().expect("made");
        assert_eq!(first.reveal().len(), 64);
        assert!(dir.secret().expect("read") == first);
        let mode = std::fs::metadata(dir.secret_file()).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_empty_secret_file_is_no_secret() {
        let root = tempfile::TempDir::new().expect("a directory");
        let dir = DevDir(root.path().to_path_buf());
        std::fs::write(dir.secret_file(), "\n").expect("written");
        assert!(dir.secret().expect_err("empty").to_string().contains("delete it"));
    }
}
