//! Sources: what a sync ends, what it leaves alone, and leases.

use serde_json::{Value, json};

use super::folder::Folder;
use crate::{Ignored, Incomplete, Section, Sync, is_source_name};

fn of_pbx(folder: &mut Folder, event_type: &str, payload: &Value) {
    folder.said(event_type, payload, Some("pbx"));
}

#[test]
fn a_call_is_of_the_source_that_named_it_first() {
    let mut folder = Folder::new();
    folder.call("call.incoming", json!({}));
    of_pbx(&mut folder, "call.hold", &json!({"unique_id": "1.2"}));
    folder.said("call.hold", &json!({"unique_id": "1.2"}), Some("other"));
    assert_eq!(folder.the_call()["source"], "pbx");
    assert_eq!(folder.all()["sources"][0]["source"], "other");
}

#[test]
fn a_complete_sync_ends_what_it_does_not_name() {
    let mut folder = Folder::new();
    for key in ["a", "b"] {
        of_pbx(&mut folder, "queue.joined", &json!({"unique_id": key, "queue_name": "q"}));
    }
    of_pbx(&mut folder, "queue.member.added", &json!({"queue_name": "q", "user_id": 101}));
    folder.event("call.incoming", json!({"unique_id": "nobodys"}));
    let a = json!({"unique_id": "a", "phase": "talking", "agents": [101], "since": "2020-01-01T00:00:00Z",
        "started_at": "2099-01-01T00:00:00Z"});
    let n_ended = folder.sync(&json!({"source": "pbx", "complete": true,
        "sections": {"calls": [a], "members": {}, "waiting": []}}));
    assert_eq!(n_ended, 1);
    let b = folder.entry(Section::Calls, "b");
    assert_eq!((&b["phase"], &b["reason"]), (&json!("ended"), &json!("reconciled")));
    let a = folder.entry(Section::Calls, "a");
    assert_eq!((&a["phase"], &a["since"]), (&json!("talking"), &json!("2020-01-01T00:00:00.000Z")));
    assert_eq!(a["started_at"], folder.at(), "nothing is of the future");
    assert_eq!(folder.entry(Section::Calls, "nobodys")["phase"], "incoming");
    assert_eq!(folder.all()["members"], json!({}));
    assert_eq!(folder.all()["waiting"], json!({}));
}

#[test]
fn an_incomplete_one_or_a_section_left_out_ends_nothing() {
    for body in [
        json!({"source": "pbx", "complete": false, "sections": {"calls": {}, "members": {}, "waiting": {}}}),
        json!({"source": "pbx", "complete": true, "sections": {}}),
    ] {
        let mut folder = Folder::new();
        of_pbx(&mut folder, "queue.joined", &json!({"unique_id": "a", "queue_name": "q"}));
        of_pbx(&mut folder, "queue.member.added", &json!({"queue_name": "q", "user_id": 101}));
        assert_eq!(folder.sync(&body), 0);
        assert_eq!(folder.entry(Section::Calls, "a")["phase"], "queued");
        assert_ne!(folder.entry(Section::Members, "q/101"), Value::Null);
    }
}

#[test]
fn what_has_a_later_event_is_left_alone() {
    let mut folder = Folder::new();
    of_pbx(&mut folder, "call.incoming", &json!({"unique_id": "a"}));
    of_pbx(&mut folder, "call.incoming", &json!({"unique_id": "b"}));
    of_pbx(&mut folder, "agent.login", &json!({"user_id": 101}));
    let as_of = folder.state.position().expect("positions are given").to_string();
    of_pbx(&mut folder, "call.answered", &json!({"unique_id": "a", "agent_id": 101}));
    of_pbx(&mut folder, "call.ended", &json!({"unique_id": "b"}));
    of_pbx(&mut folder, "agent.logout", &json!({"user_id": 101}));
    let n_ended = folder.sync(&json!({"source": "pbx", "complete": true, "as_of": as_of, "sections": {
        "calls": {"b": {"phase": "talking"}}, "agents": {"101": {"state": "available"}}}}));
    assert_eq!(n_ended, 0);
    assert_eq!(folder.entry(Section::Calls, "a")["phase"], "talking");
    assert_eq!(folder.entry(Section::Calls, "b")["phase"], "ended");
    assert_eq!(folder.entry(Section::Agents, "101")["state"], "offline");
}

#[test]
fn another_sources_entries_are_left_alone() {
    let mut folder = Folder::new();
    folder.said("call.answered", &json!({"unique_id": "a", "agent_id": 101}), Some("other"));
    folder.sync(&json!({"source": "pbx", "complete": true, "sections": {"calls": {"a": {"phase": "incoming"}}}}));
    assert_eq!(folder.entry(Section::Calls, "a")["phase"], "talking");
    assert_eq!(folder.ignored(Ignored::Foreign), 1);
}

