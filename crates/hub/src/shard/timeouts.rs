//! The clock's share: pings, silence, expired tokens, connections that do not end.

use std::time::Duration;

use hookswitch_protocol::CloseCode;

use super::resume::WAITED_FOR;
use super::{SLOTS_AT_ONCE, Shard, SlotKey};
use crate::shard::catch_up::Resume;

/// Connections pinged or closed before others get a turn.
const DUE_AT_ONCE: usize = 256;

/// What the sweep found due for one connection.
enum Due {
    Ping,
    Close(CloseCode),
    /// Its client has not said where it was: it is given what comes from where it came in.
    GoOn,
    /// Did not open, or did not end, in time.
    Drop,
}

impl Shard {
    /// How often to sweep: one walk over an array instead of a timer per connection.
    pub(super) fn sweep_interval(&self) -> Duration {
        let closing = self.config.last_close_timeout();
        let shortest = self.config.ping_interval.min(self.config.pong_timeout).min(closing);
        (shortest / 8).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    /// Looks at some of the connections from this slot on, and does what is due for a few hundred; gives the
    /// slot to go on with. Tens of thousands that came at once are due at once.
    pub(super) fn sweep_some(&mut self, from: usize) -> Option<usize> {
        let now = self.millis();
        let end = (from + SLOTS_AT_ONCE).min(self.connections.capacity());
        let connections = (from..end).filter_map(|slot| Some((slot as u32, self.connections.get(slot)?)));
        let due = connections.filter_map(|(slot, c)| Some((SlotKey { slot, id: c.id }, self.due(c, now)?)));
        let due: Vec<(SlotKey, Due)> = due.take(DUE_AT_ONCE).collect();
        let end = due.last().filter(|_| due.len() == DUE_AT_ONCE).map_or(end, |(last, _)| last.slot as usize + 1);
        for (key, due) in due {
            match due {
                Due::Ping => {
                    // Without room to ask, the next sweep tries again.
                    if self.ping(key)
                        && let Some(connection) = self.connection(key)
                    {
                        connection.stirred_at = now;
                    }
                }
                Due::Close(code) => self.close(key, code),
                Due::GoOn => _ = self.spoke(key),
                Due::Drop => self.drop_unfinished(key),
            }
        }
        (end < self.connections.capacity()).then_some(end)
    }

    fn due(&self, connection: &crate::shard::connection::Connection, now: u64) -> Option<Due> {
        let has_passed = |since: u64, limit: Duration| now.saturating_sub(since) >= limit.as_millis() as u64;
        if connection.closing.is_some() || connection.transport.is_none() {
            return has_passed(connection.stirred_at, self.close_timeout()).then_some(Due::Drop);
        }
        if connection.expires_at <= now {
            return Some(Due::Close(CloseCode::TokenExpired));
        }
        if has_passed(connection.heard_at, self.config.pong_timeout) {
            return Some(Due::Close(CloseCode::Silent));
        }
        // It talks but does not answer this ping, so the page's arrival cannot be proved: what is
        // not confirmed goes to its next connection.
        let page = connection.kept_phase().and_then(|kept| kept.page.as_ref());
        if page.and_then(|page| page.written_at).is_some_and(|at| has_passed(at, self.config.pong_timeout)) {
            return Some(Due::Close(CloseCode::Silent));
        }
        let awaited = connection.catch_up.as_deref().and_then(|behind| match behind.resume {
            Some(Resume::Awaited { since, .. }) => Some(since),
            _ => None,
        });
        if awaited.is_some_and(|since| has_passed(since, WAITED_FOR)) {
            return Some(Due::GoOn);
        }
        let of_form = self.forms[connection.form.index()].ping_interval();
        let ping_interval = of_form.map_or(self.config.ping_interval, |own| own.min(self.config.ping_interval));
        has_passed(connection.stirred_at, ping_interval).then_some(Due::Ping)
    }

    fn drop_unfinished(&mut self, key: SlotKey) {
        let Some(code) = self.connection(key).map(|c| c.closing) else { return };
        if let Some(code) = code {
            self.shared.metrics.closed.inc(code.reason());
        }
        self.detach(key);
    }
}
