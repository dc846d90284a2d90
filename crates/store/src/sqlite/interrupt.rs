//! Ends a query whose time is over or whose caller is gone.
//!
//! SQLite's own ways, a progress handler and `sqlite3_interrupt`, are reached by unsafe calls only. So queries
//! that may walk over millions of rows have [`in_time`](super::dialect::in_time) as their first condition: a
//! function of ours, asked every so many rows, whose error ends the statement.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::QueryResult;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;
use tokio::time::Instant;

use super::dialect::{Conn, IN_TIME, TIME_IS_OVER};

/// What the function on one connection goes by.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<Mutex<Option<Until>>>);

struct Until {
    deadline: Instant,
    is_gone: Arc<AtomicBool>,
}

impl Interrupt {
    /// Makes queries on this connection endable.
    pub(crate) fn install(conn: &mut Conn) -> QueryResult<Self> {
        let interrupt = Self(Arc::default());
        let asked = interrupt.clone();
        conn.register_noarg_sql_function::<Bool, _, _>(IN_TIME, false, move || InTime(asked.may_go_on()))?;
        Ok(interrupt)
    }

    /// A piece of work begins: it has so long, and somebody who waits for it.
    pub(crate) fn begin(&self, _conn: &mut Conn, limit: Duration, is_gone: Arc<AtomicBool>) {
        let until = Until { deadline: Instant::now() + limit, is_gone };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    fn may_go_on(&self) -> bool {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.as_ref().is_none_or(|until| !until.is_gone.load(Ordering::Relaxed) && Instant::now() < until.deadline)
    }
}

#[derive(Debug)]
struct InTime(bool);

impl ToSql<Bool, Sqlite> for InTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        if !self.0 {
            return Err(TIME_IS_OVER.into());
        }
        out.set_value(1);
        Ok(IsNull::No)
    }
}
