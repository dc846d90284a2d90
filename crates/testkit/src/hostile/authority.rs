//! A certificate authority for tests, and servers with certificates by it that are good or flawed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// It ended long ago.
    Expired,
    /// It begins in many years.
    NotYetValid,
    /// It is its own issuer.
    SelfSigned,
}

/// An authority that nobody trusts unless told to.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one, with a key of its own.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are legal names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("the parameters are complete"))
    }

    /// Its certificate as a file holds it.
    pub fn pem(&self) -> String {
        let encoded = STANDARD.encode(self.0.der());
        format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n")
    }

    /// A TLS server for this host name or address, without any agreement on a protocol.
    pub fn server(&self, name: &str, flaw: Flaw) -> ServerConfig {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a legal name");
        match flaw {
            Flaw::Expired => params.not_after = date_time_ymd(2001, 1, 1),
            Flaw::NotYetValid => params.not_before = date_time_ymd(3000, 1, 1),
            Flaw::None | Flaw::SelfSigned => {}
        }
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, &self.0),
        };
        let certificate = certificate.expect("the parameters are complete").der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key made a moment ago");
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("the key belongs to the certificate")
    }
}
