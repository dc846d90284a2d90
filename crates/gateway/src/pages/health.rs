//! Whether the node lives, and whether an event published here would really arrive.

use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::http::{Answer, Body};
use hookswitch_runtime::BoxFuture;

/// What readiness depends on besides the node itself, as its assembler knows.
pub struct Health {
    /// How the node hangs together with others just now: `single-node` or `cluster`.
    pub mode: Box<dyn Fn() -> &'static str + Send + Sync>,
    /// Asked all at once, at most every [`crate::GatewayConfig::probe_interval`].
    pub probes: Vec<Probe>,
}

/// One thing that must work.
pub struct Probe {
    /// What it is called on the page.
    pub name: &'static str,
    /// What the node is when it does not work.
    pub severity: Severity,
    /// The question.
    pub check: ProbeCheck,
}

/// Something of the assembler's that waits, and the bound it has; for the report on nodes.
pub struct NodeQueue {
    /// Lower case, as in the names of metrics.
    pub name: &'static str,
    /// How much there may be.
    pub bound: usize,
    /// How much there is now.
    pub used: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for NodeQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeQueue").field("name", &self.name).field("bound", &self.bound).finish_non_exhaustive()
    }
}

/// What becomes of a node when one thing does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Events published here would get nowhere: `not_ready`.
    Vital,
    /// The node serves its own connections, but events would not reach everybody: `degraded`.
    Shared,
}

/// Asks whether a thing works; the error is shown to whoever looks, so it names no secret.
pub type ProbeCheck = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("mode", &(self.mode)()).field("probes", &self.probes).finish()
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How the node is.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Readiness"))]
pub(super) struct Page<'a> {
    #[cfg_attr(test, schemars(extend("enum" = ["ready", "degraded", "not_ready"])))]
    status: &'static str,
    /// `single-node` or `cluster`.
    mode: &'a str,
    /// `ok`, or what is wrong, by part of the node.
    checks: Map<String, Value>,
}

/// `GET /healthz`: the process answers.
pub(crate) fn healthy() -> Response<Body> {
    Answer::bare(serde_json::json!({ "status": "ok" }))
}

/// The probes' latest answers. One caller asks at a time, the others wait for its answers.
#[derive(Debug)]
pub(crate) struct Readiness {
    deadline: Duration,
    interval: Duration,
    latest: Mutex<Option<Latest>>,
}

#[derive(Debug)]
struct Latest {
    asked_at: Instant,
    state: State,
    checks: Map<String, Value>,
}

/// What the probes say of the node, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Ready,
    Degraded,
    NotReady,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::NotReady => "not_ready",
        }
    }

    const fn without(severity: Severity) -> Self {
        match severity {
            Severity::Vital => Self::NotReady,
            Severity::Shared => Self::Degraded,
        }
    }
}

impl Readiness {
    pub(crate) fn new(deadline: Duration, interval: Duration) -> Self {
        Self { deadline, interval, latest: Mutex::default() }
    }

    /// `GET /readyz`: 200 when events published here reach everybody they are for and connections are
    /// welcome, else 503 and why.
    pub(crate) async fn page(&self, health: &Health, is_draining: bool) -> Response<Body> {
        let (status, checks) = self.state(health, is_draining).await;
        let mut response = Answer::bare(Page { status, mode: (health.mode)(), checks });
        if status != State::Ready.word() {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }

    /// The same in words: `ready`, `degraded` or `not_ready`, and what each part says.
    pub(crate) async fn state(&self, health: &Health, is_draining: bool) -> (&'static str, Map<String, Value>) {
        let (state, mut checks) = self.answers(health).await;
        checks.insert("accepting".to_owned(), Value::from(if is_draining { "draining" } else { "ok" }));
        (if is_draining { State::NotReady } else { state }.word(), checks)
    }

    async fn answers(&self, health: &Health) -> (State, Map<String, Value>) {
        let mut latest = self.latest.lock().await;
        if let Some(known) = latest.as_ref().filter(|known| known.asked_at.elapsed() < self.interval) {
            return (known.state, known.checks.clone());
        }
        let asked = join_all(health.probes.iter().map(|probe| ask(probe, self.deadline))).await;
        let failed = asked.iter().zip(&health.probes).filter(|((_, answer), _)| answer.is_err());
        let state = failed.map(|(_, probe)| State::without(probe.severity)).max().unwrap_or(State::Ready);
        let words = |answer: Result<(), String>| answer.map_or_else(Value::from, |()| Value::from("ok"));
        let checks: Map<_, _> = asked.into_iter().map(|(name, answer)| (name.to_owned(), words(answer))).collect();
        *latest = Some(Latest { asked_at: Instant::now(), state, checks: checks.clone() });
        (state, checks)
    }
}

async fn ask(probe: &Probe, deadline: Duration) -> (&'static str, Result<(), String>) {
    let answer = tokio::time::timeout(deadline, (probe.check)()).await;
    (probe.name, answer.unwrap_or_else(|_| Err(format!("no answer within {deadline:?}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn status(answer: Option<Result<(), &'static str>>, is_draining: bool) -> StatusCode {
        page(answer, is_draining, Severity::Vital).await.status()
    }

    async fn page(answer: Option<Result<(), &'static str>>, is_draining: bool, severity: Severity) -> Response<Body> {
        let check: ProbeCheck = Box::new(move || {
            Box::pin(async move {
                match answer {
                    Some(answer) => answer.map_err(str::to_owned),
                    None => std::future::pending().await,
                }
            })
        });
        let health =
            Health { mode: Box::new(|| "single-node"), probes: vec![Probe { name: "store", severity, check }] };
        let readiness = Readiness::new(Duration::from_secs(2), Duration::ZERO);
        readiness.page(&health, is_draining).await
    }

    #[tokio::test(start_paused = true)]
    async fn ready_means_that_everything_answers_and_nothing_drains() {
        assert_eq!(status(Some(Ok(())), false).await, StatusCode::OK);
        assert_eq!(status(Some(Ok(())), true).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(Some(Err("locked")), false).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(None, false).await, StatusCode::SERVICE_UNAVAILABLE);
    }
}
