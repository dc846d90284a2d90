//! Windows of lists: rows are read as far as their bytes go, and counted up to a bound.

use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::BigInt;
use diesel::{QueryResult, RunQueryDsl};
use hookswitch_webhooks::{DEEPEST_OFFSET, PAGE_BYTES};

use super::dialect::{CHUNK, Conn};

/// What a row weighs beside its texts, about.
pub(crate) const ROW_BYTES: usize = 200;

/// Rows weighed at first; then twice as many each time. A server may have to read a row to weigh it.
const FIRST_STEP: usize = 8;

/// Bytes loaded at once: on the way from the database they exist several times.
const PIECE_BYTES: usize = 256 * 1024;

/// As many rows as are counted, and one more.
pub(crate) const COUNTED: i64 = DEEPEST_OFFSET as i64 + 1;

/// How many rows another query gives, which should have a limit.
#[derive(Debug, Clone, Copy, QueryId)]
pub(crate) struct CountOf<Q>(pub(crate) Q);

impl<Q> Query for CountOf<Q> {
    type SqlType = BigInt;
}

impl<Q, C> RunQueryDsl<C> for CountOf<Q> {}

impl<Q, DB> QueryFragment<DB> for CountOf<Q>
where
    Q: QueryFragment<DB>,
    DB: diesel::backend::Backend,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("SELECT COUNT(*) FROM (");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(") AS counted");
        Ok(())
    }
}

/// A number of rows that were counted with the limit [`COUNTED`], as a list tells it.
pub(crate) fn total(n_rows: i64) -> u64 {
    (n_rows.max(0) as u64).min(DEEPEST_OFFSET)
}

/// The rows of these keys, in their order, as many as a window's bytes allow; and how many keys that were.
/// `weigh` gives a weight per key, `load` what can be read of them.
pub(crate) fn fill<K, T>(
    conn: &mut Conn,
    keys: &[K],
    weigh: impl Fn(&mut Conn, &[K]) -> QueryResult<Vec<usize>>,
    load: impl Fn(&mut Conn, &[K]) -> QueryResult<Vec<T>>,
) -> QueryResult<(Vec<T>, usize)> {
    let (mut rows, mut n_taken, mut room, mut step) = (Vec::new(), 0, PAGE_BYTES, FIRST_STEP);
    while n_taken < keys.len() {
        let batch = &keys[n_taken..keys.len().min(n_taken + step)];
        let weights = weigh(conn, batch)?;
        let n_fitting = n_fitting(&weights, room, n_taken == 0);
        for piece in pieces(&weights[..n_fitting]) {
            rows.extend(load(conn, &batch[piece])?);
        }
        room = room.saturating_sub(weights[..n_fitting].iter().sum());
        n_taken += n_fitting;
        if n_fitting < batch.len() {
            break;
        }
        step = (step * 2).min(CHUNK);
    }
    Ok((rows, n_taken))
}

/// How many of the first weigh no more than `room` together; at least one where `is_first`.
fn n_fitting(weights: &[usize], room: usize, is_first: bool) -> usize {
    let mut sum = 0_usize;
    let fits = |(at, weight): &(usize, &usize)| {
        sum = sum.saturating_add(**weight);
        sum <= room || (is_first && *at == 0)
    };
    weights.iter().enumerate().take_while(fits).count()
}

/// Cut into ranges, each of which is light or a single row.
fn pieces(weights: &[usize]) -> Vec<std::ops::Range<usize>> {
    let (mut pieces, mut begin) = (Vec::new(), 0);
    while begin < weights.len() {
        let end = begin + n_fitting(&weights[begin..], PIECE_BYTES, true);
        pieces.push(begin..end);
        begin = end;
    }
    pieces
}
