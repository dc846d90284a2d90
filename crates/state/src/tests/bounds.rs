//! Nothing grows without a bound, and what is refused is told.

use serde_json::json;

use super::folder::Folder;
use crate::{Ignored, Incomplete, Section, StateSettings};

#[test]
fn beyond_its_bytes_nothing_new_enters_and_what_is_there_goes_on() {
    let mut folder = Folder::with(StateSettings { max_bytes: 20_000, ..StateSettings::default() });
    for call in 0..200 {
        folder.event("call.incoming", json!({"unique_id": format!("c{call}"), "caller_id": "4930"}));
    }
    assert!(folder.state.n_bytes() < 21_000, "{}", folder.state.n_bytes());
    assert_eq!(folder.state.incomplete(), Some(Incomplete::Full));
    assert!(folder.ignored(Ignored::Full) > 0);
    assert_eq!(folder.all()["incomplete"], "full");
    folder.event("call.answered", json!({"unique_id": "c0"}));
    assert_eq!(folder.entry(Section::Calls, "c0")["phase"], "talking");
    for call in 0..200 {
        folder.event("call.ended", json!({"unique_id": format!("c{call}")}));
    }
    folder.wait(4 * 3_600).event("alert", json!({})).wait(4 * 3_600);
    assert_eq!(folder.state.incomplete(), None);
}

#[test]
fn one_entry_stays_small() {
    let mut folder = Folder::new();
    let long = "x".repeat(100_000);
    for agent in 1..200 {
        folder.call("call.ringing", json!({"agent_id": agent, "caller_name": long, "destination": long}));
    }
    assert!(folder.the_call().to_string().len() < 4_000);
    folder.event("queue.stats", json!({"queue_name": "q", "more": long}));
    assert_eq!(folder.ignored(Ignored::TooLong), 1);
}

#[test]
fn calls_that_are_past_are_forgotten() {
    let mut folder = Folder::new();
    for call in 0..2_000 {
        folder.event("call.incoming", json!({"unique_id": format!("c{call}")}));
        folder.event("call.ended", json!({"unique_id": format!("c{call}")}));
    }
    assert!(folder.state.n_bytes() < 10_000, "{}", folder.state.n_bytes());
    assert!(folder.state.save().len() < 60_000, "{}", folder.state.save().len());
}
