//! The calls that the offline store makes, each one script in one slot.

use std::time::Duration;

use bytes::Bytes;
use fred::types::{FromValue, Value};
use hookswitch_hub::{MessageNumber, OfflineError, OfflineLimits, OfflineMessage, UserKey};
use hookswitch_protocol::Timestamp;

use super::claims::ClaimStart;
use crate::link::{Link, LinkError};
use crate::script::Script;

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("../scripts/offline_lib.lua"),
            include_str!(concat!("../scripts/offline_", $name, ".lua"))
        ))
    };
}

/// The scripts, and what all of them need.
#[derive(Debug)]
pub(super) struct Scripts {
    link: Link,
    limits: OfflineLimits,
    put: Script,
    claim: Script,
    confirm: Script,
    give_back: Script,
    amend: Script,
    renew: Script,
}

/// What becomes of claimed messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Settlement {
    /// They are forgotten.
    Confirmed,
    /// They wait again.
    GivenBack,
}

/// What became of messages to keep.
#[derive(Debug)]
pub(super) struct PutAnswer {
    pub(super) n_kept: u64,
    pub(super) n_dropped: u64,
    pub(super) n_freed: u64,
}

/// What there is room for in a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageLimits {
    pub(super) n_messages: usize,
    /// The first message of a page may be larger.
    pub(super) n_bytes: usize,
    /// Messages that are in it already.
    pub(super) n_before: usize,
}

/// What a claim found.
#[derive(Debug)]
pub(super) struct ClaimAnswer {
    /// Set while another node has the claim.
    pub(super) held_for: Option<Duration>,
    /// Dropped since the last claim.
    pub(super) n_dropped: u64,
    /// Of these, by this call.
    pub(super) n_dropped_now: u64,
    /// Whether a dead node had the claim.
    pub(super) n_freed: u64,
    /// Whether it stopped because it dropped many: there may be more.
    pub(super) is_cut: bool,
    /// Oldest first.
    pub(super) messages: Vec<ClaimedEnvelope>,
}

#[derive(Debug)]
pub(super) struct ClaimedEnvelope {
    pub(super) number: MessageNumber,
    pub(super) is_ours: bool,
    pub(super) envelope: Bytes,
}

impl Scripts {
    pub(super) fn new(link: Link, limits: OfflineLimits) -> Self {
        Self {
            link,
            limits,
            put: script!("put"),
            claim: script!("claim"),
            confirm: script!("confirm"),
            give_back: script!("give_back"),
            amend: script!("amend"),
            renew: Script::new(include_str!("../scripts/offline_renew.lua")),
        }
    }

    pub(super) async fn put(&self, user: &UserKey, messages: Vec<OfflineMessage>) -> Result<PutAnswer, OfflineError> {
        let mut args = vec![number(self.limits.per_user), number(self.limits.per_user_bytes), self.ttl()];
        for message in messages {
            args.extend([message.event_id.as_str().into(), message.at.as_millis().into(), message.envelope.into()]);
        }
        let (n_kept, n_dropped, n_freed) = self.run(&self.put, "keep offline messages", user, args).await?;
        Ok(PutAnswer { n_kept, n_dropped, n_freed })
    }

    pub(super) async fn claim(
        &self,
        user: &UserKey,
        start: &ClaimStart,
        room: PageLimits,
        oldest: Timestamp,
    ) -> Result<ClaimAnswer, OfflineError> {
        let PageLimits { n_messages, n_bytes, n_before } = room;
        let mut args = vec![self.owner(), start.first.into(), number(n_messages), number(n_bytes), self.lease()];
        args.extend([self.ttl(), number(self.limits.per_user), number(self.limits.per_user_bytes)]);
        args.extend([oldest.as_millis().into(), number(n_before)]);
        args.extend(start.others.iter().flat_map(|(first, last)| [Value::from(*first), Value::from(*last)]));
        let operation = "claim offline messages";
        let answer: Vec<Value> = self.run(&self.claim, operation, user, args).await?;
        ClaimAnswer::read(answer, start.first)
            .map_err(|source| unavailable(operation, self.link.failed(operation, &self.keys(user)[0], source)))
    }

