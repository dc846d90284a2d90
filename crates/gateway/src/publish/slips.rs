//! Types that look like a slip of the pen: accepted, for a deployment may have its own, and told.

use hookswitch_protocol::{EventType, NewEvent};

use crate::http::Warning;

/// Most slips that one answer tells of.
const MOST: usize = 10;

/// What is odd about the types of these events; `is_batch` where the entries have an index.
pub(crate) fn slips(events: &[NewEvent], is_batch: bool) -> Vec<Warning> {
    // Known types, which are most, cost nothing.
    let own = events.iter().enumerate().filter(|(_, event)| !event.event_type.is_known());
    let slips = own.filter_map(|(index, event)| {
        let index = is_batch.then_some(index);
        slip(event.event_type.as_str()).map(|message| Warning { index, field: "type", message })
    });
    slips.take(MOST).collect()
}

/// The same of the names that somebody wants to hear of.
pub(crate) fn slips_of_names(names: &[String]) -> Vec<Warning> {
    let slips = names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| slip(name).map(|message| Warning { index: Some(index), field: "events", message }));
    slips.take(MOST).collect()
}

fn slip(name: &str) -> Option<String> {
    EventType::near_miss(name).map(|near| format!("{name} is taken for a type of your own: did you mean {near}?"))
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::Payload;

    use super::*;

    #[test]
    fn slips_are_named_by_index_and_at_most_ten_of_them() {
        let event = |name: &str| NewEvent::new(EventType::parse(name).expect("legal"), Payload::empty());
        let events = [event("call.incoming"), event("call.incomming"), event("survey.completed")];
        let message = "call.incomming is taken for a type of your own: did you mean call.incoming?".to_owned();
        assert_eq!(slips(&events, true), [Warning { index: Some(1), field: "type", message: message.clone() }]);
        assert_eq!(slips(&events[1..2], false), [Warning { index: None, field: "type", message: message.clone() }]);
        let names = ["call.*".to_owned(), "call.incomming".to_owned()];
        assert_eq!(slips_of_names(&names), [Warning { index: Some(1), field: "events", message }]);
        assert_eq!(slips(&vec![event("alrt"); 1_000], true).len(), MOST);
    }
}
