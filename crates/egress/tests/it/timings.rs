//! What an outcome says about time.

use std::time::Duration;

use hookswitch_testkit::{Authority, Flaw, HostileReceiver, Step};

use crate::{NAME, client, client_with, policy, post, post_briefly};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";

#[tokio::test]
async fn a_new_connection_has_its_phases_and_a_kept_one_has_none() {
    let receiver = HostileReceiver::start([Step::Read, Step::send(OK), Step::send("ok")]).await;
    let client = client();
    let url = format!("http://{NAME}:{}/", receiver.port());
    let first = post(&client, &url).await.timings();
    assert!(first.dns_ms.is_some() && first.connect_ms.is_some() && first.tls_ms.is_none(), "{first:?}");
    let second = post(&client, &url).await.timings();
    assert_eq!((second.dns_ms, second.connect_ms, second.tls_ms), (None, None, None));
    for timings in [first, second] {
        assert!(timings.first_byte_ms.is_some() && timings.body_ms.is_some(), "{timings:?}");
    }
    let literal = post(&crate::client(), &receiver.url("/")).await.timings();
    assert_eq!((literal.dns_ms, literal.connect_ms.is_some()), (None, true), "{literal:?}");
}

#[tokio::test]
async fn each_phase_gets_its_own_time() {
    let pause = Duration::from_millis(100);
    let slow_head = Step::Drip(b"HT".to_vec(), pause);
    let body = Step::Drip(b"o".to_vec(), pause);
    let script = [Step::Read, slow_head, Step::send(&OK[2..]), body, Step::send("k")];
    let receiver = HostileReceiver::start(script).await;
    let outcome = post(&client(), &receiver.url("/")).await;
    assert_eq!(outcome.told(), (Some(200), String::new()));
    let timings = outcome.timings();
    assert!(timings.first_byte_ms.is_some_and(|ms| ms >= 190), "{timings:?}");
    assert!(timings.body_ms.is_some_and(|ms| ms >= 90), "{timings:?}");
    let phases = [timings.dns_ms, timings.connect_ms, timings.tls_ms, timings.first_byte_ms, timings.body_ms];
    let sum: u32 = phases.into_iter().flatten().sum();
    assert!(u128::from(sum) <= outcome.took.as_millis(), "{timings:?} in {:?}", outcome.took);
}

#[tokio::test]
async fn a_failure_keeps_the_phases_before_it() {
    let authority = Authority::new();
    let receiver = HostileReceiver::start_tls(authority.server(NAME, Flaw::None), [Step::Hang]).await;
    let url = format!("https://{NAME}:{}/", receiver.port());
    let trusting = policy(&["127.0.0.1"]).trust_authorities(authority.pem().as_bytes()).expect("PEM");
    let silent = post_briefly(&client_with(trusting), &url).await;
    assert!(silent.timings().tls_ms.is_some() && silent.timings().first_byte_ms.is_none(), "{:?}", silent.timings());
    let distrusting = post(&client(), &url).await.timings();
    assert!(distrusting.connect_ms.is_some() && distrusting.tls_ms.is_none(), "{distrusting:?}");
    let silent = HostileReceiver::start([Step::Hang]).await;
    let handshake = post_briefly(&client(), &format!("https://{NAME}:{}/", silent.port())).await;
    assert_eq!(handshake.told(), (None, "timeout: no connection within the time limit".to_owned()));
}
