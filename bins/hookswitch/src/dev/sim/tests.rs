//! A watcher who believes nothing: it rebuilds the call centre from the facts alone.

use std::collections::{BTreeMap, BTreeSet};

use hookswitch::protocol::UserId;
use hookswitch::protocol::payloads;

use super::agents::Activity;
use super::*;

const START: Timestamp = Timestamp::from_millis(1_761_393_600_000);

/// What can be known from the events.
#[derive(Default)]
struct Watcher {
    agents: BTreeMap<UserId, String>,
    /// Open calls and who talks.
    calls: BTreeMap<String, Option<UserId>>,
    held: BTreeSet<String>,
    queued: BTreeSet<String>,
    chats: BTreeMap<String, Option<UserId>>,
    ended: BTreeSet<String>,
    seen: BTreeMap<String, usize>,
}

impl Watcher {
    fn watch(&mut self, fact: &Fact) {
        *self.seen.entry(name_of(fact)).or_default() += 1;
        match fact {
            Fact::Agent(step, agent) => self.agent(*step, agent),
            Fact::Member(_, member) => assert_eq!(member.paused, self.agents[&member.user_id] == "break"),
            Fact::Call(step, call) => self.call(*step, call),
            Fact::QueueJoined(call) => assert!(self.queued.insert(call.unique_id.clone())),
            Fact::QueueLeft(call) => assert!(self.queued.remove(&call.unique_id)),
            Fact::QueueStats(stats) => {
                assert!(stats.available_agents + stats.talking_agents <= stats.logged_in_agents, "{stats:?}");
                assert!(stats.calls_waiting > 0 || stats.longest_wait_time == 0, "{stats:?}");
            }
            Fact::Chat(step, chat) => self.chat(*step, chat),
            Fact::Message(message) => assert!(self.chats.contains_key(&message.session_id.to_string())),
            Fact::Typing(typing) => assert!(self.chats.contains_key(&typing.session_id.to_string())),
            Fact::Notification(..) | Fact::Alert(_) => {}
        }
    }

    fn agent(&mut self, step: AgentStep, agent: &payloads::Agent) {
        let before = self.agents.insert(agent.user_id.clone(), agent.state.clone());
        let (before, state) = (before.as_deref().unwrap_or("offline"), agent.state.as_str());
        match step {
            AgentStep::Login => assert_eq!((before, state), ("offline", "available")),
            AgentStep::Logout => assert_eq!((before, state), ("available", "offline")),
            AgentStep::BreakStarted => assert_eq!((before, state), ("break", "break")),
            AgentStep::BreakEnded => assert_eq!((before, state), ("available", "available")),
            AgentStep::State => {
                let legal = match state {
                    "available" => ["ringing", "wrap_up", "break", "busy"].contains(&before),
                    "ringing" => before == "available",
                    "busy" | "break" => ["available", "ringing"].contains(&before),
                    "wrap_up" => before == "busy",
                    _ => false,
                };
                assert!(legal, "{} went from {before} to {state}", agent.username);
            }
        }
    }

    fn call(&mut self, step: CallStep, call: &payloads::Call) {
        let id = call.unique_id.clone();
        let agent = call.agent_id.clone();
        assert!(!self.ended.contains(&id), "{id} has ended");
        match step {
            CallStep::Incoming => assert_eq!(self.calls.insert(id, None), None),
            CallStep::Answered => {
                assert_eq!(self.agents[agent.as_ref().expect("somebody")], "ringing");
                assert_eq!(self.calls.insert(id, agent), Some(None));
            }
            CallStep::Hold => assert!(self.held.insert(id)),
            CallStep::Unhold => assert!(self.held.remove(&id)),
            CallStep::Transferred => {
                let from = self.calls.insert(id, agent.clone()).flatten();
                assert!(from.is_some() && from != agent);
            }
            CallStep::Ended => {
                assert_eq!(self.calls.remove(&id), Some(agent));
                assert!(!self.held.contains(&id) && !self.queued.contains(&id));
                self.ended.insert(id);
            }
        }
    }

