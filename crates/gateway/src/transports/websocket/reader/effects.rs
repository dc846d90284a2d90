//! What follows from a command.

use std::sync::Arc;

use hookswitch_protocol::{
    CommandError, ErrorCode, Payload, ResumeCommand, SessionName, SubscribeCommand, positioned_message,
};

use super::{Reader, Said};
use crate::transports::websocket::command_handler::Effect;
use crate::transports::websocket::pace::TYPING_PER_SECOND;
use crate::transports::websocket::typing::{Indicator, Taken};

impl Reader {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        let waits = matches!(effect, Effect::Resume(_) | Effect::Subscribe(_));
        if !waits && std::mem::replace(&mut self.said, Said::Something) == Said::Nothing && self.handle.spoke() {
            let late = "the first command after ?resume=wait must be resume: you are given what is new since you came";
            self.tell(Err(CommandError::new(ErrorCode::InvalidField, late)));
        }
        match effect {
            Effect::Answer(text) => self.handle.send(&text),
            Effect::Position(kind) => {
                let (position, now) = (self.handle.served(), self.socket.context.clock.now());
                self.handle.send(&positioned_message(&kind, position, now, self.commands.tenant()));
            }
            Effect::Resume(resume) => self.on_resume(&resume),
            Effect::Subscribe(SubscribeCommand { events, classes }) => {
                if let Some(classes) = classes {
                    self.handle.use_classes(classes);
                }
                let Some(names) = events else { return };
                self.pace.names(names.len());
                let added = self.handle.subscribe(&names);
                self.tell(added.map_err(|error| CommandError::new(ErrorCode::TooManyNames, error.to_string())));
            }
            Effect::Unsubscribe(names) => {
                self.pace.names(names.len());
                self.handle.unsubscribe(&names);
            }
            Effect::Renew(token) => {
                let (context, holder) = (Arc::clone(&self.socket.context), self.commands.holder().clone());
                self.renewal.start(context, holder, token);
            }
            Effect::Typing(session, payload) => self.on_typing(session, payload),
        }
    }

    fn on_resume(&mut self, resume: &ResumeCommand) {
        if let Some(names) = &resume.events {
            self.pace.names(names.len());
            if let Err(error) = self.handle.subscribe(names) {
                return self.tell(Err(CommandError::new(ErrorCode::TooManyNames, error.to_string())));
            }
        }
        let is_first = self.handle.resume(resume.position);
        let late = "resume must be the first command but for subscribe; connect anew to resume";
        self.tell(if is_first { Ok(()) } else { Err(CommandError::new(ErrorCode::InvalidField, late)) });
    }

    fn on_typing(&mut self, session: SessionName, payload: Payload) {
        let context = Arc::clone(&self.socket.context);
        let (tenant, sender) = (self.commands.tenant().clone(), self.handle.id());
        let taken = self.typing.take(Indicator { context, tenant, sender, session, payload });
        if taken == Taken::Supersedes {
            self.socket.context.metrics.typing_superseded.inc();
            self.tell_pace(|| {
                format!("typing indicators come faster than {TYPING_PER_SECOND} a second: only the latest is relayed")
            });
        }
    }
}
