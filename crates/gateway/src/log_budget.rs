//! Log lines that anybody may cause, also without a token: so many a minute of each kind, the rest is counted.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::{AuthError, Principal};
use crate::routes::Route;

/// Lines of one kind within [`WINDOW`].
const LINES: u32 = 300;
const WINDOW: Duration = Duration::from_mins(1);

/// What is told by such lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogKind {
    TokenRefused,
    RoleRefused,
    TenantRefused,
    TooManyConnections,
    Cut,
}

impl LogKind {
    const ALL: [Self; 5] =
        [Self::TokenRefused, Self::RoleRefused, Self::TenantRefused, Self::TooManyConnections, Self::Cut];

    const fn as_str(self) -> &'static str {
        match self {
            Self::TokenRefused => "token refused",
            Self::RoleRefused => "role refused",
            Self::TenantRefused => "tenant refused",
            Self::TooManyConnections => "too many connections",
            Self::Cut => "connection cut",
        }
    }
}

/// How many lines of each kind may still be written.
#[derive(Debug, Default)]
pub(crate) struct LogBudget([Mutex<Used>; LogKind::ALL.len()]);

#[derive(Debug, Default)]
struct Used {
    since: Option<Instant>,
    n_written: u32,
    n_left_out: u64,
}

impl LogBudget {
    /// Whether a line of this kind may be written. How many could not be is told by the first one that may again.
    pub(crate) fn allows(&self, kind: LogKind) -> bool {
        let mut used = self.0[kind as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if used.since.is_none_or(|since| since.elapsed() >= WINDOW) {
            let n_left_out = used.n_left_out;
            *used = Used { since: Some(Instant::now()), n_written: 0, n_left_out: 0 };
            if n_left_out > 0 {
                let lines = kind.as_str();
                tracing::warn!(target: "hookswitch::security", lines, n_left_out, "log lines were left out, too many having come in a minute");
            }
        }
        let is_allowed = used.n_written < LINES;
        if is_allowed {
            used.n_written += 1;
        } else {
            used.n_left_out += 1;
        }
        is_allowed
    }
}

/// The path is the route's pattern: what was asked for may be as long as a request.
impl LogBudget {
    /// A security event. The token stands nowhere.
    pub(crate) fn token_refused(&self, error: &AuthError, route: &Route, peer: SocketAddr) {
        if self.allows(LogKind::TokenRefused) {
            let (reason, path) = (error.reason(), route.pattern());
            tracing::warn!(target: "hookswitch::security", reason, %peer, path, "token refused");
        }
    }

    /// A security event: somebody with a good token may not do this.
    pub(crate) fn principal_refused(&self, kind: LogKind, principal: &Principal, route: &Route, peer: SocketAddr) {
        if self.allows(kind) {
            let Principal { tenant, user, role, .. } = principal;
            let (what, role, path) = (kind.as_str(), role.as_str(), route.pattern());
            tracing::warn!(target: "hookswitch::security", %tenant, %user, role, %peer, path, "{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_kind_is_counted_and_hides_no_other() {
        let budget = LogBudget::default();
        let n_written = (0..10_000).filter(|_| budget.allows(LogKind::TokenRefused)).count();
        assert_eq!(n_written, 300);
        assert!(budget.allows(LogKind::RoleRefused));
        let n_left_out =
            |budget: &LogBudget| budget.0[LogKind::TokenRefused as usize].lock().expect("no panic").n_left_out;
        assert_eq!(n_left_out(&budget), 9_700);
        tokio::time::advance(WINDOW).await;
        assert!(budget.allows(LogKind::TokenRefused));
        assert_eq!(n_left_out(&budget), 0, "told");
    }

    #[test]
    fn each_kind_has_a_place_of_its_own() {
        assert!(LogKind::ALL.iter().enumerate().all(|(at, line)| *line as usize == at));
    }
}