    fn chat(&mut self, step: ChatStep, chat: &payloads::ChatSession) {
        let (agent, session) = (chat.agent_id.clone(), chat.session_id.to_string());
        let before = match step {
            ChatStep::Ended => self.chats.remove(&session),
            _ => self.chats.insert(session, agent.clone()),
        };
        match step {
            ChatStep::Started => assert_eq!((before, agent), (None, None)),
            ChatStep::Assigned => assert!(before == Some(None) && agent.is_some()),
            ChatStep::Transferred => assert!(before != Some(agent) && before.flatten().is_some()),
            ChatStep::Ended => assert_eq!(before, Some(agent)),
        }
    }
}

fn name_of(fact: &Fact) -> String {
    let text = format!("{fact:?}");
    let end = text.find(['{', ',']).unwrap_or(text.len());
    text[..end].split(" {").next().unwrap_or_default().trim().to_owned()
}

/// Runs `hours` on the simulator's own clock.
fn run(seed: u64, hours: i64, mut seen: impl FnMut(&Simulator, &Fact)) -> Simulator {
    let mut centre = Simulator::new(seed, START);
    let end = Timestamp::from_millis(START.as_millis() + hours * 3_600_000);
    while centre.next_at() < end {
        let before = centre.next_at();
        for fact in centre.step() {
            seen(&centre, &fact);
        }
        assert!(centre.next_at() >= before, "time does not go back");
    }
    centre
}

#[test]
fn the_story_is_coherent_whatever_the_seed() {
    for seed in 0..10 {
        let mut watcher = Watcher::default();
        let centre = run(seed, 1, |_, fact| watcher.watch(fact));
        assert_eq!(watcher.calls.len(), centre.calls.len(), "every call is somewhere");
        assert_eq!(watcher.chats.len(), centre.chats.len());
        assert!(centre.calls.len() + centre.chats.len() < 40, "work is done, it does not pile up");
    }
}

#[test]
fn agents_and_calls_agree_on_who_talks_to_whom() {
    run(7, 1, |centre, _| {
        for (at, agent) in centre.agents.iter().enumerate() {
            let stage = |call: CallId| centre.calls.get(&call).map(|call| call.stage);
            match agent.activity {
                Activity::Ringing(call) => assert_eq!(stage(call), Some(calls::Stage::Ringing(at))),
                Activity::Talking(call) => {
                    let stage = stage(call);
                    assert!(
                        stage == Some(calls::Stage::Talking(at)) || stage == Some(calls::Stage::Held(at)),
                        "{stage:?}"
                    );
                }
                Activity::Chatting(chat) => assert_eq!(centre.chats.get(&chat).map(|chat| chat.agent), Some(Some(at))),
                Activity::Offline | Activity::Available | Activity::WrapUp | Activity::Break => {}
            }
        }
    });
}

#[test]
fn everything_that_can_happen_does() {
    let mut watcher = Watcher::default();
    for seed in 0..3 {
        watcher = Watcher { seen: watcher.seen, ..Watcher::default() };
        run(seed, 3, |_, fact| watcher.watch(fact));
    }
    let expected = [
        "Agent(Login",
        "Agent(Logout",
        "Agent(State",
        "Agent(BreakStarted",
        "Agent(BreakEnded",
        "Member(Added",
        "Member(Removed",
        "Member(Paused",
        "Member(Unpaused",
        "Call(Incoming",
        "Call(Answered",
        "Call(Hold",
        "Call(Unhold",
        "Call(Transferred",
        "Call(Ended",
        "QueueJoined(Call",
        "QueueLeft(Call",
        "QueueStats(QueueStats",
        "Chat(Started",
        "Chat(Assigned",
        "Chat(Transferred",
        "Chat(Ended",
        "Message(ChatMessage",
        "Typing(ChatTyping",
        "Notification(101",
        "Notification(201",
        "Alert(Alert",
    ];
    for name in expected {
        assert!(watcher.seen.contains_key(name), "{name} never happened: {:?}", watcher.seen);
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let mut facts = Vec::new();
        run(seed, 1, |_, fact| facts.push(fact.clone()));
        facts
    };
    assert!(story(3) == story(3));
    assert!(story(3) != story(4));
}

#[test]
fn the_natural_rate_is_what_we_say() {
    let mut n_facts = 0_u32;
    for seed in 0..5 {
        run(seed, 2, |_, _| n_facts += 1);
    }
    let rate = f64::from(n_facts) / (5.0 * 2.0 * 3_600.0);
    assert!((rate / NATURAL_RATE - 1.0).abs() < 0.05, "{rate} facts per second");
}
