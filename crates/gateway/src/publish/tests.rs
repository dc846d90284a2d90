//! Every rule of the publishing body, as data.

use hookswitch_protocol::{EventType, SessionKey, UserId};
use proptest::prelude::*;

use super::*;

fn one(body: &str) -> NewEvent {
    let (mut events, is_batch) = parse(body.as_bytes()).expect(body);
    assert_eq!((events.len(), is_batch), (1, false));
    events.remove(0)
}

fn refusal(body: &str) -> (ErrorCode, String) {
    let problem = parse(body.as_bytes()).expect_err(body);
    (problem.code, problem.message.into_owned())
}

fn message(body: &str) -> String {
    refusal(body).1
}

#[test]
fn a_single_event_keeps_its_payload_as_written() {
    let event =
        one(r#"{"type":"call.incoming","payload":{ "b": 2.50, "a":[1e3] },"user_id":"456","topic":"t:1","id":"e1"}"#);
    assert_eq!(event.payload.as_str(), r#"{ "b": 2.50, "a":[1e3] }"#);
    assert_eq!((event.user, event.session), (Some(UserId::from(456)), None));
    assert_eq!(event.topic.expect("given").as_str(), "t:1");
    assert_eq!(event.id.expect("given").as_str(), "e1");
    let bare = one(r#"{"type":"survey.completed","user_id":null,"payload":null}"#);
    assert_eq!((bare.payload.as_str(), bare.user), ("{}", None));
}

#[test]
fn a_batch_keeps_its_order() {
    let body = r#"{"events":[{"type":"call.incoming"},{"type":"alert"}]}"#;
    let (events, is_batch) = parse(body.as_bytes()).expect(body);
    assert!(is_batch);
    let types: Vec<_> = events.into_iter().map(|event| event.event_type).collect();
    assert_eq!(types, [EventType::CALL_INCOMING, EventType::ALERT]);
}

#[test]
fn a_session_beside_the_payload_is_an_integer_or_a_string() {
    let session = |id: &str| one(&format!(r#"{{"type":"chat.message","session_id":{id}}}"#)).session;
    for (id, key) in [("7", "7"), ("\"7\"", "7"), ("\"k-1\"", "k-1"), ("-7", "-7")] {
        assert_eq!(session(id), Some(SessionKey::parse(key).expect("legal")), "{id}");
    }
    assert_eq!(session("null"), None);
}

#[test]
fn each_mistake_names_its_field() {
    assert_eq!(message("{}"), "type is missing");
    assert_eq!(message(r#"{"type":5}"#), "type must be a string");
    assert!(message(r#"{"type":"Call"}"#).starts_with("type holds 'C'"));
    assert!(message(&format!(r#"{{"type":"{}"}}"#, "x".repeat(101))).contains("101 characters, at most 100"));
    assert_eq!(message(r#"{"type":"alert","payload":[]}"#), "payload must be a JSON object");
    assert_eq!(message(r#"{"type":"alert","payload":"x"}"#), "payload must be a JSON object");
    assert!(message(r#"{"type":"alert","user_id":1.5}"#).starts_with("user_id must be a 64-bit integer"));
    assert!(message(r#"{"type":"alert","id":""}"#).starts_with("id must not be empty"));
    assert_eq!(message(r#"{"type":"alert","id":7}"#), "id must be a string");
    assert!(message(r#"{"type":"alert","topic":"a b"}"#).starts_with("topic holds ' '"));
    assert!(message(r#"{"type":"alert","session_id":{}}"#).starts_with("session_id must be"));
    assert!(message(r#"{"type":"alert","userid":7}"#).starts_with("userid is not known"));
    assert_eq!(message(r#"{"type":"alert","type":"alert"}"#), "type stands there more than once");
    assert!(message(r#"{"type":"alert","events":[{"type":"alert"}]}"#).starts_with("type cannot stand beside events"));
}

#[test]
fn a_bad_entry_is_named_by_index_and_field() {
    let body = r#"{"events":[{"type":"alert"},{"type":"alert","user_id":1.5}]}"#;
    let problem = parse(body.as_bytes()).expect_err("bad");
    assert!(problem.message.starts_with("events[1].user_id must be a 64-bit"), "{}", problem.message);
    assert_eq!(problem.details, Some(Box::new(serde_json::json!({"index": 1, "field": "user_id"}))));
    for no_object in ["7", "[]", r#"["alert"]"#, "null"] {
        let body = format!(r#"{{"events":[{{"type":"alert"}},{no_object}]}}"#);
        let problem = parse(body.as_bytes()).expect_err(&body);
        assert_eq!(problem.message, "events[1] must be an object");
        assert_eq!(problem.details, Some(Box::new(serde_json::json!({"index": 1}))));
    }
    assert_eq!(message(r#"{"events":{}}"#), "events must be an array of events");
    let many = vec![r#"{"type":"alert"}"#; 1_700].join(",");
    assert!(message(&format!(r#"{{"events":[{many}]}}"#)).starts_with("events holds 1700 events, 1 to 1000"));
    assert!(message(r#"{"events":[{"events":[]}]}"#).starts_with("events[0].events cannot stand within"));
    let nested = format!(r#"{{"events":[{{"events":[{}1]}}]}}"#, "1,".repeat(100_000));
    assert!(message(&nested).starts_with("events[0].events cannot stand within"), "and is not read");
}

#[test]
fn what_is_no_json_is_400_and_so_is_deep_nesting() {
    for bad in ["", "{", "nope", "[1]", "7", "{\"type\":\"alert\"} x", "{'type':'alert'}"] {
        assert_eq!(refusal(bad).0, ErrorCode::InvalidJson, "{bad}");
    }
    assert!(message("[{\"type\":\"alert\"}]").contains("an array came, and a JSON object is wanted: an event"));
    assert!(message("type=alert").contains("a form (key=value) came"));
    assert!(message("{\"type\":\"alert\"}\n{\"type\":\"alert\"}").contains("as in NDJSON"));
    assert_eq!(parse(b"{\"type\":\"\xff\"}").expect_err("not UTF-8").code, ErrorCode::InvalidJson);
    let nested = |n: usize| format!(r#"{{"type":"alert","payload":{{"a":{}{}}}}}"#, "[".repeat(n), "]".repeat(n));
    assert!(parse(nested(62).as_bytes()).is_ok());
    assert_eq!(refusal(&nested(63)).0, ErrorCode::InvalidField);
    let in_batch = |n: usize| format!(r#"{{"events":[{}]}}"#, nested(n));
    assert!(parse(in_batch(60).as_bytes()).is_ok(), "the batch's own levels count");
    assert_eq!(message(&in_batch(61)), "events[0].payload makes the body nested deeper than 64 levels");
    assert_eq!(refusal(&nested(100_000)).0, ErrorCode::InvalidField);
}

#[test]
fn a_bad_byte_names_its_entry() {
    let entry = |text: &str| format!(r#"{{"type":"alert","payload":{{"text":"{text}"}}}}"#);
    let batch = |bad: &[u8]| {
        let mut body = br#"{"events":["#.to_vec();
        for n in 0..500 {
            body.extend_from_slice(if n == 0 { b"" } else { b",\n" });
            body.extend_from_slice(if n == 137 { bad } else { b"{}" });
        }
        body.extend_from_slice(b"]}");
        parse(&body).expect_err("bad")
    };
    let not_utf_8 = [&entry("").as_bytes()[..35], b"\xe4", &entry("").as_bytes()[35..]].concat();
    for bad in [&not_utf_8[..], entry("a\nb").as_bytes(), b"{\"type\":nope}", b"{'type':1}", b"{\"type\":\"a\"]"] {
        let problem = batch(bad);
        assert_eq!(problem.code, ErrorCode::InvalidJson);
        assert!(problem.message.starts_with("events[137]: "), "{bad:?} {}", problem.message);
        assert_eq!(problem.details, Some(Box::new(serde_json::json!({"index": 137}))));
    }
    assert!(message("{\"type\":\"alert\",}").starts_with("the body: "));
}

#[test]
fn a_received_envelope_can_be_published_back() {
    let event = one(
        r#"{"type":"alert","payload":{"a":1},"timestamp":"2025-10-25T12:00:00.123Z","tenant_id":"t","user_id":456,"topic":"t","id":"e-1","position":"a:7"}"#,
    );
    assert_eq!((event.payload.as_str(), event.user), (r#"{"a":1}"#, Some(UserId::from(456))));
    let body = r#"{"events":[{"type":"alert","timestamp":null,"tenant_id":{"x":[]},"tenant_id":1,"position":[]}]}"#;
    assert!(parse(body.as_bytes()).is_ok());
    assert!(message(r#"{"timestamp":1,"events":[]}"#).starts_with("events holds 0"));
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ignored = parse(&body);
    }

    #[test]
    fn no_field_makes_it_panic(field in "(type|payload|user_id|session_id|topic|id|events)", value in any::<String>()) {
        let text = serde_json::to_string(&value).expect("prints");
        for body in [format!(r#"{{"type":"chat.x","{field}":{value}}}"#), format!(r#"{{"{field}":{text}}}"#)] {
            let _ignored = parse(body.as_bytes());
        }
    }
}
