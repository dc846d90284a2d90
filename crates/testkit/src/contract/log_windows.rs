//! What every `AttemptLog` promises of its windows: they are bounded by bytes, and a cursor goes on.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{Timestamp, WebhookId};
use hookswitch_webhooks::{AttemptRow, Cursor, LogEntry, LogFilter, PAGE_BYTES, Page, SkipReason, SkipRow};

use super::webhook_rig::{Rig, START, row, tenant};

pub(super) async fn a_window_ends_where_its_bytes_do(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    for secs in 1..=5 {
        append(rig, webhook, at(secs), PAGE_BYTES * 3 / 10).await;
    }
    let whole = Page::first(1_000);
    let (first, next) = seconds(rig, webhook, false, whole).await;
    assert_eq!((first, next.is_some()), (vec![5, 4, 3], true), "three tenths each, and the rest later");
    let (rest, next) = seconds(rig, webhook, true, Page { after: next, ..whole }).await;
    assert_eq!((rest, next), (vec![2, 1], None), "and nothing follows");
    let failed = rig.seams.log.failed(&tenant("a"), START, whole).await.expect("failed");
    assert_eq!((failed.rows.len(), failed.total, failed.next.is_some()), (3, 5, true), "of failures likewise");
    let more = Page { after: failed.next, ..whole };
    let failed = rig.seams.log.failed(&tenant("a"), START, more).await.expect("failed");
    assert_eq!((failed.rows.len(), failed.total, failed.next), (2, 5, None), "the total is the whole list's");
}

pub(super) async fn a_row_that_is_too_big_comes_alone(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    append(rig, webhook, at(1), 10).await;
    append(rig, webhook, at(2), PAGE_BYTES + PAGE_BYTES / 2).await;
    append(rig, webhook, at(3), 10).await;
    let mut page = Page::first(10);
    let mut seen = Vec::new();
    for wanted in [vec![3], vec![2], vec![1]] {
        let (secs, next) = seconds(rig, webhook, false, page).await;
        assert_eq!(secs, wanted);
        seen.extend(secs);
        page.after = next;
    }
    assert_eq!((seen, page.after), (vec![3, 2, 1], None));
}

pub(super) async fn a_cursor_misses_and_repeats_nothing(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    // Several of each kind at one moment, so that every rule of the order is met.
    for secs in [1, 2, 2, 2, 3] {
        append(rig, webhook, at(secs), 10).await;
        let skip = SkipRow { webhook, delivery: None, event_type: None, reason: SkipReason::BreakerOpen, at: at(secs) };
        rig.seams.log.append_skip(skip).await.expect("append");
    }
    for with_skips in [false, true] {
        let filter = LogFilter { with_skips, ..LogFilter::default() };
        let entries = async |page| rig.seams.log.entries(&tenant("a"), webhook, &filter, page).await.expect("entries");
        let whole = entries(Page::first(100)).await;
        assert_eq!((whole.rows.len(), whole.next), (if with_skips { 10 } else { 5 }, None));
        for limit in [1, 2, 3] {
            let (mut rows, mut page) = (Vec::new(), Page::first(limit));
            loop {
                let listed = entries(page).await;
                assert!(
                    listed.rows.len() == limit as usize || listed.next.is_none(),
                    "a window is full but at the end"
                );
                assert_eq!(listed.total, whole.total);
                rows.extend(listed.rows);
                assert!(rows.len() <= whole.rows.len(), "it comes to an end");
                let Some(next) = listed.next else { break };
                assert_eq!(Cursor::parse(&next.to_string()), Some(next));
                page.after = Some(next);
            }
            assert_eq!(rows, whole.rows, "{limit} at a time, skips: {with_skips}");
        }
    }
}

async fn append(rig: &Rig, webhook: WebhookId, at: Timestamp, n_bytes: usize) {
    let body = Bytes::from(format!("{{\"data\":\"{}\"}}", "x".repeat(n_bytes)));
    rig.seams.log.append(AttemptRow { body, ..row(webhook, Some(500), at) }).await.expect("append");
}

/// The moments of a window, and where to go on.
async fn seconds(rig: &Rig, webhook: WebhookId, with_skips: bool, page: Page) -> (Vec<u64>, Option<Cursor>) {
    let filter = LogFilter { with_skips, ..LogFilter::default() };
    let listed = rig.seams.log.entries(&tenant("a"), webhook, &filter, page).await.expect("entries");
    let moments = listed.rows.iter().map(|entry| match entry {
        LogEntry::Attempt(logged) => logged.row.at,
        LogEntry::Skip(logged) => logged.row.at,
    });
    (moments.map(|moment| moment.since(START).as_secs()).collect(), listed.next)
}

fn at(secs: u64) -> Timestamp {
    START.after(Duration::from_secs(secs))
}
