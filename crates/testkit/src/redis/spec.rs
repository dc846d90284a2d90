//! How to start a Redis server.

use std::sync::Arc;

use tempfile::TempDir;

use super::cli::Cli;
use super::server::RedisServer;
use super::tls;
use crate::process::{Launch, Process};

/// How to start a Redis server: password, TLS, its own settings.
#[derive(Debug, Clone, Default)]
pub struct RedisSpec {
    password: Option<String>,
    tls: bool,
    settings: Vec<(String, String)>,
}

impl RedisSpec {
    /// A server on loopback and a free port, which keeps nothing on disk and asks nobody for a password.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with a password for the default user.
    ///
    /// # Panics
    /// When it has other characters than letters and digits: it goes into a URL as it is.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        assert!(password.chars().all(|c| c.is_ascii_alphanumeric()), "a password of letters and digits");
        self.password = Some(password.to_owned());
        self
    }

    /// The same, speaking only TLS, with a certificate for `localhost` and `127.0.0.1` by an authority of its own.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The same with this setting of `redis.conf`: `maxmemory` and `2mb`, `replicaof` and `127.0.0.1 6379`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed or does not come up; its log is shown.
    pub async fn start(self) -> RedisServer {
        RedisServer::new(Process::start(|port| self.launch(port)).await)
    }

    fn launch(&self, port: u16) -> Launch<Cli> {
        let dir = Arc::new(TempDir::new().expect("a temporary directory"));
        let mut cli = Cli { password: self.password.clone(), ..Cli::new(port) };
        let port = port.to_string();
        let mut settings = vec![("bind", "127.0.0.1"), ("save", ""), ("appendonly", "no")];
        if self.tls {
            cli.ca_file = Some(tls::make_certificates(dir.path()));
            settings.extend([("port", "0"), ("tls-port", &port), ("tls-auth-clients", "no")]);
            settings.extend([("tls-cert-file", tls::CERTIFICATE), ("tls-key-file", tls::KEY)]);
            settings.push(("tls-ca-cert-file", tls::AUTHORITY));
        } else {
            settings.push(("port", &port));
        }
        if let Some(password) = &self.password {
            settings.push(("requirepass", password));
        }
        settings.extend(self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let args = settings.into_iter().flat_map(|(name, value)| argument(name, value)).collect();
        Launch { program: "redis-server", args, dir, cli }
    }
}

/// A setting as Redis takes it on its command line: each word of the value is an argument, also if it has none.
fn argument(name: &str, value: &str) -> Vec<String> {
    let words: Vec<&str> = if value.is_empty() { vec![""] } else { value.split_whitespace().collect() };
    std::iter::once(format!("--{name}")).chain(words.into_iter().map(str::to_owned)).collect()
}
