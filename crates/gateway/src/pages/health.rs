//! Whether the node lives, and whether an event published here would really arrive.

use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::auth::BoxFuture;
use crate::http::{Answer, Body};

/// What readiness depends on besides the node itself, as its assembler knows.
pub struct Health {
    /// `single-node`, or how the node hangs together with others.
    pub mode: &'static str,
    /// Asked all at once, at most every [`crate::GatewayConfig::probe_interval`].
    pub probes: Vec<Probe>,
}

/// One thing that must work.
pub struct Probe {
    /// What it is called on the page.
    pub name: &'static str,
    /// The question.
    pub check: ProbeCheck,
}

/// Asks whether a thing works; the error is shown to whoever looks, so it names no secret.
pub type ProbeCheck = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("mode", &self.mode).field("probes", &self.probes).finish()
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Page<'a> {
    status: &'static str,
    mode: &'a str,
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
    is_well: bool,
    checks: Map<String, Value>,
}

impl Readiness {
    pub(crate) fn new(deadline: Duration, interval: Duration) -> Self {
        Self { deadline, interval, latest: Mutex::default() }
    }

    /// `GET /readyz`: 200 when events and connections are welcome here, else 503 and why.
    pub(crate) async fn page(&self, health: &Health, is_draining: bool) -> Response<Body> {
        let (is_well, mut checks) = self.answers(health).await;
        checks.insert("accepting".to_owned(), Value::from(if is_draining { "draining" } else { "ok" }));
        let is_ready = is_well && !is_draining;
        let page = Page { status: if is_ready { "ready" } else { "not_ready" }, mode: health.mode, checks };
        let mut response = Answer::bare(page);
        if !is_ready {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }

    async fn answers(&self, health: &Health) -> (bool, Map<String, Value>) {
        let mut latest = self.latest.lock().await;
        if let Some(known) = latest.as_ref().filter(|known| known.asked_at.elapsed() < self.interval) {
            return (known.is_well, known.checks.clone());
        }
        let asked = join_all(health.probes.iter().map(|probe| ask(probe, self.deadline))).await;
        let is_well = asked.iter().all(|(_, answer)| answer.is_ok());
        let words = |answer: Result<(), String>| answer.map_or_else(Value::from, |()| Value::from("ok"));
        let checks: Map<_, _> = asked.into_iter().map(|(name, answer)| (name.to_owned(), words(answer))).collect();
        *latest = Some(Latest { asked_at: Instant::now(), is_well, checks: checks.clone() });
        (is_well, checks)
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
        let check: ProbeCheck = Box::new(move || {
            Box::pin(async move {
                match answer {
                    Some(answer) => answer.map_err(str::to_owned),
                    None => std::future::pending().await,
                }
            })
        });
        let health = Health { mode: "single-node", probes: vec![Probe { name: "store", check }] };
        let readiness = Readiness::new(Duration::from_secs(2), Duration::ZERO);
        readiness.page(&health, is_draining).await.status()
    }

    #[tokio::test(start_paused = true)]
    async fn ready_means_that_everything_answers_and_nothing_drains() {
        assert_eq!(status(Some(Ok(())), false).await, StatusCode::OK);
        assert_eq!(status(Some(Ok(())), true).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(Some(Err("locked")), false).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(None, false).await, StatusCode::SERVICE_UNAVAILABLE);
    }
}
