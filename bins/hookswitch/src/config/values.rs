//! The small languages that settings are written in: durations, switches, lists, addresses, database URLs.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use hookswitch::redis::{RedisConfig, Topology};
use hookswitch::store::MySqlConfig;

/// `30s`, `5m`, `500ms`, `1h`, `1m30s`, `5d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let millis = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = &rest[letters..];
    }
    if text.is_empty() { None } else { Some(total) }
}

/// The shortest text that [`duration`] reads back.
pub(super) fn print_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if millis.is_multiple_of(86_400_000) => format!("{}d", millis / 86_400_000),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    }
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "t" | "yes" | "on" => Some(true),
        "false" | "0" | "f" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The parts of a comma-separated list, without surrounding white space and empty parts.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

pub(super) fn address(text: &str) -> Option<IpAddr> {
    if text.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Why a database URL cannot be used; never quotes it, as it may hold a password.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadDatabase {
    MySql,
    UnknownScheme,
    InMemory,
    NoPath,
    /// There is something in the path that people mean otherwise.
    BadPath(&'static str),
}

/// The file of a `sqlite://` URL.
pub(super) fn sqlite_file(url: &str) -> Result<PathBuf, BadDatabase> {
    let (scheme, rest) = url.split_once(':').ok_or(BadDatabase::UnknownScheme)?;
    match scheme.to_ascii_lowercase().as_str() {
        "sqlite" => {}
        "mysql" | "mariadb" => return Err(BadDatabase::MySql),
        _ => return Err(BadDatabase::UnknownScheme),
    }
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.starts_with(":memory:") {
        return Err(BadDatabase::InMemory);
    }
    if path.is_empty() || path.starts_with('?') || path.ends_with('/') {
        return Err(BadDatabase::NoPath);
    }
    // Each would make a new and empty database under another name.
    if path.chars().any(char::is_control) || path.trim() != path {
        return Err(BadDatabase::BadPath("has a line break, another control character or white space around it"));
    }
    if path.contains('?') {
        return Err(BadDatabase::BadPath("has options after ?, and a file takes none"));
    }
    if has_percent_encoding(path) {
        return Err(BadDatabase::BadPath("has a percent-encoding, and paths are taken as they are written"));
    }
    if path.starts_with("~/") {
        return Err(BadDatabase::BadPath("begins with ~, which only shells know"));
    }
    Ok(PathBuf::from(path))
}

fn has_percent_encoding(text: &str) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    (0..bytes.len()).any(|at| bytes[at] == b'%' && is_digit(bytes.get(at + 1)) && is_digit(bytes.get(at + 2)))
}

/// The name or address of a server, and nothing around it but the brackets of IPv6.
pub(super) fn host(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let is_name = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let has_letter = text.contains(|c: char| c.is_ascii_alphanumeric());
    ((is_name && has_letter) || bare.parse::<IpAddr>().is_ok()).then(|| bare.to_owned())
}

/// A URL as it may be shown: whole only if it is known to hold no password.
pub(super) fn print_url(url: &str) -> String {
    if let Ok(config) = MySqlConfig::parse_url(url) {
        return format!("*** (MySQL at {config})");
    }
    match RedisConfig::parse_url(url) {
        Ok(config) if may_hold_password(url, &config) => format!("*** ({})", config.topology),
        Err(_) if sqlite_file(url).is_err() => "***".to_owned(),
        Ok(_) | Err(_) => url.to_owned(),
    }
}

/// A name before the host counts too: `redis://password@host` is a common slip.
fn may_hold_password(url: &str, config: &RedisConfig) -> bool {
    url.contains(['@', '%', '#']) || matches!(config.topology, Topology::Sentinel { password: Some(_), .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed() {
        let check = |text: &str, millis: u64, printed: &str| {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(print_duration(Duration::from_millis(millis)), printed);
        };
        check("30s", 30_000, "30s");
        check("5m", 300_000, "5m");
        check("500ms", 500, "500ms");
        check("1m30s", 90_000, "90s");
        check("2h", 7_200_000, "2h");
        check("24h", 86_400_000, "1d");
        check("1d12h", 129_600_000, "36h");
        for bad in ["", "5", "s", "5 s", "-1s", "1.5s", "1w", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_database_is_a_file_or_a_reason() {
        assert_eq!(sqlite_file("sqlite://a/b.db"), Ok(PathBuf::from("a/b.db")));
        assert_eq!(sqlite_file("sqlite:///var/b.db"), Ok(PathBuf::from("/var/b.db")));
        assert_eq!(sqlite_file("mysql://user:password@host/db"), Err(BadDatabase::MySql));
        assert_eq!(sqlite_file("postgres://host/db"), Err(BadDatabase::UnknownScheme));
        assert_eq!(sqlite_file("hookswitch.db"), Err(BadDatabase::UnknownScheme));
        assert_eq!(sqlite_file("sqlite::memory:"), Err(BadDatabase::InMemory));
        assert_eq!(sqlite_file("sqlite://:memory:"), Err(BadDatabase::InMemory));
        assert_eq!(sqlite_file("sqlite://"), Err(BadDatabase::NoPath));
        for bad in ["h.db\n", " h.db", "h.db ", "h\t.db", "h.db?mode=ro", "my%20calls.db", "~/h.db"] {
            assert!(matches!(sqlite_file(&format!("sqlite://{bad}")), Err(BadDatabase::BadPath(_))), "{bad:?}");
        }
        assert_eq!(sqlite_file("sqlite://100%.db"), Ok(PathBuf::from("100%.db")));
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_no_more() {
        for good in ["db", "db.example.com", "10.0.0.1", "my_db-1", "::1"] {
            assert_eq!(host(good).as_deref(), Some(good));
        }
        assert_eq!(host("[::1]").as_deref(), Some("::1"));
        for bad in ["", ".", "db:3306", "db ", "db\n", "tcp://db", "user@db", "/run/mysqld.sock", "[db]"] {
            assert_eq!(host(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        let check = |url: &str, shown: &str| assert_eq!(print_url(url), shown, "{url}");
        check("sqlite://a/b.db", "sqlite://a/b.db");
        check("rediss://redis.example:7000/3", "rediss://redis.example:7000/3");
        check("redis://hub:hunter2@redis.example/3", "*** (Redis at redis.example:6379)");
        check("redis://hunter2@a", "*** (Redis at a:6379)");
        check("redis-cluster://:hunter2@a?node=b", "*** (Redis Cluster at a:6379, b:6379)");
        check("redis-sentinel://s?service=m&sentinel_password=hunter2", "*** (Redis m by the sentinels s:26379)");
        check("redis:hunter2@", "***");
        check("mysql://hub:hunter2@db/calls", "*** (MySQL at hub@db:3306/calls)");
        check("mysql://hub:hunter2@db", "***");
    }
}
