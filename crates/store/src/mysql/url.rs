//! Database URLs, read so that no error can tell the password.

use std::path::PathBuf;

use hookswitch_protocol::Secret;
use percent_encoding::percent_decode_str;

use super::config::{MySqlConfig, Tls};

/// Why a text is no URL of a MySQL or MariaDB database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database URL {problem}; write mysql://user:password@host:3306/database, special characters percent-encoded"
)]
pub struct BadUrl {
    /// What is wrong, to follow the name of the setting.
    pub problem: &'static str,
}

fn bad(problem: &'static str) -> BadUrl {
    BadUrl { problem }
}

impl MySqlConfig {
    /// The server that a `mysql://user:password@host:3306/database` names; `mariadb://` means the
    /// same. What has other characters than letters, digits and `-._~` is percent-encoded. After `?`
    /// may stand `tls=true`, `tls_ca=/path/to/authority.pem` and `socket=/path/to/mysqld.sock`.
    ///
    /// # Errors
    /// [`BadUrl`], which says what is wrong and does not quote it: there may be a password in it.
    pub fn parse_url(url: &str) -> Result<Self, BadUrl> {
        parse(url)
    }
}

fn parse(url: &str) -> Result<MySqlConfig, BadUrl> {
    let rest = ["mysql://", "mariadb://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.ok_or(bad("does not begin with mysql:// or mariadb://"))?;
    let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').ok_or(bad("names no database"))?;
    let (login, address) = authority.rsplit_once('@').ok_or(bad("names no user"))?;
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    let (host, port) = address_of(address)?;
    let mut config = MySqlConfig::new(host, decode(user)?, decode(database)?);
    config.password = password.map(decode).transpose()?.filter(|text| !text.is_empty()).map(Secret::new);
    config.port = port;
    for option in options.split('&').filter(|option| !option.is_empty()) {
        set(&mut config, option)?;
    }
    if config.user.is_empty() {
        return Err(bad("names no user"));
    }
    if config.database.is_empty() || config.database.contains('/') {
        return Err(bad("names no database"));
    }
    Ok(config)
}

fn address_of(text: &str) -> Result<(String, u16), BadUrl> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if host.is_empty() || !host.chars().all(is_name) {
        return Err(bad("names no host"));
    }
    let port = if port.is_empty() { Ok(3306) } else { port.parse() };
    Ok((host.to_owned(), port.map_err(|_| bad("has a port that is no number from 1 to 65535"))?))
}

fn set(config: &mut MySqlConfig, option: &str) -> Result<(), BadUrl> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let value = decode(value)?;
    match (name, value.as_str()) {
        ("tls", "true") => config.tls = Some(config.tls.take().unwrap_or_default()),
        ("tls", "false") => config.tls = None,
        ("tls", _) => return Err(bad("has a tls that is neither true nor false")),
        ("tls_ca" | "socket", "") => return Err(bad("has an option without a path")),
        ("tls_ca", file) => config.tls = Some(Tls { ca_file: Some(PathBuf::from(file)) }),
        ("socket", file) => config.socket = Some(PathBuf::from(file)),
        _ => return Err(bad("has an option after ? that is none of tls, tls_ca and socket")),
    }
    Ok(())
}

fn decode(text: &str) -> Result<String, BadUrl> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| bad("has a percent-encoding that is no UTF-8"))?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_are_read_and_nothing_prints_the_password() {
        let config = parse("mysql://hub%40x:p%40ss:w%2Fd@[::1]:3307/calls?tls_ca=/etc/ca.pem&socket=/run/my.sock")
            .expect("good");
        assert_eq!((config.host.as_str(), config.port, config.user.as_str()), ("::1", 3307, "hub@x"));
        assert_eq!(config.password.as_ref().map(Secret::reveal), Some("p@ss:w/d"));
        assert_eq!((config.database.as_str(), config.socket.as_deref()), ("calls", Some("/run/my.sock".as_ref())));
        assert_eq!(config.tls, Some(Tls { ca_file: Some(PathBuf::from("/etc/ca.pem")) }));
        assert!(!format!("{config:?} {config}").contains("p@ss"));
        let short = parse("mariadb://hub@db/calls").expect("good");
        assert_eq!((short.port, short.password, short.tls), (3306, None, None));
    }

    #[test]
    fn what_is_wrong_is_told_without_quoting_it() {
        for url in [
            "sqlite://hunter2",
            "mysql://hub:hunter2@db",
            "mysql://hub:hunter2@db/",
            "mysql://db/hunter2",
            "mysql://:hunter2@db/calls",
            "mysql://hub:hunter2@/calls",
            "mysql://hub:hunter2@db:99999/calls",
            "mysql://hub:hunter2@db/calls?require_ssl=hunter2",
            "mysql://hub:hunter2@db/calls?tls=hunter2",
            "mysql://hub:%ff%fe@db/calls",
        ] {
            let error = parse(url).expect_err(url).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
