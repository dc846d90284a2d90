//! Which pages may talk to us from a browser.

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use url::Url;

/// Pages by origin. Programs that are no browsers send no `Origin` and always pass: this check
/// protects people whose browser is misused, not us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every page.
    Any,
    /// Pages served from the very host and port that they call.
    SameHost,
    /// These origins, such as `https://app.example.com`.
    List(Vec<Box<str>>),
}

/// An entry that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry:?} is no origin such as https://app.example.com")]
pub struct InvalidOrigin {
    /// The entry.
    pub entry: String,
}

impl AllowedOrigins {
    /// Reads a comma-separated list: empty means [`AllowedOrigins::SameHost`], `*` means any.
    ///
    /// # Errors
    /// [`InvalidOrigin`] for the first entry that is none.
    pub fn parse(list: &str) -> Result<Self, InvalidOrigin> {
        let entries: Vec<&str> = list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
        if entries.is_empty() {
            return Ok(Self::SameHost);
        }
        if entries.contains(&"*") {
            return Ok(Self::Any);
        }
        entries.into_iter().map(normal_origin).collect::<Result<_, _>>().map(Self::List)
    }

    /// Whether this request may come from where it says it comes from.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        match self {
            Self::Any => true,
            Self::SameHost => is_same_host(origin, headers),
            Self::List(list) => {
                let is_listed = |origin: &str| list.iter().any(|entry| **entry == *origin);
                is_listed(origin) || normal_origin(origin).is_ok_and(|origin| is_listed(&origin))
            }
        }
    }
}

/// Scheme, host in lower case, port only where it is not the scheme's own.
fn normal_origin(entry: &str) -> Result<Box<str>, InvalidOrigin> {
    let invalid = || InvalidOrigin { entry: entry.to_owned() };
    let url = Url::parse(entry).map_err(|_| invalid())?;
    let has_only_an_origin = matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty();
    let origin = url.origin();
    if !origin.is_tuple() || !has_only_an_origin {
        return Err(invalid());
    }
    Ok(origin.ascii_serialization().into_boxed_str())
}

/// Compares host and port; a port that is the scheme's own may be left out on either side.
fn is_same_host(origin: &str, headers: &HeaderMap) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let bare = |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
    bare(authority) == bare(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &str, origin: Option<&str>, host: &str, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().expect("legal value"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().expect("legal value"));
        }
        let rule = AllowedOrigins::parse(list).expect(list);
        assert_eq!(rule.allow(&headers), expected, "{list:?} {origin:?} {host}");
    }

    #[test]
    fn an_empty_list_means_the_same_host_and_port() {
        check("", None, "a.example:8000", true);
        check("", Some("http://a.example:8000"), "a.example:8000", true);
        check("", Some("https://A.example"), "a.example", true);
        check("", Some("https://a.example"), "a.example:443", true);
        check("", Some("http://a.example:8001"), "a.example:8000", false);
        check("", Some("http://a.example"), "a.example:443", false);
        check("", Some("https://evil.example"), "a.example", false);
        check("", Some("https://a.example.evil"), "a.example", false);
        check("", Some("null"), "a.example", false);
    }

    #[test]
    fn a_list_is_exact_and_a_star_is_everybody() {
        let list = "https://app.example.com, http://localhost:5173";
        check(list, Some("https://app.example.com"), "x", true);
        check(list, Some("https://APP.example.com:443"), "x", true);
        check(list, Some("http://localhost:5173"), "x", true);
        check(list, Some("http://app.example.com"), "x", false);
        check(list, Some("https://app.example.com.evil"), "x", false);
        check(list, Some("null"), "x", false);
        check(list, None, "x", true);
        check("*", Some("null"), "x", true);
        for bad in ["app.example.com", "https://a.example/path", "null"] {
            assert!(AllowedOrigins::parse(bad).is_err(), "{bad}");
        }
    }
}
