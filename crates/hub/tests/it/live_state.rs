//! What a tenant's events add up to, as a hub by itself tells it.

use std::time::Duration;

use hookswitch_hub::memory::MemoryBroker;
use hookswitch_hub::{HistoryLimits, HubConfig, StateLimits, StateSubscription};
use hookswitch_protocol::{Event, Payload};
use hookswitch_testkit::{PATIENCE, eventually};
use serde_json::{Value, json};

use crate::rig::{Rig, config, event, tenant, to_user};

/// An event of now about an agent, a call or a queue.
fn said(rig: &Rig, of: &str, event_type: &str, id: &str, payload: &Value) -> Event {
    let payload = Payload::from_serialize(payload).expect("an object");
    Event { payload, timestamp: rig.clock.now(), ..event(of, event_type, id) }
}

fn login(rig: &Rig, of: &str, agent: usize) -> Event {
    said(rig, of, "agent.login", &format!("e{agent}"), &json!({"user_id": agent}))
}

fn read_some(rig: &Rig, of: &str, sections: &[&str]) -> Option<Value> {
    let wanted = StateSubscription::parse(sections.iter().copied(), None).expect("sections");
    let state = rig.hub.read_state(&tenant(of), &wanted)?;
    Some(serde_json::from_str(&state).expect("JSON"))
}

fn read(rig: &Rig, of: &str) -> Value {
    read_some(rig, of, &[]).expect("this node gives the positions")
}

fn n_agents(state: &Value) -> usize {
    state["agents"].as_object().map_or(0, serde_json::Map::len)
}

fn newest(rig: &Rig, of: &str) -> String {
    rig.hub.newest_position(&tenant(of)).expect("this node gives the positions").to_string()
}

#[tokio::test]
async fn it_has_what_came_before_it_was_first_read_and_all_since() {
    let rig = Rig::new().await;
    let queue = json!({"unique_id": "1.2", "queue_name": "support", "caller_id": "555"});
    rig.publish([login(&rig, "t", 101), said(&rig, "t", "queue.joined", "j", &queue)]).await;
    rig.publish([to_user(login(&rig, "t", 102), 7)]).await;
    rig.publish([login(&rig, "other", 103)]).await;
    let first = read(&rig, "t");
    assert_eq!(first["position"], json!(newest(&rig, "t")));
    assert_eq!((n_agents(&first), &first["agents"]["101"]["state"]), (1, &json!("available")), "no user's, no other's");
    assert_eq!((&first["calls"]["1.2"]["phase"], &first["chats"]), (&json!("queued"), &json!({})));
    let answered = json!({"unique_id": "1.2", "agent_id": 101});
    rig.publish([said(&rig, "t", "call.answered", "a", &answered), event("t", "chat.typing", "typing")]).await;
    let second = read(&rig, "t");
    assert_eq!(second["position"], json!(newest(&rig, "t")));
    assert_eq!((&second["calls"]["1.2"]["phase"], &second["waiting"]), (&json!("talking"), &json!({})));
    assert_eq!(second["agents"]["101"]["calls"], json!(["1.2"]));
    assert!(read_some(&rig, "t", &["agents"]).expect("alone").get("calls").is_none());
}

#[tokio::test]
async fn it_is_complete_once_no_call_of_before_can_be_left() {
    let rig = Rig::new().await;
    rig.publish([login(&rig, "t", 101)]).await;
    let told = |state: &Value| (state["complete"].clone(), state.get("incomplete").cloned());
    assert_eq!(told(&read(&rig, "t")), (json!(false), Some(json!("gap"))), "what was before the node is not known");
    rig.clock.advance(Duration::from_hours(4));
    assert_eq!(told(&read(&rig, "t")), (json!(true), None));
}

#[tokio::test]
async fn where_history_reaches_back_no_further_it_says_so() {
    let history = HistoryLimits { events: 4, ..HistoryLimits::default() };
    let rig = Rig::with(HubConfig { history, ..config() }).await;
    rig.publish((0..10).map(|agent| login(&rig, "t", agent))).await;
    rig.clock.advance(Duration::from_hours(4));
    let late = read(&rig, "t");
    assert_eq!((n_agents(&late), &late["complete"]), (4, &json!(false)), "the node is old, and yet some is missing");
    rig.publish((10..20).map(|agent| login(&rig, "t", agent))).await;
    assert_eq!(n_agents(&read(&rig, "t")), 14, "the state does not depend on history once it is followed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_and_readers_at_once_miss_nothing() {
    let rig = Rig::new().await;
    read(&rig, "t");
    let publish = async |from: usize| {
        for agent in (from..from + 500).step_by(5) {
            rig.publish((agent..agent + 5).map(|agent| login(&rig, "t", agent))).await;
            let seen = read(&rig, "t");
            assert!(seen["agents"].get((agent + 4).to_string()).is_some(), "whoever has published reads it");
        }
    };
    tokio::join!(publish(4_000), publish(1_000), publish(2_000));
    let all = read(&rig, "t");
    assert_eq!((n_agents(&all), all["position"].clone()), (1_500, json!(newest(&rig, "t"))));
}

#[tokio::test(start_paused = true)]
async fn states_that_are_too_large_together_make_room_the_least_read_first() {
    let state = StateLimits { total_bytes: 6_000, ..StateLimits::default() };
    let rig = Rig::with(HubConfig { state, ..config() }).await;
    for of in ["a", "b"] {
        read(&rig, of);
        tokio::time::advance(Duration::from_secs(1)).await;
        rig.publish((1..41).map(|agent| login(&rig, of, agent))).await;
    }
    eventually("one goes", PATIENCE, async || rig.hub.metrics().states_evicted.get() == 1).await;
    rig.publish([login(&rig, "b", 99)]).await;
    assert_eq!(rig.hub.metrics().states_evicted.get(), 1);
    assert_eq!(n_agents(&read(&rig, "b")), 41);
}

#[tokio::test]
async fn beside_other_nodes_there_is_none_yet() {
    let bus = MemoryBroker::alone();
    let (rig, _other) = (Rig::on_bus(&bus).await, Rig::on_bus(&bus).await);
    assert_eq!(read_some(&rig, "t", &[]), None);
}
