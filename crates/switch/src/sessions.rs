//! What a batch does to chat sessions, and which session each of its events belongs to.

use std::collections::HashMap;

use hookswitch_hub::{ChatSession, ChatSessionError, ChatSessions};
use hookswitch_protocol::{Chain, EventType, SessionKey, SessionName, SessionNames, TenantId};

use crate::error::AcceptError;

/// One change to the chat sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Start { index: usize, key: SessionKey, alias: Option<SessionKey> },
    End { index: usize, key: SessionKey },
}

/// The sessions as they will be while a batch goes through, over the sessions as they are.
pub(crate) struct SessionPlan<'a> {
    live: &'a ChatSessions,
    tenant: &'a TenantId,
    /// Whether the sessions of these keys are live since the batch began.
    keys: HashMap<SessionKey, bool>,
    /// What the tenant's ids of sessions mean since then; `None` where that session ended in it.
    ids: HashMap<SessionKey, Option<SessionKey>>,
    /// What the shared store could not be asked for, and why.
    unanswered: HashMap<SessionName, ChatSessionError>,
    pub(crate) steps: Vec<Step>,
}

impl<'a> SessionPlan<'a> {
    pub(crate) fn new(
        live: &'a ChatSessions,
        tenant: &'a TenantId,
        unanswered: HashMap<SessionName, ChatSessionError>,
    ) -> Self {
        Self { live, tenant, keys: HashMap::new(), ids: HashMap::new(), unanswered, steps: Vec::new() }
    }

    /// Takes in the next event of the batch; gives the session whose visitors may see it.
    pub(crate) fn take(
        &mut self,
        index: usize,
        event_type: &EventType,
        names: &SessionNames,
    ) -> Result<Option<SessionKey>, AcceptError> {
        if event_type.starts_session() {
            return self.start(index, names);
        }
        let session = self.resolve(names);
        if event_type.ends_session() {
            match &session {
                Some(key) => self.end(index, key),
                None => self.check_unknown(index, names)?,
            }
        }
        Ok(session)
    }

    /// A session that this node does not know is to end. Which one that is, nobody can tell when the store that
    /// knows all of them was asked in vain: passed on, the event would end none, and its visitors stay.
    fn check_unknown(&mut self, index: usize, names: &SessionNames) -> Result<(), AcceptError> {
        match names.name().filter(|name| !self.has_ended(name)).and_then(|name| self.unanswered.remove(&name)) {
            Some(error) => Err(AcceptError::Session { index, source: error.into() }),
            None => Ok(()),
        }
    }

    fn start(&mut self, index: usize, names: &SessionNames) -> Result<Option<SessionKey>, AcceptError> {
        let Some(name) = names.name() else { return Ok(None) };
        let key = name.text();
        if self.live.is_taken(self.tenant, key) {
            return Err(AcceptError::SessionTaken { index, key: key.clone() });
        }
        let alias = names.session_id.key().filter(|id| *id != key).cloned();
        self.keys.insert(key.clone(), true);
        self.ids.insert(alias.as_ref().unwrap_or(key).clone(), Some(key.clone()));
        self.steps.push(Step::Start { index, key: key.clone(), alias });
        Ok(Some(key.clone()))
    }

    /// Whether this very batch has ended the session of this name.
    fn has_ended(&self, name: &SessionName) -> bool {
        let key = match name {
            SessionName::Key(key) => Some(key.clone()),
            SessionName::Id(id) if self.ids.get(id) == Some(&None) => return true,
            SessionName::Id(id) => self.live.resolve_known(self.tenant, id),
        };
        key.is_some_and(|key| self.keys.get(&key) == Some(&false))
    }

    fn end(&mut self, index: usize, key: &SessionKey) {
        self.keys.insert(key.clone(), false);
        for meaning in self.ids.values_mut().filter(|meaning| meaning.as_ref() == Some(key)) {
            *meaning = None;
        }
        self.steps.push(Step::End { index, key: key.clone() });
    }

    fn resolve(&self, names: &SessionNames) -> Option<SessionKey> {
        match names.name()? {
            SessionName::Key(key) => self.of_key(&key),
            SessionName::Id(id) => match self.ids.get(&id) {
                Some(Some(key)) => Some(key.clone()),
                Some(None) => self.of_key(&id),
                None => match self.live.resolve_known(self.tenant, &id) {
                    Some(key) if self.keys.get(&key) == Some(&false) => None,
                    Some(key) => Some(key),
                    None => self.of_key(&id),
                },
            },
        }
    }

    fn of_key(&self, key: &SessionKey) -> Option<SessionKey> {
        match self.keys.get(key) {
            Some(is_live) => is_live.then(|| key.clone()),
            None => self.live.named_known(self.tenant, &SessionName::Key(key.clone())),
        }
    }
}

/// Carries out steps, and takes them back when the batch fails after all.
pub(crate) struct SessionChanges<'a> {
    live: &'a ChatSessions,
    tenant: &'a TenantId,
    /// How to take back what was done, in the order it was done, and for which event of the batch.
    undo: Vec<(usize, Undo)>,
}

enum Undo {
    End(SessionKey),
    Start(ChatSession),
}

impl<'a> SessionChanges<'a> {
    pub(crate) fn new(live: &'a ChatSessions, tenant: &'a TenantId) -> Self {
        Self { live, tenant, undo: Vec::new() }
    }

    /// Does all steps, durably. On an error, [`SessionChanges::take_back_from`] the first event.
    pub(crate) async fn carry_out(&mut self, steps: &[Step]) -> Result<(), AcceptError> {
        for step in steps {
            match step {
                Step::Start { index, key, alias } => {
                    let was_live = self.live.find_known(key).is_some_and(|session| session.tenant == *self.tenant);
                    let started = self.live.start(self.tenant, key, alias.as_ref()).await;
                    started.map_err(|source| AcceptError::session(*index, key, source))?;
                    if !was_live {
                        self.undo.push((*index, Undo::End(key.clone())));
                    }
                }
                Step::End { index, key } => {
                    let session = self.live.find_known(key).filter(|session| session.tenant == *self.tenant);
                    let ended = self.live.end(self.tenant, key).await;
                    ended.map_err(|source| AcceptError::session(*index, key, source))?;
                    self.undo.extend(session.map(|session| (*index, Undo::Start(session))));
                }
            }
        }
        Ok(())
    }

    /// Undoes everything done for this event and those after it, the last first.
    pub(crate) async fn take_back_from(self, first: usize) {
        for (_, undo) in self.undo.into_iter().rev().filter(|(index, _)| *index >= first) {
            let taken_back = match undo {
                Undo::End(key) => self.live.end(self.tenant, &key).await,
                Undo::Start(session) => self.live.start(self.tenant, &session.key, session.alias.as_ref()).await,
            };
            if let Err(error) = taken_back {
                // Without the key: whoever reads it in a log could join the chat.
                tracing::warn!(tenant = %self.tenant, error = %Chain(&error), "a chat session of a refused event stays changed");
            }
        }
    }
}
