//! `[redis]`: the way to the other nodes, or none.

use std::path::PathBuf;

use hookswitch::protocol::Secret;
use hookswitch::redis::{HostPort, NodeLease, RedisConfig, Topology};

use super::super::is_one_of;
use super::super::raw::Raw;
use super::super::settings::{self, Setting};
use super::super::values;
use super::Checker;

/// Longer ones make every key long.
const PREFIX_MAX_CHARS: usize = 64;

/// What `REDIS_URL` says by itself.
const SERVER: &[&Setting] =
    &[&settings::REDIS_HOST, &settings::REDIS_PORT, &settings::REDIS_PASSWORD, &settings::REDIS_DB];

/// What means nothing without a server.
const DETAILS: &[&Setting] = &[
    &settings::REDIS_PORT,
    &settings::REDIS_PASSWORD,
    &settings::REDIS_DB,
    &settings::REDIS_PREFIX,
    &settings::REDIS_CA_FILE,
    &settings::REDIS_SHARDED_PUBSUB,
    &settings::REDIS_NODE_LEASE,
    &settings::DRAIN_PRESENCE_HOLD,
];

/// Why a setting that was given changes nothing; `None` for one that counts.
pub(in crate::config) fn without_effect(raw: &Raw, setting: &Setting) -> Option<String> {
    raw.get(setting)?;
    let url = raw.get(&settings::REDIS_URL);
    if url.is_some() && is_one_of(SERVER, setting) {
        return Some(format!("is ignored because {} is set", raw.place(&settings::REDIS_URL)));
    }
    // A file that cannot be read may name the server.
    if url.is_none()
        && raw.get(&settings::REDIS_HOST).is_none()
        && !raw.file_is_unreadable
        && is_one_of(DETAILS, setting)
    {
        return Some("has no effect without REDIS_URL or REDIS_HOST".to_owned());
    }
    let is_plain = url.map_or(!raw.file_is_unreadable, |url| is_plain(&url.text));
    let is_in_vain = is_plain && setting.key == settings::REDIS_CA_FILE.key;
    is_in_vain.then(|| "has no effect without TLS, a REDIS_URL that begins with rediss".to_owned())
}

/// Whether this is certain to mean no TLS; a URL that is wrong says nothing.
fn is_plain(url: &str) -> bool {
    RedisConfig::parse_url(url).is_ok_and(|config| config.tls.is_none())
}

impl Checker<'_> {
    pub(super) fn redis(&mut self) -> Option<RedisConfig> {
        let raw = self.raw;
        self.warnings.extend(settings::ALL.iter().filter_map(|setting| {
            without_effect(raw, setting).map(|reason| format!("{} {reason}", raw.place(setting)))
        }));
        let config = if raw.get(&settings::REDIS_URL).is_some() {
            self.redis_by_url()
        } else if raw.get(&settings::REDIS_HOST).is_some() {
            self.redis_by_host()
        } else {
            return None;
        };
        let mut config = RedisConfig {
            prefix: self.redis_prefix(),
            sharded_pubsub: self.boolean(&settings::REDIS_SHARDED_PUBSUB),
            node_lease: NodeLease::new(self.duration(&settings::REDIS_NODE_LEASE)),
            presence_hold: self.duration(&settings::DRAIN_PRESENCE_HOLD),
            ..config?
        };
        self.read_authorities(&mut config);
        Some(config)
    }

    fn redis_by_url(&mut self) -> Option<RedisConfig> {
        RedisConfig::parse_url(&self.text(&settings::REDIS_URL))
            .map_err(|error| {
                let remedy = "write redis://[user:password@]host:6379/0, special characters of the password \
                              percent-encoded; docs/config.md tells the forms for clusters, sentinels and TLS";
                self.refuse(&settings::REDIS_URL, &error.problem, remedy);
            })
            .ok()
    }

    fn redis_by_host(&mut self) -> Option<RedisConfig> {
        let host = values::host(&self.text(&settings::REDIS_HOST));
        if host.is_none() {
            // Not quoted: people write whole URLs here, passwords included.
            let remedy = "write the name or address alone; the port is REDIS_PORT, a whole URL is REDIS_URL";
            self.refuse(&settings::REDIS_HOST, "is no host name and no IP address", remedy);
        }
        let password = self.raw.get(&settings::REDIS_PASSWORD).map(|given| Secret::new(given.text.as_str()));
        let port = self.number(&settings::REDIS_PORT) as u16;
        let database = self.number(&settings::REDIS_DB) as u8;
        let server = HostPort { host: host?, port };
        Some(RedisConfig { password, database, ..RedisConfig::new(Topology::Single(server)) })
    }

    fn redis_prefix(&mut self) -> String {
        let prefix = self.text(&settings::REDIS_PREFIX);
        let n_chars = prefix.chars().count();
        let is_bad = |c: char| c.is_whitespace() || c.is_control() || "{}*?[]\\".contains(c);
        let wrong = if n_chars > PREFIX_MAX_CHARS {
            format!("has {n_chars} characters, more than {PREFIX_MAX_CHARS}")
        } else if let Some(bad) = prefix.chars().find(|&c| is_bad(c)) {
            format!("{prefix:?} holds {bad:?}, which keys and channel patterns cannot begin with")
        } else {
            return prefix;
        };
        self.refuse(&settings::REDIS_PREFIX, &wrong, "write a short name of letters, digits and dashes");
        prefix
    }

    /// Asks the client itself whether it could work with the file, or with what the system has.
    fn read_authorities(&mut self, config: &mut RedisConfig) {
        let (Some(tls), file) = (&mut config.tls, self.raw.get(&settings::REDIS_CA_FILE)) else { return };
        tls.ca_file = file.map(|file| PathBuf::from(&file.text));
        if let Err(error) = tls.check() {
            let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            let whose = file.map_or_else(|| "the system".to_owned(), |file| format!("{:?}", file.text));
            let wrong = format!("{whose} holds no authorities: {reason}");
            let remedy = "name a readable PEM file with certificates (-----BEGIN CERTIFICATE-----)";
            self.refuse(&settings::REDIS_CA_FILE, &wrong, remedy);
        }
    }
}

#[cfg(test)]
mod tests;
