//! Offline messages with several nodes, and with calls that were given up and carried out all the same.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::{Claim, MessageNumber, OfflineMessage, OfflineStore};
use hookswitch_protocol::EventId;
use hookswitch_redis::NodeLease;
use hookswitch_runtime::Clock;
use hookswitch_testkit::{Fault, FaultProxy, PATIENCE, RedisServer, RedisSpec, eventually, eventually_some};

use crate::stores::{Stores, StoresSpec, agent, numbers};

const LIST: &str = "callcenter:offline:tenant-123:456";
const CLAIM: &str = "callcenter:offline-claim:{callcenter:offline:tenant-123:456}";

fn message(n: usize) -> OfflineMessage {
    OfflineMessage {
        user: agent(),
        event_id: EventId::parse(&format!("m{n}")).expect("legal"),
        envelope: Bytes::from(format!("message {n}")),
        at: Clock::system().now(),
    }
}

async fn put(node: &Stores, range: std::ops::Range<usize>) {
    node.put(range.map(message).collect()).await.expect("put");
}

/// The messages' own numbers.
fn found(claim: &Claim) -> Vec<usize> {
    let number = |envelope: &Bytes| std::str::from_utf8(envelope).ok()?.strip_prefix("message ")?.parse().ok();
    claim.messages.iter().map(|message| number(&message.envelope).expect("one of ours")).collect()
}

async fn claim(node: &Stores, limit: usize) -> Claim {
    node.claim(&agent(), limit).await.expect("claim")
}

fn spec(server: &RedisServer, lease: Duration) -> StoresSpec {
    let mut spec = StoresSpec::new(&server.url());
    spec.config.node_lease = NodeLease::new(lease);
    spec
}

#[tokio::test]
async fn one_node_at_a_time_brings_a_user_messages() {
    let server = RedisSpec::new().start().await;
    let spec = spec(&server, Duration::from_secs(30));
    let (one, other) = (spec.start().await, spec.start().await);
    put(&one, 0..3).await;
    let first = claim(&one, 2).await;
    let refused = claim(&other, 9).await;
    assert_eq!((refused.messages.len(), refused.held_elsewhere), (0, Some(Duration::from_secs(1))));
    other.confirm(&agent(), &numbers(&first)).await.expect("no matter");
    other.give_back(&agent(), &numbers(&first)).await.expect("no matter");
    assert!(claim(&other, 9).await.messages.is_empty(), "nobody settles what another node has claimed");

    one.give_back(&agent(), &numbers(&first)[1..]).await.expect("give back");
    one.confirm(&agent(), &numbers(&first)[..1]).await.expect("confirm");
    let next = claim(&other, 9).await;
    assert_eq!((found(&next), next.held_elsewhere), (vec![1, 2], None), "at once after the last settlement");
}

#[tokio::test]
async fn a_claim_lasts_while_its_node_lives_and_no_longer() {
    let server = RedisSpec::new().start().await;
    let lease = Duration::from_secs(1);
    let spec = spec(&server, lease);
    let (one, other) = (spec.start().await, spec.start().await);
    put(&one, 0..5).await;
    let first = claim(&one, 3).await;
    one.give_back(&agent(), &numbers(&first)[1..2]).await.expect("give back");
    let end = tokio::time::Instant::now() + 2 * lease;
    eventually("two leases have passed", PATIENCE, || async {
        let held = claim(&other, 9).await;
        assert!(held.messages.is_empty() && held.held_elsewhere.is_some_and(|left| left <= lease), "{held:?}");
        tokio::time::Instant::now() > end
    })
    .await;

    one.die().await;
    let taken = eventually_some("the lease of the dead node ends", PATIENCE, || async {
        Some(claim(&other, 9).await).filter(|claim| claim.held_elsewhere.is_none())
    })
    .await;
    assert_eq!(found(&taken), [0, 1, 2, 3, 4], "in their old order");
    assert_eq!(other.keepers.offline.metrics().taken_over.get(), 1);
}

#[tokio::test]
async fn what_a_dead_node_claimed_counts_as_waiting_when_more_is_put() {
    let server = RedisSpec::new().start().await;
    let spec = spec(&server, Duration::from_millis(200));
    let (one, other) = (spec.start().await, spec.start().await);
    put(&one, 0..2).await;
    claim(&one, 1).await;
    one.die().await;
    eventually("the claim is freed by a put", PATIENCE, || async {
        put(&other, 1..3).await;
        server.cli(&["LLEN", LIST]).await == "3"
    })
    .await;
    assert_eq!(found(&claim(&other, 9).await), [0, 1, 2]);
}

/// A node behind a line that can be stalled, and one that is not.
async fn behind_a_proxy(server: &RedisServer) -> (Stores, FaultProxy) {
    let proxy = FaultProxy::start(&server.addr()).await;
    let mut spec = StoresSpec::new(&format!("redis://{}", proxy.addr()));
    spec.config.node_lease = NodeLease::new(Duration::from_secs(30));
    spec.config.command_timeout = Duration::from_millis(500);
    // A stall is over before anybody takes the line for dead.
    spec.config.probe_interval = Duration::from_secs(2);
    (spec.start().await, proxy)
}

