//! What is pending, without any Redis.

use std::time::Duration;

use super::*;

fn tenant() -> TenantId {
    TenantId::parse("t").expect("legal")
}

fn key(user: i64) -> UserKey {
    UserKey { tenant: tenant(), user: UserId::from(user) }
}

/// One with these users, known to Redis.
fn known(users: &[i64]) -> LocalPresence {
    let presence = LocalPresence::default();
    for user in users {
        presence.set_online(&key(*user), 1);
        presence.send(&key(*user));
        presence.mark_stored(&tenant(), [&key(*user).user]);
        presence.mark_settled(&tenant(), [&key(*user).user]);
    }
    presence
}

/// Users to be written again, with whether they are here, and whether that is announced.
fn due(presence: &LocalPresence) -> Vec<(i64, bool, bool)> {
    let due = presence.due_leases(&tenant(), 500);
    let number = |user: &UserId| user.to_string().parse().expect("a number");
    due.iter().map(|lease| (number(&lease.user), lease.is_present, lease.is_announced)).collect()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_who_left_is_restored_first_and_leaves_after_the_grace() {
    let presence = known(&[1, 2]);
    assert!(!presence.reopened(1, soon()), "nothing can be lost when the link opens first");
    assert!(presence.set_offline(&key(2), 0) && presence.leave_pending(&key(2)));
    presence.set_online(&key(3), 1);
    assert!(presence.leave_pending(&key(3)));
    assert!(presence.reopened(2, soon()) && !presence.reopened(2, soon()));
    assert_eq!(due(&presence), [(1, true, false), (2, false, false), (3, true, true)]);
    let all = [1, 2, 3].map(|user| key(user).user);
    presence.mark_stored(&tenant(), &all);
    presence.mark_settled(&tenant(), &all);
    assert!(
        presence.pending_tenants().is_empty() && !presence.may_depart(&key(2)),
        "others may not have said whom they hold"
    );
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(presence.pending_tenants(), [tenant()]);
    assert_eq!(presence.due_departures(&tenant(), 500), [key(2).user]);
    presence.departed(&tenant(), [&key(2).user]);
    assert!(presence.pending_tenants().is_empty() && presence.present().len() == 2);
}

#[tokio::test(start_paused = true)]
async fn who_came_and_left_unheard_is_not_mentioned() {
    let presence = LocalPresence::default();
    presence.set_online(&key(1), 1);
    presence.leave_pending(&key(1));
    assert!(!presence.set_offline(&key(1), 0), "Redis need not hear of him");
    assert!(presence.is_empty() && presence.pending_tenants().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_left_and_came_back_during_an_outage_did_neither() {
    let presence = known(&[1]);
    presence.set_offline(&key(1), 0);
    presence.leave_pending(&key(1));
    assert!(presence.has_nobody_online() && !presence.is_empty());
    presence.set_online(&key(1), 2);
    presence.doubt(None, soon());
    assert_eq!(due(&presence), [(1, true, false)]);
    assert!(!presence.has_nobody_online());
}

#[tokio::test(start_paused = true)]
async fn after_a_sweep_by_others_everybody_here_comes_anew() {
    let presence = known(&[1, 2]);
    presence.set_offline(&key(2), 0);
    presence.leave_pending(&key(2));
    presence.swept(&tenant());
    assert_eq!(due(&presence), [(1, true, true)]);
    assert!(presence.knows_it_was_swept(&tenant()) && !presence.is_registered(&tenant()));
}

#[tokio::test(start_paused = true)]
async fn a_comparison_finds_what_is_too_much_and_what_is_missing() {
    let presence = known(&[1, 2, 3]);
    let held = HashMap::from([(key(1).user, 1), (key(2).user, 7), (key(4).user, 1)]);
    let online = [1, 2, 3, 4].map(|user| key(user).user).into_iter().collect();
    assert_eq!(presence.compare(&tenant(), &held, &online), 3);
    assert_eq!(due(&presence), [(2, true, false), (3, true, false)]);
    assert_eq!(presence.due_departures(&tenant(), 500), [key(4).user]);
}

#[tokio::test(start_paused = true)]
async fn departures_are_bounded() {
    let n = MAX_DEPARTURES as i64 + 1;
    let users: Vec<i64> = (0..n).collect();
    let presence = known(&users);
    let kept = users
        .iter()
        .filter(|user| presence.set_offline(&key(**user), 0) && presence.leave_pending(&key(**user)))
        .count();
    assert_eq!(kept, MAX_DEPARTURES);
    assert_eq!(presence.due_departures(&tenant(), usize::MAX).len(), MAX_DEPARTURES);
}

#[test]
fn who_was_sent_away_is_expected_back_whatever_is_said_before_it_is_written() {
    let presence = known(&[1, 2]);
    let (sent, left) = (key(1), key(2));
    assert!(presence.set_offline(&sent, 2) && presence.set_offline(&sent, 0));
    assert!(presence.set_offline(&left, 0));
    let users = [sent.user.clone(), left.user.clone()];
    assert_eq!(presence.departures(&tenant(), &users), [(sent.user.clone(), 2), (left.user.clone(), 0)]);
    assert!(presence.has_nobody_online());
    presence.set_online(&sent, 1);
    assert_eq!(presence.departures(&tenant(), &users), [(left.user.clone(), 0)], "he is back");
    presence.set_offline(&sent, 0);
    assert_eq!(presence.departures(&tenant(), &users)[0].1, 0, "and leaves for good");
}
