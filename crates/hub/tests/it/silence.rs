//! What the clock brings about: pings, silence, expired tokens, connections that do not end.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hookswitch_hub::{Attachment, HubConfig, Message, Subject, WireForm};
use hookswitch_protocol::{CloseCode, Position, Timestamp};

use crate::rig::{Client, Rig, Scripted, ScriptedForm, config, tenant};

fn quick() -> HubConfig {
    HubConfig {
        ping_interval: Duration::from_millis(100),
        pong_timeout: Duration::from_millis(400),
        close_timeout: Duration::from_millis(200),
        ..config()
    }
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_then_closed() {
    let rig = Rig::with(quick()).await;
    let mut client = rig.user("t", 7).await;
    assert_eq!(client.pinged().await, b"");
    assert_eq!(client.closed().await, 4408);
    client.until_wire("the hub lets go", |wire| wire.is_finished && wire.is_dropped).await;
    rig.until("it is counted out", |hub| hub.n_connections() == 0).await;
}

#[tokio::test]
async fn silence_counts_from_when_we_read_again() {
    let rig = Rig::with(quick()).await;
    let mut client = rig.user("t", 7).await;
    let started = tokio::time::Instant::now();
    client.tell(|handle| handle.unheard(Duration::from_millis(1_200))).await;
    assert_eq!(client.closed().await, 4408);
    let lasted = started.elapsed();
    assert!(lasted >= Duration::from_millis(1_500), "the pause and then the patience: {lasted:?}");
}

#[tokio::test]
async fn a_client_that_answers_stays() {
    let patient = HubConfig { pong_timeout: Duration::from_millis(1_500), ..quick() };
    let rig = Rig::with(patient).await;
    let mut client = rig.user("t", 7).await;
    client.wire(|wire| wire.answers_pings = true);
    let started = tokio::time::Instant::now();
    while started.elapsed() < Duration::from_secs(2) {
        client.pinged().await;
    }
    assert_eq!(rig.hub.n_connections(), 1);
}

/// The scripted form, for networks that close what is silent for a moment.
#[derive(Debug)]
struct Impatient;

impl WireForm for Impatient {
    fn name(&self) -> &'static str {
        "impatient"
    }

    fn message(&self, message: Message<'_>, out: &mut BytesMut) {
        ScriptedForm.message(message, out);
    }

    fn close(&self, code: CloseCode, now: Timestamp) -> Bytes {
        ScriptedForm.close(code, now)
    }

    fn ping(&self, served: Option<Position>) -> Bytes {
        ScriptedForm.ping(served)
    }

    fn ping_interval(&self) -> Option<Duration> {
        Some(Duration::from_millis(50))
    }

    fn receipt_request(&self, number: u64) -> Option<Bytes> {
        ScriptedForm.receipt_request(number)
    }
}

#[tokio::test]
async fn a_form_may_ask_for_signs_of_life_more_often() {
    let rig = Rig::with(HubConfig { close_timeout: Duration::from_millis(200), ..config() }).await;
    let who = Attachment::new(tenant("t"), Subject::User(7.into()));
    let pending = rig.admission.attach(who, &Impatient).await.expect("room");
    let mut client = rig.open(pending).await;
    for _ in 0..3 {
        assert_eq!(client.pinged().await, b"");
    }
}

#[tokio::test]
async fn an_expired_token_ends_the_connection() {
    let rig = Rig::with(HubConfig { pong_timeout: Duration::from_mins(1), ..quick() }).await;
    let expires_at = Some(rig.clock.now().after(Duration::from_millis(150)));
    let who = Attachment { expires_at, ..Attachment::new(tenant("t"), Subject::User(7.into())) };
    let pending = rig.admission.attach(who, &ScriptedForm).await.expect("not yet expired");
    let mut brief = rig.open(pending).await;
    let mut other = rig.user("t", 8).await;
    assert_eq!(brief.closed().await, 4401);
    assert_eq!(rig.ids("t", &mut other).await, [""; 0]);
}

#[tokio::test]
async fn a_renewed_token_moves_the_end() {
    let rig = Rig::with(HubConfig { pong_timeout: Duration::from_mins(1), ..quick() }).await;
    let expires_at = rig.clock.now().after(Duration::from_millis(600));
    let open = async || {
        let who = Attachment { expires_at: Some(expires_at), ..Attachment::new(tenant("t"), Subject::User(7.into())) };
        rig.open(rig.admission.attach(who, &ScriptedForm).await.expect("not yet expired")).await
    };
    let (mut renewed, mut brief) = (open().await, open().await);
    renewed.call(move |handle| handle.renew(expires_at.after(Duration::from_mins(1)))).await;
    assert_eq!(brief.closed().await, 4401);
    assert_eq!(rig.ids("t", &mut renewed).await, [""; 0], "it is still there");
    let now = rig.clock.now();
    renewed.call(move |handle| handle.renew(now)).await;
    assert_eq!(renewed.closed().await, 4401);
}

#[tokio::test]
async fn a_connection_that_is_never_opened_is_dropped() {
    let rig = Rig::with(quick()).await;
    let pending = rig.pending("t", Subject::User(7.into())).await;
    assert_eq!(rig.hub.n_connections(), 1);
    rig.until("the sweep drops it", |hub| hub.n_connections() == 0).await;
    // The late comer is refused, and nothing is counted twice.
    let (ticket, client) = Client::pair(pending.id(), std::sync::Arc::default());
    pending.open(|handle| Scripted::open(ticket, &handle)).await;
    client.until_wire("the transport is dropped", |wire| wire.is_dropped).await;
    assert_eq!(rig.hub.n_connections(), 0);
}

#[tokio::test]
async fn a_closing_connection_that_does_not_drain_is_dropped() {
    let rig = Rig::with(quick()).await;
    let client = rig.user("t", 7).await;
    client.stall_after(0);
    client.call(|line| line.close(hookswitch_protocol::CloseCode::Normal)).await;
    client.until_wire("the transport is dropped", |wire| wire.is_dropped && !wire.is_finished).await;
    rig.until("it is counted out", |hub| hub.n_connections() == 0).await;
    assert_eq!(rig.hub.metrics().closed.get(hookswitch_protocol::CloseCode::Normal.reason()), 1);
}
