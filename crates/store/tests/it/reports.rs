//! Reports over large logs: what they cost, and whom.

use std::time::Duration;

use hookswitch_protocol::{EventType, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    AttemptLog as _, DeliveryLedger as _, Fingerprint, LogFilter, LogOutcome, NewDeliveries, Page,
    WebhookDirectory as _,
};
use tokio::time::Instant;

use crate::rig::{Opened, Rig, duty, tenant, webhook};

/// Attempts of one webhook, a second apart, all good but the first.
fn attempts(webhook: WebhookId, n_rows: usize, n_bytes: usize) -> String {
    format!(
        "WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < {n_rows})
         INSERT INTO webhook_logs (webhook_id, event, payload, response_code, duration_ms, created_at)
         SELECT {webhook}, 'call.incoming', printf('\"%.*c\"', {n_bytes}, 'x'), iif(n = 1, 500, 200), 5,
                strftime('%Y-%m-%d %H:%M:%f', 1700000000 + n, 'unixepoch') FROM rows"
    )
}

/// What this process has in memory at most since the last call, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("reads");
    std::fs::write("/proc/self/clear_refs", "5").expect("begins anew");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("is told");
    let kib: usize = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    kib * 1024
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_windows_on_large_bodies_at_once_take_little_memory() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let id = opened.store.create(&tenant(), webhook("x")).await.expect("create").id;
    rig.operator().run(&attempts(id, 150, 1_000_000));
    let wanted = LogFilter::default();
    let merged = LogFilter { with_skips: true, ..LogFilter::default() };
    // Connections and threads are there before anything is measured.
    let small = Page::first(1);
    let (a, b) = (tenant(), tenant());
    tokio::try_join!(opened.store.entries(&a, id, &wanted, small), opened.store.entries(&b, id, &merged, small))
        .expect("entries");
    peak_memory();
    let before = peak_memory();
    let whole = Page::first(1_000);
    let long_ago = Timestamp::from_millis(0);
    let (one, two, three) = tokio::try_join!(
        opened.store.entries(&a, id, &wanted, whole),
        opened.store.entries(&b, id, &merged, whole),
        opened.store.failed(&a, long_ago, whole),
    )
    .expect("entries");
    let grown = peak_memory().saturating_sub(before);
    assert_eq!((one.rows.len(), two.rows.len(), three.rows.len()), (1, 1, 1), "a second body does not fit");
    assert_eq!((one.total, two.total, three.total), (150, 150, 1));
    assert!(grown < 12 * 1024 * 1024, "three at once took {grown} bytes");
    opened.close().await;
}

#[tokio::test]
async fn what_is_counted_is_counted_up_to_a_bound_and_a_cursor_goes_behind_it() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let id = opened.store.create(&tenant(), webhook("x")).await.expect("create").id;
    rig.operator().run(&attempts(id, 12_000, 2));
    let (owner, filter) = (tenant(), LogFilter::default());
    let entries = async |page| opened.store.entries(&owner, id, &filter, page).await.expect("entries");
    let last = entries(Page { after: None, offset: 9_990, limit: 1_000 }).await;
    assert_eq!((last.rows.len(), last.total), (10, 10_000), "the last ten that an offset reaches");
    let beyond = entries(Page { after: None, offset: 10_000, limit: 1_000 }).await;
    assert_eq!((beyond.rows.len(), beyond.next), (0, None));
    let (mut n_rows, mut page) = (0, Page { after: last.next, offset: 0, limit: 900 });
    loop {
        let listed = entries(page).await;
        n_rows += listed.rows.len();
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    assert_eq!(n_rows, 2_000);
    opened.close().await;
}

/// How long a neighbour's event takes whose id is chosen, looked up and stored, at the median.
async fn publish_time(opened: &Opened, round: &str) -> Duration {
    let neighbour = TenantId::parse("neighbour").expect("legal");
    let mut times = Vec::new();
    for n in 0..60 {
        let new = duty(&format!("{round}-{n}"), &[WebhookId(1)]);
        let new = NewDeliveries { tenant: neighbour.clone(), fingerprint: Some(Fingerprint([0; 32])), ..new };
        let ids = [(new.event_id.clone(), Fingerprint([0; 32]))];
        let started = Instant::now();
        opened.store.look_up(&neighbour, &ids).await.expect("a publisher is not held up");
        opened.store.enqueue(vec![new]).await.expect("a publisher is not held up");
        times.push(started.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_reports_over_many_rows_do_not_hold_up_a_neighbours_publisher() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let id = opened.store.create(&tenant(), webhook("x")).await.expect("create").id;
    rig.operator().run(&attempts(id, 200_000, 2));
    let without = publish_time(&opened, "without").await;
    // No index knows of this one: every row is looked at.
    let filter = LogFilter { outcome: Some(LogOutcome::Status(503)), ..LogFilter::default() };
    let owner = tenant();
    let report = || async {
        loop {
            let listed = opened.store.entries(&owner, id, &filter, Page::first(50)).await;
            assert!(listed.is_ok_and(|listed| listed.rows.is_empty()), "each gets its answer");
        }
    };
    let reports = futures_util::future::join_all((0..8).map(|_| report()));
    let with = tokio::select! {
        with = publish_time(&opened, "with") => with,
        _ = reports => unreachable!("they never end"),
    };
    // Reports have half of the processors at most; the rest is what a machine that does other things may add.
    let most = without.mul_f64(1.5) + Duration::from_millis(25);
    assert!(with < most, "{with:?}, without the reports {without:?}");
    println!("a publish took {without:?} without reports, {with:?} beside eight");
    opened.close().await;
}

#[tokio::test]
async fn an_event_type_that_never_came_is_looked_up_in_an_index() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let id = opened.store.create(&tenant(), webhook("x")).await.expect("create").id;
    rig.operator().run(&attempts(id, 200_000, 2));
    let filter = LogFilter { event_type: Some(EventType::ALERT), ..LogFilter::default() };
    let started = Instant::now();
    let owner = tenant();
    for _ in 0..20 {
        let listed = opened.store.entries(&owner, id, &filter, Page::first(50)).await.expect("entries");
        assert_eq!((listed.rows.len(), listed.total), (0, 0));
    }
    // Each would look at all rows otherwise, which takes about a tenth of a second.
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    opened.close().await;
}
