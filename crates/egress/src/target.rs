//! A URL to call, read once and judged.

use std::net::IpAddr;

use http::Uri;
use url::{Host, ParseError, Url};

use crate::policy::AddressPolicy;

/// Longest URL, in characters.
const URL_CHARS: usize = 500;

const PORT: &str = "must have a port from 1 to 65535";

/// A URL that can be called. Its host is spelt one way only: the parser has turned `0x7f.1`,
/// `2130706433` and `０１７７.1` into `127.0.0.1` before anybody judges it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    pub(crate) host: TargetHost,
    is_plain: bool,
}

/// Where a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TargetHost {
    /// An address written into the URL.
    Literal(IpAddr),
    /// A name to resolve.
    Name(String),
}

/// Why a URL is refused. The text follows the word `url` and never holds an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is no URL that can be called.
    #[error("{0}")]
    Malformed(String),
    /// The address rules forbid it.
    #[error("{0}")]
    Blocked(&'static str),
}

impl Target {
    /// Reads a URL without judging where it leads.
    ///
    /// # Errors
    /// [`TargetError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let malformed = |problem: &str| TargetError::Malformed(problem.to_owned());
        let n_chars = text.chars().count();
        if n_chars > URL_CHARS {
            let problem = format!("has {n_chars} characters, at most {URL_CHARS} are allowed");
            return Err(TargetError::Malformed(problem));
        }
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::InvalidPort => malformed(PORT),
            _ => TargetError::Malformed(format!("is not a URL: {error}")),
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(malformed("must start with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(malformed("must not hold a user name or password"));
        }
        if url.port() == Some(0) {
            return Err(malformed(PORT));
        }
        let host = match url.host() {
            Some(Host::Ipv4(v4)) => TargetHost::Literal(v4.into()),
            Some(Host::Ipv6(v6)) => TargetHost::Literal(v6.into()),
            Some(Host::Domain(name)) => match name.trim_end_matches('.').parse::<IpAddr>() {
                Ok(address) => TargetHost::Literal(address),
                Err(_) => TargetHost::Name(name.to_owned()),
            },
            None => return Err(malformed("must name a host")),
        };
        let is_plain = url.scheme() == "http";
        let mut url = url;
        url.set_fragment(None);
        let uri = url.as_str().parse().map_err(|_| malformed("holds characters that must be percent-encoded"))?;
        Ok(Self { uri, host, is_plain })
    }

    /// What to send a request to: the URL without its fragment.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The port to connect to.
    pub(crate) fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.is_plain { 80 } else { 443 })
    }

    /// Judges what the URL itself shows: its scheme, and its host where that is an address.
    pub(crate) fn check(&self, policy: &AddressPolicy) -> Result<(), TargetError> {
        if self.is_plain && !policy.is_http_allowed() {
            return Err(TargetError::Malformed("must start with https://".to_owned()));
        }
        match &self.host {
            TargetHost::Literal(address) if !policy.allows(*address) => Err(TargetError::Blocked(BLOCKED)),
            _ => Ok(()),
        }
    }
}

/// Says nothing about which address it was: the answer must not map the inside of a network.
pub(crate) const BLOCKED: &str = "leads to an address that is not publicly routable and not on the allow list";

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(url: &str) -> Result<(), TargetError> {
        Target::parse(url)?.check(&AddressPolicy::strict().allow_http())
    }

    /// Every spelling of a closed address that a parser somewhere understands.
    const SPELLINGS: &str = "
        127.0.0.1 127.0.0.1. 127.1 127.0.1 127.255.255.255 2130706433 0x7f000001 0x7f.1 0x7f.0x0.0x0.0x1
        0X7F.0.0.1 017700000001 0177.1 0177.0.0.01 00000177.0.0.1 127.0x1 １２７.０.０.１ 127。0。0。1 127．0．0．1
        ①②⑦.⓪.⓪.① %31%32%37.0.0.1 127.0.0.1%2e 0 0.0.0.0 0x0 00 10.0.0.1 10.1 0xa000001 167772161 012.0.0.1
        172.16.0.1 172.31.255.255 2886729729 192.168.1.1 3232235777 0xc0a80101 192.168.257 169.254.169.254
        2852039166 0xa9fea9fe 0251.0376.0251.0376 169.16689662 100.64.0.1 198.18.0.1 192.0.0.8 192.0.2.1
        203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 4294967295 [::] [::1] [0:0:0:0:0:0:0:1]
        [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:a00:1] [::ffff:10.0.0.1] [::ffff:169.254.169.254]
        [::FFFF:A9FE:A9FE] [::127.0.0.1] [::a00:1] [64:ff9b::10.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::]
        [2002:a9fe:a9fe::1] [2001:0:4136:e378:8000:63bf:80ff:fffe] [fe80::1] [fc00::1] [fd00:ec2::254] [fec0::1]
        [ff02::1] [2001:db8::1] [3fff::1] [100::1] [5f00::1] [::ffff:0:10.0.0.1] [::ffff:0:127.0.0.1]
        [::ffff:0:808:808] [1::1] [1fff::1] [4000::1] [8000::1] [2001:470::5efe:10.0.0.1] [2001:470::5efe:7f00:1]
        [2001:470::200:5efe:10.0.0.1] [2606:4700::300:5efe:169.254.169.254]
    ";

    #[test]
    fn every_spelling_of_a_private_address_is_blocked() {
        assert!(SPELLINGS.split_whitespace().count() >= 60);
        for host in SPELLINGS.split_whitespace() {
            for url in [format!("http://{host}/"), format!("https://{host}:8443/x?y")] {
                assert_eq!(judged(&url), Err(TargetError::Blocked(BLOCKED)), "{url}");
            }
        }
    }

    #[test]
    fn public_addresses_and_names_pass() {
        for url in [
            "https://hooks.example.com/services/XXX",
            "http://1.1.1.1/",
            "https://134744072/",
            "https://[2606:4700::1111]/",
            "https://bücher.example/a b?c=d#e",
            "https://example.com:65535",
            "https://[64:ff9b::8.8.8.8]/",
        ] {
            assert_eq!(judged(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_called_says_why() {
        for (url, part) in [
            ("", "not a URL"),
            ("example.com", "not a URL"),
            ("ftp://example.com/", "https://"),
            ("file:///etc/passwd", "https://"),
            ("https://", "not a URL"),
            ("https://a:b@example.com/", "user name"),
            ("https://a@example.com/", "user name"),
            ("https://example.com:0/", "port from 1"),
            ("https://example.com:65536/", "port from 1 to 65535"),
            ("https://example.com:-1/", "port from 1 to 65535"),
            ("https://example.com:x/", "port from 1 to 65535"),
            ("https://exa mple.com/", "not a URL"),
            ("https://1.2.3.4.5/", "not a URL"),
            ("https://[::1/", "not a URL"),
            ("https://256.0.0.1/", "not a URL"),
        ] {
            let error = judged(url).expect_err(url);
            assert!(matches!(&error, TargetError::Malformed(text) if text.contains(part)), "{url}: {error}");
        }
        let long = format!("https://example.com/{}", "x".repeat(481));
        assert_eq!(
            judged(&long),
            Err(TargetError::Malformed("has 501 characters, at most 500 are allowed".to_owned()))
        );
    }

    #[test]
    fn plain_http_must_be_allowed() {
        let strict = AddressPolicy::strict();
        let target = Target::parse("http://example.com/").expect("legal");
        assert!(target.check(&strict).is_err());
        assert!(target.check(&strict.allow_http()).is_ok());
    }
}
