//! Random histories against a model that searches instead of indexing: every connection gets
//! exactly what the model says, in order.

use std::collections::HashSet;

use hookswitch_protocol::{Category, Event, SubscriptionName};
use proptest::prelude::*;

use crate::rig::{Client, Rig, event, in_session, name, to_user, topic};

const TENANTS: [&str; 2] = ["t", "u"];
const SESSIONS: [&str; 2] = ["s1", "s2"];
const NAMES: [&str; 8] =
    ["call.*", "call.incoming", "chat.*", "chat.message", "alert", "*", "presence.changed", "wall"];
const TYPES: [&str; 5] = ["call.incoming", "call.ended", "chat.message", "alert", "presence.changed"];

#[derive(Debug, Clone)]
enum Step {
    User { tenant: usize, number: i64 },
    Visitor { tenant: usize, session: usize },
    Leave { who: usize },
    Subscribe { who: usize, names: Vec<usize> },
    Unsubscribe { who: usize, names: Vec<usize> },
    Publish { tenant: usize, events: Vec<Spec> },
}

/// An event by its choices; users 3 and above, session 2 and topic `false` mean none.
#[derive(Debug, Clone)]
struct Spec {
    kind: usize,
    user: i64,
    session: usize,
    has_topic: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let names = || prop::collection::vec(0..NAMES.len(), 1..4);
    let spec = (0..TYPES.len(), 0i64..9, 0usize..4, prop::bool::weighted(0.15))
        .prop_map(|(kind, user, session, has_topic)| Spec { kind, user, session, has_topic });
    prop_oneof![
        2 => (0..2usize, 0i64..3).prop_map(|(tenant, number)| Step::User { tenant, number }),
        1 => (0..2usize, 0..2usize).prop_map(|(tenant, session)| Step::Visitor { tenant, session }),
        1 => any::<usize>().prop_map(|who| Step::Leave { who }),
        2 => (any::<usize>(), names()).prop_map(|(who, names)| Step::Subscribe { who, names }),
        2 => (any::<usize>(), names()).prop_map(|(who, names)| Step::Unsubscribe { who, names }),
        4 => (0..2usize, prop::collection::vec(spec, 1..6))
            .prop_map(|(tenant, events)| Step::Publish { tenant, events }),
    ]
}

enum Who {
    User(i64),
    Visitor(&'static str),
}

struct Modelled {
    client: Client,
    tenant: &'static str,
    who: Who,
    names: Option<Vec<SubscriptionName>>,
    wanted: Vec<String>,
}

impl Modelled {
    /// The contract's rules, written down once more.
    fn may_see(&self, event: &Event) -> bool {
        let is_opt_in = event.event_type.is_opt_in();
        let is_named = |by_type: bool| match (&self.names, &event.topic) {
            (None, _) => false,
            (Some(names), Some(topic)) => {
                names.iter().any(|name| matches!(name, SubscriptionName::Exact(text) if **text == *topic.as_str()))
            }
            (Some(names), None) => by_type && names.iter().any(|name| name.matches_type(&event.event_type)),
        };
        let wants = match (&self.names, &event.topic) {
            (None, None) => !is_opt_in,
            (None, Some(_)) => false,
            (Some(_), _) => is_named(true),
        };
        let concerns = match &self.who {
            Who::User(number) => event.user.as_ref().is_none_or(|user| *user == (*number).into()),
            Who::Visitor(session) => {
                event.user.is_none()
                    && event.topic.is_none()
                    && event.event_type.category() == Category::Chat
                    && event.session.as_ref().is_some_and(|of| of.as_str() == *session)
            }
        };
        self.tenant == event.tenant.as_str() && concerns && wants
    }
}

#[derive(Default)]
struct World {
    clients: Vec<Modelled>,
    /// Tenants with events under way: a change now would meet them at an unknown place.
    unsettled: HashSet<&'static str>,
    n_events: usize,
}

impl World {
    async fn settle(&mut self, rig: &Rig) {
        for tenant in self.unsettled.drain() {
            rig.settle(tenant).await;
        }
    }

    async fn take(&mut self, rig: &Rig, step: Step) {
        if let Step::Publish { tenant, events } = step {
            return self.publish(rig, TENANTS[tenant], &events).await;
        }
        self.settle(rig).await;
        let at = |who: usize, n: usize| (n > 0).then(|| who % n);
        let n_clients = self.clients.len();
        match step {
            Step::User { tenant, number } => {
                let tenant = TENANTS[tenant];
                let client = rig.user(tenant, number).await;
                self.clients.push(Modelled { client, tenant, who: Who::User(number), names: None, wanted: Vec::new() });
            }
            Step::Visitor { tenant, session } => {
                let (tenant, session) = (TENANTS[tenant], SESSIONS[session]);
                let client = rig.visitor(tenant, session).await;
                let who = Who::Visitor(session);
                self.clients.push(Modelled { client, tenant, who, names: None, wanted: Vec::new() });
            }
            Step::Leave { who } => {
                if let Some(at) = at(who, n_clients) {
                    let mut gone = self.clients.swap_remove(at);
                    gone.check(rig).await;
                    gone.client.leave().await;
                }
            }
            Step::Subscribe { who, names } => {
                if let Some(at) = at(who, n_clients) {
                    self.clients[at].subscribe(&names).await;
                }
            }
            Step::Unsubscribe { who, names } => {
                if let Some(at) = at(who, n_clients) {
                    self.clients[at].unsubscribe(&names).await;
                }
            }
            Step::Publish { .. } => unreachable!("taken above"),
        }
    }

    async fn publish(&mut self, rig: &Rig, tenant: &'static str, specs: &[Spec]) {
        let mut events = Vec::new();
        for spec in specs {
            self.n_events += 1;
            let id = format!("e{}", self.n_events);
            let mut event = event(tenant, TYPES[spec.kind], &id);
            if spec.user < 3 {
                event = to_user(event, spec.user);
            }
            if let Some(session) = SESSIONS.get(spec.session) {
                event = in_session(event, session);
            }
            if spec.has_topic {
                event = topic(event, "wall");
            }
            for client in self.clients.iter_mut().filter(|client| client.may_see(&event)) {
                client.wanted.push(id.clone());
            }
            events.push(event);
        }
        rig.publish(events).await;
        self.unsettled.insert(tenant);
    }
}

impl Modelled {
    async fn subscribe(&mut self, names: &[usize]) {
        let names: Vec<&str> = names.iter().map(|at| NAMES[*at]).collect();
        self.client.subscribe(&names).await;
        let held = self.names.get_or_insert_default();
        for text in names {
            if !held.contains(&name(text)) {
                held.push(name(text));
            }
        }
    }

    async fn unsubscribe(&mut self, names: &[usize]) {
        let names: Vec<&str> = names.iter().map(|at| NAMES[*at]).collect();
        self.client.unsubscribe(&names).await;
        if let Some(held) = &mut self.names {
            held.retain(|name| !names.contains(&name.to_string().as_str()));
        }
    }

    async fn check(&mut self, rig: &Rig) {
        let got = rig.ids(self.tenant, &mut self.client).await;
        assert_eq!(got, self.wanted, "{} of {}", self.client.id, self.tenant);
        self.wanted.clear();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_connection_gets_exactly_what_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let rig = Rig::new().await;
            let mut world = World::default();
            for step in steps {
                world.take(&rig, step).await;
            }
            for client in &mut world.clients {
                client.check(&rig).await;
            }
        });
    }
}
