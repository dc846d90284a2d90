//! What goes over the channels, both ways.

use std::sync::Arc;

use hookswitch_hub::EncodedEvent;
use proptest::prelude::*;

use super::*;

fn node(name: &str) -> NodeId {
    NodeId::parse(name).expect("legal")
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("legal")
}

const LARGEST: usize = 10_000;

const NOW: Timestamp = Timestamp::from_millis(1_761_393_600_123);

fn read(text: &str, channel_tenant: Option<&str>) -> Result<Incoming, Refusal> {
    let of = channel_tenant.map(tenant);
    decode(
        text.as_bytes(),
        Context { node: &node("here"), tenant: of.as_ref(), topic: None, now: NOW, largest: LARGEST },
    )
}

fn sample() -> Event {
    Event {
        id: EventId::parse("e-1").expect("legal"),
        event_type: EventType::CHAT_MESSAGE,
        tenant: tenant("t"),
        user: None,
        session: Some(SessionKey::parse("s \"1\"").expect("legal")),
        topic: None,
        payload: Payload::parse(r#"{"b": 2.50,"a":"\u00e9"}"#).expect("legal"),
        timestamp: NOW,
    }
}

#[test]
fn what_a_node_publishes_is_the_contracts_envelope_with_one_field_more() {
    let text = encode(&Publication::new(Arc::new(sample())), &node("there"), 7, true);
    let text = String::from_utf8(text).expect("UTF-8");
    let envelope = String::from_utf8(sample().encode()).expect("UTF-8");
    let (ours, _) = text.split_once(",\"hookswitch\":").expect("our field");
    assert_eq!(format!("{ours}}}"), envelope);
    assert!(text.ends_with(r#""hookswitch":{"node":"there","seq":7,"stream":true,"session":"s \"1\""}}"#), "{text}");
}

#[test]
fn a_nodes_own_events_are_told_by_their_end() {
    let plain = |text: &str| plain_number(split_position(text.as_bytes()).0, &node("here")).is_some();
    let mine = Publication::new(Arc::new(Event { session: None, ..sample() }));
    let sent = |name: &str| String::from_utf8(encode(&mine, &node(name), 70, false)).expect("UTF-8");
    assert!(plain(&sent("here")));
    let streamed = String::from_utf8(encode(&mine, &node("here"), 70, true)).expect("UTF-8");
    let placed = format!(r#"{},"position":"5:6"}}"#, streamed.strip_suffix('}').expect("an object"));
    let (head, position) = split_position(placed.as_bytes());
    assert_eq!(plain_number(head, &node("here")), Some(70));
    assert_eq!(position, Some(Position { epoch: 5, offset: 6 }));
    let read = read(&placed, Some("t")).expect("legal");
    assert_eq!((read.received.position, read.is_streamed), (position, true));
    assert!(!plain(&sent("there")) && !plain(&sent("not-here")));
    let with_session = encode(&Publication::new(Arc::new(sample())), &node("here"), 7, false);
    assert!(plain_number(split_position(&with_session).0, &node("here")).is_none(), "left to the reader");
    for foreign in [
        r#"{"type":"a.b","payload":{"x":1,"hookswitch":{"node":"here","seq":7}}}"#,
        r#"{"type":"a.b","payload":{"x":",\"hookswitch\":{\"node\":\"here\",\"seq\":7}}"}}"#,
        r#"{"type":"a.b","payload":{"node":"here","seq":7}}"#,
        "",
        "}}",
    ] {
        assert!(!plain(foreign), "{foreign}");
    }
}

#[test]
fn a_foreign_envelope_may_lack_what_can_be_filled_in() {
    let incoming = read(r#"{"type":"call.incoming","payload":{"x":1.50}}"#, Some("t")).expect("legal");
    let event = &incoming.received.event;
    assert_eq!((event.tenant.as_str(), event.timestamp, event.payload.as_str()), ("t", NOW, r#"{"x":1.50}"#));
    assert_eq!((incoming.publisher, &incoming.received.origin), (None, &Origin::Foreign));
    let whole = read(r#"{"type":"alert","user_id":0,"tenant_id":"t"}"#, None).expect("legal");
    assert_eq!(whole.received.event.user, None);
}

#[test]
fn what_cannot_be_delivered_is_refused_with_its_reason() {
    let check = |text: &str, of: Option<&str>, reason: &str| {
        let refusal = read(text, of).expect_err(text).to_string();
        assert!(refusal.contains(reason), "{text}: {refusal}");
    };
    check("{", Some("t"), "line 1, column 1");
    check(r#"{"payload":{}}"#, Some("t"), "no envelope");
    check(r#"{"type":"a.b","hookswitch":{"node":"n","seq":18446744073709551615}}"#, Some("t"), "number");
    check(r#"{"type":"call.incoming","payload":[]}"#, Some("t"), "object");
    check(r#"{"type":"call.incoming","tenant_id":"other"}"#, Some("t"), "not its channel's");
    check(r#"{"type":"call.incoming"}"#, None, "no tenant_id");
    check(r#"{"type":"pong"}"#, Some("t"), "word of the protocol");
}

#[test]
fn a_refusal_holds_nothing_of_what_it_refuses() {
    for text in [
        r#"{"type":{"s3cret":1}}"#,
        r#"{"type":"s3 cret"}"#,
        r#"{"type":"a.b","tenant_id":"s3cret!"}"#,
        r#"{"type":"a.b","payload":"s3cret"}"#,
        "s3cret",
    ] {
        let refusal = read(text, Some("t")).expect_err(text);
        assert!(!format!("{refusal} {refusal:?}").contains("s3"), "{refusal}");
    }
}

#[test]
fn a_foreign_message_is_no_larger_than_an_event_a_nodes_may_say_a_little_more() {
    let envelope = |filler: usize, more: &str| {
        read(&format!(r#"{{"type":"a.b","payload":{{"x":"{}"}}{more}}}"#, "x".repeat(filler)), Some("t"))
    };
    assert!(envelope(LARGEST - 100, "").is_ok());
    assert_eq!(envelope(LARGEST, "").expect_err("too large"), Refusal::TooLarge);
    assert!(envelope(LARGEST, r#","hookswitch":{"node":"there","seq":1}"#).is_ok());
}

#[test]
fn the_main_channels_wrapper_says_tenant_and_user() {
    let context = |node| Context { node, tenant: None, topic: None, now: NOW, largest: LARGEST };
    let here = node("here");
    let wrapped = |text: &str| decode_wrapped(text.as_bytes(), context(&here)).map(|incoming| incoming.received.event);
    let for_all = wrapped(r#"{"TenantID":"t","UserID":0,"Message":{"type":"alert","payload":{}}}"#).expect("legal");
    assert_eq!((for_all.tenant.as_str(), &for_all.user), ("t", &None));
    let for_one = wrapped(r#"{"TenantID":"t","UserID":"456","Message":{"type":"alert"}}"#).expect("legal");
    assert_eq!(for_one.user, Some(UserId::from(456)));
    let crossing = wrapped(r#"{"TenantID":"t","Message":{"type":"alert","tenant_id":"u"}}"#);
    assert!(crossing.is_err());
    let two_users = wrapped(r#"{"TenantID":"t","UserID":1,"Message":{"type":"alert","user_id":2}}"#);
    assert!(two_users.is_err());
}

#[test]
fn a_holder_knows_with_whom_it_is_answerable() {
    let event = Arc::new(Event { user: Some(UserId::from(1)), ..sample() });
    let publication =
        Publication { event: EncodedEvent::new(event), holders: vec![node("here"), node("c")], ticket: None };
    let text = encode(&publication, &node("there"), 1, false);
    let context = |node| Context { node, tenant: None, topic: None, now: NOW, largest: LARGEST };
    let (here, elsewhere) = (node("here"), node("d"));
    let origin = |node| decode(&text, context(node)).expect("legal").received.origin;
    assert_eq!(origin(&here), Origin::Node { answerable_with: Some(vec![node("c")]) });
    assert_eq!(origin(&elsewhere), Origin::Node { answerable_with: None });
}

proptest! {
    #[test]
    fn an_event_arrives_as_it_left(
        user in prop::option::of(any::<i64>().prop_filter("0 means nobody", |user| *user != 0)),
        session in prop::option::of("[ -~]{1,20}"),
        text in any::<String>(),
        seq in 0..=GREATEST_SEQ,
    ) {
        let payload = serde_json::json!({ "text": text }).to_string();
        let event = Arc::new(Event {
            user: user.map(UserId::from),
            session: session.map(|key| SessionKey::parse(&key).expect("printable")),
            payload: Payload::parse(&payload).expect("an object"),
            ..sample()
        });
        let bytes = encode(&Publication::new(Arc::clone(&event)), &node("there"), seq, true);
        let of = tenant("t");
        let context = Context { node: &node("here"), tenant: Some(&of), topic: None, now: Timestamp::from_millis(0), largest: LARGEST };
        let incoming = decode(&bytes, context).expect("ours");
        prop_assert_eq!(incoming.received.event.event(), &event);
        prop_assert_eq!(incoming.publisher, Some((node("there"), seq)));
    }

    #[test]
    fn nothing_makes_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let context = Context { node: &node("here"), tenant: None, topic: None, now: NOW, largest: LARGEST };
        let _refused = decode(&bytes, context);
        let _refused = decode_wrapped(&bytes, context);
    }
}
