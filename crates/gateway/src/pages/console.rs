//! The console's files, where it is switched on.

use bytes::Bytes;
use hookswitch_console::{CONTENT_SECURITY_POLICY, file};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY as POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response};

use crate::http::{Body, Problem};

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// One file; the page itself where no name stands in the path.
///
/// # Errors
/// 404 where there is none, or no console here.
pub(crate) fn console(is_on: bool, name: Option<&str>) -> Result<Response<Body>, Problem> {
    let found = is_on.then(|| file(name.unwrap_or_default())).flatten();
    let file = found.ok_or_else(|| Problem::not_found("there is nothing at this path"))?;
    let mut response = Response::new(Body::from(Bytes::from_static(file.body.as_bytes())));
    for (name, value) in [
        (CONTENT_TYPE, file.content_type),
        (POLICY, CONTENT_SECURITY_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (OPENER_POLICY, "same-origin"),
        // Another version of the node has other files under the same names.
        (CACHE_CONTROL, "no-cache"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}
