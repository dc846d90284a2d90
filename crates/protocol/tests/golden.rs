//! The wire, held still: every event type, the envelope, error codes and close codes.
//!
//! `HOOKSWITCH_GOLDEN=update` writes the files anew; a difference in review is a difference for
//! every client.

use std::fs;
use std::path::PathBuf;

use hookswitch_protocol::payloads::{
    AVAILABLE, Agent, Alert, Call, ChatMessage, ChatSession, ChatTyping, ErrorNotice, INBOUND, Notification, OFFLINE,
    QueueMember, QueueStats, VISITOR,
};
use hookswitch_protocol::{
    CloseCode, ErrorCode, Event, EventId, EventType, Payload, SessionKey, TenantId, Timestamp, Topic, UserId,
    control_message, error_message,
};
use serde::Serialize;

/// A moment with milliseconds, so that their spelling is held too.
const NOON: Timestamp = Timestamp::from_millis(1_761_393_600_123);

/// Compares the lines, as one JSON array, with the file, or writes it.
fn check(file: &str, lines: &[String]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    serde_json::from_str::<serde_json::Value>(&text).expect("every line is JSON");
    if std::env::var_os("HOOKSWITCH_GOLDEN").is_some_and(|mode| mode == "update") {
        fs::write(&path, &text).expect("the golden file can be written");
        return;
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert!(wanted == text, "{file} differs; if that is meant, run with HOOKSWITCH_GOLDEN=update\nis now:\n{text}");
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

fn event(event_type: EventType, payload: &impl Serialize) -> Event {
    Event {
        id: EventId::parse("evt-1").expect("legal"),
        event_type,
        tenant: TenantId::parse("tenant-123").expect("legal"),
        user: None,
        session: None,
        topic: None,
        payload: Payload::from_serialize(payload).expect("an object"),
        timestamp: NOON,
    }
}

fn full_agent(state: &str) -> Agent {
    Agent { reason: "lunch".into(), extension: "100".into(), ..Agent::new(456, "anna").in_state(state) }
}

fn full_call() -> Call {
    Call {
        caller_id: "+4930123".into(),
        caller_name: "Ümit".into(),
        destination: "100".into(),
        channel: "PJSIP/trunk-1".into(),
        destination_channel: "PJSIP/100-2".into(),
        agent_id: Some(UserId::from(456)),
        agent_name: "anna".into(),
        queue_name: "sales".into(),
        direction: INBOUND.into(),
        duration: 61,
        ..Call::new("1729866000.17")
    }
}

fn full_session() -> ChatSession {
    ChatSession {
        session_key: Some(SessionKey::parse("k-77").expect("legal")),
        visitor_name: "Otto".into(),
        visitor_email: "otto@example.test".into(),
        agent_id: Some(UserId::parse("user-123").expect("legal")),
        agent_name: "anna".into(),
        ..ChatSession::new(77, "active")
    }
}

fn full_message() -> ChatMessage {
    ChatMessage {
        sender_id: Some(UserId::from(456)),
        sender_type: "agent".into(),
        sender_name: "anna".into(),
        ..ChatMessage::new(77, 9, "Hello \"Otto\"", NOON)
    }
}

fn member() -> QueueMember {
    QueueMember { username: "anna".into(), interface: "PJSIP/100".into(), penalty: 2, ..QueueMember::new("sales", 456) }
}

fn note() -> Notification {
    let data = Payload::parse(r#"{"ticket":7}"#).expect("an object");
    Notification { kind: "info".into(), data: Some(data), ..Notification::new("n-1", "New ticket", "Please look") }
}

/// One event of this type with every field filled in.
fn full(event_type: &EventType) -> Option<Event> {
    let of = |payload: &dyn erased::Printed| payload.print(event_type);
    let (category, rest) = event_type.as_str().split_once('.').unwrap_or((event_type.as_str(), ""));
    Some(match (category, rest) {
        ("agent", "login") => of(&full_agent(AVAILABLE)),
        ("agent", "logout") => of(&full_agent(OFFLINE)),
        ("agent", _) => of(&full_agent("break")),
        ("call", "ring_ended") => {
            of(&serde_json::json!({"unique_id": "1729866000.17", "agent_id": 456, "reason": "no_answer"}))
        }
        ("call", "parked") => of(&serde_json::json!({"unique_id": "1729866000.17", "agent_id": 456, "space": "701"})),
        ("call", _) | ("queue", "joined" | "left") => of(&full_call()),
        ("queue", "stats" | "stats.updated") => of(&QueueStats { calls_waiting: 3, ..QueueStats::new("sales") }),
        ("queue", _) => of(&member()),
        ("chat", "message" | "message.new") => of(&full_message()),
        ("chat", "typing") => {
            of(&ChatTyping { sender_type: VISITOR.into(), sender_name: "Otto".into(), ..ChatTyping::new("k-77") })
        }
        ("chat", _) => of(&full_session()),
        ("notification", _) => Event { user: Some(UserId::from(456)), ..of(&note()) },
        ("alert", _) => of(&Alert::new("Trunk down", "No calls come in")),
        ("error", _) => of(&ErrorNotice { code: "unknown_command".into(), message: "No".into() }),
        ("ticket", _) => of(&serde_json::json!({"ticket_id": 7})),
        _ => return None,
    })
}

/// Lets `full` name payloads of many types in one match.
mod erased {
    use super::{Event, EventType, Serialize, event};

    pub(crate) trait Printed {
        fn print(&self, event_type: &EventType) -> Event;
    }

    impl<P: Serialize> Printed for P {
        fn print(&self, event_type: &EventType) -> Event {
            event(event_type.clone(), self)
        }
    }
}

#[test]
fn golden_events_of_every_type() {
    let lines: Vec<_> = EventType::ALL.iter().filter_map(full).map(|e| text(e.encode())).collect();
    let without: Vec<_> = EventType::ALL.iter().filter(|t| full(t).is_none()).map(EventType::as_str).collect();
    let no_payload_struct = [
        "ping",
        "pong",
        "position",
        "resumed",
        "subscribe",
        "unsubscribe",
        "reconnect",
        "webhook.test",
        "presence.changed",
        "webhook.disabled",
        "source.lost",
        "source.back",
    ];
    assert_eq!(without, no_payload_struct, "every other type of the contract is held");
    check("events.json", &lines);
}

#[test]
fn golden_payloads_with_nothing_but_what_must_be_there() {
    let print = |payload: &dyn erased::Printed| payload.print(&EventType::ALERT).payload.as_str().to_owned();
    check(
        "smallest_payloads.json",
        &[
            print(&Agent::new("user-1".parse_user(), "")),
            print(&Call::default()),
            print(&Call { agent_id: Some(UserId::from(0)), ..Call::default() }),
            print(&QueueStats::default()),
            print(&QueueMember::new("", 1)),
            print(&ChatMessage::new("", "", "", NOON)),
            print(&ChatSession::new("", "")),
            print(&ChatTyping { is_typing: false, ..ChatTyping::new(0) }),
            print(&Notification::new("", "", "")),
            print(&Alert::default()),
            print(&ErrorNotice::default()),
        ],
    );
}

trait ParseUser {
    fn parse_user(&self) -> UserId;
}

impl ParseUser for str {
    fn parse_user(&self) -> UserId {
        UserId::parse(self).expect("legal")
    }
}

#[test]
fn golden_the_envelope() {
    let base = || event(EventType::ALERT, &Alert::new("a", "b"));
    let as_written = Payload::parse("{ \"b\": 2.50,\t\"a\": 1e3, \"x\": \"\\u00e9\\/\" }").expect("an object");
    check(
        "envelope.json",
        &[
            text(base().encode()),
            text(Event { user: Some(UserId::from(-456)), ..base() }.encode()),
            text(Event { user: Some("anna@example".parse_user()), ..base() }.encode()),
            text(Event { topic: Some(Topic::parse("wall:1").expect("legal")), ..base() }.encode()),
            text(Event { session: Some(SessionKey::parse("k-77").expect("legal")), ..base() }.encode()),
            text(Event { payload: as_written, ..base() }.encode()),
            text(Event { event_type: EventType::parse("survey.completed").expect("legal"), ..base() }.encode()),
            text(control_message(&EventType::PONG, serde_json::json!({}), NOON, Some(&base().tenant))),
            text(error_message(ErrorCode::UnknownCommand, "say \"ping\"", NOON, Some(&base().tenant))),
        ],
    );
}

#[test]
fn golden_error_codes() {
    let line = |code: &ErrorCode| format!(r#"{{"number":{},"code":"{}"}}"#, code.number(), code.as_str());
    check("error_codes.json", &ErrorCode::ALL.iter().map(line).collect::<Vec<_>>());
}

#[test]
fn golden_close_codes() {
    let line = |code: &CloseCode| {
        let (number, reason, reconnect) = (code.number(), code.reason(), code.reconnect());
        format!(r#"{{"number":{number},"reason":"{reason}","reconnect":"{reconnect:?}"}}"#)
    };
    check("close_codes.json", &CloseCode::ALL.iter().map(line).collect::<Vec<_>>());
}

#[test]
fn what_is_printed_is_read_again() {
    fn back<P: Serialize + for<'de> serde::Deserialize<'de> + PartialEq + std::fmt::Debug>(value: &P) {
        let payload = Payload::from_serialize(value).expect("an object");
        assert_eq!(&payload.read::<P>().expect("reads"), value);
    }
    back(&full_agent("break"));
    back(&full_call());
    back(&full_session());
    back(&full_message());
    back(&member());
    back(&note());
    back(&QueueStats::new("sales"));
    back(&ChatTyping::new(7));
    back(&Call::default());
}
