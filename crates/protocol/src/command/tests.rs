//! What clients may say, and what they are told when they say it wrongly.

use proptest::prelude::*;

use super::*;

fn code_of(text: &str) -> ErrorCode {
    Command::parse(text).expect_err(text).code
}

#[test]
fn commands_are_read() {
    assert_eq!(Command::parse(r#"{"type":"ping"}"#), Ok(Command::Ping));
    let call = SubscriptionName::parse("call.*").expect("legal");
    let subscribe = Command::Subscribe(SubscribeCommand { events: Some(vec![call]), classes: None });
    assert_eq!(Command::parse(r#"{"type":"subscribe","payload":{"events":["call.*"]}}"#), Ok(subscribe.clone()));
    assert_eq!(Command::parse(r#"{"type":"subscribe","payload":{"topics":["call.*"]}}"#), Ok(subscribe));
    let typing = Command::parse(r#"{"type":"chat.typing","payload":{"session_id":7,"is_typing":true}}"#);
    assert!(matches!(typing, Ok(Command::Typing(t)) if t.session.text().as_str() == "7"));
}

#[test]
fn each_mistake_has_its_code() {
    assert_eq!(code_of("{"), ErrorCode::InvalidJson);
    assert_eq!(code_of("{}"), ErrorCode::InvalidField);
    assert_eq!(code_of(r#"{"type":5}"#), ErrorCode::InvalidField);
    assert_eq!(code_of("[]"), ErrorCode::InvalidField);
    assert_eq!(code_of(r#"{"type":"publish"}"#), ErrorCode::UnknownCommand);
    assert_eq!(code_of(r#"{"type":"subscribe"}"#), ErrorCode::InvalidField);
    assert_eq!(code_of(r#"{"type":"subscribe","payload":{"events":"call.*"}}"#), ErrorCode::InvalidField);
    assert_eq!(code_of(r#"{"type":"subscribe","payload":{"events":["a b"]}}"#), ErrorCode::InvalidField);
    let many = vec!["\"x\""; 257].join(",");
    assert_eq!(code_of(&format!(r#"{{"type":"subscribe","payload":{{"events":[{many}]}}}}"#)), ErrorCode::TooManyNames);
    assert_eq!(code_of(r#"{"type":"chat.typing","payload":{"session_id":[]}}"#), ErrorCode::InvalidField);
    assert_eq!(code_of(&format!("{}1{}", "[".repeat(65), "]".repeat(65))), ErrorCode::InvalidField);
}

#[test]
fn what_is_no_object_is_no_command() {
    for text in ["[]", "5", "null", "true", "\"ping\"", r#"["ping",null]"#, r#" ["subscribe",{"events":["a"]}]"#] {
        let error = Command::parse(text).expect_err(text);
        let told = (error.code, error.message.as_str());
        assert_eq!(told, (ErrorCode::InvalidField, "a message must be a JSON object with a type"), "{text}");
    }
    for text in ["", "[", "nope", "[] x"] {
        assert_eq!(code_of(text), ErrorCode::InvalidJson, "{text}");
    }
    assert_eq!(Command::parse(" \n{\"type\":\"ping\"}"), Ok(Command::Ping));
    assert_eq!(code_of(r#"{"type":"subscribe","payload":[["call.*"],null]}"#), ErrorCode::InvalidField);
    assert_eq!(code_of(r#"{"type":"chat.typing","payload":[7]}"#), ErrorCode::InvalidField);
}

fn typed(payload: &str) -> Result<String, ErrorCode> {
    let command = Command::parse(&format!(r#"{{"type":"chat.typing","payload":{payload}}}"#)).map_err(|e| e.code)?;
    let Command::Typing(typing) = command else { panic!("{command:?}") };
    typing.payload().map(|payload| payload.as_str().to_owned()).map_err(|e| e.code)
}

#[test]
fn a_typing_indicator_is_rebuilt_from_its_four_fields() {
    let full = r#"{"session_id":7,"sender_type":"agent","sender_name":"Ada","is_typing":true}"#;
    assert_eq!(typed(full).as_deref(), Ok(full));
    let more =
        r#"{"is_typing":true,"x":[1.50],"sender_name":"Ada","session_key":"k","sender_type":"agent","session_id":7}"#;
    assert_eq!(typed(more).as_deref(), Ok(full), "in their order, without what nobody knows");
    let least = r#"{"session_id":"7","sender_type":"","sender_name":"","is_typing":false}"#;
    assert_eq!(typed(r#"{"session_id":"7","sender_name":null}"#).as_deref(), Ok(least));
    assert_eq!(typed(r#"{"session_id":7,"is_typing":"yes"}"#), Err(ErrorCode::InvalidField));
}

#[test]
fn a_typing_indicator_has_bounds_for_each_field_and_for_all() {
    let named = |name: &str| typed(&format!(r#"{{"session_id":7,"sender_name":"{name}"}}"#));
    assert!(named(&"x".repeat(256)).is_ok());
    assert_eq!(named(&"x".repeat(257)), Err(ErrorCode::TooLarge));
    assert_eq!(named(&"\\u0001".repeat(200)), Err(ErrorCode::TooLarge), "printed, each takes six bytes");
    let padded = typed(&format!(r#"{{"session_id":7,"x":"{}"}}"#, "x".repeat(500_000))).expect("the rest is left out");
    assert!(padded.len() < 100, "{padded}");
}

#[test]
fn an_explicit_key_alone_names_the_session() {
    let name = |payload: &str| {
        let command = Command::parse(&format!(r#"{{"type":"chat.typing","payload":{payload}}}"#)).expect(payload);
        let Command::Typing(typing) = command else { panic!("{command:?}") };
        typing.session
    };
    let key = |text: &str| crate::SessionKey::parse(text).expect(text);
    assert_eq!(name(r#"{"session_key":"k-old","session_id":88}"#), SessionName::Key(key("k-old")));
    assert_eq!(name(r#"{"session_id":88}"#), SessionName::Id(key("88")));
}

#[test]
fn what_a_client_sent_does_not_come_back_whole() {
    let long = "x".repeat(500_000);
    for text in [
        format!(r#"{{"type":"subscribe","payload":{{"events":"{long}"}}}}"#),
        format!(r#"{{"type":"subscribe","payload":{{"events":["{long}"]}}}}"#),
        format!(r#"{{"type":{{"{long}":1}}}}"#),
        format!(r#"{{"type":"{long}"}}"#),
        format!(r#"{{"type":"chat.typing","payload":{{"session_id":7,"is_typing":"{long}"}}}}"#),
        format!(r#"{{"type":"chat.typing","payload":{{"session_id":"{long}"}}}}"#),
    ] {
        let message = Command::parse(&text).expect_err("no command").message;
        assert!(message.len() <= limits::ERROR_MESSAGE_BYTES, "{} bytes: {}", message.len(), &message[..100]);
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ignored = Command::parse(&text);
    }
}
