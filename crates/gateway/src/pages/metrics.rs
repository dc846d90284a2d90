//! `GET /metrics`: everything in the node's registry, as text.

use http::header::ACCEPT;
use http::{HeaderMap, Response};
use prometheus_client::registry::Registry;

use crate::http::{Answer, Body};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page, as `OpenMetrics` for those who ask for it.
pub(crate) fn metrics(registry: &Registry, headers: &HeaderMap) -> Response<Body> {
    let mut text = String::with_capacity(8 * 1024);
    if let Err(error) = prometheus_client::encoding::text::encode(&mut text, registry) {
        tracing::error!(%error, "metrics could not be written");
    }
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepted.any(|value| value.contains("application/openmetrics-text")) {
        return Answer::text(OPENMETRICS, text);
    }
    Answer::text(PROMETHEUS, prometheus_text(&text))
}

/// The same in Prometheus' own format: there a counter's metadata bear the name of its
/// samples, `_total` included, and nothing marks the end.
fn prometheus_text(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len() + 512);
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(meta) = line.strip_prefix("# HELP ") {
            // Its line waits for the type, which comes next and decides the name.
            help = meta.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|meta| meta.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, text)) = help.take() {
                out.extend(["# HELP ", name, suffix, " ", text, "\n"]);
            }
            out.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if line != "# EOF" {
            out.extend([line, "\n"]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_prometheus_text_are_named_like_their_samples() {
        let openmetrics = "# HELP a_b Things with words.\n# TYPE a_b counter\na_b_total{code=\"x\"} 5\n\
                           # HELP c Now.\n# TYPE c gauge\nc 7\n# EOF\n";
        let expected = "# HELP a_b_total Things with words.\n# TYPE a_b_total counter\na_b_total{code=\"x\"} 5\n\
                        # HELP c Now.\n# TYPE c gauge\nc 7\n";
        assert_eq!(prometheus_text(openmetrics), expected);
    }
}
