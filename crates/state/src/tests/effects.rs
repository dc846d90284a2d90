//! Each row of the table of effects.

use serde_json::{Value, json};

use super::folder::Folder;
use crate::{Ignored, Record, Section};

fn agent(folder: &Folder, id: &str) -> Value {
    folder.entry(Section::Agents, id)
}

#[test]
fn incoming_begins_a_call_also_anew_after_its_end() {
    let mut folder = Folder::new();
    folder.call("call.incoming", json!({"caller_id": 4930, "destination": "100", "queue_name": "support"}));
    let began = folder.at();
    assert_eq!(
        folder.the_call(),
        json!({"unique_id": "1.2", "phase": "incoming", "direction": "inbound", "caller_id": "4930",
            "destination": "100", "queue_name": "support", "agents": [], "ringing": [], "since": began,
            "started_at": began, "transfers": 0})
    );
    folder.call("call.ended", json!({"reason": "hangup"})).call("call.incoming", json!({"caller_id": "7"}));
    assert_eq!(folder.the_call()["phase"], "incoming");
    assert_eq!(folder.the_call()["started_at"], folder.at());
    assert_eq!(folder.the_call()["reason"], Value::Null);
}

#[test]
fn outgoing_puts_its_agent_into_the_call() {
    let mut folder = Folder::new();
    folder.call("call.outgoing", json!({"agent_id": 101, "direction": "outbound"}));
    assert_eq!(folder.the_call()["agents"], json!([101]));
    assert_eq!(folder.the_call()["direction"], "outbound");
    assert_eq!(agent(&folder, "101")["state"], "unknown");
    assert_eq!(agent(&folder, "101")["calls"], json!(["1.2"]));
}

#[test]
fn any_other_event_begins_a_call_except_its_ends() {
    for (event_type, phase) in [("call.hold", "incoming"), ("call.answered", "talking"), ("call.recorded", "incoming")]
    {
        let mut folder = Folder::new();
        folder.call(event_type, json!({}));
        assert_eq!(folder.phase(), phase, "{event_type}");
    }
    for event_type in ["call.ended", "call.ring_ended"] {
        let mut folder = Folder::new();
        folder.call(event_type, json!({"agent_id": 101}));
        assert_eq!((folder.phase().as_str(), folder.ignored(Ignored::Unknown)), ("none", 1), "{event_type}");
    }
}

#[test]
fn ringing_comes_and_goes() {
    let mut folder = Folder::new();
    folder.call("call.ringing", json!({"agent_id": 101})).call("call.ringing", json!({"agent_id": "x"}));
    assert_eq!((folder.phase().as_str(), folder.the_call()["ringing"].clone()), ("ringing", json!([101, "x"])));
    folder.call("call.ring_ended", json!({"agent_id": 101}));
    assert_eq!(folder.the_call()["ringing"], json!(["x"]));
    folder.call("call.ring_ended", json!({"agent_id": "x"}));
    assert_eq!(folder.phase(), "incoming");
    folder.call("call.ring_ended", json!({"agent_id": "x"}));
    assert_eq!(folder.ignored(Ignored::Contradictory), 1);
}

#[test]
fn an_answer_adds_its_agent_and_ends_ringing_and_waiting() {
    let mut folder = Folder::new();
    folder.call("queue.joined", json!({"queue_name": "support"})).call("call.ringing", json!({"agent_id": 102}));
    folder.call("call.answered", json!({"agent_id": 101}));
    assert_eq!(folder.phase(), "talking");
    assert_eq!((&folder.the_call()["agents"], &folder.the_call()["ringing"]), (&json!([101]), &json!([])));
    assert_eq!(folder.entry(Section::Waiting, "1.2"), Value::Null);
    assert_eq!(folder.the_call()["since"], folder.at());
    let mut nobody = Folder::new();
    nobody.call("call.answered", json!({}));
    assert_eq!((nobody.phase().as_str(), &nobody.the_call()["agents"]), ("talking", &json!([])));
}

#[test]
fn hold_and_unhold_do_nothing_before_an_answer() {
    let mut folder = Folder::new();
    folder.call("call.incoming", json!({})).call("call.hold", json!({}));
    assert_eq!((folder.phase().as_str(), folder.ignored(Ignored::Contradictory)), ("incoming", 1));
    folder.call("call.answered", json!({"agent_id": 101})).call("call.hold", json!({}));
    assert_eq!(folder.phase(), "held");
    folder.call("call.unhold", json!({}));
    assert_eq!(folder.phase(), "talking");
}

