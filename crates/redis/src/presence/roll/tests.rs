//! What the roll owes, without any Redis.

use std::time::Duration;

use super::*;

fn tenant() -> TenantId {
    TenantId::parse("t").expect("legal")
}

fn key(user: i64) -> UserKey {
    UserKey { tenant: tenant(), user: UserId::from(user) }
}

/// A roll with these users, known to Redis.
fn known(users: &[i64]) -> Roll {
    let roll = Roll::default();
    for user in users {
        roll.come(&key(*user), 1);
        roll.send(&key(*user));
        roll.said(&tenant(), [&key(*user).user]);
        roll.settled(&tenant(), [&key(*user).user]);
    }
    roll
}

/// Users to be said again, with whether they are here, and whether they are news.
fn due(roll: &Roll) -> Vec<(i64, bool, bool)> {
    let due = roll.due_leases(&tenant(), 500);
    let number = |user: &UserId| user.to_string().parse().expect("a number");
    due.iter().map(|lease| (number(&lease.user), lease.is_present, lease.is_news)).collect()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_who_left_is_restored_first_and_leaves_after_the_grace() {
    let roll = known(&[1, 2]);
    assert!(!roll.reopened(1, soon()), "nothing can be lost on the first way");
    assert!(roll.go(&key(2)) && roll.owe(&key(2)));
    roll.come(&key(3), 1);
    assert!(roll.owe(&key(3)));
    assert!(roll.reopened(2, soon()) && !roll.reopened(2, soon()));
    assert_eq!(due(&roll), [(1, true, false), (2, false, false), (3, true, true)]);
    let all = [1, 2, 3].map(|user| key(user).user);
    roll.said(&tenant(), &all);
    roll.settled(&tenant(), &all);
    assert!(roll.debtors().is_empty() && !roll.may_leave(&key(2)), "others may not have said whom they hold");
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(roll.debtors(), [tenant()]);
    assert_eq!(roll.due_leaves(&tenant(), 500), [key(2).user]);
    roll.departed(&tenant(), [&key(2).user]);
    assert!(roll.debtors().is_empty() && roll.present().len() == 2);
}

#[tokio::test(start_paused = true)]
async fn who_came_and_left_unheard_is_not_mentioned() {
    let roll = Roll::default();
    roll.come(&key(1), 1);
    roll.owe(&key(1));
    assert!(!roll.go(&key(1)), "Redis need not hear of him");
    assert!(roll.is_empty() && roll.debtors().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_left_and_came_back_during_an_outage_did_neither() {
    let roll = known(&[1]);
    roll.go(&key(1));
    roll.owe(&key(1));
    assert!(roll.is_vacant() && !roll.is_empty());
    roll.come(&key(1), 2);
    roll.doubt(None, soon());
    assert_eq!(due(&roll), [(1, true, false)]);
    assert!(!roll.is_vacant());
}

#[tokio::test(start_paused = true)]
async fn after_a_sweep_by_others_everybody_here_comes_anew() {
    let roll = known(&[1, 2]);
    roll.go(&key(2));
    roll.owe(&key(2));
    roll.swept(&tenant());
    assert_eq!(due(&roll), [(1, true, true)]);
    assert!(roll.knows_it_was_swept(&tenant()) && !roll.is_registered(&tenant()));
}

#[tokio::test(start_paused = true)]
async fn a_comparison_finds_what_is_too_much_and_what_is_missing() {
    let roll = known(&[1, 2, 3]);
    let held = HashMap::from([(key(1).user, 1), (key(2).user, 7), (key(4).user, 1)]);
    let online = [1, 2, 3, 4].map(|user| key(user).user).into_iter().collect();
    assert_eq!(roll.compare(&tenant(), &held, &online), 3);
    assert_eq!(due(&roll), [(2, true, false), (3, true, false)]);
    assert_eq!(roll.due_leaves(&tenant(), 500), [key(4).user]);
}

#[tokio::test(start_paused = true)]
async fn departures_are_bounded() {
    let n = MAX_DEPARTURES as i64 + 1;
    let users: Vec<i64> = (0..n).collect();
    let roll = known(&users);
    let kept = users.iter().filter(|user| roll.go(&key(**user)) && roll.owe(&key(**user))).count();
    assert_eq!(kept, MAX_DEPARTURES);
    assert_eq!(roll.due_leaves(&tenant(), usize::MAX).len(), MAX_DEPARTURES);
}
