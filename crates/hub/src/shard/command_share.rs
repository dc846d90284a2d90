//! What a tenant's clients cost a shard's thread by what they say, and who of them has to wait for it.
//!
//! Visitors and users have shares of their own. Out of a share the debts of all its subjects are paid off alike:
//! whoever says little is read, while those who say much wait, each for what it owes itself.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::attachment::Subject;

/// A tenant's users may say as much as so many clients that each talk as fast as one may.
const USERS: u32 = 100;
/// A tenant's visitors may say as much as so many.
const VISITORS: u32 = 25;
/// How much of a share may come at once, in the time in which it is earned.
const AT_ONCE: Duration = Duration::from_millis(100);
/// What a subject may owe and is read nevertheless: a few commands, or its answers to pings.
const NEGLIGIBLE: Duration = Duration::from_millis(20);
/// Debts are paid off so often: every time takes a walk over those who have any.
const PAY_INTERVAL: Duration = Duration::from_millis(50);
/// Whoever has to wait asks so often whether it still does, for others may have ceased to.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What a tenant's clients have used up of their shares.
#[derive(Debug)]
pub(crate) struct CommandShare {
    users: Pool,
    visitors: Pool,
}

impl Default for CommandShare {
    fn default() -> Self {
        Self { users: Pool::new(USERS), visitors: Pool::new(VISITORS) }
    }
}

impl CommandShare {
    /// Takes out what one client earns in so much time, also where it is not there; gives how long nothing
    /// more may be taken in from this subject, if so.
    pub(crate) fn charge(&mut self, subject: &Subject, earned_in: Duration) -> Option<Duration> {
        let pool = match subject {
            Subject::User(_) => &mut self.users,
            Subject::Visitor(_) => &mut self.visitors,
        };
        pool.pay();
        pool.charge(subject, earned_in);
        pool.wait(subject)
    }
}

/// One share. What is owed is counted in the time in which one client earns it.
#[derive(Debug)]
struct Pool {
    /// How many clients' earnings it pays with.
    n_clients: u32,
    paid_at: Instant,
    /// Earned, and not needed by those it was meant for.
    left: Duration,
    /// Whoever owes something.
    debts: HashMap<Subject, Duration>,
    owed: Duration,
}

impl Pool {
    fn new(n_clients: u32) -> Self {
        let (left, owed) = (Duration::ZERO, Duration::ZERO);
        Self { n_clients, paid_at: Instant::now(), left, debts: HashMap::new(), owed }
    }

    fn charge(&mut self, subject: &Subject, earned_in: Duration) {
        if earned_in.is_zero() {
            return;
        }
        self.owed += earned_in;
        match self.debts.get_mut(subject) {
            Some(debt) => *debt += earned_in,
            None => _ = self.debts.insert(subject.clone(), earned_in),
        }
    }

    /// Pays everybody the same part of what was earned since the last time.
    fn pay(&mut self) {
        let elapsed = self.paid_at.elapsed();
        if elapsed < PAY_INTERVAL {
            return;
        }
        self.paid_at += elapsed;
        let earned = self.left + elapsed * self.n_clients;
        if earned >= self.owed {
            self.debts.clear();
            // As many may owe something at once as are connected.
            self.debts.shrink_to(64);
            (self.left, self.owed) = (Duration::ZERO, Duration::ZERO);
            return;
        }
        let each = earned / self.debts.len() as u32;
        let mut owed = Duration::ZERO;
        self.debts.retain(|_, debt| {
            *debt = debt.saturating_sub(each);
            owed += *debt;
            !debt.is_zero()
        });
        self.left = earned.saturating_sub(self.owed.saturating_sub(owed));
        self.owed = owed;
    }

    fn wait(&self, subject: &Subject) -> Option<Duration> {
        if self.owed <= AT_ONCE * self.n_clients {
            return None;
        }
        let debt = self.debts.get(subject)?.checked_sub(NEGLIGIBLE).filter(|debt| !debt.is_zero())?;
        Some((debt * self.debts.len() as u32 / self.n_clients).min(LONGEST_WAIT))
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::{SessionKey, UserId};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn user(n: u32) -> Subject {
        Subject::User(UserId::parse(&n.to_string()).expect("a user id"))
    }

    fn visitor(n: u32) -> Subject {
        Subject::Visitor(SessionKey::parse(&n.to_string()).expect("a session key"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_clients_worth_goes_through_and_no_more() {
        let mut share = CommandShare::default();
        for n in 0..10 {
            assert_eq!(share.charge(&user(n), SECOND), None, "a tenth of a second of a hundred clients at once");
        }
        let mut n_let_in = 0;
        let started = Instant::now();
        while started.elapsed() < 10 * SECOND {
            for n in 0..1_000 {
                if share.charge(&user(n), Duration::ZERO).is_none() {
                    let _wait = share.charge(&user(n), SECOND / 10);
                    n_let_in += 1;
                }
            }
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        assert!((9_500..=12_000).contains(&n_let_in), "{n_let_in} tenths in ten seconds of a hundred clients");
        tokio::time::advance(5 * SECOND).await;
        assert_eq!(share.charge(&user(1), 10 * SECOND), None, "full again, and not fuller");
        assert!(share.charge(&user(1), SECOND).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_owes_nothing_is_read_whatever_others_owe() {
        let mut share = CommandShare::default();
        let (busy, quiet) = (user(1), user(2));
        let _wait = share.charge(&busy, 1_000 * SECOND);
        assert!(share.charge(&busy, Duration::ZERO).is_some());
        for _ in 0..100 {
            let unit = Duration::from_millis(5);
            assert_eq!(share.charge(&quiet, unit), None, "its pongs, and a command now and then");
            tokio::time::advance(Duration::from_millis(50)).await;
            assert!(share.charge(&busy, Duration::ZERO).is_some(), "for what it owes itself");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn visitors_use_up_nothing_of_their_tenants_users() {
        let mut share = CommandShare::default();
        for n in 0..3_000 {
            let _wait = share.charge(&visitor(n), SECOND / 3);
        }
        assert!(share.charge(&visitor(1), Duration::ZERO).is_some(), "those who owe wait");
        assert_eq!(share.charge(&visitor(5_000), Duration::ZERO), None, "another visitor does not");
        assert_eq!(share.charge(&user(1), SECOND), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_when_what_is_owed_is_paid() {
        let mut share = CommandShare::default();
        for n in 0..1_000 {
            let _wait = share.charge(&visitor(n), SECOND / 10);
        }
        let started = Instant::now();
        while let Some(wait) = share.charge(&visitor(1), Duration::ZERO) {
            tokio::time::advance(wait.max(Duration::from_millis(10))).await;
        }
        let took = started.elapsed();
        assert!((2 * SECOND..5 * SECOND).contains(&took), "a hundred seconds' worth, paid by 25 clients: {took:?}");
    }
}