#[test]
fn a_transfer_takes_out_whoever_made_it() {
    let check = |more: Value, agents: Value, phase: &str| {
        let mut folder = Folder::new();
        folder.call("call.answered", json!({"agent_id": 101})).call("call.answered", json!({"agent_id": 102}));
        folder.call("call.transferred", more.clone());
        let call = folder.the_call();
        assert_eq!(
            (&call["agents"], &call["phase"], &call["transfers"]),
            (&agents, &json!(phase), &json!(1)),
            "{more}"
        );
    };
    check(json!({"agent_id": 101, "kind": "attended"}), json!([102]), "talking");
    check(json!({"agent_id": 101, "kind": "blind"}), json!([102]), "incoming");
    check(json!({"kind": "redirect"}), json!([]), "incoming");
    check(json!({"kind": "attended"}), json!([101, 102]), "talking");
    check(json!({}), json!([101, 102]), "talking");
}

#[test]
fn a_parked_call_has_no_agents() {
    let mut folder = Folder::new();
    folder.call("call.answered", json!({"agent_id": 101})).call("call.parked", json!({}));
    assert_eq!((folder.phase().as_str(), &folder.the_call()["agents"]), ("parked", &json!([])));
    assert_eq!(agent(&folder, "101")["calls"], json!([]));
    folder.call("call.ringing", json!({"agent_id": 102}));
    assert_eq!(folder.phase(), "parked");
    folder.call("call.answered", json!({"agent_id": 102}));
    assert_eq!(folder.phase(), "talking");
}

#[test]
fn an_end_leaves_agents_and_nothing_else() {
    let mut folder = Folder::new();
    folder.call("queue.joined", json!({"queue_name": "support"})).call("call.ringing", json!({"agent_id": 102}));
    folder.call("call.outgoing", json!({"agent_id": 101})).call("call.ended", json!({"reason": "busy"}));
    let call = folder.the_call();
    assert_eq!((&call["phase"], &call["reason"], &call["agents"]), (&json!("ended"), &json!("busy"), &json!([101])));
    assert_eq!(call["ringing"], json!([]));
    assert_eq!(folder.entry(Section::Waiting, "1.2"), Value::Null);
    assert_eq!(agent(&folder, "101")["calls"], json!([]));
    folder.call("call.answered", json!({"agent_id": 101})).call("queue.joined", json!({"queue_name": "support"}));
    assert_eq!((folder.phase().as_str(), folder.ignored(Ignored::Late)), ("ended", 2));
    folder.wait(60).event("alert", json!({})).call("call.hold", json!({}));
    assert_eq!((folder.phase().as_str(), folder.ignored(Ignored::Late)), ("none", 3), "also once it is out of sight");
}

#[test]
fn who_joins_waits_at_his_place() {
    let mut folder = Folder::new();
    let order = |folder: &Folder| {
        let all = folder.all();
        let mut waiting: Vec<_> = all["waiting"].as_object().expect("a section").iter().collect();
        waiting.sort_by_key(|(_, entry)| entry["order"].as_i64());
        waiting.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(" ")
    };
    for (call, place) in [("a", json!(null)), ("b", json!(null)), ("c", json!(1)), ("d", json!(2)), ("e", json!(9))] {
        folder.event("queue.joined", json!({"unique_id": call, "queue_name": "q", "position": place}));
    }
    assert_eq!(order(&folder), "c d a b e");
    for n in 0..40 {
        folder.event("queue.joined", json!({"unique_id": format!("x{n:02}"), "queue_name": "q", "position": 2}));
    }
    assert!(
        order(&folder).starts_with("c x39 x38 x37") && order(&folder).ends_with("x00 d a b e"),
        "{}",
        order(&folder)
    );
    assert_eq!(folder.entry(Section::Queues, "q")["calls_waiting"], 45);
    assert_eq!(folder.entry(Section::Queues, "q")["longest_wait_since"], folder.entry(Section::Waiting, "a")["since"]);
}

#[test]
fn joining_leaves_another_queue_and_the_agents_of_an_inbound_call() {
    let mut folder = Folder::new();
    folder.call("queue.joined", json!({"queue_name": "sales"})).call("call.outgoing", json!({"agent_id": 101}));
    folder.call("queue.joined", json!({"queue_name": "support"}));
    assert_eq!(folder.entry(Section::Waiting, "1.2")["queue_name"], "support");
    assert_eq!(folder.entry(Section::Queues, "sales")["calls_waiting"], 0);
    assert_eq!((folder.phase().as_str(), &folder.the_call()["agents"]), ("queued", &json!([])));
    let mut outbound = Folder::new();
    outbound.call("call.outgoing", json!({"agent_id": 101, "direction": "outbound"}));
    outbound.call("queue.joined", json!({"queue_name": "support"}));
    assert_eq!(outbound.the_call()["agents"], json!([101]));
}

