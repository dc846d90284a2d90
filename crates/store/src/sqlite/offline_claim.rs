//! The claim of a user's offline messages: always this process's, the file being its own.

use diesel::QueryResult;
use hookswitch_protocol::Timestamp;

use super::dialect::Conn;
use crate::offline_claim::{Acquired, Holder, Key};

#[expect(clippy::unnecessary_wraps, reason = "other databases have to ask")]
pub(crate) fn acquire(_conn: &mut Conn, _key: &Key, _holder: &Holder, _now: Timestamp) -> QueryResult<Acquired> {
    Ok(Acquired::Yes)
}

#[expect(clippy::unnecessary_wraps, reason = "other databases have to ask")]
pub(crate) fn is_held(_conn: &mut Conn, _key: &Key, _holder: &Holder) -> QueryResult<bool> {
    Ok(true)
}

#[expect(clippy::unnecessary_wraps, reason = "other databases have something to write")]
pub(crate) fn release(_conn: &mut Conn, _key: &Key) -> QueryResult<()> {
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "other databases have something to lock")]
pub(crate) fn lock_user(_conn: &mut Conn, _key: &Key) -> QueryResult<()> {
    Ok(())
}
