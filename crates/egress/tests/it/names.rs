//! Names and those who are asked about them: shared, bounded, and blamed for what they do only.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_egress::{AddressGuard, AddressPolicy, Client, ClientConfig};
use hookswitch_testkit::{NameAnswer, NameServer, PATIENCE, Receiver, eventually, proc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{post, post_briefly, post_within};

fn guard(names: &NameServer) -> AddressGuard {
    let policy = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8").expect("legal");
    AddressGuard::new(policy.ask_name_servers(&names.addr()).expect("an address"))
}

/// Keeps no connection, so that every request needs the address.
fn client(guard: &AddressGuard) -> Client {
    Client::new(guard, ClientConfig { idle_per_host: 0, ..ClientConfig::default() })
}

/// A receiver by this name.
async fn named(names: &NameServer, name: &str, answer: NameAnswer) -> (Receiver, String) {
    let receiver = Receiver::healthy().await;
    names.says(name, answer);
    let port = receiver.addr().rsplit(':').next().expect("a port").to_owned();
    (receiver, format!("http://{name}:{port}/"))
}

#[tokio::test]
async fn answers_are_used_as_long_as_they_say() {
    let names = NameServer::start().await;
    let client = client(&guard(&names));
    let here = NameAnswer::Addresses(vec!["127.0.0.1".parse().expect("legal")], 60);
    for (name, answer, n_asked) in [("kept.test", here, 2), ("now.test", NameAnswer::at("127.0.0.1"), 6)] {
        let (_receiver, url) = named(&names, name, answer).await;
        for _ in 0..3 {
            assert_eq!(post(&client, &url).await.told(), (Some(200), String::new()));
        }
        assert_eq!(names.n_asked(name), n_asked, "{name}: once for each family");
    }
}

#[tokio::test]
async fn a_name_is_looked_up_once_however_many_wait_for_it() {
    let names = NameServer::start().await;
    let guard = guard(&names);
    let mut checks = JoinSet::new();
    for _ in 0..500 {
        let guard = guard.clone();
        checks.spawn(async move { guard.check("https://silent.test/").await });
    }
    eventually("it is asked", PATIENCE, || async { guard.n_look_ups() == 1 }).await;
    assert_eq!(guard.n_look_ups_waiting(), 0);
    assert!(checks.join_all().await.iter().all(Result::is_ok), "a name that nobody knows yet can be saved");
    assert!(names.n_asked("silent.test") < 20, "asked again, but not by everybody");
}

#[tokio::test]
async fn silence_about_ipv6_costs_a_quarter_of_a_second() {
    let names = NameServer::start().await;
    let here = NameAnswer::SilentAboutV6(vec!["127.0.0.1".parse().expect("legal")]);
    let (_receiver, url) = named(&names, "v4.test", here).await;
    let outcome = post(&client(&guard(&names)), &url).await;
    assert_eq!(outcome.told(), (Some(200), String::new()));
    assert!(outcome.took < Duration::from_secs(2), "{:?}", outcome.took);
}

#[tokio::test]
async fn what_our_name_servers_do_not_do_is_not_the_receivers_fault() {
    let names = NameServer::start().await;
    let client = client(&guard(&names));
    names.says("unknown.test", NameAnswer::NoSuchName);
    names.says("empty.test", NameAnswer::Addresses(Vec::new(), 0));
    names.says("failing.test", NameAnswer::Failure);
    for (name, is_ours, wanted) in [
        ("unknown.test", false, "dns_error: the host name did not resolve"),
        ("empty.test", false, "dns_error: the host name did not resolve"),
        ("failing.test", true, "dns_error: the name servers did not answer"),
        ("silent.test", true, "timeout: the name servers did not answer within the time limit"),
    ] {
        let outcome = post_briefly(&client, &format!("http://{name}/")).await;
        assert_eq!((outcome.told(), outcome.is_ours()), ((None, wanted.to_owned()), is_ours), "{name}");
        assert!(outcome.is_worth_retrying(), "{name}");
    }
    let gone = names.addr();
    drop(names);
    let policy = AddressPolicy::strict().allow_http().ask_name_servers(&gone).expect("an address");
    let client = self::client(&AddressGuard::new(policy));
    let outcome = post_within(&client, "http://away.test/", Duration::from_secs(20)).await;
    assert!(outcome.is_ours() && outcome.told().1.starts_with("dns_error"), "{:?}", outcome.told());
}

#[tokio::test]
async fn a_name_server_that_has_failed_or_is_gone_does_not_hide_another_that_answers() {
    let (good, failing) = (NameServer::start().await, NameServer::start().await);
    let (_receiver, url) = named(&good, "good.test", NameAnswer::at("127.0.0.1")).await;
    failing.says("good.test", NameAnswer::Failure);
    // It ends with this line.
    let gone = NameServer::start().await.addr();
    for bad in [failing.addr(), gone] {
        for servers in [format!("{bad},{}", good.addr()), format!("{},{bad}", good.addr())] {
            let policy = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8").expect("legal");
            let guard = AddressGuard::new(policy.ask_name_servers(&servers).expect("addresses"));
            assert_eq!(post(&client(&guard), &url).await.told(), (Some(200), String::new()), "{servers}");
        }
    }
}

#[tokio::test]
async fn a_forbidden_address_in_an_answer_is_worth_another_look_and_one_in_the_url_is_not() {
    let names = NameServer::start().await;
    let guard = guard(&names);
    let mixed = ["127.0.0.1", "10.0.0.1"].map(|text| text.parse().expect(text));
    let (receiver, url) = named(&names, "mixed.test", NameAnswer::Addresses(mixed.to_vec(), 0)).await;
    assert!(guard.check(&url).await.is_err(), "it cannot be saved");
    let client = client(&guard);
    let outcome = post(&client, &url).await;
    let wanted = "address_blocked: the host name leads to an address that is not allowed";
    assert_eq!(outcome.told(), (None, wanted.to_owned()));
    assert!(outcome.is_worth_retrying() && !outcome.is_ours() && receiver.count() == 0);
    names.says("mixed.test", NameAnswer::at("127.0.0.1"));
    assert_eq!(post(&client, &url).await.told(), (Some(200), String::new()), "the answer is right again");
    let literal = post(&client, "http://10.0.0.1/").await;
    assert_eq!(literal.told().1, "address_blocked: the destination address is not allowed");
    assert!(!literal.is_worth_retrying());
}

/// How long the look-ups of a good name take, one after another: the median.
async fn median_look_up(client: &Client, url: &str) -> Duration {
    let mut took = Vec::new();
    for _ in 0..21 {
        let began = Instant::now();
        assert_eq!(post(client, url).await.told(), (Some(200), String::new()));
        took.push(began.elapsed());
    }
    took.sort_unstable();
    took[took.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_names_hold_up_neither_the_neighbour_nor_threads() {
    let names = Arc::new(NameServer::start().await);
    let guard = guard(&names);
    let (_receiver, url) = named(&names, "good.test", NameAnswer::at("127.0.0.1")).await;
    let client = client(&guard);
    let quiet = client.on_behalf_of("quiet");
    let before = median_look_up(&quiet, &url).await;
    let me = std::process::id();
    let n_threads = proc::n_threads(me);
    let mut silent = JoinSet::new();
    for i in 0..400 {
        let (client, guard) = (client.on_behalf_of("busy"), guard.on_behalf_of("busy"));
        silent.spawn(async move {
            let _checked = guard.check(&format!("https://check{i}.test/")).await;
            let _failed = post_briefly(&client, &format!("http://post{i}.test/")).await;
        });
    }
    eventually("its share is used up", PATIENCE, || async { guard.n_look_ups_waiting() > 0 }).await;
    let beside = median_look_up(&quiet, &url).await;
    assert!(guard.n_look_ups() >= 64, "{} look-ups run", guard.n_look_ups());
    assert!(beside < before.mul_f64(1.5) + Duration::from_millis(50), "{before:?} alone, {beside:?} beside them");
    assert_eq!(proc::n_threads(me), n_threads);
    silent.abort_all();
}
