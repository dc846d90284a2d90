//! Ends a query whose time is over or whose caller is gone.
//!
//! SQLite's own ways, a progress handler and `sqlite3_interrupt`, are reached by unsafe calls only. So queries
//! that may walk over millions of rows have [`in_time`](super::dialect::in_time) as their first condition: a
//! function of ours, asked every so many rows, whose error ends the statement. On machines with few processors it also
//! lets the query rest for as long as it worked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::QueryResult;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;
use tokio::time::Instant;

use super::connect::Connector;
use super::dialect::{Conn, IN_TIME, TIME_IS_OVER};

/// How long a query works before it rests.
const WORK: Duration = Duration::from_millis(2);

/// Its longest rest: it may have been waiting for its processor itself.
const LONGEST_REST: Duration = Duration::from_millis(10);

/// What the function on one connection goes by.
#[derive(Clone)]
pub(crate) struct Interrupt {
    until: Arc<Mutex<Option<Until>>>,
    rests: bool,
}

struct Until {
    deadline: Instant,
    is_gone: Arc<AtomicBool>,
    /// Since when it works, where it is to rest at times.
    works_since: Option<Instant>,
}

impl Interrupt {
    /// Makes queries on this connection endable.
    pub(crate) fn install(conn: &mut Conn, connector: &Connector) -> QueryResult<Self> {
        let interrupt = Self { until: Arc::default(), rests: connector.rests() };
        let asked = interrupt.clone();
        conn.register_noarg_sql_function::<Bool, _, _>(IN_TIME, false, move || InTime(asked.may_go_on()))?;
        Ok(interrupt)
    }

    /// A piece of work begins: it has so long, and somebody who waits for it.
    pub(crate) fn begin(&self, _conn: &mut Conn, limit: Duration, is_gone: Arc<AtomicBool>) {
        let now = Instant::now();
        let until = Until { deadline: now + limit, is_gone, works_since: self.rests.then_some(now) };
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    fn may_go_on(&self) -> bool {
        // Nobody else asks: the query that is under way on its connection.
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.as_mut().is_none_or(|until| {
            until.rest();
            !until.is_gone.load(Ordering::Relaxed) && Instant::now() < until.deadline
        })
    }
}

impl Until {
    #[expect(clippy::disallowed_methods, reason = "a thread for blocking work, which has nothing to wait for but time")]
    fn rest(&mut self) {
        let Some(since) = &mut self.works_since else { return };
        let worked = since.elapsed();
        if worked >= WORK {
            std::thread::sleep(worked.min(LONGEST_REST));
            *since = Instant::now();
        }
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
