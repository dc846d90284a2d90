//! The answer envelope: `success`, `data` or `error`, `request_id`, `timestamp`.

use hookswitch_protocol::{ErrorCode, Timestamp};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::{Body, Problem};

/// What every answer of one request carries: made once, when the request arrives.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The request's id, for the log and the caller.
    pub(crate) request_id: String,
    /// The moment told in the answer.
    pub(crate) now: Timestamp,
}

/// What stands beside a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PageMeta {
    /// Rows in the whole list, counted up to a bound.
    pub(crate) total: u64,
    /// Most rows in this answer.
    pub(crate) limit: u32,
    /// Rows skipped.
    pub(crate) offset: u64,
    /// Whether rows follow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) more: bool,
    /// What to ask with for those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Something odd about a request that was carried out all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Warning {
    /// Which entry of a batch or a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<usize>,
    /// Which field.
    pub(crate) field: &'static str,
    /// The sentence for people.
    pub(crate) message: String,
}

/// What stands beside an answer that has a warning.
#[derive(Serialize)]
struct Warned {
    warnings: Vec<Warning>,
}

/// What the envelope takes, about.
const ENVELOPE_BYTES: usize = 256;

/// What may stand in `meta`.
pub(crate) type Meta = Option<PageMeta>;

#[derive(Serialize)]
struct Success<'a, T, M> {
    success: bool,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<M>,
    request_id: &'a str,
    timestamp: Timestamp,
}

/// A request that was not carried out.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Failure<'a> {
    success: bool,
    error: FailureBody<'a>,
    request_id: &'a str,
    timestamp: Timestamp,
}

/// What went wrong.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Error"))]
struct FailureBody<'a> {
    /// The code for programs.
    code: &'static str,
    /// The sentence for people.
    message: &'a str,
    /// More for programs, such as the index and field of a bad entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Value>,
    /// Where it is explained.
    docs: &'static str,
}

impl Answer {
    /// The envelope around `data`.
    pub(crate) fn success(&self, status: StatusCode, data: impl Serialize, meta: Meta) -> Response<Body> {
        json(status, &Success { success: true, data, meta, request_id: &self.request_id, timestamp: self.now })
    }

    /// The same with what is odd about the request, where anything is.
    pub(crate) fn success_with(
        &self,
        status: StatusCode,
        data: impl Serialize,
        warnings: Vec<Warning>,
    ) -> Response<Body> {
        let meta = (!warnings.is_empty()).then_some(Warned { warnings });
        json(status, &Success { success: true, data, meta, request_id: &self.request_id, timestamp: self.now })
    }

    /// The same for a list, which is about so many bytes: a large one is not copied while it grows.
    pub(crate) fn list(&self, rows: impl Serialize, meta: PageMeta, n_bytes: usize) -> Response<Body> {
        let (request_id, timestamp) = (self.request_id.as_str(), self.now);
        let body = Success { success: true, data: rows, meta: Some(meta), request_id, timestamp };
        response(StatusCode::OK, print(&body, n_bytes + ENVELOPE_BYTES).into())
    }

    /// Bare JSON, for the two pages that the prototype's dashboards read.
    pub(crate) fn bare(data: impl Serialize) -> Response<Body> {
        json(StatusCode::OK, &data)
    }

