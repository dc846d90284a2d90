//! Through the operator's proxy: it is told addresses that were judged, and nothing else.

use std::time::Duration;

use hookswitch_egress::AddressPolicy;
use hookswitch_testkit::{Authority, ConnectProxy, Flaw, HostileReceiver, NameAnswer, NameServer, Receiver, Step};

use crate::{NAME, client_with, policy, post, post_briefly};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Every name has this public address, and the way leads through the proxy.
fn through(proxy: &ConnectProxy, user: &str) -> AddressPolicy {
    policy(&["93.184.216.34"]).via_proxy(&format!("http://{user}{}", proxy.addr())).expect("legal")
}

#[tokio::test]
async fn plain_http_goes_through_a_tunnel_to_the_address_that_was_judged() {
    let receiver = Receiver::healthy().await;
    let proxy = ConnectProxy::start(&receiver.addr()).await;
    let client = client_with(through(&proxy, "hook:p%40ss@"));
    for _ in 0..2 {
        assert_eq!(post(&client, &format!("http://{NAME}:8080/in?x=1")).await.told(), (Some(200), String::new()));
    }
    let requests = receiver.requests();
    assert_eq!((requests[0].path.as_str(), requests[0].header("host")), ("/in?x=1", Some("crm.test:8080")));
    assert_eq!(requests[0].header("proxy-authorization"), None, "the receiver does not learn the password");
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1, "the tunnel is kept");
    assert!(heads[0].starts_with("CONNECT 93.184.216.34:8080 HTTP/1.1\r\n"), "{}", heads[0]);
    assert!(heads[0].contains("Proxy-Authorization: Basic aG9vazpwQHNz\r\n"), "{}", heads[0]);
    assert!(!heads[0].contains(NAME), "the name would be resolved again: {}", heads[0]);
}

#[tokio::test]
async fn tls_keeps_the_name() {
    let authority = Authority::new();
    let receiver = HostileReceiver::start_tls(authority.server(NAME, Flaw::None), [Step::Read, Step::send(OK)]).await;
    let proxy = ConnectProxy::start(&receiver.addr()).await;
    let policy = through(&proxy, "").trust_authorities(authority.pem().as_bytes()).expect("PEM");
    let outcome = post(&client_with(policy), &format!("https://{NAME}/")).await;
    assert_eq!(outcome.told(), (Some(200), String::new()));
    assert_eq!(receiver.requests()[0].header("host"), Some(NAME));
    assert_eq!(proxy.heads(), ["CONNECT 93.184.216.34:443 HTTP/1.1\r\nHost: 93.184.216.34:443\r\n\r\n"]);
    assert!(outcome.timings().connect_ms.is_some() && outcome.timings().tls_ms.is_some());
}

#[tokio::test]
async fn closed_addresses_never_reach_the_proxy() {
    let receiver = Receiver::healthy().await;
    let proxy = ConnectProxy::start(&receiver.addr()).await;
    let via = format!("http://{}", proxy.addr());
    let client = client_with(AddressPolicy::strict().allow_http().via_proxy(&via).expect("legal"));
    for url in ["http://10.0.0.1/", "https://169.254.169.254/", "http://[::ffff:127.0.0.1]/", "http://localhost/"] {
        assert!(post(&client, url).await.told().1.starts_with("address_blocked"), "{url}");
    }
    let inside = policy(&["93.184.216.34", "10.0.0.1"]).via_proxy(&via).expect("legal");
    assert!(post(&client_with(inside), "http://crm.test/").await.told().1.starts_with("address_blocked"));
    assert_eq!((proxy.heads().len(), receiver.count()), (0, 0));
}

#[tokio::test]
async fn a_proxy_that_makes_no_tunnel_is_named() {
    for (answer, wanted, is_ours) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "wants another user name or password", true),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "forbids this destination", true),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "could not connect", false),
        ("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 504 Gateway Timeout\nx: y\n\n", "could not connect", false),
        ("SSH-2.0-OpenSSH_9.2p1\r\n\r\n\r\n", "not HTTP", true),
        ("", "broke the connection", true),
    ] {
        let proxy = ConnectProxy::refusing(answer).await;
        let outcome = post(&client_with(through(&proxy, "")), &format!("http://{NAME}/")).await;
        let (status, error) = outcome.told();
        assert!(status.is_none() && error.starts_with("proxy_error: ") && error.contains(wanted), "{error}");
        assert!(outcome.is_worth_retrying(), "the proxy may come to its senses");
        assert_eq!(outcome.is_ours(), is_ours, "{error}: the proxy is the operator's, not the receiver's");
    }
    let gone = ConnectProxy::refusing("").await.addr().to_owned();
    let unreachable = policy(&["93.184.216.34"]).via_proxy(&format!("http://{gone}")).expect("legal");
    let outcome = post(&client_with(unreachable), &format!("http://{NAME}/")).await;
    assert_eq!(outcome.told().1, "proxy_error: the proxy cannot be reached");
    assert!(outcome.is_ours());
}

#[tokio::test]
async fn the_proxy_s_own_name_is_looked_up_like_all_others_and_its_silence_is_ours() {
    let (receiver, names) = (Receiver::healthy().await, NameServer::start().await);
    let proxy = ConnectProxy::start(&receiver.addr()).await;
    let (_, port) = proxy.addr().rsplit_once(':').expect("a port");
    let via = |host: &str| {
        let policy = AddressPolicy::strict().allow_http().ask_name_servers(&names.addr()).expect("an address");
        client_with(policy.via_proxy(&format!("http://{host}:{port}")).expect("legal"))
    };
    names.says("proxy.test", NameAnswer::at("127.0.0.1"));
    assert_eq!(post(&via("proxy.test"), "http://93.184.216.34/").await.told(), (Some(200), String::new()));
    names.says("away.test", NameAnswer::NoSuchName);
    for host in ["away.test", "silent.test"] {
        let outcome = post_briefly(&via(host), "http://93.184.216.34/").await;
        assert!(outcome.told().0.is_none() && outcome.is_ours(), "{host}: {:?}", outcome.told());
    }
}

#[tokio::test]
async fn an_address_that_the_proxy_cannot_reach_does_not_fail_the_others() {
    let receiver = Receiver::healthy().await;
    let proxy = ConnectProxy::without(&receiver.addr(), "93.184.216.34:80").await;
    let policy = policy(&["93.184.216.34", "93.184.216.35"]).via_proxy(&format!("http://{}", proxy.addr()));
    let outcome = post(&client_with(policy.expect("legal")), &format!("http://{NAME}/")).await;
    assert_eq!(outcome.told(), (Some(200), String::new()));
    assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
    assert_eq!(proxy.heads().len(), 2);
}

#[tokio::test]
async fn a_proxy_that_talks_without_end_or_says_nothing_ends_with_the_deadline() {
    for (script, wanted) in [
        (vec![Step::Repeat(vec![b'x'; 4096])], "proxy_error"),
        (vec![Step::Read, Step::Hang], "timeout: no connection"),
    ] {
        let proxy = HostileReceiver::start(script).await;
        let policy = policy(&["93.184.216.34"]).via_proxy(&proxy.url("/")).expect("legal");
        let (_, error) = post_briefly(&client_with(policy), &format!("http://{NAME}/")).await.told();
        assert!(error.starts_with(wanted), "{error}");
    }
}
