//! Random histories: whoever folds them, and however a reader follows, all agree.

use std::collections::BTreeMap;

use hookswitch_protocol::{Position, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::folder::{Folder, read};
use crate::{Changes, Incomplete, Reader, State, StateSettings, StateSubscription};

/// One event of a history.
#[derive(Debug, Clone)]
struct Step {
    event_type: &'static str,
    payload: Value,
    /// Milliseconds from the one before; not always forwards, since nodes' clocks differ.
    later: i64,
}

const TYPES: [&str; 22] = [
    "call.incoming",
    "call.outgoing",
    "call.ringing",
    "call.ring_ended",
    "call.answered",
    "call.hold",
    "call.unhold",
    "call.transferred",
    "call.parked",
    "call.ended",
    "queue.joined",
    "queue.joined",
    "queue.left",
    "agent.login",
    "agent.logout",
    "agent.break.started",
    "agent.state.changed",
    "queue.member.added",
    "queue.member.removed",
    "queue.member.paused",
    "queue.member.unpaused",
    "alert",
];

fn step() -> impl Strategy<Value = Step> {
    let ids = (0..TYPES.len(), 0..6_u32, 1..5_i64, 0..3_usize, 0..6_i64, -500..3_000_i64);
    ids.prop_map(|(event_type, call, agent, queue, place, later)| {
        let mut payload = json!({
            "unique_id": format!("c{call}"),
            "user_id": agent,
            "queue_name": (["sales", "support", "night"][queue]),
            "caller_id": format!("+49{call}"),
            "state": (["available", "wrap_up"][queue % 2]),
        });
        let has_agent = place != 5;
        if has_agent {
            payload["agent_id"] = json!(agent);
        } else {
            payload["kind"] = json!(["redirect", "blind", "attended"][queue]);
        }
        if place > 0 {
            payload["position"] = json!(place);
        }
        Step { event_type: TYPES[event_type], payload, later }
    })
}

fn histories() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..120)
}

fn fold(folder: &mut Folder, step: &Step) {
    folder.now += step.later;
    folder.apply(step.event_type, &step.payload.to_string(), Some("pbx"));
}

/// What a page keeps.
#[derive(Debug, Default, Clone, PartialEq)]
struct Mirror(BTreeMap<(String, String), Value>);

impl Mirror {
    fn of(state: &State, wanted: &StateSubscription) -> Self {
        let mut mirror = Self::default();
        for page in state.snapshot(wanted) {
            mirror.set(&serde_json::from_str(&page).expect("JSON"));
        }
        mirror
    }

    fn set(&mut self, sections: &Value) {
        for name in ["agents", "calls", "queues", "members", "waiting", "chats"] {
            for (key, entry) in sections[name].as_object().into_iter().flatten() {
                self.0.insert((name.to_owned(), key.clone()), entry.clone());
            }
        }
    }

    fn take(&mut self, state: &State, wanted: &StateSubscription, changes: &Changes) {
        match changes {
            Changes::None => {}
            Changes::Snapshot => *self = Self::of(state, wanted),
            Changes::Changed(payload) => {
                let payload: Value = serde_json::from_str(payload).expect("JSON");
                self.set(&payload["set"]);
                for (name, keys) in payload["removed"].as_object().into_iter().flatten() {
                    for key in keys.as_array().into_iter().flatten() {
                        self.0.remove(&(name.clone(), key.as_str().expect("a key").to_owned()));
                    }
                }
            }
        }
    }
}

fn moved_to_another_node(folder: &Folder) -> Folder {
    let now = Timestamp::from_millis(folder.now);
    let state = State::restore(&folder.state.save(), StateSettings::default(), now).expect("was saved");
    Folder { state, now: folder.now }
}

fn wishes() -> [StateSubscription; 3] {
    [
        StateSubscription::parse([], None).expect("all"),
        StateSubscription::parse([], Some(vec!["support"])).expect("one queue"),
        StateSubscription::parse(["agents", "waiting"], Some(vec!["sales", "night"])).expect("some"),
    ]
}

/// What a source knows, as a sync: everything but what has ended.
fn truth(folder: &Folder) -> Value {
    let all = folder.all();
    let mut calls = all["calls"].clone();
    calls.as_object_mut().expect("a section").retain(|_, call| call["phase"] != "ended");
    json!({"source": "pbx", "complete": true, "sections":
        {"agents": all["agents"], "calls": calls, "members": all["members"], "waiting": all["waiting"]}})
}

