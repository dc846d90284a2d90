//! What every `AttemptLog` promises.

use std::time::Duration;

use hookswitch_protocol::{DeliveryId, EventType, Timestamp, WebhookId};
use hookswitch_runtime::Clock;
use hookswitch_webhooks::{
    AttemptRow, DeliveryStats, Disposition, Listed, LogEntry, LogFilter, LogOutcome, LoggedAttempt, Page, SkipReason,
    SkipRow, WebhookSeams,
};

use super::log_windows;
use super::webhook_rig::{ALL, Rig, START, row, tenant};

/// Tries every sentence of the promise, each on a keeper of its own made by `open`. The keeper must
/// take its time from the clock it is given.
///
/// # Panics
/// When a sentence does not hold; the message says which.
pub async fn check(open: impl AsyncFn(Clock) -> WebhookSeams) {
    a_row_is_read_as_it_was_written(&Rig::open(&open).await).await;
    rows_are_newest_first_in_pages(&Rig::open(&open).await).await;
    failed_means_without_2xx(&Rig::open(&open).await).await;
    the_figures_are_rows(&Rig::open(&open).await).await;
    a_settled_attempt_is_a_row(&Rig::open(&open).await).await;
    a_filter_gives_what_it_names(&Rig::open(&open).await).await;
    skips_stand_between_attempts_when_asked_for(&Rig::open(&open).await).await;
    log_windows::a_window_ends_where_its_bytes_do(&Rig::open(&open).await).await;
    log_windows::a_row_that_is_too_big_comes_alone(&Rig::open(&open).await).await;
    log_windows::a_cursor_misses_and_repeats_nothing(&Rig::open(&open).await).await;
}

async fn a_filter_gives_what_it_names(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    let other = DeliveryId::parse("msg_other").expect("legal");
    for (secs, code) in [(1, Some(200)), (2, Some(404)), (3, None)] {
        append(rig, webhook, code, at(secs)).await;
    }
    let one =
        AttemptRow { delivery: Some(other.clone()), event_type: EventType::ALERT, ..row(webhook, Some(500), at(4)) };
    rig.seams.log.append(one).await.expect("append");
    let all = LogFilter::default;
    for (filter, wanted) in [
        (LogFilter { event_type: Some(EventType::ALERT), ..all() }, vec![4]),
        (LogFilter { outcome: Some(LogOutcome::Success), ..all() }, vec![1]),
        (LogFilter { outcome: Some(LogOutcome::Failure), ..all() }, vec![4, 3, 2]),
        (LogFilter { outcome: Some(LogOutcome::Status(404)), ..all() }, vec![2]),
        (LogFilter { since: Some(at(3)), ..all() }, vec![4, 3]),
        (LogFilter { delivery: Some(other), ..all() }, vec![4]),
        (LogFilter { outcome: Some(LogOutcome::Failure), since: Some(at(4)), ..all() }, vec![4]),
        (LogFilter { with_skips: true, ..all() }, vec![4, 3, 2, 1]),
    ] {
        let listed = attempts(rig, webhook, &filter, ALL).await;
        assert_eq!((moments(&listed), listed.total), (wanted.clone(), wanted.len() as u64), "{filter:?}");
    }
}

async fn skips_stand_between_attempts_when_asked_for(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    append(rig, webhook, Some(200), at(1)).await;
    append(rig, webhook, Some(200), at(3)).await;
    let skip = |secs, event_type| SkipRow {
        webhook,
        delivery: None,
        event_type,
        reason: SkipReason::BreakerOpen,
        at: at(secs),
    };
    for skip in [skip(2, None), skip(4, Some(EventType::ALERT))] {
        rig.seams.log.append_skip(skip).await.expect("append");
    }
    let entries = async |filter: &LogFilter, page| {
        let listed = rig.seams.log.entries(&tenant("a"), webhook, filter, page).await.expect("entries");
        let shown = listed.rows.iter().map(|entry| match entry {
            LogEntry::Attempt(logged) => (logged.row.at.since(START).as_secs(), false),
            LogEntry::Skip(logged) => (logged.row.at.since(START).as_secs(), true),
        });
        (shown.collect::<Vec<_>>(), listed.total)
    };
    let with_skips = LogFilter { with_skips: true, ..LogFilter::default() };
    assert_eq!(entries(&with_skips, ALL).await, (vec![(4, true), (3, false), (2, true), (1, false)], 4));
    let page = Page { after: None, offset: 1, limit: 2 };
    assert_eq!(entries(&with_skips, page).await, (vec![(3, false), (2, true)], 4), "pages run over both");
    let alerts = LogFilter { event_type: Some(EventType::ALERT), ..with_skips.clone() };
    assert_eq!(entries(&alerts, ALL).await, (vec![(4, true)], 1));
    let failures = LogFilter { outcome: Some(LogOutcome::Failure), ..with_skips };
    assert_eq!(entries(&failures, ALL).await, (vec![], 0), "a skip has no outcome");
    assert_eq!(rig.skips(webhook).await, [skip(2, None), skip(4, Some(EventType::ALERT))], "every field comes back");
    assert_eq!(rig.n_rows(webhook).await, 2, "not asked for, they are not there");
}

