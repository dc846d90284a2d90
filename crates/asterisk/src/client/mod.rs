//! The connection to a PBX: login, what is asked of it, and how it is kept.

mod error;
mod follow;
mod lists;
mod manager_connection;
mod md5;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

pub use error::ClientError;
pub use follow::{SourceNotice, follow, run_connection};

/// How to reach a PBX, and as whom.
#[derive(Clone)]
pub struct ClientSettings {
    /// `host:port`.
    pub address: String,
    /// The user of `manager.conf`.
    pub user: String,
    /// Its secret. Shown by nothing.
    pub secret: String,
    /// With TLS, and whom to trust.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The name that ids of events begin with; without one the PBX's own `SystemName`, else the address.
    pub name: Option<String>,
    /// How the secret is shown.
    pub login: Login,
    /// For connecting, for the login, and for each list.
    pub deadline: Duration,
    /// Between two pings; after twice this without a byte the PBX counts as gone.
    pub ping: Duration,
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings")
            .field("address", &self.address)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl ClientSettings {
    /// Settings with the defaults: no TLS, login by challenge, 10 s, a ping each 10 s.
    pub fn new(address: &str, user: &str, secret: &str) -> Self {
        Self {
            address: address.to_owned(),
            user: user.to_owned(),
            secret: secret.to_owned(),
            tls: None,
            name: None,
            login: Login::Challenge,
            deadline: Duration::from_secs(10),
            ping: Duration::from_secs(10),
        }
    }

    /// The same over TLS, to a PBX whose certificate a public authority signed.
    ///
    /// # Panics
    /// Without a crypto provider that knows TLS 1.2 and 1.3; the one used here does.
    #[must_use]
    pub fn with_tls(self) -> Self {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { tls: Some(Arc::new(config)), ..self }
    }
}

/// How the secret is shown to the PBX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// By MD5 challenge: the secret itself is not sent.
    Challenge,
    /// As it is.
    Plain,
}

/// What a PBX said of itself at the login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PbxFacts {
    /// The first line of the connection.
    pub banner: String,
    /// Such as `22.10.1`; empty when it may not be asked.
    pub version: String,
    /// `SystemName`, if it has one.
    pub system_name: String,
    /// The name that ids of events begin with.
    pub name: String,
    /// The PBX leaves out what is not needed.
    pub filtered: bool,
    /// Lists that it refused, with its words.
    pub refused: Vec<(String, String)>,
}