#[tokio::test]
async fn a_confirmation_that_was_given_up_and_carried_out_is_repeated_without_harm() {
    let server = RedisSpec::new().start().await;
    let (node, proxy) = behind_a_proxy(&server).await;
    put(&node, 0..4).await;
    // The server knows the script from here on: a call by its digest alone is not carried out late.
    node.confirm(&agent(), &[MessageNumber(99)]).await.expect("no matter");
    let first = claim(&node, 2).await;
    proxy.set(Fault::Stall);
    node.confirm(&agent(), &numbers(&first)).await.expect_err("no answer in time");
    proxy.heal();
    eventually("it is carried out all the same", PATIENCE, || async { server.cli(&["HLEN", CLAIM]).await == "0" })
        .await;
    let second = claim(&node, 2).await;
    node.confirm(&agent(), &numbers(&first)).await.expect("the repetition");
    node.give_back(&agent(), &numbers(&second)).await.expect("give back");
    assert_eq!(found(&claim(&node, 9).await), [2, 3], "the next page was not touched");
}

#[tokio::test]
async fn a_claim_that_was_given_up_and_carried_out_holds_nothing_back() {
    let server = RedisSpec::new().start().await;
    let (node, proxy) = behind_a_proxy(&server).await;
    put(&node, 0..5).await;
    let kept = claim(&node, 1).await;
    proxy.set(Fault::Stall);
    node.claim(&agent(), 2).await.expect_err("no answer in time");
    proxy.heal();
    eventually("it is carried out all the same", PATIENCE, || async { server.cli(&["LLEN", LIST]).await == "2" }).await;
    assert_eq!(found(&claim(&node, 9).await), [1, 2, 3, 4], "what nobody knew of comes again, in its place");
    assert_eq!(found(&kept), [0], "what is known to be claimed does not");
}

/// What must come out, beside the real thing.
#[derive(Default)]
struct Model {
    n_put: usize,
    /// In order; `Some` holds the number under which it is claimed.
    waiting: Vec<(usize, Option<MessageNumber>)>,
    confirmed: Vec<usize>,
}

impl Model {
    fn claimed(&mut self, claim: &Claim, limit: usize) {
        let free = self.waiting.iter_mut().filter(|(_, number)| number.is_none()).take(limit);
        let mut messages = claim.messages.iter();
        let expected: Vec<usize> = free
            .map(|(n, number)| {
                *number = messages.next().map(|message| message.number);
                *n
            })
            .collect();
        assert_eq!(found(claim), expected, "the oldest that nobody has");
    }

    fn settle(&mut self, numbers: &[MessageNumber], is_confirmed: bool) {
        let is_meant = |number: Option<MessageNumber>| number.is_some_and(|number| numbers.contains(&number));
        if is_confirmed {
            self.confirmed.extend(self.waiting.iter().filter(|(_, number)| is_meant(*number)).map(|(n, _)| *n));
            self.waiting.retain(|(_, number)| !is_meant(*number));
        } else {
            self.waiting.iter_mut().filter(|(_, number)| is_meant(*number)).for_each(|(_, number)| *number = None);
        }
    }

    fn some_claimed(&self, dice: &mut Dice) -> Vec<MessageNumber> {
        self.waiting.iter().filter_map(|(_, number)| *number).filter(|_| dice.below(3) > 0).collect()
    }
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

#[tokio::test]
async fn five_thousand_messages_come_out_in_order_whatever_happens_to_their_claims() {
    const MESSAGES: usize = 5_000;
    let server = RedisSpec::new().start().await;
    let spec = spec(&server, Duration::from_mins(10));
    let (mut model, mut dice, mut node) = (Model::default(), Dice(42), spec.start().await);
    while model.confirmed.len() < MESSAGES {
        match dice.below(100) {
            0..25 => {
                let end = MESSAGES.min(model.n_put + dice.below(60) as usize);
                put(&node, model.n_put..end).await;
                model.waiting.extend((model.n_put..end).map(|n| (n, None)));
                model.n_put = end;
            }
            25..55 => {
                let limit = 1 + dice.below(50) as usize;
                model.claimed(&claim(&node, limit).await, limit);
            }
            55..99 => {
                let (numbers, is_confirmed) = (model.some_claimed(&mut dice), dice.below(2) == 0);
                let settled = if is_confirmed {
                    node.confirm(&agent(), &numbers).await
                } else {
                    node.give_back(&agent(), &numbers).await
                };
                settled.expect("settle");
                model.settle(&numbers, is_confirmed);
            }
            _ => {
                std::mem::replace(&mut node, spec.start().await).die().await;
                if server.cli(&["EXISTS", CLAIM]).await == "1" {
                    // As if the lease had run out.
                    server.cli(&["HSET", CLAIM, "until", "0"]).await;
                }
                model.waiting.iter_mut().for_each(|(_, number)| *number = None);
            }
        }
        let n_waiting = model.waiting.iter().filter(|(_, number)| number.is_none()).count();
        let n_claimed = model.waiting.len() - n_waiting;
        assert!(n_waiting + n_claimed + model.confirmed.len() == model.n_put, "none is lost");
    }
    model.confirmed.sort_unstable();
    assert!(model.confirmed.into_iter().eq(0..MESSAGES), "each exactly once");
    assert_eq!(server.cli(&["KEYS", "*offline*"]).await, "", "nothing stays behind");
}