#[test]
fn leaving_keeps_the_calls_queue() {
    let mut folder = Folder::new();
    folder.call("queue.left", json!({"queue_name": "support"}));
    assert_eq!((folder.phase().as_str(), folder.ignored(Ignored::Unknown)), ("none", 1));
    folder.call("queue.joined", json!({"queue_name": "support"})).call("queue.left", json!({"queue_name": "other"}));
    assert_eq!(folder.ignored(Ignored::Unknown), 2);
    folder.call("queue.left", json!({"queue_name": "support"}));
    assert_eq!((folder.phase().as_str(), &folder.the_call()["queue_name"]), ("incoming", &json!("support")));
    assert_eq!(folder.entry(Section::Waiting, "1.2"), Value::Null);
}

#[test]
fn login_logout_and_breaks_are_what_they_are() {
    let mut folder = Folder::new();
    folder.call("call.outgoing", json!({"agent_id": 101}));
    for (event_type, state) in [
        ("agent.login", "available"),
        ("agent.break.started", "break"),
        ("agent.break.ended", "available"),
        ("agent.logout", "offline"),
    ] {
        folder.event(event_type, json!({"user_id": "101", "state": "other", "username": "Ada", "extension": 7}));
        let entry = agent(&folder, "101");
        assert_eq!((&entry["state"], &entry["since"]), (&json!(state), &json!(folder.at())), "{event_type}");
        assert_eq!(entry["calls"], json!(["1.2"]));
    }
    assert_eq!(agent(&folder, "101")["extension"], "7");
}

#[test]
fn a_state_is_as_told_and_never_follows_from_calls() {
    let mut folder = Folder::new();
    folder.event("agent.state.changed", json!({"user_id": 101, "state": "wrap_up", "reason": "notes"}));
    let since = folder.at();
    folder.call("call.answered", json!({"agent_id": 101}));
    let entry = agent(&folder, "101");
    assert_eq!(
        (&entry["state"], &entry["reason"], &entry["since"]),
        (&json!("wrap_up"), &json!("notes"), &json!(since))
    );
    folder.event("agent.state.changed", json!({"user_id": 101}));
    assert_eq!(folder.ignored(Ignored::NoKey), 1);
}

#[test]
fn members_come_pause_and_go() {
    let mut folder = Folder::new();
    folder.event("queue.member.added", json!({"queue_name": "q", "user_id": 101, "interface": "SIP/1", "penalty": 2}));
    folder.event("queue.member.paused", json!({"queue_name": "q", "user_id": 101, "reason": "lunch"}));
    let entry = folder.entry(Section::Members, "q/101");
    assert_eq!(
        entry,
        json!({"queue_name": "q", "user_id": 101, "interface": "SIP/1", "paused": true, "reason": "lunch",
            "penalty": 2, "since": folder.at()})
    );
    assert_eq!(agent(&folder, "101")["state"], "unknown");
    folder.event("queue.member.unpaused", json!({"queue_name": "q", "user_id": 101}));
    assert_eq!(folder.entry(Section::Members, "q/101")["paused"], false);
    folder.event("queue.member.unpaused", json!({"queue_name": "q", "interface": "SIP/9"}));
    assert_eq!(folder.entry(Section::Members, "q/SIP/9")["interface"], "SIP/9");
    assert_eq!(folder.all()["agents"].as_object().map(serde_json::Map::len), Some(1));
    folder.event("queue.member.removed", json!({"queue_name": "q", "user_id": 101}));
    assert_eq!(folder.entry(Section::Members, "q/101"), Value::Null);
    folder.event("queue.member.removed", json!({"queue_name": "q", "user_id": 101}));
    assert_eq!(folder.ignored(Ignored::Unknown), 1);
}

#[test]
fn figures_follow_from_members_and_their_calls() {
    let mut folder = Folder::new();
    let figures = |folder: &Folder| {
        let queue = folder.entry(Section::Queues, "q");
        ["logged_in_agents", "available_agents", "talking_agents"].map(|name| queue[name].as_u64().unwrap_or(99))
    };
    folder.event("queue.member.added", json!({"queue_name": "q", "user_id": 101}));
    assert_eq!(figures(&folder), [0, 0, 0], "unknown");
    folder.event("queue.member.added", json!({"queue_name": "q", "interface": "SIP/9"}));
    assert_eq!(figures(&folder), [1, 0, 0], "nobody's");
    folder.event("agent.login", json!({"user_id": 101}));
    assert_eq!(figures(&folder), [2, 1, 0]);
    folder.call("call.ringing", json!({"agent_id": 101, "queue_name": "other"}));
    assert_eq!(figures(&folder), [2, 0, 0], "rings");
    folder.call("call.answered", json!({"agent_id": 101}));
    assert_eq!(figures(&folder), [2, 0, 1]);
    folder.call("call.hold", json!({}));
    assert_eq!(figures(&folder), [2, 0, 1]);
    folder.call("call.ended", json!({}));
    assert_eq!(figures(&folder), [2, 1, 0]);
    folder.event("queue.stats", json!({"queue_name": "q", "available_agents": 77}));
    assert_eq!(figures(&folder), [2, 1, 0], "told figures override nothing");
    assert_eq!(folder.entry(Section::Queues, "q")["stats"], json!({"queue_name": "q", "available_agents": 77}));
    folder.event("queue.member.paused", json!({"queue_name": "q", "user_id": 101}));
    assert_eq!(figures(&folder), [2, 0, 0]);
    folder.event("agent.logout", json!({"user_id": 101}));
    assert_eq!(figures(&folder), [1, 0, 0]);
    folder.event("queue.member.removed", json!({"queue_name": "q", "interface": "SIP/9"}));
    assert_eq!(figures(&folder), [0, 0, 0]);
}

