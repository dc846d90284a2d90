//! TLS of every kind: whom we trust, and what a handshake that fails is called.

use hookswitch_testkit::{Authority, Flaw, HostileReceiver, Step};

use crate::{NAME, client, client_with, policy, post, post_briefly};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// An attempt at `https://<host>` of a server with this certificate, by a client that trusts its authority.
async fn check(host: &str, certificate_for: &str, flaw: Flaw, wanted: &str) {
    let authority = Authority::new();
    let receiver =
        HostileReceiver::start_tls(authority.server(certificate_for, flaw), [Step::Read, Step::send(OK)]).await;
    let policy = policy(&["127.0.0.1"]).trust_authorities(authority.pem().as_bytes()).expect("PEM");
    let outcome = post(&client_with(policy), &format!("https://{host}:{}/", receiver.port())).await;
    let (status, error) = outcome.told();
    assert_eq!(status.is_some(), wanted.is_empty(), "{certificate_for} {flaw:?}: {error}");
    assert!(error.contains(wanted) && (wanted.is_empty() || error.starts_with("tls_error: ")), "{flaw:?}: {error}");
    assert_eq!(receiver.requests().len(), usize::from(wanted.is_empty()), "nothing is sent to whom we do not know");
}

#[tokio::test]
async fn certificates_are_judged() {
    check(NAME, NAME, Flaw::None, "").await;
    check("crm.hooks.test", "*.hooks.test", Flaw::None, "").await;
    check("crm.test.", NAME, Flaw::None, "").await;
    check("127.0.0.1", "127.0.0.1", Flaw::None, "").await;
    check(NAME, NAME, Flaw::Expired, "has expired").await;
    check(NAME, NAME, Flaw::NotYetValid, "is not valid yet").await;
    check(NAME, NAME, Flaw::SelfSigned, "not from an authority").await;
    check(NAME, "other.test", Flaw::None, "for another name").await;
    check("127.0.0.1", NAME, Flaw::None, "for another name").await;
}

#[tokio::test]
async fn an_authority_must_be_trusted_first() {
    let authority = Authority::new();
    let receiver = HostileReceiver::start_tls(authority.server(NAME, Flaw::None), [Step::Read, Step::send(OK)]).await;
    let url = format!("https://{NAME}:{}/", receiver.port());
    let wanted = "tls_error: the certificate is not from an authority that is trusted";
    assert_eq!(post(&client(), &url).await.told(), (None, wanted.to_owned()));
    let other = policy(&["127.0.0.1"]).trust_authorities(Authority::new().pem().as_bytes()).expect("PEM");
    assert_eq!(post(&client_with(other.clone()), &url).await.told(), (None, wanted.to_owned()));
    let both = other.trust_authorities(authority.pem().as_bytes()).expect("PEM");
    assert_eq!(post(&client_with(both), &url).await.told().0, Some(200), "authorities add up");
}

#[tokio::test]
async fn what_does_not_speak_tls_is_called_so() {
    for (what, script, wanted) in [
        ("plain http", vec![Step::send("HTTP/1.1 400 Bad Request\r\n\r\n"), Step::Hang], "tls_error"),
        ("garbage", vec![Step::Send(vec![0x55; 600]), Step::Hang], "tls_error"),
        ("an alert", vec![Step::Send(vec![21, 3, 3, 0, 2, 2, 40]), Step::Hang], "tls_error"),
        ("an end", vec![Step::Close], "tls_error"),
        ("a reset", vec![Step::Reset], "connection_reset"),
        ("silence", vec![Step::Hang], "timeout"),
        ("garbage without end", vec![Step::Repeat(vec![0x16; 4096])], "tls_error"),
    ] {
        let receiver = HostileReceiver::start(script).await;
        let (client, url) = (client(), format!("https://{NAME}:{}/", receiver.port()));
        let is_slow = wanted == "timeout";
        let outcome = if is_slow { post_briefly(&client, &url).await } else { post(&client, &url).await };
        let (status, error) = outcome.told();
        // A close with bytes that were not read may arrive as a reset.
        let is_right = error.starts_with(wanted) || (what == "an end" && error.starts_with("connection_reset"));
        assert!(status.is_none() && is_right, "{what}: {error}");
        receiver.all_closed().await;
    }
}

#[tokio::test]
async fn a_server_that_insists_on_http2_is_refused() {
    let authority = Authority::new();
    let mut config = authority.server(NAME, Flaw::None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let preface = [Step::Send(b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\x01".to_vec()), Step::Hang];
    let receiver = HostileReceiver::start_tls(config, preface).await;
    let policy = policy(&["127.0.0.1"]).trust_authorities(authority.pem().as_bytes()).expect("PEM");
    let outcome = post(&client_with(policy), &format!("https://{NAME}:{}/", receiver.port())).await;
    assert!(outcome.told().1.starts_with("invalid_response"), "{outcome:?}");
}
