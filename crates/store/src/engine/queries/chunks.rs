//! Multi-row inserts in statements that are neither too long nor too heavy.

use diesel::QueryResult;
use diesel::result::Error;

use super::dialect::{self, CHUNK, Conn};
use crate::error::TooLarge;

/// Cuts `rows` so that each piece has at most [`CHUNK`] rows and, beyond its first row, at most `most_bytes`
/// as `weigh` counts them.
pub(super) fn chunks<T>(rows: &[T], most_bytes: usize, weigh: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut pieces = Vec::new();
    let (mut start, mut n_bytes) = (0, 0);
    for (at, row) in rows.iter().enumerate() {
        let weight = weigh(row);
        if at > start && (at - start == CHUNK || n_bytes + weight > most_bytes) {
            pieces.push(&rows[start..at]);
            (start, n_bytes) = (at, 0);
        }
        n_bytes += weight;
    }
    if start < rows.len() {
        pieces.push(&rows[start..]);
    }
    pieces
}

/// Refuses a row that is too large before the server does, which would end the connection for all.
///
/// # Errors
/// One that concerns this row's caller alone.
pub(super) fn check_size(conn: &Conn, n_bytes: usize) -> QueryResult<()> {
    let most_bytes = dialect::row_bytes(conn);
    if n_bytes > most_bytes {
        return Err(Error::SerializationError(Box::new(TooLarge { n_bytes, most_bytes })));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_bounded_by_rows_and_by_bytes() {
        let lengths =
            |rows: &[usize]| chunks(rows, 100, |row| *row).iter().map(|piece| piece.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[0; CHUNK + 1]), [CHUNK, 1]);
        assert_eq!(lengths(&[200, 1, 99, 1]), [1, 2, 1]);
    }
}
