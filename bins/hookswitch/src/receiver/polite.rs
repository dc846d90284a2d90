//! Answers as HTTP wants them, over connections that are kept.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderValue, LOCATION, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::mode::Manner;
use super::report::Report;

/// The largest body that is read.
const BODY_BYTES: usize = 16 * 1024 * 1024;

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, manner: Manner, retry_after: Option<u32>, report: Arc<Report>) {
    let service = service_fn(|request| answer(request, &manner, retry_after, &report));
    // A connection that breaks is the client's affair.
    let _broken = http1::Builder::new().pipeline_flush(true).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    manner: &Manner,
    retry_after: Option<u32>,
    report: &Report,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let status = match Limited::new(body, BODY_BYTES).collect().await {
        Ok(body) => {
            let times = report.note(&head.headers, &body.to_bytes());
            status(manner, times).await
        }
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if let Some(seconds) = retry_after.filter(|_| !status.is_success()) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Manner::Redirect(url) = manner
        && let Ok(url) = HeaderValue::from_str(url)
    {
        response.headers_mut().insert(LOCATION, url);
    }
    Ok(response)
}

async fn status(manner: &Manner, times: u32) -> StatusCode {
    match manner {
        Manner::Status(status) => StatusCode::from_u16(*status).unwrap_or(StatusCode::OK),
        Manner::Redirect(_) => StatusCode::FOUND,
        Manner::FailFirst(n) if times <= *n => StatusCode::SERVICE_UNAVAILABLE,
        Manner::FailFirst(_) => StatusCode::OK,
        Manner::Slow(time) => {
            tokio::time::sleep(*time).await;
            StatusCode::OK
        }
    }
}
