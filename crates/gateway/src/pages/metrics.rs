//! What the node has counted, as Prometheus text. Labels come from closed sets only.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hookswitch_protocol::{CloseCode, ErrorCode};
use hookswitch_switch::Switchboard;
use http::header::ACCEPT;
use http::{HeaderMap, Response, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::auth::AuthError;
use crate::http::{Answer, Body};
use crate::pages::{Figure, FigureKind, FigureSource};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the door itself counts.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Answers by class of status, 1xx to 5xx.
    answers: [AtomicU64; 5],
    /// Refused tokens, in the order of [`REASONS`].
    refused_tokens: [AtomicU64; REASONS.len()],
    /// Publishing calls that were refused before the switchboard saw them, in the order of [`ErrorCode::ALL`].
    refused_events: [AtomicU64; ErrorCode::ALL.len()],
    pub(crate) refused_origins: AtomicU64,
    pub(crate) rate_limited: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
    pub(crate) refused_connections: AtomicU64,
    /// Moves of HTTP connections from thread to thread.
    pub(crate) relocations: AtomicU64,
    /// HTTP connections now.
    pub(crate) http_connections: AtomicU64,
}

/// Every reason of [`AuthError::reason`].
const REASONS: [&str; 8] =
    ["missing", "malformed", "algorithm", "signature", "expired", "not_yet_valid", "not_for_access", "unavailable"];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Figures {
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused_token(&self, error: &AuthError) {
        if let Some(at) = REASONS.iter().position(|reason| *reason == error.reason()) {
            self.refused_tokens[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A publishing call did not get as far as the switchboard.
    pub(crate) fn refused_events(&self, code: ErrorCode) {
        if let Some(at) = ErrorCode::ALL.iter().position(|known| *known == code) {
            self.refused_events[at].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The registry, and everything it reads on a look.
#[derive(Debug)]
pub(crate) struct Metrics(Registry);

impl Metrics {
    pub(crate) fn new(figures: Arc<Figures>, switch: &Switchboard, others: Vec<FigureSource>) -> Self {
        let mut registry = Registry::with_prefix("hookswitch");
        switch.webhooks().register_metrics(&mut registry);
        registry.register_collector(Box::new(Sources { figures, switch: switch.clone(), others }));
        Self(registry)
    }

    /// `GET /metrics`, as `OpenMetrics` for those who ask for it.
    pub(crate) fn page(&self, headers: &HeaderMap) -> Response<Body> {
        let mut text = String::with_capacity(8 * 1024);
        if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &self.0) {
            tracing::error!(%error, "metrics could not be written");
        }
        let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        if accepted.any(|value| value.contains("application/openmetrics-text")) {
            return Answer::text(OPENMETRICS, text);
        }
        Answer::text(PROMETHEUS, prometheus_text(&text))
    }
}

/// The same figures in Prometheus' own format: there a counter's metadata bear the name of its
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

struct Sources {
    figures: Arc<Figures>,
    switch: Switchboard,
    /// Parts that the gateway does not know.
    others: Vec<FigureSource>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("figures", &self.figures).finish_non_exhaustive()
    }
}

/// Writes single figures and families with one label.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> std::fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> std::fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value as i64).encode(metric)
    }

    fn figure(&mut self, figure: &Figure) -> std::fmt::Result {
        match figure.kind {
            FigureKind::Counter => self.counter(figure.name, figure.help, figure.value),
            FigureKind::Gauge => self.gauge(figure.name, figure.help, figure.value),
        }
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        rows: impl Iterator<Item = (&'static str, u64)>,
    ) -> std::fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, count) in rows {
            ConstCounter::new(count).encode(metric.encode_family(&[(label, value)])?)?;
        }
        Ok(())
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Collector for Sources {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut page = Page(encoder);
        self.door(&mut page)?;
        self.hub(&mut page)?;
        self.switch(&mut page)?;
        self.others.iter().flat_map(|source| source()).try_for_each(|figure| page.figure(&figure))
    }
}

impl Sources {
    fn door(&self, page: &mut Page<'_>) -> std::fmt::Result {
        let figures = &*self.figures;
        let answers = CLASSES.into_iter().zip(figures.answers.iter().map(load));
        page.family("http_answers", "HTTP answers by class of status", "class", answers)?;
        let tokens = REASONS.into_iter().zip(figures.refused_tokens.iter().map(load));
        page.family("refused_tokens", "Tokens refused, by reason", "reason", tokens)?;
        page.counter("refused_origins", "WebSockets refused for their origin", load(&figures.refused_origins))?;
        let limited = load(&figures.rate_limited);
        page.counter("rate_limited", "Requests refused, the tenant's rate limit being reached", limited)?;
        page.counter("panics", "Requests answered 500 after a panic", load(&figures.panics))?;
        page.counter("accept_errors", "Failures to accept a connection", load(&figures.accept_errors))?;
        let refused = load(&figures.refused_connections);
        page.counter("refused_connections", "Connections refused, the limit being reached", refused)?;
        let help = "Moves of publishing connections to the thread of those they publish to, or away from it";
        page.counter("relocations", help, load(&figures.relocations))?;
        page.gauge("http_connections", "HTTP connections open now", load(&figures.http_connections))
    }

    fn hub(&self, page: &mut Page<'_>) -> std::fmt::Result {
        page.gauge("connections", "WebSockets open now", self.switch.hub().n_connections() as u64)?;
        let c = self.switch.hub().counters();
        page.counter("events", "Events handed to the shards", c.events)?;
        page.counter("messages_queued", "Messages queued for connections", c.messages_queued)?;
        page.counter("messages_dropped", "Messages dropped, the client not reading", c.messages_dropped)?;
        page.counter("drop_notices", "Connections told of a drop", c.drop_notices)?;
        page.counter("events_overflowed", "Passing events dropped, a mailbox being full", c.events_overflowed)?;
        page.counter("publish_refused", "Publishing calls refused as overloaded", c.publish_refused)?;
        page.counter("broker_failures", "Events the broker did not take", c.broker_failures)?;
        page.counter("broker_gaps", "PendingGaps the broker reported", c.broker_gaps)?;
        page.counter("attached", "WebSockets attached", c.attached)?;
        page.counter("detached", "WebSockets gone", c.detached)?;
        page.counter("offline_delivered", "Offline messages confirmed", c.offline_delivered)?;
        page.counter("offline_given_back", "Offline messages given back", c.offline_given_back)?;
        page.counter("messages_lost", "Messages for absent users that no store took in time", c.messages_lost)?;
        page.counter("gap_notices", "Connections told that events of other nodes may be missing", c.gap_notices)?;
        page.counter("errands_dropped", "Notices of other nodes not looked after for want of room", c.errands_dropped)?;
        page.counter("keeper_failures", "Failed calls to a keeper in the background", c.keeper_failures)?;
        let closed = CloseCode::ALL.iter().map(|code| code.reason()).zip(c.closed);
        page.family("closed", "WebSockets closed by the server, by reason", "reason", closed)
    }

    fn switch(&self, page: &mut Page<'_>) -> std::fmt::Result {
        let c = self.switch.counters();
        page.counter("events_accepted", "Events accepted, repetitions not counted", c.accepted)?;
        page.counter("events_repeated", "Events whose id was accepted before", c.repeated)?;
        page.counter("events_live_only", "Accepted events that touched no store", c.live_only)?;
        page.counter("deliveries_stored", "Deliveries to webhooks stored", c.deliveries)?;
        page.counter("kept_offline", "Messages kept for absent users", c.kept_offline)?;
        let refused = ErrorCode::ALL.iter().zip(&self.figures.refused_events).map(|(code, at_the_door)| {
            let by_the_switch = c.refused.iter().find(|(refused, _)| refused == code).map_or(0, |(_, count)| *count);
            (code.as_str(), load(at_the_door) + by_the_switch)
        });
        let refused = refused.filter(|(_, count)| *count > 0);
        page.family("events_refused", "Publishing calls refused, by code", "code", refused)
    }
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

    #[test]
    fn every_reason_of_a_refused_token_has_its_row() {
        let figures = Figures::default();
        let errors = [
            AuthError::Missing,
            AuthError::Malformed(String::new()),
            AuthError::Algorithm,
            AuthError::Signature,
            AuthError::Expired,
            AuthError::NotYetValid,
            AuthError::NotForAccess,
            AuthError::Unavailable,
        ];
        for error in &errors {
            figures.refused_token(error);
        }
        assert!(figures.refused_tokens.iter().all(|count| load(count) == 1));
    }
}
