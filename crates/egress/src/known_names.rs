//! What is known of names that were looked up: answers for as long as they say, and since when others fail.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Most names remembered of either sort. With [`MOST_ADDRESSES`] each that is some 6 MiB.
const NAMES: usize = 4_096;

/// Most addresses of a name that are looked at; an answer over TCP may hold thousands.
pub(crate) const MOST_ADDRESSES: usize = 64;

/// No answer is used for longer than this, whatever it says itself, so that a receiver that has moved is found soon.
const LONGEST_USE: Duration = Duration::from_mins(1);

/// For so long a name whose look-ups fail is not to blame: our name servers are. Longer, and with other names
/// answered meanwhile, it is that name's own.
const BENEFIT_OF_DOUBT: Duration = Duration::from_mins(5);

/// The addresses of a name, and how long they may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) addresses: Arc<[IpAddr]>,
    pub(crate) until: Instant,
}

/// Why there are no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookUpError {
    /// The name has none.
    NoAddress,
    /// No name server answered, or none could; `is_ours` if not the name alone is to blame.
    Failed { is_ours: bool },
    /// Too many are waiting already.
    Crowded,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct KnownNames {
    answers: HashMap<Arc<str>, Answer>,
    /// Names whose look-ups fail, and since when.
    failing: HashMap<Arc<str>, Instant>,
    /// When a name server last said anything about any name.
    heard: Option<Instant>,
}

impl KnownNames {
    /// The addresses of the name, where its last answer is still good.
    pub(crate) fn addresses(&self, name: &str) -> Option<Arc<[IpAddr]>> {
        let answer = self.answers.get(name).filter(|answer| Instant::now() < answer.until)?;
        Some(Arc::clone(&answer.addresses))
    }

    /// Whether the last look-up of the name failed.
    pub(crate) fn is_failing(&self, name: &str) -> bool {
        self.failing.contains_key(name)
    }

    /// Whether a look-up of this name that fails now fails for our own name servers' sake.
    pub(crate) fn is_ours(&self, name: &str) -> bool {
        self.failing
            .get(name)
            .is_none_or(|since| since.elapsed() < BENEFIT_OF_DOUBT || self.heard.is_none_or(|heard| heard <= *since))
    }

    /// A name server gave addresses.
    pub(crate) fn answered(&mut self, name: &Arc<str>, answer: Answer) {
        self.said_nothing_of(name);
        let now = Instant::now();
        let until = answer.until.min(now + LONGEST_USE);
        make_room(&mut self.answers, |answer| now < answer.until);
        self.answers.insert(Arc::clone(name), Answer { until, ..answer });
    }

    /// A name server answered, though without addresses.
    pub(crate) fn said_nothing_of(&mut self, name: &str) {
        self.heard = Some(Instant::now());
        self.failing.remove(name);
        self.answers.remove(name);
    }

    /// No name server answered, or none could.
    pub(crate) fn failed(&mut self, name: &Arc<str>) {
        if !self.failing.contains_key(name) {
            make_room(&mut self.failing, |since| since.elapsed() < 12 * BENEFIT_OF_DOUBT);
            self.failing.insert(Arc::clone(name), Instant::now());
        }
    }

    /// Other name servers are asked from now on, or another file of hosts is read.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Makes room: what is not worth keeping goes first. Where that is not enough an eighth goes, whichever comes first,
/// so that not every new name costs a look at all.
fn make_room<T>(map: &mut HashMap<Arc<str>, T>, is_worth_keeping: impl Fn(&T) -> bool) {
    if map.len() < NAMES {
        return;
    }
    map.retain(|_, value| is_worth_keeping(value));
    let n_over = map.len().saturating_sub(NAMES - NAMES / 8);
    let over: Vec<Arc<str>> = map.keys().take(n_over).cloned().collect();
    for name in over {
        map.remove(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(secs: u64) -> Answer {
        Answer { addresses: Arc::new([IpAddr::from([8, 8, 8, 8])]), until: Instant::now() + Duration::from_secs(secs) }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_used_as_long_as_they_say_and_no_longer_than_a_minute() {
        let mut known = KnownNames::default();
        known.answered(&"short.test".into(), answer(5));
        known.answered(&"long.test".into(), answer(86_400));
        assert!(known.addresses("short.test").is_some() && known.addresses("other.test").is_none());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(known.addresses("short.test").is_none() && known.addresses("long.test").is_some());
        tokio::time::advance(Duration::from_secs(55)).await;
        assert!(known.addresses("long.test").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_alone_is_to_blame_only_after_minutes_in_which_others_were_answered() {
        let mut known = KnownNames::default();
        assert!(known.is_ours("silent.test"), "nothing is known against it");
        known.answered(&"before.test".into(), answer(60));
        tokio::time::advance(Duration::from_secs(1)).await;
        known.failed(&"silent.test".into());
        tokio::time::advance(BENEFIT_OF_DOUBT).await;
        known.failed(&"silent.test".into());
        assert!(known.is_ours("silent.test"), "nobody was answered since: the servers are down");
        known.said_nothing_of("unknown.test");
        assert!(!known.is_ours("silent.test") && known.is_ours("another.test"));
        known.answered(&"silent.test".into(), answer(60));
        assert!(known.is_ours("silent.test"), "it was answered, so the next failure begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_remembered_than_there_is_room_for() {
        let mut known = KnownNames::default();
        for i in 0..2 * NAMES {
            known.answered(&format!("a{i}.test").into(), answer(60));
            known.failed(&format!("f{i}.test").into());
            assert!(known.answers.len() <= NAMES && known.failing.len() <= NAMES);
        }
        assert!(known.answers.len() >= NAMES / 2 && known.is_failing(&format!("f{}.test", 2 * NAMES - 1)));
    }
}
