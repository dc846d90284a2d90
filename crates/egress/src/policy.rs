//! Which destinations are allowed, and which way leads there.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use rustls::pki_types::CertificateDer;

use crate::name_resolver::{NameResolver, Resolver};
use crate::proxy::{InvalidProxy, Proxy};
use crate::special_purpose;
use crate::tls::{InvalidCertificates, read_authorities};

/// What may be reached, and how. Strict by default: https, publicly routable addresses only,
/// no proxy, and the authorities of the web.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    http: bool,
    cidrs: Arc<[IpNet]>,
    proxy: Option<Arc<Proxy>>,
    authorities: Arc<[CertificateDer<'static>]>,
    names: Resolver,
}

/// A text that is no network such as `10.1.0.0/16`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no network such as 10.1.0.0/16 or 127.0.0.1")]
pub struct InvalidCidr {
    /// What was offered.
    pub text: String,
}

/// A text that is no name server such as `10.0.0.2` or `10.0.0.2:5353`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no name server such as 10.0.0.2, 10.0.0.2:5353 or [fd00::2]:53")]
pub struct InvalidNameServer {
    /// What was offered.
    pub text: String,
}

impl AddressPolicy {
    /// Https to public addresses, nothing else.
    pub fn strict() -> Self {
        Self::default()
    }

    /// Also `http:` URLs. Addresses are judged as before.
    #[must_use]
    pub fn allow_http(mut self) -> Self {
        self.http = true;
        self
    }

    /// Also the addresses of these networks, in CIDR notation, separated by commas; a bare address is
    /// a network of one. Adds to what was allowed before; an empty text adds nothing.
    ///
    /// # Errors
    /// [`InvalidCidr`] with the first that cannot be read.
    pub fn allow_cidrs(mut self, list: &str) -> Result<Self, InvalidCidr> {
        let added = list.split(',').map(str::trim).filter(|text| !text.is_empty()).map(read_network);
        let added: Vec<IpNet> = added.collect::<Result<_, _>>()?;
        self.cidrs = self.cidrs.iter().copied().chain(added).collect();
        Ok(self)
    }

    /// Through this HTTP proxy, by CONNECT, also towards `http:` URLs: `http://proxy.internal:3128`,
    /// or with `user:password@` before the host, percent-encoded. Names are still resolved and judged
    /// here, and the proxy is told the address that was judged; TLS and `Host` keep the name. The
    /// proxy's own address is the operator's choice and not judged. No variable of the environment
    /// chooses a proxy.
    ///
    /// # Errors
    /// [`InvalidProxy`], which does not repeat the password.
    pub fn via_proxy(mut self, url: &str) -> Result<Self, InvalidProxy> {
        self.proxy = Some(Arc::new(Proxy::parse(url)?));
        Ok(self)
    }

    /// Also receivers whose certificates come from these authorities, in PEM form, beside those of
    /// the web. Adds to what was trusted before.
    ///
    /// # Errors
    /// [`InvalidCertificates`] when there is none, or one that cannot be read.
    pub fn trust_authorities(mut self, pem: &[u8]) -> Result<Self, InvalidCertificates> {
        let added = read_authorities(pem)?;
        self.authorities = self.authorities.iter().cloned().chain(added).collect();
        Ok(self)
    }

    /// Names are looked up by these name servers instead of those of `/etc/resolv.conf`: addresses, separated by
    /// commas, each with a port if it is not 53. `/etc/hosts` is looked at before, and no search list is used.
    ///
    /// # Errors
    /// [`InvalidNameServer`] with the first that cannot be read, or when there is none.
    pub fn ask_name_servers(mut self, list: &str) -> Result<Self, InvalidNameServer> {
        let servers = list.split(',').map(|text| read_name_server(text.trim()));
        self.names = Resolver::asking(servers.collect::<Result<_, _>>()?);
        Ok(self)
    }

    /// Names are resolved by this instead of the machine's name servers. Its answers are judged alike.
    #[must_use]
    pub fn resolve_with(mut self, resolver: Arc<dyn NameResolver>) -> Self {
        self.names = Resolver::by(resolver);
        self
    }

    /// Whether `http:` URLs are allowed.
    pub fn is_http_allowed(&self) -> bool {
        self.http
    }

    /// The networks allowed beyond the public internet, as text, for the log at start.
    pub fn allowed_networks(&self) -> Vec<String> {
        self.cidrs.iter().map(ToString::to_string).collect()
    }

    /// Where the proxy is, without user name and password, for the log at start.
    pub fn proxy_address(&self) -> Option<String> {
        self.proxy.as_ref().map(|proxy| proxy.uri.to_string())
    }

    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_deref()
    }

    pub(crate) fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    pub(crate) fn names(&self) -> &Resolver {
        &self.names
    }

    /// Whether a connection to this address may be made. An IPv6 address that is only a spelling of
    /// an IPv4 address is judged as that; one that leads to a private IPv4 address is refused.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.cidrs.iter().any(|network| network.contains(&address)) || special_purpose::is_public(address)
    }
}

fn read_network(text: &str) -> Result<IpNet, InvalidCidr> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map(|network| network.trunc()).map_err(|_| InvalidCidr { text: text.to_owned() })
}

fn read_name_server(text: &str) -> Result<SocketAddr, InvalidNameServer> {
    const PORT: u16 = 53;
    let server = text.parse().or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT)));
    let server = server.ok().filter(|server| server.port() != 0);
    server.ok_or_else(|| InvalidNameServer { text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allow_list_opens_its_networks_and_no_other() {
        let policy = AddressPolicy::strict().allow_cidrs("127.0.0.0/8, 10.1.2.3/16,::1").expect("legal");
        for (address, wanted) in [
            ("127.9.9.9", true),
            ("::ffff:127.0.0.1", true),
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("::1", true),
            ("::127.0.0.1", false),
            ("64:ff9b::127.0.0.1", false),
            ("169.254.169.254", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(policy.allows(address.parse().expect(address)), wanted, "{address}");
        }
        assert_eq!(policy.allowed_networks(), ["127.0.0.0/8", "10.1.0.0/16", "::1/128"]);
    }

    #[test]
    fn what_is_no_network_is_named() {
        let error = AddressPolicy::strict().allow_cidrs("10.0.0.0/8,10.0.0.0/33").expect_err("33 bits");
        assert_eq!(error.text, "10.0.0.0/33");
        assert_eq!(AddressPolicy::strict().allow_cidrs(""), Ok(AddressPolicy::strict()));
    }

    #[test]
    fn name_servers_are_addresses_with_or_without_a_port() {
        let asks = |list| AddressPolicy::strict().ask_name_servers(list);
        assert_eq!(asks("10.0.0.2, [fd00::2]:5353"), asks("10.0.0.2:53,[fd00::2]:5353"));
        assert!(asks("fd00::2").is_ok() && asks("10.0.0.2") != asks("10.0.0.3"));
        for (list, wrong) in [("", ""), ("10.0.0.2,dns.internal", "dns.internal"), ("10.0.0.2:0", "10.0.0.2:0")] {
            assert_eq!(asks(list), Err(InvalidNameServer { text: wrong.to_owned() }), "{list}");
        }
    }
}
