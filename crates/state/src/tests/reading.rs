//! Snapshots in pages, changes per key, and choosing by queue.

use hookswitch_protocol::Position;
use serde_json::{Value, json};

use super::folder::{Folder, read};
use crate::{Changes, InvalidSubscription, PAGE_BYTES, Reader, StateSubscription};

fn wanted(sections: &[&str], queues: Option<Vec<&str>>) -> StateSubscription {
    StateSubscription::parse(sections.iter().copied(), queues).expect("a wish")
}

fn changed(folder: &Folder, wanted: &StateSubscription, reader: Reader) -> Value {
    match folder.state.changes_since(wanted, reader) {
        Changes::Changed(payload) => serde_json::from_str(&payload).expect("JSON"),
        other => json!(format!("{other:?}")),
    }
}

#[test]
fn a_snapshot_comes_in_pages_of_one_position() {
    let mut folder = Folder::new();
    for agent in 1..2_001 {
        folder.event("agent.login", json!({"user_id": agent, "username": "An agent with a name of some length"}));
    }
    let pages = folder.state.snapshot(&wanted(&["agents"], None));
    let read: Vec<Value> = pages.iter().map(|page| serde_json::from_str(page).expect("JSON")).collect();
    assert!(read.len() > 2 && pages.iter().all(|page| page.len() < PAGE_BYTES - 512));
    let n_agents: usize = read.iter().map(|page| page["agents"].as_object().map_or(0, serde_json::Map::len)).sum();
    assert_eq!(n_agents, 2_000);
    for (at, page) in read.iter().enumerate() {
        assert_eq!((&page["page"], &page["pages"]), (&json!(at + 1), &json!(read.len())));
        assert_eq!(
            (&page["position"], &page["complete"], &page["sources"]),
            (&json!("7:2000"), &json!(true), &json!([]))
        );
    }
    let nothing = Folder::new().state.snapshot(&wanted(&["calls"], None));
    assert_eq!(nothing, [r#"{"position":"7:0","page":1,"pages":1,"complete":true,"sources":[]}"#]);
}

#[test]
fn a_change_is_the_entry_and_nothing_else() {
    let mut folder = Folder::new();
    folder.event("agent.login", json!({"user_id": 101})).event("agent.login", json!({"user_id": 102}));
    let (reader, all) = (folder.state.reader(), wanted(&[], None));
    assert_eq!(folder.state.changes_since(&all, reader), Changes::None);
    folder.event("agent.break.started", json!({"user_id": 102}));
    folder.event("agent.break.ended", json!({"user_id": 102}));
    let told = changed(&folder, &all, reader);
    assert_eq!(told["set"]["agents"], json!({"102": folder.entry(crate::Section::Agents, "102")}), "the latest only");
    assert_eq!(told.as_object().map(serde_json::Map::len), Some(2));
    assert_eq!(folder.state.changes_since(&wanted(&["calls"], None), reader), Changes::None);
}

#[test]
fn who_leaves_the_chosen_queues_is_removed_and_who_enters_is_set() {
    let mut folder = Folder::new();
    let (sales, support) = (wanted(&[], Some(vec!["sales"])), wanted(&[], Some(vec!["support"])));
    folder.event("agent.login", json!({"user_id": 101}));
    assert_eq!(read(&folder.state, &sales)["agents"], json!({}));
    let reader = folder.state.reader();
    folder.event("queue.member.added", json!({"queue_name": "sales", "user_id": 101}));
    folder.call("queue.joined", json!({"queue_name": "sales"}));
    let told = changed(&folder, &sales, reader);
    assert_eq!(
        told["set"].as_object().map(|set| set.keys().map(String::as_str).collect()),
        Some(vec!["agents", "calls", "members", "queues", "waiting"])
    );
    assert_eq!(changed(&folder, &support, reader), json!("None"));
    let reader = folder.state.reader();
    folder.event("queue.member.removed", json!({"queue_name": "sales", "user_id": 101}));
    folder.call("queue.joined", json!({"queue_name": "support"}));
    let told = changed(&folder, &sales, reader);
    assert_eq!(
        told["removed"],
        json!({"agents": ["101"], "calls": ["1.2"], "members": ["sales/101"], "waiting": ["1.2"]})
    );
    assert_eq!(changed(&folder, &support, reader)["set"]["calls"]["1.2"]["phase"], "queued");
    assert_eq!(changed(&folder, &wanted(&["agents"], None), reader), json!("None"), "the agent itself is as it was");
    assert_eq!(changed(&folder, &wanted(&[], Some(vec!["night"])), reader), json!("None"));
}

#[test]
fn a_position_of_elsewhere_or_too_long_ago_gets_a_snapshot() {
    let mut folder = Folder::new();
    let all = wanted(&[], None);
    let from = |folder: &Folder, epoch, offset| folder.state.changes_since_position(&all, Position { epoch, offset });
    let reader = folder.state.reader();
    folder.event("agent.login", json!({"user_id": 101}));
    assert!(matches!(from(&folder, 7, 0), Changes::Changed(_)));
    assert_eq!((from(&folder, 6, 0), from(&folder, 7, 2)), (Changes::Snapshot, Changes::Snapshot));
    for call in 0..5_000 {
        folder.event("queue.member.added", json!({"queue_name": "q", "interface": format!("SIP/{call}")}));
        folder.event("queue.member.removed", json!({"queue_name": "q", "interface": format!("SIP/{call}")}));
    }
    assert_eq!(from(&folder, 7, 1), Changes::Snapshot);
    assert_eq!(folder.state.changes_since(&all, reader), Changes::Snapshot);
    let near = folder.state.position().expect("positions are given").offset - 10;
    assert!(matches!(from(&folder, 7, near), Changes::Changed(_)));
}

#[test]
fn while_degraded_there_is_no_position() {
    let mut folder = Folder::new();
    folder.event("agent.login", json!({"user_id": 101}));
    let mut copy = folder.state.clone();
    copy.apply(&crate::Record {
        position: None,
        event_type: "agent.logout",
        timestamp: hookswitch_protocol::Timestamp::from_millis(folder.now),
        payload: r#"{"user_id":101}"#,
        session: None,
        source: None,
        is_for_all: true,
    });
    let told = read(&copy, &wanted(&["agents"], None));
    assert_eq!((told.get("position"), &told["incomplete"]), (None, &json!("degraded")));
    assert_eq!(told["agents"]["101"]["state"], "offline");
    assert_eq!(folder.entry(crate::Section::Agents, "101")["state"], "available");
}

#[test]
fn a_wish_names_known_sections_and_few_queues() {
    assert!(matches!(StateSubscription::parse(["agents", "x"], None), Err(InvalidSubscription::Section(_))));
    assert!(matches!(StateSubscription::parse([], Some(vec!["q"; 65])), Err(InvalidSubscription::Queues)));
    assert!(matches!(StateSubscription::parse([], Some(vec![""])), Err(InvalidSubscription::Queues)));
}
