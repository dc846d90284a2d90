//! TLS towards receivers: whom we trust, and what a failed handshake is called.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::failure::{ErrorClass, Failure};

/// A text without a certificate in PEM form, or with one that cannot be an authority's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificates {
    /// There is no `BEGIN CERTIFICATE` in it.
    #[error("there is no certificate in PEM form in it")]
    None,
    /// One of them cannot be read.
    #[error("certificate {0} in it cannot be read")]
    Unreadable(usize),
}

/// Reads the certificates of additional authorities.
pub(crate) fn read_authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidCertificates> {
    let mut all = Vec::new();
    for (i, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let unreadable = InvalidCertificates::Unreadable(i + 1);
        let certificate = certificate.map_err(|_| unreadable.clone())?;
        RootCertStore::empty().add(certificate.clone()).map_err(|_| unreadable)?;
        all.push(certificate.into_owned());
    }
    if all.is_empty() { Err(InvalidCertificates::None) } else { Ok(all) }
}

/// The web's authorities, and these. No protocol is negotiated: HTTP/1.1 is what a server speaks
/// that is not asked for another.
///
/// # Panics
/// Never: the provider is the one we name, and it supports the default protocol versions.
pub(crate) fn client_config(authorities: &[CertificateDer<'static>]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(authorities.iter().cloned());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// The name a certificate must have: the URL's host without brackets, and without the dot that info
/// a name as complete, which certificates never hold.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, Failure> {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let unusable = Failure::because(ErrorClass::TlsError, "no certificate can be for such a host name");
    ServerName::try_from(host.to_owned()).map_err(|_| unusable)
}

/// What a failed handshake is called. It holds nothing of what the certificate says.
pub(crate) fn failure_of(error: &io::Error) -> Failure {
    use CertificateError as Bad;
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Failure::new(ErrorClass::ConnectionReset),
            _ => Failure::because(ErrorClass::TlsError, "the connection was closed during the TLS handshake"),
        };
    };
    let detail = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "the certificate has expired",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "the certificate is not valid yet",
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => "the certificate is for another name",
            Bad::UnknownIssuer | Bad::BadSignature => "the certificate is not from an authority that is trusted",
            Bad::Revoked => "the certificate was revoked",
            _ => "the certificate is not acceptable",
        },
        rustls::Error::InvalidMessage(_) => "what answered does not speak TLS",
        rustls::Error::AlertReceived(_) => "the receiver refused the TLS handshake",
        rustls::Error::PeerIncompatible(_) => "the receiver speaks no version or cipher of TLS that we do",
        _ => return Failure::new(ErrorClass::TlsError),
    };
    Failure::because(ErrorClass::TlsError, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused() {
        assert_eq!(read_authorities(b""), Err(InvalidCertificates::None));
        assert_eq!(read_authorities(b"not a certificate"), Err(InvalidCertificates::None));
        let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(read_authorities(empty), Err(InvalidCertificates::Unreadable(1)));
    }

    #[test]
    fn names_are_what_certificates_hold() {
        for (host, wanted) in [("crm.example", "crm.example"), ("crm.example.", "crm.example"), ("[::1]", "::1")] {
            assert_eq!(server_name(host).expect(host).to_str(), wanted);
        }
        assert!(server_name("under score").is_err());
    }
}
