//! The operator's proxy: where it is, and what it is told.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use url::Url;

/// A text that is no proxy such as `http://proxy.internal:3128`. It says what is wrong and nothing
/// of the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; write a proxy as http://proxy.internal:3128 or http://user:password@proxy.internal:3128")]
pub struct InvalidProxy {
    problem: &'static str,
}

/// A proxy that is spoken to in plain HTTP and makes tunnels by CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Scheme, host and port, without user and password.
    pub(crate) uri: Uri,
    /// The value of `Proxy-Authorization`.
    pub(crate) authorization: Option<HeaderValue>,
}

impl Proxy {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let invalid = |problem| InvalidProxy { problem };
        let mut url = Url::parse(text).map_err(|_| invalid("this is not a URL"))?;
        if url.scheme() != "http" {
            return Err(invalid("the proxy must be spoken to over http"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("nothing may follow the port"));
        }
        let authorization = authorization(&url).map_err(invalid)?;
        // Neither fails for an http URL, which always has a host.
        let _kept = (url.set_username(""), url.set_password(None));
        let uri = url.as_str().parse().map_err(|_| invalid("this cannot be called"))?;
        Ok(Self { uri, authorization })
    }
}

fn authorization(url: &Url) -> Result<Option<HeaderValue>, &'static str> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut plain: Vec<u8> = percent_decode_str(url.username()).collect();
    if plain.contains(&b':') {
        return Err("the user name of a proxy cannot hold a colon");
    }
    plain.push(b':');
    plain.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain))).expect("base64 is legal");
    value.set_sensitive(true);
    Ok(Some(value))
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.uri, if self.authorization.is_some() { " with a password" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_go_into_the_header_and_nowhere_else() {
        let proxy = Proxy::parse("http://hook%40a:p%3Aw%20d@proxy.internal:3128/").expect("legal");
        assert_eq!(proxy.uri, "http://proxy.internal:3128/");
        let wanted = format!("Basic {}", STANDARD.encode("hook@a:p:w d"));
        assert_eq!(proxy.authorization.as_ref().map(HeaderValue::as_bytes), Some(wanted.as_bytes()));
        let shown = format!("{proxy:?}");
        assert!(!shown.contains("p%3A") && !shown.contains("Basic") && !shown.contains("hook"), "{shown}");
        assert_eq!(Proxy::parse("http://10.0.0.1:3128").expect("legal").authorization, None);
        assert_eq!(Proxy::parse("http://[::1]:3128").expect("legal").uri.host(), Some("[::1]"));
    }

    #[test]
    fn what_is_no_proxy_says_why_without_its_password() {
        for text in [
            "",
            "proxy:3128",
            "socks5://user:hunter2@proxy:1080",
            "https://user:hunter2@proxy:3128",
            "http://user:hunter2@proxy:3128/path",
            "http://user:hunter2@proxy:3128/?q",
            "http://a%3Ab:hunter2@proxy:3128",
            "http://user:hunter2@proxy:99999",
        ] {
            let error = Proxy::parse(text).expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