#[test]
fn chats_begin_are_renewed_assigned_and_end() {
    let mut folder = Folder::new();
    let of = |more: Value| {
        let mut payload = json!({"session_id": 12, "session_key": "key"});
        more.as_object().expect("fields").iter().for_each(|(name, value)| payload[name] = value.clone());
        payload
    };
    folder.event("chat.message", of(json!({})));
    assert_eq!(folder.ignored(Ignored::Unknown), 1);
    folder.event("chat.session.started", of(json!({"status": "waiting", "visitor_name": "Vi"})));
    let since = folder.at();
    folder.event("chat.session.created", of(json!({"status": "open"})));
    let chat = folder.entry(Section::Chats, "key");
    assert_eq!(chat, json!({"session_id": 12, "status": "open", "visitor_name": "Vi", "since": since}));
    for event_type in ["chat.session.assigned", "chat.agent.joined", "chat.agent.assigned", "chat.transferred"] {
        folder.event(event_type, of(json!({"agent_id": 101, "agent_name": event_type})));
        let chat = folder.entry(Section::Chats, "key");
        assert_eq!((&chat["agent_id"], &chat["agent_name"]), (&json!(101), &json!(event_type)));
    }
    for event_type in ["chat.message", "chat.message.new"] {
        folder.event(event_type, of(json!({})));
        assert_eq!(folder.entry(Section::Chats, "key")["last_message_at"], folder.at());
    }
    folder.event("chat.typing", of(json!({"is_typing": true})));
    folder.event("chat.session.ended", of(json!({}))).event("chat.message", of(json!({})));
    assert_eq!(folder.entry(Section::Chats, "key")["status"], "ended");
    assert_eq!(folder.ignored(Ignored::Late), 1);
}

#[test]
fn presence_is_an_agents_and_makes_none() {
    let mut folder = Folder::new();
    folder.event("presence.changed", json!({"user_id": 101, "state": "online", "cause": "connected"}));
    assert_eq!(agent(&folder, "101"), Value::Null);
    folder.event("agent.login", json!({"user_id": 101}));
    assert_eq!(agent(&folder, "101")["presence"], "online");
    folder.event("presence.changed", json!({"user_id": 101, "state": "offline", "cause": "closed"}));
    assert_eq!(agent(&folder, "101")["presence"], "offline");
}

#[test]
fn an_event_without_its_key_is_counted_and_ignored() {
    let mut folder = Folder::new();
    let long = "x".repeat(129);
    for (event_type, payload, reason) in [
        ("call.incoming", json!({}), Ignored::NoKey),
        ("call.incoming", json!({"unique_id": long}), Ignored::TooLong),
        ("queue.joined", json!({"unique_id": "1"}), Ignored::NoKey),
        ("queue.member.added", json!({"queue_name": "x".repeat(127), "user_id": 101}), Ignored::TooLong),
        ("queue.stats", json!({"queue_name": long}), Ignored::TooLong),
        ("agent.login", json!({"user_id": 0}), Ignored::NoKey),
        ("chat.session.started", json!({"session_id": null}), Ignored::NoKey),
    ] {
        let before = folder.ignored(reason);
        folder.event(event_type, payload);
        assert_eq!(folder.ignored(reason), before + 1, "{event_type}");
    }
    assert_eq!(folder.state.n_bytes(), 0);
}

#[test]
fn what_is_one_users_or_a_topics_takes_its_place_and_no_more() {
    let mut folder = Folder::new();
    let timestamp = hookswitch_protocol::Timestamp::from_millis(folder.now);
    folder.state.apply(&Record {
        position: folder.next(),
        event_type: "call.incoming",
        timestamp,
        payload: r#"{"unique_id":"1.2"}"#,
        session: None,
        source: None,
        is_for_all: false,
    });
    assert_eq!((folder.phase().as_str(), folder.state.position().map(|at| at.offset)), ("none", Some(1)));
}
