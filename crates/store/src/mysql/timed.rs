//! A connection whose every answer has a deadline.
//!
//! A server that hangs keeps its sockets open: without a deadline, whoever asks it waits for ever, and
//! with him a thread. Here the waiting ends with an error, and a connection that was late once is
//! never asked again, for nobody knows which answer would come next.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::{CacheSize, Instrumentation};
use diesel::query_builder::{AsQuery, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{ConnectionResult, QueryResult};
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncConnectionCore, AsyncMysqlConnection, SimpleAsyncConnection,
};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Row<'conn, 'query> = <AsyncMysqlConnection as AsyncConnectionCore>::Row<'conn, 'query>;

/// A connection to a MySQL server that answers in time or fails.
pub(crate) struct Timed {
    inner: AsyncMysqlConnection,
    deadline: Deadline,
    packet_bytes: usize,
}

/// The largest statement where the server was not asked for its own limit; no server has less by default.
const PACKET_BYTES: usize = 1024 * 1024;

impl Timed {
    /// A connection that has just been made, to be asked nothing before [`Timed::begin`].
    pub(crate) fn new(inner: AsyncMysqlConnection) -> Self {
        let deadline = Deadline { at: Instant::now(), was_missed: false, is_gone: None };
        Self { inner, deadline, packet_bytes: PACKET_BYTES }
    }

    /// The same, with the largest packet that the server takes.
    pub(crate) fn with_packets_of(self, packet_bytes: usize) -> Self {
        Self { packet_bytes, ..self }
    }

    /// The largest packet that the server takes.
    pub(crate) fn packet_bytes(&self) -> usize {
        self.packet_bytes
    }

    /// A piece of work begins, all of which has so long.
    pub(crate) fn begin(&mut self, limit: Duration) {
        (self.deadline.at, self.deadline.is_gone) = (Instant::now() + limit, None);
    }

    /// The same for somebody who may go away: no statement begins after that.
    pub(crate) fn begin_for(&mut self, limit: Duration, is_gone: Arc<AtomicBool>) {
        self.begin(limit);
        self.deadline.is_gone = Some(is_gone);
    }
}

struct Deadline {
    at: Instant,
    was_missed: bool,
    is_gone: Option<Arc<AtomicBool>>,
}

impl Deadline {
    async fn hold<T>(&mut self, answer: impl Future<Output = QueryResult<T>>) -> QueryResult<T> {
        let is_gone = self.is_gone.as_ref().is_some_and(|is_gone| is_gone.load(Ordering::Acquire));
        if self.was_missed || is_gone {
            return Err(late());
        }
        match timeout_at(self.at, answer).await {
            Ok(answer) => answer,
            Err(_elapsed) => {
                self.was_missed = true;
                Err(late())
            }
        }
    }
}

fn late() -> Error {
    Error::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new("the server did not answer in time".to_owned()))
}

impl SimpleAsyncConnection for Timed {
    async fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.deadline.hold(self.inner.batch_execute(query)).await
    }
}

impl AsyncConnectionCore for Timed {
    type ExecuteFuture<'conn, 'query> = Boxed<'conn, QueryResult<usize>>;
    type LoadFuture<'conn, 'query> = Boxed<'conn, QueryResult<Self::Stream<'conn, 'query>>>;
    type Stream<'conn, 'query> = stream::Iter<std::vec::IntoIter<QueryResult<Row<'conn, 'query>>>>;
    type Row<'conn, 'query> = Row<'conn, 'query>;
    type Backend = diesel::mysql::Mysql;

    /// All rows at once: they are wanted at once, and so one deadline covers them.
    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> Self::LoadFuture<'conn, 'query>
    where
        T: AsQuery + 'query,
        T::Query: QueryFragment<Self::Backend> + QueryId + 'query,
    {
        let rows = self.inner.load(source);
        let deadline = &mut self.deadline;
        Box::pin(deadline.hold(async move {
            let rows: Vec<_> = rows.await?.collect().await;
            Ok(stream::iter(rows))
        }))
    }

    fn execute_returning_count<'conn, 'query, T>(&'conn mut self, source: T) -> Self::ExecuteFuture<'conn, 'query>
    where
        T: QueryFragment<Self::Backend> + QueryId + 'query,
    {
        let answer = self.inner.execute_returning_count(source);
        let deadline = &mut self.deadline;
        Box::pin(deadline.hold(answer))
    }
}

impl AsyncConnection for Timed {
    type TransactionManager = AnsiTransactionManager;

    async fn establish(url: &str) -> ConnectionResult<Self> {
        AsyncMysqlConnection::establish(url).await.map(Self::new)
    }

    fn transaction_state(&mut self) -> &mut AnsiTransactionManager {
        self.inner.transaction_state()
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        self.inner.instrumentation()
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.inner.set_instrumentation(instrumentation);
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.inner.set_prepared_statement_cache_size(size);
    }
}