    pub(super) async fn settle(
        &self,
        settlement: Settlement,
        user: &UserKey,
        numbers: &[MessageNumber],
    ) -> Result<(), OfflineError> {
        let mut args = vec![self.owner(), self.ttl()];
        args.extend(numbers.iter().map(|number| Value::from(number.0)));
        match settlement {
            Settlement::Confirmed => self.run(&self.confirm, "confirm offline messages", user, args).await,
            Settlement::GivenBack => self.run(&self.give_back, "give offline messages back", user, args).await,
        }
    }

    /// Writes other envelopes into this node's claim.
    pub(super) async fn amend(
        &self,
        user: &UserKey,
        envelopes: Vec<(MessageNumber, Bytes)>,
    ) -> Result<(), OfflineError> {
        let mut args = vec![self.owner()];
        args.extend(envelopes.into_iter().flat_map(|(number, envelope)| [number.0.into(), Value::from(envelope)]));
        self.run(&self.amend, "fill foreign envelopes", user, args).await
    }

    /// Lets this node's claim last longer.
    pub(super) async fn renew(&self, user: &UserKey) -> Result<(), OfflineError> {
        let claim = &self.keys(user)[2..3];
        let args = vec![self.owner(), self.lease(), self.ttl()];
        self.run_on(&self.renew, "renew a claim of offline messages", claim, args).await
    }

    async fn run<R: FromValue>(
        &self,
        script: &Script,
        operation: &'static str,
        user: &UserKey,
        args: Vec<Value>,
    ) -> Result<R, OfflineError> {
        self.run_on(script, operation, &self.keys(user), args).await
    }

    async fn run_on<R: FromValue>(
        &self,
        script: &Script,
        operation: &'static str,
        keys: &[String],
        args: Vec<Value>,
    ) -> Result<R, OfflineError> {
        self.link.ready().map_err(|away| unavailable(operation, away))?;
        script.run(&self.link, operation, keys, args).await.map_err(|failed| unavailable(operation, failed))
    }

    fn keys(&self, user: &UserKey) -> [String; 6] {
        let keys = self.link.keys();
        let list = keys.offline(user);
        let [known, claim, back, dropped, bytes] =
            ["known", "claim", "back", "dropped", "bytes"].map(|what| keys.beside(&format!("offline-{what}"), &list));
        [list, known, claim, back, dropped, bytes]
    }

    fn owner(&self) -> Value {
        self.link.node().as_str().into()
    }

    fn lease(&self) -> Value {
        millis(self.link.config().node_lease.length())
    }

    fn ttl(&self) -> Value {
        millis(self.limits.max_age)
    }
}

impl ClaimAnswer {
    fn read(answer: Vec<Value>, first: i64) -> Result<Self, fred::error::Error> {
        let mut values = answer.into_iter();
        let mut figure = || values.next().unwrap_or(Value::Null).convert::<u64>();
        let (left, n_dropped, n_dropped_now, n_freed) = (figure()?, figure()?, figure()?, figure()?);
        let is_cut = figure()? == 1;
        let mut messages = Vec::with_capacity(values.len() / 2);
        while let (Some(is_ours), Some(envelope)) = (values.next(), values.next()) {
            let number = MessageNumber(first + messages.len() as i64);
            messages.push(ClaimedEnvelope { number, is_ours: is_ours.convert()?, envelope: envelope.convert()? });
        }
        let held_for = (left > 0).then(|| Duration::from_millis(left));
        Ok(Self { held_for, n_dropped, n_dropped_now, n_freed, is_cut, messages })
    }
}

fn unavailable(operation: &'static str, error: LinkError) -> OfflineError {
    OfflineError::Unavailable { operation, source: error.boxed() }
}

fn number(number: usize) -> Value {
    Value::from(i64::try_from(number).unwrap_or(i64::MAX))
}

fn millis(duration: Duration) -> Value {
    // Redis takes no longer times to live.
    const LONGEST: u128 = 1 << 52;
    Value::from(duration.as_millis().clamp(1, LONGEST) as i64)
}
