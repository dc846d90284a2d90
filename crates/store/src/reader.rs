//! Reading: a few connections of their own, never behind the writer.

use std::sync::Arc;

use diesel::QueryResult;
use diesel_async::pooled_connection::deadpool::{Object, Pool};

use crate::connect::Wrapped;
use crate::dialect::Conn;
use crate::error::Failure;

/// Reads what is committed.
#[derive(Clone)]
pub(crate) struct Readers {
    pool: Pool<Wrapped>,
}

impl Readers {
    pub(crate) fn new(pool: Pool<Wrapped>) -> Self {
        Self { pool }
    }

    /// Runs `query` on a reading connection. Cancel safe: a connection whose query nobody waits for
    /// any more does not go back to the pool.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, Failure>
    where
        F: FnOnce(&mut Conn) -> QueryResult<T> + Send + 'static,
        T: Send + 'static,
    {
        let conn = self.pool.get().await.map_err(|error| Failure::Pool(Arc::new(error)))?;
        let mut lent = Lent(Some(conn));
        let Some(conn) = lent.0.as_mut() else { return Err(Failure::Stopped) };
        let answer = conn.spawn_blocking(query).await;
        if answer.is_ok() {
            lent.give_back();
        }
        Ok(answer?)
    }
}

/// A connection that is thrown away unless it is given back: after a dropped call it may still be
/// busy, and after an error its file may be another one than before.
struct Lent(Option<Object<Wrapped>>);

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
