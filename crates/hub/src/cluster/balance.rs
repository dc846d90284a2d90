//! Connections even out: a node that has far more than its share sends some to the others, a few a second, as it
//! would all of them in a drain.
//!
//! After a restart a node has none, and balancers give it only what comes anew, which may take hours.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_protocol::Chain;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::config::HubConfig;
use crate::seams::presence::PresenceStore;
use crate::shard::request::Request;
use crate::shared::Shared;

/// So many more than its share is not far more: chance, and connections that just came.
const SLACK: u64 = 20;

/// Rounds in which nothing is done after one in vain, where those who were sent away had come back: then the
/// balancer wants them here.
const ROUNDS_AFTER_VAIN: u32 = 60;

/// Who decides how many are sent away in a round.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    /// How many there were, and how many of them were sent away in the round before.
    last: Option<(u64, u64)>,
    n_rest: u32,
}

impl Balance {
    /// How many of `own` connections to send away, `most` at most; `all` are the numbers of all nodes.
    fn n_to_send(&mut self, own: u64, all: &[u64], most: u64) -> u64 {
        let last = self.last.take();
        if self.n_rest > 0 {
            self.n_rest -= 1;
            return 0;
        }
        if last.is_some_and(|(before, n_sent)| own + n_sent / 2 > before) {
            self.n_rest = ROUNDS_AFTER_VAIN;
            return 0;
        }
        let share = all.iter().sum::<u64>() / (all.len() as u64).max(1);
        if all.len() < 2 || own <= share + share / 4 + SLACK {
            return 0;
        }
        let n = (own - share).min(most);
        self.last = Some((own, n));
        n
    }
}

/// Evens out until the node drains; then it is one less to share with.
pub(crate) async fn run(
    config: Arc<HubConfig>,
    shared: Arc<Shared>,
    presence: Arc<dyn PresenceStore>,
    shards: Arc<[mpsc::Sender<Request>]>,
) {
    let (mut balance, every) = (Balance::default(), config.balance_interval);
    let most = u64::from(config.balance_rate) * (every.as_millis() as u64).div_ceil(1_000);
    while shared.draining.run_until_cancelled(sleep(every)).await.is_some() {
        let own = shared.connection_counts.n_total() as u64;
        match presence.exchange_counts(Some(own)).await {
            Ok(all) => {
                let n = balance.n_to_send(own, &all, most);
                if n > 0 {
                    tracing::info!(own, ?all, n, "connections are sent to nodes that have fewer");
                    shared.metrics.evened_out.inc_by(n);
                    send_away(&shards, n as usize, every).await;
                }
            }
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "how many connections other nodes have is not known");
            }
        }
    }
    if let Err(error) = presence.exchange_counts(None).await {
        tracing::debug!(error = %Chain(&error), "other nodes count this one in for a while");
    }
}

/// Has each shard send its part of them.
async fn send_away(shards: &[mpsc::Sender<Request>], n: usize, over: Duration) {
    for (at, shard) in shards.iter().enumerate() {
        let part = n / shards.len() + usize::from(at < n % shards.len());
        if part > 0 {
            // A shard that is gone has nobody.
            let _gone = shard.send(Request::SendAway { n: part, over }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_far_more_than_the_share_is_sent_away_and_a_few_at_a_time() {
        let check = |own, all: &[u64], n| assert_eq!(Balance::default().n_to_send(own, all, 50), n, "{own} of {all:?}");
        check(10_000, &[], 0);
        check(10_000, &[10_000], 0);
        check(10_000, &[10_000, 0], 50);
        check(1_050, &[1_050, 1_000], 0);
        check(1_240, &[1_240, 760], 0);
        check(1_271, &[1_271, 729], 50);
        // A handful is never evened out.
        check(40, &[40, 0], 0);
        check(60, &[60, 0], 30);
    }

    #[test]
    fn it_goes_on_until_it_is_even_and_rests_where_it_is_in_vain() {
        let mut balance = Balance::default();
        let (mut own, mut other, mut n_rounds) = (2_000, 0, 0);
        loop {
            let n = balance.n_to_send(own, &[own, other], 50);
            if n == 0 {
                break;
            }
            (own, other, n_rounds) = (own - n, other + n, n_rounds + 1);
        }
        assert_eq!((own, n_rounds), (1_250, 15));
        // They all come back.
        assert_eq!(balance.n_to_send(2_000, &[2_000, 500], 50), 50);
        for _ in 0..=ROUNDS_AFTER_VAIN {
            assert_eq!(balance.n_to_send(2_000, &[2_000, 500], 50), 0);
        }
        assert_eq!(balance.n_to_send(2_000, &[2_000, 500], 50), 50, "it is tried again");
    }
}