    /// Text of this type, for `/metrics`.
    pub(crate) fn text(content_type: &'static str, text: String) -> Response<Body> {
        let mut response = Response::new(Body::from(text.into_bytes()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }

    /// The envelope around an error, with the headers that belong to its status.
    pub(crate) fn problem(&self, problem: &Problem) -> Response<Body> {
        let mut response = response(problem.status(), self.problem_json(problem).into());
        let headers = response.headers_mut();
        let mut insert = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
        match problem.status() {
            StatusCode::UNAUTHORIZED => _ = insert(WWW_AUTHENTICATE, "Bearer"),
            // Others must go first.
            StatusCode::SERVICE_UNAVAILABLE if problem.code == ErrorCode::TooManyConnections => {
                _ = insert(RETRY_AFTER, "30");
            }
            // A rate is at least one per second, so that there is room again after one.
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => _ = insert(RETRY_AFTER, "1"),
            StatusCode::UPGRADE_REQUIRED => {
                insert(UPGRADE, "websocket");
                insert(SEC_WEBSOCKET_VERSION, "13");
            }
            _ => {}
        }
        if let Some(rate) = problem.rate {
            headers.insert("ratelimit-limit", rate.into());
            headers.insert("ratelimit-remaining", 0.into());
            headers.insert("ratelimit-reset", 1.into());
        }
        if let Some(allow) = problem.allow.as_ref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        response
    }

    /// The envelope around an error alone.
    pub(crate) fn problem_json(&self, problem: &Problem) -> Vec<u8> {
        let Problem { code, message, details, .. } = problem;
        let error = FailureBody { code: code.as_str(), message, details: details.as_deref(), docs: code.docs() };
        print(&Failure { success: false, error, request_id: &self.request_id, timestamp: self.now }, ENVELOPE_BYTES)
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    response(status, print(body, ENVELOPE_BYTES).into())
}

/// One line of JSON, of about so many bytes.
fn print(body: &impl Serialize, n_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(n_bytes);
    if let Err(error) = serde_json::to_writer(&mut bytes, body) {
        // Only a map with keys that are not text can fail, and no answer holds one.
        tracing::error!(%error, code = ErrorCode::Internal.as_str(), "an answer did not serialise");
        bytes = b"{}".to_vec();
    }
    // So that a shell's prompt stands in a line of its own.
    bytes.push(b'\n');
    bytes
}

fn response(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    fn answer() -> Answer {
        Answer { request_id: "r-1".to_owned(), now: Timestamp::from_millis(0) }
    }

    async fn text(response: Response<Body>) -> String {
        let mut body = std::pin::pin!(response.into_body());
        let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        let bytes = frame.expect("one frame").expect("never fails").into_data().expect("data");
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        text.strip_suffix('\n').expect("a line").to_owned()
    }

    #[tokio::test]
    async fn the_envelopes_are_the_contracts() {
        let meta = Some(PageMeta { total: 1, limit: 50, offset: 0, more: false, next: None });
        assert_eq!(
            text(answer().success(StatusCode::OK, [1], meta)).await,
            r#"{"success":true,"data":[1],"meta":{"total":1,"limit":50,"offset":0},"request_id":"r-1","timestamp":"1970-01-01T00:00:00.000Z"}"#
        );
        let meta = PageMeta { total: 10_000, limit: 1, offset: 0, more: true, next: Some("a5.1".to_owned()) };
        assert_eq!(
            text(answer().list([1], meta, 1)).await,
            r#"{"success":true,"data":[1],"meta":{"total":10000,"limit":1,"offset":0,"more":true,"next":"a5.1"},"request_id":"r-1","timestamp":"1970-01-01T00:00:00.000Z"}"#
        );
        assert_eq!(
            text(answer().success(StatusCode::OK, (), None)).await,
            r#"{"success":true,"data":null,"request_id":"r-1","timestamp":"1970-01-01T00:00:00.000Z"}"#
        );
        let response = answer().problem(&Problem::field("name", "is missing"));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(
            text(response).await,
            r#"{"success":false,"error":{"code":"invalid_field","message":"name is missing","details":{"field":"name"},"docs":"/docs/errors.md#invalid_field"},"request_id":"r-1","timestamp":"1970-01-01T00:00:00.000Z"}"#
        );
    }

    #[test]
    fn statuses_bring_their_headers() {
        let header = |code, name: &str| {
            answer().problem(&Problem::new(code, "x")).headers().get(name).map(|v| v.to_str().expect("text").to_owned())
        };
        assert_eq!(header(ErrorCode::Unauthorized, "www-authenticate").as_deref(), Some("Bearer"));
        assert_eq!(header(ErrorCode::Overloaded, "retry-after").as_deref(), Some("1"));
        assert_eq!(header(ErrorCode::RateLimited, "retry-after").as_deref(), Some("1"));
        assert_eq!(header(ErrorCode::UpgradeRequired, "sec-websocket-version").as_deref(), Some("13"));
    }
}
