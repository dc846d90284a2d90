//! What expires, what is hidden, and what is let go.

use hookswitch_protocol::Timestamp;
use serde_json::{Value, json};

use super::folder::Folder;
use crate::{Changes, Section, StateSubscription};

const HOUR: i64 = 3_600;

#[test]
fn a_call_nobody_speaks_of_is_stale_and_then_ends_by_an_event() {
    let mut folder = Folder::new();
    folder.call("call.answered", json!({"agent_id": 101, "caller_id": "7"})).wait(24 * 60 - 1);
    assert_eq!(folder.the_call().get("stale"), None);
    folder.wait(1);
    assert_eq!(folder.the_call()["stale"], true);
    folder.call("call.hold", json!({}));
    assert_eq!(folder.the_call().get("stale"), None);
    folder.wait(4 * HOUR - 1);
    assert_eq!(folder.state.due(Timestamp::from_millis(folder.now)), []);
    folder.wait(1);
    let due = folder.state.due(Timestamp::from_millis(folder.now));
    let payload: Value = serde_json::from_str(&due[0].payload).expect("JSON");
    assert_eq!(
        payload,
        json!({"unique_id": "1.2", "caller_id": "7", "destination": "", "direction": "inbound", "agent_id": 101,
            "reason": "expired"})
    );
    folder.due(&due);
    assert_eq!((folder.phase().as_str(), folder.the_call()["reason"].clone()), ("ended", json!("expired")));
}

#[test]
fn a_source_that_names_a_call_keeps_it() {
    let mut folder = Folder::new();
    for _ in 0..6 {
        folder.sync(&json!({"source": "pbx", "sections": {"calls": {"a": {"phase": "talking"}}}}));
        folder.wait(HOUR);
    }
    assert_eq!(folder.state.due(Timestamp::from_millis(folder.now)), []);
}

#[test]
fn what_has_ended_is_hidden_by_the_clock_and_readers_are_told() {
    let mut folder = Folder::new();
    folder.call("call.incoming", json!({})).call("call.ended", json!({}));
    folder
        .event("chat.session.started", json!({"session_id": "s"}))
        .event("chat.session.ended", json!({"session_id": "s"}));
    let (reader, position) = (folder.state.reader(), folder.state.position().expect("positions are given"));
    folder.wait(7);
    assert_eq!(folder.phase(), "ended");
    folder.wait(3);
    assert_eq!((folder.phase().as_str(), folder.entry(Section::Chats, "s")), ("none", Value::Null));
    let wanted = StateSubscription::parse([], None).expect("all");
    let removed = json!({"position": position.to_string(), "removed": {"calls": ["1.2"], "chats": ["s"]}});
    let Changes::Changed(payload) = folder.state.changes_since(&wanted, reader) else { panic!("nothing told") };
    assert_eq!(serde_json::from_str::<Value>(&payload).expect("JSON"), removed);
    let Changes::Changed(payload) = folder.state.changes_since_position(&wanted, position) else { panic!("not told") };
    assert_eq!(serde_json::from_str::<Value>(&payload).expect("JSON")["removed"], removed["removed"]);
}

#[test]
fn a_day_later_silent_chats_absent_agents_and_empty_queues_are_gone() {
    let mut folder = Folder::new();
    folder.event("agent.logout", json!({"user_id": 101})).event("agent.login", json!({"user_id": 102}));
    folder.event("presence.changed", json!({"user_id": 103, "state": "online"}));
    folder.event("agent.logout", json!({"user_id": 103}));
    folder.event("queue.stats", json!({"queue_name": "empty"}));
    folder.event("queue.member.added", json!({"queue_name": "served", "interface": "SIP/1"}));
    folder.event("chat.session.started", json!({"session_id": "s"}));
    let n_bytes = folder.state.n_bytes();
    folder.wait(24 * HOUR);
    let all = folder.all();
    let keys = |section: &str| all[section].as_object().expect("a section").keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        (keys("agents"), keys("queues"), keys("chats")),
        (vec!["102".into(), "103".into()], vec!["served".into()], vec![])
    );
    assert_eq!(folder.state.n_bytes(), n_bytes, "hidden, not gone");
    folder.wait(60).event("alert", json!({}));
    assert!(folder.state.n_bytes() < n_bytes);
    folder.event("agent.login", json!({"user_id": 101}));
    assert_eq!(folder.entry(Section::Agents, "101")["state"], "available");
}

#[test]
fn without_sources_a_gap_is_over_after_the_longest_call() {
    let mut folder = Folder::new();
    folder.call("call.incoming", json!({}));
    let now = Timestamp::from_millis(folder.now);
    folder.state.gap(folder.next(), now);
    let reader = folder.state.reader();
    folder.wait(4 * HOUR - 1);
    assert_eq!(folder.all()["complete"], false);
    folder.wait(1);
    assert_eq!(folder.all()["complete"], true);
    let wanted = StateSubscription::parse(["queues"], None).expect("known");
    let Changes::Changed(payload) = folder.state.changes_since(&wanted, reader) else { panic!("nothing told") };
    assert_eq!(serde_json::from_str::<Value>(&payload).expect("JSON")["complete"], true);
}
