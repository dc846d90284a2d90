//! What browsers ask before they let a page call REST.

use hookswitch_protocol::ErrorCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::config::ORIGINS_SETTING;
use crate::http::{Answer, Body, Problem};
use crate::origin::AllowedOrigins;
use crate::routes::Routes;

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
/// What pages may send: what is read here, and what the tools that follow requests through a system add to each.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, cache-control, content-type, last-event-id, x-request-id, x-requested-with, traceparent, tracestate, baggage, sentry-trace, b3, \
     x-b3-traceid, x-b3-spanid, x-b3-parentspanid, x-b3-sampled, x-b3-flags, uber-trace-id, x-datadog-trace-id, \
     x-datadog-parent-id, x-datadog-origin, x-datadog-sampling-priority, x-datadog-tags, newrelic, x-amzn-trace-id, \
     x-cloud-trace-context",
);
/// What pages may read beside the few headers that any may.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset, allow");

/// The origin to repeat in the answer, if there is one and it is allowed. Tokens travel in headers,
/// never in cookies, so no answer allows credentials.
pub(crate) fn answer_origin(rule: &AllowedOrigins, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    rule.allow(headers).then(|| origin.clone())
}

/// Lets the page read the answer.
pub(crate) fn add_headers(origin: Option<HeaderValue>, response: &mut Response<Body>) {
    if let Some(origin) = origin {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        response.headers_mut().insert(VARY, HeaderValue::from_static("origin"));
    }
}

/// `OPTIONS` on any path: the methods it takes; 403 to a page that may not call us.
pub(crate) fn preflight(rule: &AllowedOrigins, routes: &Routes, request: &Parts, answer: &Answer) -> Response<Body> {
    let allowed = routes.allowed(request.uri.path()).and_then(|allow| HeaderValue::from_str(&allow).ok());
    let Some(allowed) = allowed else {
        return answer.problem(&Problem::not_found("there is nothing at this path"));
    };
    let is_preflight = request.headers.contains_key(ORIGIN);
    if is_preflight && !rule.allow(&request.headers) {
        let refused = rule.refusal(&request.headers, ORIGINS_SETTING);
        let (origin, host, remedy) = (&refused.origin, &refused.wanted, refused.remedy());
        tracing::info!(origin, host, remedy, "a page that asked first was refused for its origin");
        return answer.problem(&Problem::new(ErrorCode::OriginRefused, refused.to_string()));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ALLOW, allowed.clone());
    if is_preflight {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allowed);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    }
    response
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::Timestamp;
    use http::Request;

    use super::*;

    fn check(path: &str, origin: Option<&str>, status: u16, methods: Option<&str>) {
        let rule = AllowedOrigins::parse("https://app.example").expect("legal");
        let mut request = Request::builder().method("OPTIONS").uri(path);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let (request, ()) = request.body(()).expect("legal").into_parts();
        let answer = Answer { request_id: "r".to_owned(), now: Timestamp::from_millis(0) };
        let response = preflight(&rule, &Routes::new(), &request, &answer);
        assert_eq!(response.status().as_u16(), status, "{path} {origin:?}");
        let answered = response.headers().get(ACCESS_CONTROL_ALLOW_METHODS).map(|value| value.to_str().expect("text"));
        assert_eq!(answered, methods, "{path} {origin:?}");
        let may_send = response.headers().get(ACCESS_CONTROL_ALLOW_HEADERS).map(|value| value.to_str().expect("text"));
        for name in ["authorization", "last-event-id", "traceparent", "tracestate", "baggage", "sentry-trace"] {
            let is_allowed = may_send.is_some_and(|names| names.split(", ").any(|allowed| allowed == name));
            assert_eq!(is_allowed, methods.is_some(), "{name}");
        }
    }

    #[test]
    fn pages_may_read_when_to_come_again() {
        let mut response = Response::new(Body::empty());
        add_headers(Some(HeaderValue::from_static("https://app.example")), &mut response);
        let exposed = response.headers()[ACCESS_CONTROL_EXPOSE_HEADERS].to_str().expect("text");
        for name in ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"] {
            assert!(exposed.split(", ").any(|exposed| exposed == name), "{name}");
        }
    }

    #[test]
    fn preflights_follow_the_origin_list() {
        check("/api/v1/events", Some("https://app.example"), 204, Some("POST, GET, HEAD, OPTIONS"));
        check("/api/v1/events", Some("https://evil.example"), 403, None);
        check("/api/v1/events", None, 204, None);
        check("/nope", Some("https://app.example"), 404, None);
    }
}
