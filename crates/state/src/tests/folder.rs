//! One state under test, with records that come one second after the other.

use hookswitch_protocol::{Position, Timestamp};
use serde_json::{Value, json};

use crate::{Due, Ignored, Record, Section, State, StateSettings, StateSubscription, Sync};

/// When the first record comes.
pub(super) const START: i64 = 1_700_000_000_000;

pub(super) struct Folder {
    pub(super) state: State,
    pub(super) now: i64,
}

impl Folder {
    pub(super) fn new() -> Self {
        Self::with(StateSettings::default())
    }

    pub(super) fn with(settings: StateSettings) -> Self {
        let start = Position { epoch: 7, offset: 0 };
        let state = State::new(settings, Some(start), Timestamp::from_millis(START), true);
        Self { state, now: START }
    }

    pub(super) fn next(&self) -> Option<Position> {
        self.state.position().map(|at| Position { offset: at.offset + 1, ..at })
    }

    pub(super) fn said(&mut self, event_type: &str, payload: &Value, source: Option<&str>) -> &mut Self {
        self.now += 1_000;
        self.apply(event_type, &payload.to_string(), source)
    }

    pub(super) fn apply(&mut self, event_type: &str, payload: &str, source: Option<&str>) -> &mut Self {
        let record = Record {
            position: self.next(),
            event_type,
            timestamp: Timestamp::from_millis(self.now),
            payload,
            session: None,
            source,
            is_for_all: true,
        };
        self.state.apply(&record);
        self.state.tick(Timestamp::from_millis(self.now));
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "tests read better without a reference to each literal")]
    pub(super) fn event(&mut self, event_type: &str, payload: Value) -> &mut Self {
        self.said(event_type, &payload, None)
    }

    /// A `call.*` or `queue.*` event of call `1.2`.
    pub(super) fn call(&mut self, event_type: &str, mut more: Value) -> &mut Self {
        more["unique_id"] = json!("1.2");
        self.event(event_type, more)
    }

    pub(super) fn due(&mut self, due: &[Due]) -> &mut Self {
        for due in due {
            self.apply(due.event_type, &due.payload, None);
        }
        self
    }

    /// Does a sync as the node does it; how many calls ended.
    pub(super) fn sync(&mut self, body: &Value) -> usize {
        self.now += 1_000;
        let sync = Sync::parse(&body.to_string()).expect("a sync");
        let plan = self.state.plan(&sync).expect("a known source");
        self.due(&plan.events).due(&[plan.record]);
        plan.n_ended
    }

    pub(super) fn wait(&mut self, seconds: i64) -> &mut Self {
        self.now += seconds * 1_000;
        self.state.tick(Timestamp::from_millis(self.now));
        self
    }

    pub(super) fn all(&self) -> Value {
        read(&self.state, &StateSubscription::parse([], None).expect("all"))
    }

    /// An entry; null where there is none.
    pub(super) fn entry(&self, section: Section, key: &str) -> Value {
        self.all()[section.as_str()][key].clone()
    }

    pub(super) fn the_call(&self) -> Value {
        self.entry(Section::Calls, "1.2")
    }

    pub(super) fn phase(&self) -> String {
        self.the_call()["phase"].as_str().unwrap_or("none").to_owned()
    }

    pub(super) fn ignored(&self, reason: Ignored) -> u64 {
        self.state.ignored().of(reason)
    }

    pub(super) fn at(&self) -> String {
        Timestamp::from_millis(self.now).to_string()
    }
}

pub(super) fn read(state: &State, wanted: &StateSubscription) -> Value {
    serde_json::from_str(&state.read(wanted)).expect("JSON")
}
