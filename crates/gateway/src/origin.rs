//! Which pages may talk to us from a browser.

use std::fmt;

use hookswitch_protocol::clipped;
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
    /// These origins, and none besides.
    List(Vec<OriginPattern>),
}

/// One entry of a list: an origin, or all subdomains of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// As browsers write it: scheme, host in lower case, port only where it is not the scheme's own.
    Exact(Box<str>),
    /// `https://*.example.com:8443`: between the scheme and the rest stand one or more labels.
    Subdomains { scheme: Box<str>, rest: Box<str> },
}

/// An entry that no page's origin can match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry:?} is no origin such as https://app.example.com: {problem}")]
pub struct InvalidOrigin {
    /// The entry.
    pub entry: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// A page that was refused, and what it was compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedOrigin {
    pub(crate) origin: String,
    /// The host that the request was for, or how long the list is.
    pub(crate) wanted: String,
    pub(crate) setting: &'static str,
    is_by_host: bool,
}

impl RefusedOrigin {
    /// The line of the setting that would let the page in.
    pub(crate) fn remedy(&self) -> String {
        let Self { origin, setting, .. } = self;
        if self.is_by_host {
            format!("{setting}={origin} would allow it; a proxy that passes on Host with its port would do as well")
        } else {
            format!("{origin} added to {setting} would allow it")
        }
    }
}

impl fmt::Display for RefusedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, wanted, setting, is_by_host } = self;
        if *is_by_host {
            write!(f, "the page's origin {origin} is not the host {wanted} that was called, and {setting} is empty")
        } else {
            write!(f, "the page's origin {origin} is not in {setting}")
        }
    }
}

/// What somebody sent, short enough for a line.
fn shown(text: &str) -> String {
    clipped(text.to_owned(), 200)
}

impl AllowedOrigins {
    /// Reads a comma-separated list: empty means [`AllowedOrigins::SameHost`], `*` means any. An entry is an origin:
    /// of the web (`https://app.example.com`), with `*.` before its host for all subdomains of any depth but not
    /// the host itself, of an app (`capacitor://localhost`, `chrome-extension://…`), or `null`, which sandboxed
    /// pages and local files send.
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
        let pattern = |entry: &str| {
            OriginPattern::parse(entry).map_err(|problem| InvalidOrigin { entry: entry.to_owned(), problem })
        };
        entries.into_iter().map(pattern).collect::<Result<_, _>>().map(Self::List)
    }

    /// What was compared where a page was refused, and what would let it in; for the log, and for who made the page.
    /// `setting` is the list's.
    pub(crate) fn refusal(&self, headers: &HeaderMap, setting: &'static str) -> RefusedOrigin {
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or("?");
        let wanted = match self {
            Self::SameHost => headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("?").to_owned(),
            Self::List(patterns) => format!("{} origins of a list", patterns.len()),
            Self::Any => "any".to_owned(),
        };
        RefusedOrigin { origin: shown(origin), wanted: shown(&wanted), setting, is_by_host: *self == Self::SameHost }
    }

    /// Whether this request may come from where it says it comes from.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        match self {
            Self::Any => true,
            Self::SameHost => is_same_host(origin, headers),
            Self::List(patterns) => {
                let is_listed = |origin: &str| patterns.iter().any(|pattern| pattern.matches(origin));
                is_listed(origin) || web_origin(origin).is_ok_and(|origin| is_listed(&origin))
            }
        }
    }
}

impl OriginPattern {
    fn parse(entry: &str) -> Result<Self, &'static str> {
        if entry == "null" {
            return Ok(Self(Form::Exact("null".into())));
        }
        let (scheme, rest) = entry.split_once("://").ok_or("scheme and :// are missing")?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" if rest.contains('*') => Self::subdomains(entry),
            "http" | "https" => web_origin(entry).map(|origin| Self(Form::Exact(origin))),
            "ws" | "wss" => Err("pages come from http:// or https://, whatever they open"),
            _ => app_origin(scheme, rest).map(|origin| Self(Form::Exact(origin))),
        }
    }

    fn subdomains(entry: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a star stands for whole labels at the begin of the host only, as in https://*.example.com";
        let bare = entry.replacen("://*.", "://", 1);
        if bare.contains('*') || bare.len() == entry.len() {
            return Err(WRONG);
        }
        let origin = web_origin(&bare)?;
        let (scheme, rest) = origin.split_once("://").ok_or(WRONG)?;
        let host = rest.split(':').next().unwrap_or(rest);
        let is_address = host.starts_with('[') || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if is_address || !(host.contains('.') || host == "localhost") {
            return Err("a star stands before a domain of at least two labels, as in https://*.example.com");
        }
        Ok(Self(Form::Subdomains { scheme: scheme.into(), rest: format!(".{rest}").into() }))
    }

    /// Whether a page of this origin, written as browsers write it, is meant.
    fn matches(&self, origin: &str) -> bool {
        match &self.0 {
            Form::Exact(listed) => **listed == *origin,
            Form::Subdomains { scheme, rest } => {
                let host = origin.strip_prefix(&**scheme).and_then(|host| host.strip_prefix("://"));
                let labels = host.and_then(|host| host.strip_suffix(&**rest));
                let is_in_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
                labels.is_some_and(|labels| {
                    !labels.is_empty() && labels.bytes().all(is_in_label) && !labels.starts_with('.')
                })
            }
        }
    }
}

/// Scheme, host in lower case, port only where it is not the scheme's own.
fn web_origin(entry: &str) -> Result<Box<str>, &'static str> {
    let url = Url::parse(entry).map_err(|_| "it is no URL")?;
    let has_only_an_origin = matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let origin = url.origin();
    if !origin.is_tuple() || !has_only_an_origin {
        return Err("scheme, host and port are all that an origin has");
    }
    Ok(origin.ascii_serialization().into_boxed_str())
}

/// The origin of an app's pages, under a scheme of its own: `capacitor://localhost`, `tauri://localhost`.
fn app_origin(scheme: &str, rest: &str) -> Result<Box<str>, &'static str> {
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let is_host = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'));
    // Pages of files say `null`, or in some web views `file://`.
    let is_file = scheme.eq_ignore_ascii_case("file") && host.is_empty();
    if !is_scheme || !is_host || (host.is_empty() && !is_file) {
        return Err("scheme, host and port are all that an origin has");
    }
    Ok(format!("{scheme}://{host}").to_ascii_lowercase().into_boxed_str())
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
mod tests;
