//! Multi-row inserts in statements that are neither too long nor too heavy.

use super::dialect::{CHUNK, CHUNK_BYTES};

/// Cuts `rows` so that each piece has at most [`CHUNK`] rows and, beyond its first row, at most
/// [`CHUNK_BYTES`] bytes as `weigh` counts them.
pub(super) fn chunks<T>(rows: &[T], weigh: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut pieces = Vec::new();
    let (mut start, mut n_bytes) = (0, 0);
    for (at, row) in rows.iter().enumerate() {
        let weight = weigh(row);
        if at > start && (at - start == CHUNK || n_bytes + weight > CHUNK_BYTES) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_bounded_by_rows_and_by_bytes() {
        let lengths = |rows: &[usize]| chunks(rows, |row| *row).iter().map(|piece| piece.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[1; CHUNK + 1]), [CHUNK, 1]);
        assert_eq!(lengths(&[CHUNK_BYTES * 2, 1, CHUNK_BYTES - 1, 1]), [1, 2, 1]);
    }
}