#[test]
fn a_source_is_lost_when_its_lease_is_over_and_comes_back() {
    let mut folder = Folder::new();
    folder.sync(&json!({"source": "pbx", "lease": "30s", "sections": {"calls": {"a": {"phase": "talking"}}}}));
    folder.wait(20).sync(&json!({"source": "pbx"}));
    folder.wait(20);
    let now = hookswitch_protocol::Timestamp::from_millis(folder.now);
    assert_eq!(folder.state.due(now), []);
    folder.wait(10);
    let due = folder.state.due(hookswitch_protocol::Timestamp::from_millis(folder.now));
    assert_eq!((due.len(), due[0].event_type), (1, "source.lost"));
    folder.due(&due);
    assert_eq!(folder.entry(Section::Calls, "a")["source_lost"], true);
    assert_eq!(folder.all()["sources"], json!([{"source": "pbx", "lost": true, "since": folder.at()}]));
    assert_eq!(folder.state.due(hookswitch_protocol::Timestamp::from_millis(folder.now)), []);
    let plan = folder.state.plan(&Sync::parse(r#"{"source":"pbx"}"#).expect("a renewal")).expect("known");
    assert_eq!(plan.events.iter().map(|due| due.event_type).collect::<Vec<_>>(), ["source.back"]);
    folder.sync(&json!({"source": "pbx"}));
    assert_eq!(folder.entry(Section::Calls, "a").get("source_lost"), None);
    assert_eq!(folder.all()["sources"][0]["lost"], false);
}

#[test]
fn nobody_renews_what_nobody_has_heard_of() {
    let folder = Folder::new();
    assert_eq!(folder.state.plan(&Sync::parse(r#"{"source":"pbx"}"#).expect("a renewal")), None);
}

#[test]
fn a_lost_source_takes_its_calls_with_it_in_the_end() {
    let mut folder = Folder::new();
    folder.sync(&json!({"source": "pbx", "lease": 5, "sections": {"calls": {"a": {"phase": "talking"}},
        "members": [{"queue_name": "q", "user_id": 101}]}}));
    folder.wait(6);
    let due = folder.state.due(hookswitch_protocol::Timestamp::from_millis(folder.now));
    folder.due(&due).wait(4 * 3_600);
    let due = folder.state.due(hookswitch_protocol::Timestamp::from_millis(folder.now));
    assert_eq!(due.iter().map(|due| due.event_type).collect::<Vec<_>>(), ["call.ended"]);
    folder.due(&due).event("alert", json!({})).wait(10).event("alert", json!({}));
    assert_eq!(folder.all()["sources"], json!([]));
    assert_eq!(folder.entry(Section::Members, "q/101").get("source"), None);
}

#[test]
fn complete_again_when_every_source_has_said_everything() {
    let mut folder = Folder::new();
    of_pbx(&mut folder, "call.incoming", &json!({"unique_id": "a"}));
    folder.said("call.incoming", &json!({"unique_id": "b"}), Some("crm"));
    let now = hookswitch_protocol::Timestamp::from_millis(folder.now);
    folder.state.gap(folder.next(), now);
    assert_eq!((&folder.all()["complete"], &folder.all()["incomplete"]), (&json!(false), &json!("gap")));
    folder.sync(&json!({"source": "pbx", "complete": true, "sections": {}}));
    folder.sync(&json!({"source": "crm", "complete": false, "sections": {}}));
    assert_eq!(folder.state.incomplete(), Some(Incomplete::Gap));
    folder.sync(&json!({"source": "crm", "complete": true, "sections": {}}));
    assert_eq!(folder.state.incomplete(), None);
}

#[test]
fn a_bad_entry_is_named_and_nothing_is_done() {
    let check = |body: Value, field: &str| {
        let error = Sync::parse(&body.to_string()).expect_err(field);
        assert_eq!(error.field, field, "{error}");
    };
    let with = |sections: Value| json!({"source": "pbx", "sections": sections});
    check(json!({}), "source");
    check(json!({"source": "p b x"}), "source");
    check(json!({"source": "pbx", "as_of": "1"}), "as_of");
    check(json!({"source": "pbx", "lease": "4s"}), "lease");
    check(json!({"source": "pbx", "lease": "2h"}), "lease");
    check(json!({"source": "pbx", "complete": 1}), "complete");
    check(with(json!({"chats": {}})), "sections.chats");
    check(with(json!({"calls": {"a": 1}})), "sections.calls.a");
    check(with(json!({"calls": {"a": {"phase": "odd"}}})), "sections.calls.a.phase");
    check(with(json!({"calls": {"a": {"unique_id": "b"}}})), "sections.calls.a");
    check(with(json!({"calls": [{"unique_id": "b", "agents": [true]}]})), "sections.calls.0.agents");
    check(with(json!({"calls": [{"unique_id": "b"}, {"unique_id": "b"}]})), "sections.calls.1");
    check(with(json!({"agents": {"101": {}}})), "sections.agents.101.state");
    check(with(json!({"members": [{"queue_name": "q"}]})), "sections.members.0.interface");
    check(with(json!({"waiting": [{"unique_id": "a"}]})), "sections.waiting.0.queue_name");
    check(with(json!({"waiting": {"a": {"queue_name": "q", "since": "x"}}})), "sections.waiting.a.since");
}

#[test]
fn a_sources_name_is_short_and_plain() {
    assert!(is_source_name("pbx-1.site_2"));
    for bad in ["", "a b", "é", &"x".repeat(65)] {
        assert!(!is_source_name(bad), "{bad}");
    }
}
