//! What a client says and what follows from it; no socket, no clock, no hub.

use hookswitch_hub::Subject;
use hookswitch_protocol::payloads::VISITOR;
use hookswitch_protocol::{
    Command, CommandError, ErrorCode, EventType, Payload, ResumeCommand, Secret, SessionKey, SessionName,
    SubscribeCommand, SubscriptionName, TenantId, Timestamp, TypingCommand, error_message,
};

use super::renewal::Holder;

/// The commands of one connection. Commands take effect in the order they came.
#[derive(Debug, Clone)]
pub(crate) struct CommandHandler(Holder);

/// What one message asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Send this text to the client.
    Answer(Vec<u8>),
    /// Answer with a message of this type that says up to where the client was given everything.
    Position(EventType),
    /// The client was there before.
    Resume(ResumeCommand),
    /// Add names to the subscription, or change the order of what comes late.
    Subscribe(SubscribeCommand),
    /// Take names away.
    Unsubscribe(Vec<SubscriptionName>),
    /// The connection is to last as long as this token, if that is its own user's.
    Renew(Secret),
    /// Relay to the others of the session: a visitor's own, or the one that an agent named by its key
    /// or by the tenant's own id, if there is such a one.
    Typing(SessionName, Payload),
}

impl CommandHandler {
    pub(crate) const fn new(holder: Holder) -> Self {
        Self(holder)
    }

    pub(crate) const fn holder(&self) -> &Holder {
        &self.0
    }

    pub(crate) const fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// One text message. `resolve` gives the key of a visitor's own chat session, by its key or by the
    /// tenant's own id of it.
    pub(crate) fn on_text(
        &self,
        text: &str,
        now: Timestamp,
        resolve: impl FnOnce(&SessionName) -> Option<SessionKey>,
    ) -> Effect {
        match Command::parse(text) {
            Ok(Command::Ping) => Effect::Position(EventType::PONG),
            Ok(Command::Position) => Effect::Position(EventType::POSITION),
            Ok(Command::Resume(resume)) => Effect::Resume(resume),
            Ok(Command::Subscribe(subscribe)) => Effect::Subscribe(subscribe),
            Ok(Command::Unsubscribe(names)) => Effect::Unsubscribe(names),
            Ok(Command::Token(token)) => match &self.0.subject {
                Subject::User(_) => Effect::Renew(token),
                Subject::Visitor(_) => {
                    let error = CommandError::new(ErrorCode::Forbidden, "a visitor's connection has no token");
                    Effect::Answer(self.error(&error, now))
                }
            },
            Ok(Command::Typing(typing)) => {
                self.typing(typing, resolve).unwrap_or_else(|error| Effect::Answer(self.error(&error, now)))
            }
            Err(error) => Effect::Answer(self.error(&error, now)),
        }
    }

    /// A binary message: commands are text.
    pub(crate) fn on_binary(&self, now: Timestamp) -> Effect {
        let error = CommandError::new(ErrorCode::NotText, "commands are text messages, this one was binary");
        Effect::Answer(self.error(&error, now))
    }

    /// The error as the client gets it.
    pub(crate) fn error(&self, error: &CommandError, now: Timestamp) -> Vec<u8> {
        error_message(error.code, &error.message, now, Some(&self.0.tenant))
    }

