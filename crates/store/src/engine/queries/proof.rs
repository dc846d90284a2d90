//! The proof that the disk takes a write.

use diesel::prelude::*;

use super::dialect::{self, Conn};
use crate::schema::write_proof;

/// Writes some fresh bytes, in a statement and so a transaction of its own. What is there already
/// would be written to no disk, and a single page might just fit where no event does.
pub(crate) fn write(conn: &mut Conn) -> QueryResult<()> {
    let row = (write_proof::id.eq(1), write_proof::filling.eq(dialect::fresh_bytes()));
    diesel::replace_into(write_proof::table).values(row).execute(conn)?;
    Ok(())
}
