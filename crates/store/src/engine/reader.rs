//! Reading: a few connections of their own, never behind the writer.

use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use diesel::QueryResult;
use hookswitch_hub::BoxFuture;

use super::{Conn, Connector};
use crate::error::Failure;

/// Reads what is committed.
#[derive(Clone)]
pub(crate) struct Readers {
    pool: Pool<Opener>,
    connector: Connector,
}

/// Opens connections for the pool.
struct Opener(Connector);

impl managed::Manager for Opener {
    type Type = Conn;
    type Error = Failure;

    async fn create(&self) -> Result<Conn, Failure> {
        self.0.open().await
    }

    async fn recycle(&self, conn: &mut Conn, metrics: &Metrics) -> RecycleResult<Failure> {
        if self.0.is_alive(conn, metrics.last_used()).await { Ok(()) } else { Err(RecycleError::message("it is gone")) }
    }
}

impl Readers {
    /// At most `n_readers` connections, for one of which a caller waits at most so long. Opens nothing yet.
    pub(crate) fn new(connector: Connector, n_readers: usize, wait: Duration) -> Self {
        let pool = Pool::builder(Opener(connector.clone()))
            .max_size(n_readers.max(1))
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(wait))
            .create_timeout(Some(wait))
            .recycle_timeout(Some(wait))
            .build()
            .expect("a runtime is given, which is all that timeouts need");
        Self { pool, connector }
    }

    /// Runs `query` on a reading connection. Cancel safe: once begun it runs to its end, with or
    /// without a caller.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, Failure>
    where
        F: FnOnce(&mut Conn) -> QueryResult<T> + Send + 'static,
        T: Send + 'static,
    {
        let conn = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(failure) => failure,
            PoolError::Closed => Failure::Stopped,
            _ => Failure::NoReader,
        })?;
        let connector = self.connector.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let mut lent = Lent(Some(conn));
            let Some(conn) = lent.0.as_mut() else { return Err(Failure::Stopped) };
            connector.begin(conn);
            let answer = query(conn)?;
            lent.give_back();
            Ok(answer)
        });
        answer.await.unwrap_or_else(|gone| Err(Failure::from(gone)))
    }

    /// The same for a seam: a failure becomes the seam's error about `operation`.
    pub(crate) fn read_as<'a, T, E, F>(
        &'a self,
        error: fn(Failure, &'static str) -> E,
        operation: &'static str,
        query: F,
    ) -> BoxFuture<'a, Result<T, E>>
    where
        F: FnOnce(&mut Conn) -> QueryResult<T> + Send + 'static,
        T: Send + 'static,
        E: 'static,
    {
        Box::pin(async move { self.read(query).await.map_err(|failure| error(failure, operation)) })
    }
}

/// A connection that is thrown away unless it is given back: after an error or a panic nobody knows
/// what state it is in, and a file may be another one than before.
struct Lent(Option<Object<Opener>>);

impl Lent {
    fn give_back(&mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            drop(Object::take(conn));
        }
    }
}
