//! Settling attempts: in pieces, so that one that cannot be settled holds up no other.

use std::collections::VecDeque;
use std::sync::Arc;

use hookswitch_webhooks::{Attempted, DisableRule, Settled};

use super::Store;
use super::owed::{OwedAttempt, REFUSED, has_bodies, n_bytes, without_bodies};
use super::queries::finish;
use super::writer::{Cost, Job, is_about_data, is_about_lock};
use crate::error::Failure;
use crate::weight::{Caller, Weight};

/// Most bytes that are logged in one transaction of this node; one attempt may be larger.
const PIECE_BYTES: usize = 1024 * 1024;

/// Rows that an attempt changes: its delivery, its log row, its webhook.
const ROWS_PER_ATTEMPT: usize = 2;

type Piece = Arc<[Attempted]>;

impl Store {
    /// Settles them in order. What the database refuses is settled in halves, down to the one it is about;
    /// that one is settled without its bodies. An error means that none is settled; where only
    /// the rest failed, the answer is about those before it.
    pub(super) async fn settle(&self, results: Vec<Attempted>, rule: DisableRule) -> Result<Settled, Failure> {
        let mut pieces = pieces(results);
        let mut all = Settled::default();
        while let Some(piece) = pieces.pop_front() {
            match self.settle_piece(&piece, rule).await {
                Ok(settled) => {
                    all.finished.extend(settled.finished);
                    all.disabled.extend(settled.disabled);
                }
                Err(failure) if is_about_data(&failure) && piece.len() > 1 => {
                    let (first, second) = piece.split_at(piece.len() / 2);
                    pieces.push_front(second.into());
                    pieces.push_front(first.into());
                }
                Err(failure) if is_about_data(&failure) && has_bodies(&piece[0]) => {
                    let row = &piece[0].row;
                    let error: &dyn std::error::Error = &failure;
                    tracing::warn!(webhook = %row.webhook, attempt = row.attempt, error, "an attempt is logged without its bodies");
                    pieces.push_front([without_bodies(&piece[0], REFUSED)].into());
                }
                Err(failure) if all.finished.is_empty() => return Err(failure),
                Err(failure) => {
                    tracing::debug!(
                        n_settled = all.finished.len(),
                        error = &failure as &dyn std::error::Error,
                        "settled in part"
                    );
                    break;
                }
            }
        }
        Ok(all)
    }

    async fn settle_piece(&self, piece: &Piece, rule: DisableRule) -> Result<Settled, Failure> {
        if self.inner.chores.owed.concerns(piece) {
            return self.settle_past_locks(piece, rule).await;
        }
        let settled = self.inner.dispatch.merge(turn(piece), (Arc::clone(piece), rule), Job::Finish).await;
        match settled {
            Err(failure) if is_about_lock(&failure) => self.settle_past_locks(piece, rule).await,
            settled => settled,
        }
    }

    /// Settles while somebody else has rows of webhooks locked: their deliveries end like others, and what
    /// belongs into the locked rows and the log is owed.
    async fn settle_past_locks(&self, piece: &Piece, rule: DisableRule) -> Result<Settled, Failure> {
        let (columns, attempts) = (Arc::clone(&self.inner.columns), Arc::clone(piece));
        let (owed, metrics) = (Arc::clone(&self.inner.chores.owed), self.inner.metrics.clone());
        let kept = Arc::clone(piece);
        let work = move |conn: &mut _| finish::finish_past_locks(conn, &columns, &attempts, rule);
        let after = move |(_, places): &(Settled, Vec<(usize, String)>)| {
            let attempts = places.iter().map(|(place, tenant)| OwedAttempt {
                attempted: kept[*place].clone(),
                rule,
                tenant: tenant.clone(),
            });
            metrics.unlogged.inc_by(owed.add(attempts));
        };
        let settled = self.inner.dispatch.call_then(turn(piece), work, after).await;
        settled.map(|(settled, _)| settled)
    }
}

fn turn(piece: &Piece) -> Cost {
    let weight = Weight { n_rows: piece.len() * ROWS_PER_ATTEMPT, n_bytes: piece.iter().map(n_bytes).sum() };
    (Caller::Node, weight)
}

fn pieces(results: Vec<Attempted>) -> VecDeque<Piece> {
    let (mut pieces, mut piece, mut weight) = (VecDeque::new(), Vec::new(), 0);
    for attempted in results {
        let more = n_bytes(&attempted);
        if !piece.is_empty() && weight + more > PIECE_BYTES {
            pieces.push_back(Piece::from(std::mem::take(&mut piece)));
            weight = 0;
        }
        weight += more;
        piece.push(attempted);
    }
    if !piece.is_empty() {
        pieces.push_back(piece.into());
    }
    pieces
}
