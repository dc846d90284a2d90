//! What can stand in the writer's queue.

use std::sync::Arc;

use diesel::QueryResult;
use hookswitch_webhooks::{Attempted, DisableRule, Seen, Settled};
use tokio::sync::oneshot;

use super::dialect::Conn;
use super::queries::enqueue::AcceptedEvent;
use crate::error::Failure;

/// One caller's work.
pub(crate) enum Job {
    /// Merged with neighbours into a few multi-row inserts.
    Enqueue(Merge<Vec<AcceptedEvent>, Vec<Seen>>),
    /// Merged likewise.
    Finish(Merge<Attempts, Settled>),
    /// Runs by itself.
    Alone(Box<dyn Work>),
}

/// Attempts to be settled, and the rule by which webhooks are switched off.
pub(crate) type Attempts = (Arc<[Attempted]>, DisableRule);

/// Work that waits to be merged: what to do, and whom to tell.
pub(crate) struct Merge<I, T> {
    pub(crate) input: I,
    pub(crate) reply: oneshot::Sender<Result<T, Failure>>,
}

/// A piece of work within a transaction.
pub(crate) trait Work: Send {
    /// Does it and remembers the outcome; a second run replaces the first.
    fn run(&mut self, conn: &mut Conn) -> QueryResult<()>;

    /// The transaction is committed, or failed.
    fn answer(self: Box<Self>, outcome: Result<(), Failure>);

    /// How many callers are answered.
    fn n_callers(&self) -> usize {
        1
    }

    /// In two halves, where several callers share it.
    fn split(self: Box<Self>) -> Vec<Box<dyn Work>>;
}

impl Job {
    pub(crate) fn one<T, F, A>(work: F, after: A, reply: oneshot::Sender<Result<T, Failure>>) -> Self
    where
        F: FnMut(&mut Conn) -> QueryResult<T> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
        T: Send + 'static,
    {
        Self::Alone(Box::new(One { work, after, reply, done: None }))
    }
}

struct One<F, A, T> {
    work: F,
    after: A,
    reply: oneshot::Sender<Result<T, Failure>>,
    done: Option<T>,
}

impl<T, F, A> Work for One<F, A, T>
where
    F: FnMut(&mut Conn) -> QueryResult<T> + Send + 'static,
    A: FnOnce(&T) + Send + 'static,
    T: Send + 'static,
{
    fn run(&mut self, conn: &mut Conn) -> QueryResult<()> {
        self.done = Some((self.work)(conn)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Failure>) {
        let Self { after, reply, done, .. } = *self;
        let answer = match (outcome, done) {
            (Ok(()), Some(done)) => {
                after(&done);
                Ok(done)
            }
            (Ok(()), None) => Err(Failure::Stopped),
            (Err(failure), _) => Err(failure),
        };
        // A caller that went away does not undo what is committed.
        drop(reply.send(answer));
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Work>> {
        vec![self]
    }
}

/// A run of neighbours that are done together by `act`, which gives one outcome per input.
pub(crate) struct Merged<I, T> {
    inputs: Vec<I>,
    replies: Vec<oneshot::Sender<Result<T, Failure>>>,
    act: Act<I, T>,
    done: Vec<T>,
}

type Act<I, T> = Arc<dyn Fn(&mut Conn, &[I]) -> QueryResult<Vec<T>> + Send + Sync>;

impl<I, T> Merged<I, T> {
    pub(crate) fn new(act: impl Fn(&mut Conn, &[I]) -> QueryResult<Vec<T>> + Send + Sync + 'static) -> Self {
        Self { inputs: Vec::new(), replies: Vec::new(), act: Arc::new(act), done: Vec::new() }
    }

    pub(crate) fn push(&mut self, one: Merge<I, T>) {
        self.inputs.push(one.input);
        self.replies.push(one.reply);
    }
}

impl<I: Send + 'static, T: Send + 'static> Work for Merged<I, T> {
    fn run(&mut self, conn: &mut Conn) -> QueryResult<()> {
        self.done = (self.act)(conn, &self.inputs)?;
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Failure>) {
        let mut done = self.done.into_iter();
        for reply in self.replies {
            let answer = match &outcome {
                Ok(()) => done.next().ok_or(Failure::Stopped),
                Err(failure) => Err(failure.clone()),
            };
            drop(reply.send(answer));
        }
    }

    fn n_callers(&self) -> usize {
        self.inputs.len()
    }

    fn split(mut self: Box<Self>) -> Vec<Box<dyn Work>> {
        let half = self.inputs.len() / 2;
        if half == 0 {
            return vec![self];
        }
        let inputs = self.inputs.split_off(half);
        let replies = self.replies.split_off(half);
        let rest = Self { inputs, replies, act: Arc::clone(&self.act), done: Vec::new() };
        vec![self, Box::new(rest)]
    }
}
