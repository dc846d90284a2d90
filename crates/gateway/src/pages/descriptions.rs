//! Pages that are the same on every node of a version: what the catalogue says, made by `cargo xtask golden`.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::http::Body;

/// One page, embedded.
#[derive(Debug)]
pub(crate) struct StaticPage {
    content_type: &'static str,
    pub(crate) bytes: &'static [u8],
    etag: LazyLock<HeaderValue>,
}

/// REST, as OpenAPI 3.1.
pub(crate) static OPENAPI: StaticPage = StaticPage {
    content_type: "application/json",
    bytes: include_bytes!("../../../../docs/api/openapi.json"),
    etag: LazyLock::new(|| etag(OPENAPI.bytes)),
};

/// WebSockets, event streams and webhooks, as AsyncAPI 3.0.
pub(crate) static ASYNCAPI: StaticPage = StaticPage {
    content_type: "application/json",
    bytes: include_bytes!("../../../../docs/api/asyncapi.json"),
    etag: LazyLock::new(|| etag(ASYNCAPI.bytes)),
};

/// What each error means. As plain text, which browsers show.
pub(crate) static ERRORS: StaticPage = StaticPage {
    content_type: "text/plain; charset=utf-8",
    bytes: include_bytes!("../../../../docs/errors.md"),
    etag: LazyLock::new(|| etag(ERRORS.bytes)),
};

impl StaticPage {
    /// The page, or that the caller has it already.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Response<Body> {
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let tag = self.etag.to_str().unwrap_or_default();
        // A proxy that compresses makes a strong tag a weak one.
        let mut known = known.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
        let is_known = known.any(|known| known == tag || known == "*");
        let body = if is_known { Body::empty() } else { Body::from(Bytes::from_static(self.bytes)) };
        let mut response = Response::new(body);
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        response.headers_mut().insert(ETAG, self.etag.clone());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

fn etag(bytes: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish())).expect("hexadecimal digits are legal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_page_is_not_sent_it_again() {
        let first = OPENAPI.answer(&HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[ETAG].to_str().expect("text").to_owned();
        for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let headers = [(IF_NONE_MATCH, known.parse().expect("legal"))].into_iter().collect();
            assert_eq!(OPENAPI.answer(&headers).status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(ASYNCAPI.answer(&headers).status() == StatusCode::OK, known != "*", "{known}");
        }
    }
}