/// The state but for what a source says nothing of.
fn as_the_source_has_it(folder: &Folder) -> Value {
    let mut all = truth(folder)["sections"].clone();
    let mut queues = folder.all()["queues"].clone();
    let is_used = |queue: &Value| queue["calls_waiting"] != 0 || queue["logged_in_agents"] != 0;
    queues.as_object_mut().expect("a section").retain(|_, queue| is_used(queue));
    all["queues"] = queues;
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn all_who_fold_the_same_agree(history in histories(), at in 0..120_usize) {
        let (mut one, mut other) = (Folder::new(), Folder::new());
        for (n, step) in history.iter().enumerate() {
            fold(&mut one, step);
            if n == at {
                other = moved_to_another_node(&other);
            }
            fold(&mut other, step);
            if n % 16 == 0 {
                prop_assert_eq!(one.state.save(), other.state.save());
                prop_assert_eq!(one.state.n_bytes(), other.state.n_bytes());
            }
        }
        prop_assert_eq!(one.state.save(), other.state.save());
        prop_assert_eq!(one.all(), other.all());
        prop_assert_eq!(one.state.incomplete(), None);
        let again = moved_to_another_node(&one);
        prop_assert_eq!(again.all(), one.all());
    }

    #[test]
    fn what_was_folded_already_changes_nothing(history in histories()) {
        let mut folder = Folder::new();
        for step in &history {
            fold(&mut folder, step);
        }
        let before = folder.state.save();
        let position = folder.state.position();
        folder.state.apply(&crate::Record {
            position,
            event_type: "call.incoming",
            timestamp: Timestamp::from_millis(folder.now),
            payload: r#"{"unique_id":"new"}"#,
            session: None,
            source: None,
            is_for_all: true,
        });
        prop_assert_eq!(before, folder.state.save());
    }

    #[test]
    fn every_reader_ends_with_what_there_is(
        history in histories(),
        reads in prop::collection::vec(0..8_u8, 120),
        naps in prop::collection::vec(0..30_i64, 120),
    ) {
        let mut folder = Folder::new();
        let wishes = wishes();
        let mut readers: Vec<(Mirror, Reader, Option<Position>)> =
            wishes.iter().map(|_| (Mirror::default(), folder.state.reader(), folder.state.position())).collect();
        for (step, (read, nap)) in history.iter().zip(reads.iter().zip(&naps)) {
            fold(&mut folder, step);
            if *nap > 25 {
                folder.wait(*nap);
            }
            if *read == 7 {
                folder = moved_to_another_node(&folder);
                for ((mirror, reader, position), wanted) in readers.iter_mut().zip(&wishes) {
                    let changes = folder.state.changes_since_position(wanted, position.expect("positions are given"));
                    mirror.take(&folder.state, wanted, &changes);
                    (*reader, *position) = (folder.state.reader(), folder.state.position());
                }
            }
            if let Some((mirror, reader, position)) = readers.get_mut(usize::from(*read)) {
                let wanted = &wishes[usize::from(*read)];
                mirror.take(&folder.state, wanted, &folder.state.changes_since(wanted, *reader));
                (*reader, *position) = (folder.state.reader(), folder.state.position());
            }
        }
        for ((mirror, reader, position), wanted) in readers.iter().zip(&wishes) {
            let now = Mirror::of(&folder.state, wanted);
            let mut live = mirror.clone();
            live.take(&folder.state, wanted, &folder.state.changes_since(wanted, *reader));
            prop_assert_eq!(&live, &now);
            let mut resumed = mirror.clone();
            let changes = folder.state.changes_since_position(wanted, position.expect("positions are given"));
            resumed.take(&folder.state, wanted, &changes);
            prop_assert_eq!(&resumed, &now);
            prop_assert_eq!(read(&folder.state, wanted)["complete"].as_bool(), Some(true));
        }
    }

    #[test]
    fn after_loss_and_a_new_epoch_a_sync_makes_it_the_sources(
        history in histories(),
        lost in prop::collection::vec(0..5_u8, 120),
        at in 0..120_usize,
    ) {
        let (mut source, mut node) = (Folder::new(), Folder::new());
        for (n, (step, lost)) in history.iter().zip(&lost).enumerate() {
            fold(&mut source, step);
            node.now = source.now - step.later;
            if n == at {
                node.state.gap(Some(Position { epoch: 8, offset: 0 }), Timestamp::from_millis(node.now));
            }
            if *lost == 0 {
                node.now = source.now;
                let now = Timestamp::from_millis(node.now);
                node.state.gap(node.next(), now);
            } else {
                fold(&mut node, step);
            }
        }
        source.sync(&json!({"source": "pbx"}));
        node.now = source.now - 1_000;
        if lost.iter().take(history.len()).any(|lost| *lost == 0) {
            prop_assert_eq!(node.state.incomplete(), Some(Incomplete::Gap));
        }
        node.now = source.now;
        node.sync(&truth(&source));
        prop_assert_eq!(node.state.incomplete(), None);
        prop_assert_eq!(as_the_source_has_it(&node), as_the_source_has_it(&source));
    }
}
