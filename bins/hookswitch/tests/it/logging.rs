//! The log: where nobody reads it, the node goes on.

use std::time::Duration;

use hookswitch_testkit::{NodeSpec, PATIENCE, Token, eventually};

use crate::stage::{TENANT, event, spec};

/// Five seconds by contract, and a moment for a busy machine.
const GRACE: Duration = Duration::from_millis(6500);

/// More than a pipe holds, which is 64 KiB on Linux.
const LOGGED: usize = 160 * 1024;

/// A node that warns of so many variables that it does not know.
fn talkative() -> NodeSpec {
    (0..1_500).fold(spec(), |spec, n| spec.env(&format!("WEBHOOK_NO_SUCH_SETTING_{n}"), "1"))
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    let read = talkative().start().await;
    eventually("more is logged than a pipe holds", PATIENCE, async || read.log().len() > LOGGED).await;
    let mut unread = talkative().start_with_unread_log().await;
    let service = unread.api().with_token(Token::service(TENANT).sign(unread.secret()));
    service.publish(event("call.incoming")).await;
    assert_eq!(unread.api().get("/readyz").await.status, 200);
    let metrics = unread.api().get("/metrics").await.text();
    assert!(metrics.contains("\nhookswitch_log_lines_dropped_total "), "{metrics}");
    unread.terminate();
    assert_eq!(unread.wait(GRACE).await.code(), Some(0));
}