async fn append(rig: &Rig, webhook: WebhookId, code: Option<u16>, at: Timestamp) {
    rig.seams.log.append(row(webhook, code, at)).await.expect("append");
}

async fn attempts(rig: &Rig, webhook: WebhookId, filter: &LogFilter, page: Page) -> Listed<LoggedAttempt> {
    let listed = rig.seams.log.entries(&tenant("a"), webhook, filter, page).await.expect("entries");
    listed.map(|entry| match entry {
        LogEntry::Attempt(logged) => logged,
        LogEntry::Skip(logged) => panic!("skips come only when asked for: {logged:?}"),
    })
}

fn at(secs: u64) -> Timestamp {
    START.after(Duration::from_secs(secs))
}

fn moments(listed: &Listed<LoggedAttempt>) -> Vec<u64> {
    listed.rows.iter().map(|logged| logged.row.at.since(START).as_secs()).collect()
}

async fn a_row_is_read_as_it_was_written(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    append(rig, webhook, Some(200), at(1)).await;
    append(rig, webhook, None, at(2)).await;
    let listed = attempts(rig, webhook, &LogFilter::default(), ALL).await;
    let rows: Vec<_> = listed.rows.iter().map(|logged| logged.row.clone()).collect();
    assert_eq!(rows, [row(webhook, None, at(2)), row(webhook, Some(200), at(1))], "every field comes back");
    assert_ne!(listed.rows[0].id, listed.rows[1].id, "each row has its own number");
}

async fn rows_are_newest_first_in_pages(rig: &Rig) {
    let (webhook, other) = (rig.webhook("a").await.id, rig.webhook("a").await.id);
    for secs in [1, 3, 2, 4] {
        append(rig, webhook, Some(200), at(secs)).await;
    }
    append(rig, other, Some(200), at(9)).await;
    for (offset, limit, wanted) in [(0, 10, vec![4, 3, 2, 1]), (1, 2, vec![3, 2]), (4, 2, vec![])] {
        let listed = attempts(rig, webhook, &LogFilter::default(), Page { after: None, offset, limit }).await;
        assert_eq!((moments(&listed), listed.total), (wanted, 4), "offset {offset}, limit {limit}");
    }
}

async fn failed_means_without_2xx(rig: &Rig) {
    let (theirs, gone) = (rig.webhook("a").await.id, rig.webhook("a").await.id);
    let foreign = rig.webhook("b").await.id;
    let codes = [Some(200), Some(299), Some(302), Some(404), Some(500), None, Some(199)];
    for (secs, code) in codes.into_iter().enumerate() {
        append(rig, theirs, code, at(secs as u64)).await;
    }
    append(rig, gone, Some(500), at(7)).await;
    append(rig, foreign, Some(500), at(8)).await;
    rig.seams.directory.delete(&tenant("a"), gone).await.expect("delete");
    let failed = async |since, page| rig.seams.log.failed(&tenant("a"), since, page).await.expect("failed");
    let listed = failed(at(0), ALL).await;
    assert_eq!((moments(&listed), listed.total), (vec![7, 6, 5, 4, 3, 2], 6), "without 2xx, of this tenant only");
    assert_eq!(moments(&failed(at(5), ALL).await), [7, 6, 5], "since then, that moment included");
    let page = failed(at(0), Page { after: None, offset: 1, limit: 2 }).await;
    assert_eq!((moments(&page), page.total), (vec![6, 5], 6));
}

async fn the_figures_are_rows(rig: &Rig) {
    let (webhook, other) = (rig.webhook("a").await.id, rig.webhook("a").await.id);
    let stats = async |since| rig.seams.log.stats(&tenant("a"), webhook, since).await.expect("stats");
    assert_eq!(stats(at(0)).await, DeliveryStats::default(), "without rows everything is 0");
    for (secs, code, duration_ms) in [(1, Some(200), 10), (2, Some(500), 20), (3, None, 60), (4, Some(204), 30)] {
        let row = hookswitch_webhooks::AttemptRow { duration_ms, ..row(webhook, code, at(secs)) };
        rig.seams.log.append(row).await.expect("append");
    }
    append(rig, other, Some(200), at(5)).await;
    assert_eq!(stats(at(0)).await, DeliveryStats { total: 4, successful: 2, avg_latency_ms: 30.0 });
    assert_eq!(stats(at(4)).await, DeliveryStats { total: 1, successful: 1, avg_latency_ms: 30.0 });
}

async fn a_settled_attempt_is_a_row(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x"], &[webhook]).await;
    let first = rig.lease_one(webhook).await;
    rig.finish(&first, Disposition::RetryAt(rig.clock.now())).await;
    let second = rig.lease_one(webhook).await;
    rig.finish(&second, Disposition::Delivered).await;
    let failed = rig.seams.log.failed(&tenant("a"), START, ALL).await.expect("failed");
    assert_eq!(failed.total, 1, "an attempt counts as failed also when a later one succeeded");
    assert_eq!(failed.rows[0].row.attempt, 1);
    let stats = rig.seams.log.stats(&tenant("a"), webhook, START).await.expect("stats");
    assert_eq!((stats.total, stats.successful), (2, 1));
}