    fn typing(
        &self,
        mut typing: TypingCommand,
        resolve: impl FnOnce(&SessionName) -> Option<SessionKey>,
    ) -> Result<Effect, CommandError> {
        match &self.0.subject {
            Subject::User(_) => {
                let payload = typing.payload()?;
                Ok(Effect::Typing(typing.session, payload))
            }
            Subject::Visitor(own) if resolve(&typing.session).as_ref() == Some(own) => {
                // Whatever it claimed.
                VISITOR.clone_into(&mut typing.typing.sender_type);
                Ok(Effect::Typing(SessionName::Key(own.clone()), typing.payload()?))
            }
            // Said alike for live and unknown sessions: a visitor cannot probe for other people's chats.
            Subject::Visitor(_) => {
                Err(CommandError::new(ErrorCode::Forbidden, "payload.session_id is not this connection's chat session"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_hub::Clearance;
    use hookswitch_protocol::{Position, UserId};
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> SessionKey {
        SessionKey::parse(text).expect("legal")
    }

    fn session(subject: Subject) -> CommandHandler {
        let tenant = TenantId::parse("tenant-1").expect("legal");
        CommandHandler::new(Holder { tenant, subject, clearance: Clearance::Standard })
    }

    /// Session `k1` is live; the tenant's own id of it is `7`.
    fn say(subject: &Subject, text: &str) -> Effect {
        let resolve = |asked: &SessionName| {
            let known = [SessionName::Key(key("k1")), SessionName::Id(key("k1")), SessionName::Id(key("7"))];
            known.contains(asked).then(|| key("k1"))
        };
        session(subject.clone()).on_text(text, Timestamp::from_millis(0), resolve)
    }

    fn answer(effect: Effect) -> String {
        let Effect::Answer(bytes) = effect else { panic!("{effect:?} is no answer") };
        String::from_utf8(bytes).expect("UTF-8")
    }

    fn agent() -> Subject {
        Subject::User(UserId::from(456))
    }

    #[test]
    fn a_ping_and_a_question_are_answered_with_the_position() {
        assert_eq!(say(&agent(), r#"{"type":"ping"}"#), Effect::Position(EventType::PONG));
        assert_eq!(say(&agent(), r#"{"type":"position"}"#), Effect::Position(EventType::POSITION));
    }

    #[test]
    fn a_users_token_may_be_replaced_and_a_visitor_has_none() {
        let text = r#"{"type":"token","payload":{"token":"a.b.c"}}"#;
        assert_eq!(say(&agent(), text), Effect::Renew(Secret::new("a.b.c")));
        let told = answer(say(&Subject::Visitor(key("k1")), text));
        assert!(told.contains("forbidden") && !told.contains("a.b.c"), "{told}");
    }

    #[test]
    fn a_client_may_say_where_it_was() {
        let said = |payload: &str| say(&agent(), &format!(r#"{{"type":"resume","payload":{payload}}}"#));
        let position = Some(Position { epoch: 17, offset: 4 });
        assert_eq!(said(r#"{"position":"17:4"}"#), Effect::Resume(ResumeCommand { position, events: None }));
        let none = Effect::Resume(ResumeCommand { position: None, events: None });
        assert_eq!(said(r#"{"position":"yesterday"}"#), none, "looked up, and not found");
        let events = Some(vec![SubscriptionName::parse("call.*").expect("legal")]);
        assert_eq!(
            said(r#"{"position":"17:4","events":["call.*"]}"#),
            Effect::Resume(ResumeCommand { position, events })
        );
        for bad in [
            "{}",
            r#"{"position":17}"#,
            r#"{"position":"17:4","events":["a b"]}"#,
            "[]",
            r#"{"position":"17:4","events":[]}"#,
        ] {
            assert!(answer(said(bad)).contains("invalid_field"), "{bad}");
        }
    }

    #[test]
    fn mistakes_are_answered_with_their_code() {
        let check = |effect, code: &str| assert!(answer(effect).contains(&format!("\"code\":\"{code}\"")), "{code}");
        check(say(&agent(), "{"), "invalid_json");
        check(say(&agent(), r#"{"type":"dance"}"#), "unknown_command");
        check(session(agent()).on_binary(Timestamp::from_millis(0)), "not_text");
        let visitor = Subject::Visitor(key("k9"));
        check(say(&visitor, r#"{"type":"chat.typing","payload":{"session_id":"k1"}}"#), "forbidden");
        check(say(&visitor, r#"{"type":"chat.typing","payload":{"session_id":"k2"}}"#), "forbidden");
        let former = r#"{"type":"chat.typing","payload":{"session_key":"k-old","session_id":7}}"#;
        check(say(&Subject::Visitor(key("k1")), former), "forbidden");
    }

    #[test]
    fn typing_is_rebuilt_and_a_visitors_is_signed() {
        let text =
            r#"{"type":"chat.typing","payload":{"session_id":7,"sender_type":"agent","is_typing":true,"x":1.50}}"#;
        let payload = r#"{"session_id":7,"sender_type":"agent","sender_name":"","is_typing":true}"#;
        let relayed = Effect::Typing(SessionName::Id(key("7")), Payload::parse(payload).expect("legal"));
        assert_eq!(say(&agent(), text), relayed);
        let Effect::Typing(session, payload) = say(&Subject::Visitor(key("k1")), text) else { panic!("relayed") };
        assert_eq!(session, SessionName::Key(key("k1")));
        let signed = r#"{"session_id":7,"sender_type":"visitor","sender_name":"","is_typing":true}"#;
        assert_eq!(payload.as_str(), signed);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            say(&agent(), &text);
        }

        #[test]
        fn no_payload_makes_it_panic(kind in "[a-z.]{0,12}", payload in any::<String>(), visitor in any::<bool>()) {
            let who = if visitor { Subject::Visitor(key("k1")) } else { agent() };
            say(&who, &format!(r#"{{"type":"{kind}","payload":{payload}}}"#));
            say(&who, &format!(r#"{{"type":"chat.typing","payload":{{"session_id":"k1","x":{payload:?}}}}}"#));
        }
    }
}
