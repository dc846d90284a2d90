//! Random histories of publishing, not reading, being cut and coming back: what a client has at the end is what it
//! should have had, in order and once, or it was told exactly where something is missing.

use hookswitch_hub::{HistoryLimits, HubConfig, ResumeFrom, Subject};
use hookswitch_protocol::Event;
use proptest::prelude::*;

use crate::rig::{Client, Rig, config, event, to_user, topic};

#[derive(Debug, Clone)]
enum Step {
    /// By their kinds: for everybody, for the client, for another, of a topic, of a type that one must ask for.
    Publish(Vec<u8>),
    /// The socket takes so many bytes more.
    Stall(usize),
    Read,
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop::collection::vec(0u8..5, 1..30).prop_map(Step::Publish),
        2 => (0usize..3_000).prop_map(Step::Stall),
        2 => Just(Step::Read),
        2 => Just(Step::Cut),
    ]
}

struct World {
    rig: Rig,
    client: Client,
    n_published: usize,
    wanted: Vec<String>,
    got: Vec<String>,
}

impl World {
    async fn new(events: usize) -> Self {
        let history = HistoryLimits { events, ..HistoryLimits::default() };
        let rig = Rig::with(HubConfig { history, outbox_messages: 20, ..config() }).await;
        let client = rig.resuming("t", Subject::User(7.into()), ResumeFrom::Here).await;
        Self { rig, client, n_published: 0, wanted: Vec::new(), got: Vec::new() }
    }

    fn event(&mut self, kind: u8) -> Event {
        self.n_published += 1;
        let id = format!("e{}", self.n_published);
        if kind < 2 {
            self.wanted.push(id.clone());
        }
        match kind {
            0 => event("t", "alert", &id),
            1 => to_user(event("t", "alert", &id), 7),
            2 => to_user(event("t", "alert", &id), 8),
            3 => topic(event("t", "x", &id), "wall"),
            _ => event("t", "presence.changed", &id),
        }
    }

    fn take_in(&mut self) {
        self.got.extend(self.client.ids().into_iter().filter(|id| !id.starts_with("fence-")));
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Publish(kinds) => {
                let events: Vec<_> = kinds.into_iter().map(|kind| self.event(kind)).collect();
                self.rig.publish(events).await;
            }
            Step::Stall(n_bytes) => self.client.stall_after(n_bytes),
            Step::Read => self.client.resume(None).await,
            Step::Cut => {
                self.client.leave().await;
                self.client.until_wire("it is gone", |wire| wire.is_dropped).await;
                self.take_in();
                let resume = ResumeFrom::After(self.client.position);
                self.client = self.rig.resuming("t", Subject::User(7.into()), resume).await;
            }
        }
    }

    async fn end(mut self) {
        self.client.resume(None).await;
        let last = self.event(1);
        let id = last.id.as_str().to_owned();
        self.rig.publish([last]).await;
        let rest = self.client.until(&id).await;
        self.got.extend(rest.into_iter().filter(|id| !id.starts_with("fence-")));
        self.check();
    }

    /// Every event that is missing is behind a word that something is.
    fn check(&self) {
        let mut wanted = self.wanted.iter();
        let mut is_told = false;
        for got in &self.got {
            if got.starts_with("messages_dropped") || (got.starts_with("resumed") && !got.contains("recovered")) {
                is_told = true;
                continue;
            }
            if got.starts_with("resumed") || got.is_empty() {
                continue;
            }
            let skipped: Vec<_> = wanted.by_ref().take_while(|wanted| *wanted != got).collect();
            assert!(skipped.is_empty() || is_told, "{skipped:?} are missing before {got}: {:?}", self.got);
            is_told = false;
        }
        assert_eq!(wanted.next(), None, "the last one came, and nothing twice: {:?}", self.got);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_client_has_what_it_should_have_or_knows_where_not(
        events in prop_oneof![Just(1_000usize), 5usize..60],
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut world = World::new(events).await;
            for step in steps {
                world.take(step).await;
            }
            world.end().await;
        });
    }
}
