//! What this node has claimed and not settled yet.

use std::collections::{BTreeSet, HashMap};

use hookswitch_hub::{MessageNumber, UserKey};

/// The open claims of this node, and the numbers it has given out.
///
/// Numbers never repeat within a node's life: a settlement that is carried out after its caller has
/// given up never hits a message of a later claim.
#[derive(Debug, Default)]
pub(super) struct OpenClaims {
    n_given: i64,
    users: HashMap<UserKey, Vec<OpenClaim>>,
}

/// One call: while it is not answered, all numbers it may use.
#[derive(Debug)]
struct OpenClaim {
    first: i64,
    numbers: BTreeSet<i64>,
}

/// A call that is about to be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClaimStart {
    /// The number of its first message.
    pub(super) first: i64,
    /// First and last number of every other call of this user that is not settled.
    pub(super) others: Vec<(i64, i64)>,
}

impl OpenClaims {
    /// Gives out numbers for up to `limit` messages.
    pub(super) fn begin(&mut self, user: &UserKey, limit: usize) -> ClaimStart {
        let first = self.n_given + 1;
        self.n_given += limit as i64;
        let claims = self.users.entry(user.clone()).or_default();
        let others = claims.iter().filter_map(OpenClaim::range).collect();
        claims.push(OpenClaim { first, numbers: (first..first + limit as i64).collect() });
        ClaimStart { first, others }
    }

    /// The call that began with `first` has claimed so many messages.
    pub(super) fn answered(&mut self, user: &UserKey, first: i64, n_messages: usize) {
        let last = first + n_messages as i64;
        self.change(user, |claim| {
            if claim.first == first {
                claim.numbers.retain(|number| *number < last);
            }
        });
    }

    /// Nobody has the messages of this call: the next claim puts them back.
    pub(super) fn abandon(&mut self, user: &UserKey, first: i64) {
        self.answered(user, first, 0);
    }

    /// These are settled, or of no interest any more.
    pub(super) fn settled(&mut self, user: &UserKey, numbers: &[MessageNumber]) {
        self.change(user, |claim| {
            for number in numbers {
                claim.numbers.remove(&number.0);
            }
        });
    }

    /// Whose messages this node has.
    pub(super) fn users(&self) -> Vec<UserKey> {
        self.users.keys().cloned().collect()
    }

    fn change(&mut self, user: &UserKey, change: impl FnMut(&mut OpenClaim)) {
        let Some(claims) = self.users.get_mut(user) else { return };
        claims.iter_mut().for_each(change);
        claims.retain(|claim| !claim.numbers.is_empty());
        if claims.is_empty() {
            self.users.remove(user);
        }
    }
}

impl OpenClaim {
    fn range(&self) -> Option<(i64, i64)> {
        Some((*self.numbers.first()?, *self.numbers.last()?))
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::{TenantId, UserId};

    use super::*;

    fn agent() -> UserKey {
        UserKey { tenant: TenantId::parse("t").expect("legal"), user: UserId::from(7) }
    }

    #[test]
    fn numbers_never_repeat_and_open_calls_are_told() {
        let mut open = OpenClaims::default();
        assert_eq!(open.begin(&agent(), 3), ClaimStart { first: 1, others: vec![] });
        assert_eq!(open.begin(&agent(), 2), ClaimStart { first: 4, others: vec![(1, 3)] });
        open.answered(&agent(), 1, 2);
        open.abandon(&agent(), 4);
        assert_eq!(open.begin(&agent(), 1), ClaimStart { first: 6, others: vec![(1, 2)] });
    }

    #[test]
    fn a_user_is_forgotten_with_the_last_settlement() {
        let mut open = OpenClaims::default();
        open.begin(&agent(), 2);
        open.answered(&agent(), 1, 2);
        open.settled(&agent(), &[MessageNumber(2), MessageNumber(9)]);
        assert_eq!(open.users(), [agent()]);
        open.settled(&agent(), &[MessageNumber(1)]);
        assert_eq!(open.users(), []);
    }
}
