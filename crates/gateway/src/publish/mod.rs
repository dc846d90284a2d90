//! What stands in a publishing request: one event or many. The first mistake of reading is named by index
//! and field, and nothing of the batch is accepted then; what can be read the switchboard judges.

#[cfg(test)]
pub(crate) mod described;
mod entry;
mod entry_at;
mod slips;

use hookswitch_protocol::{ErrorCode, EventId, NewEvent};
use hookswitch_switch::AcceptError;
use serde::Serialize;

use crate::http::{Problem, json_text, other_than_object};
use entry::{Entries, PublishBody, RawEntry};
use entry_at::{entry_at, offset_of};
pub(crate) use slips::{slips, slips_of_names};

/// What a publisher is told.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Accepted {
    /// The events' ids, in their order.
    pub(crate) ids: Vec<EventId>,
}

/// Levels around a payload: the body's own object, and in a batch the array and the entry too.
const AROUND_ONE: usize = 1;
const AROUND_MANY: usize = 3;

/// What is to come.
const WANTED: &str = r#"an event, {"type":"…","payload":{…}}, or {"events":[…]} with up to 1,000 of them"#;

/// Reads a publishing body, in one walk; whether it was a batch, so that later refusals name entries
/// alike. Whether the events may be accepted is for the switchboard to say.
///
/// # Errors
/// 400 with the index and field of the first mistake.
pub(crate) fn parse(body: &[u8]) -> Result<(Vec<NewEvent>, bool), Problem> {
    let text = json_text(body).map_err(|(problem, at)| match at {
        Some(at) => not_json(body, at, &problem.message),
        None => problem,
    })?;
    let parsed = serde_json::from_str(text)
        .map_err(|error| not_json(body, offset_of(text, &error), &other_than_object(text, &error, WANTED)))?;
    let PublishBody(mut body) = parsed;
    match body.events.take() {
        None => Ok((vec![body.into_event(AROUND_ONE).map_err(|mistake| mistake.into_problem(None))?], false)),
        Some(events) => {
            body.check_only_events().map_err(|mistake| mistake.into_problem(None))?;
            Ok((events_of(events)?, true))
        }
    }
}

fn events_of(events: Entries<'_>) -> Result<Vec<NewEvent>, Problem> {
    let Entries::List { entries, n_entries } = events else {
        return Err(Problem::field("events", "must be an array of events"));
    };
    if n_entries == 0 || n_entries > entries.len() {
        let error = AcceptError::BatchSize { n_events: n_entries };
        return Err(Problem::new(error.code(), error.to_string()).with_entry(None, error.field()));
    }
    let read_one = |(index, entry): (usize, RawEntry<'_>)| {
        entry.into_event(AROUND_MANY).map_err(|mistake| mistake.into_problem(Some(index)))
    };
    entries.into_iter().enumerate().map(read_one).collect()
}

/// Names the entry in which reading ended, where it was in one.
fn not_json(body: &[u8], at: usize, what: &str) -> Problem {
    let index = entry_at(body, at);
    let place = index.map_or_else(|| "the body".to_owned(), |index| format!("events[{index}]"));
    Problem::new(ErrorCode::InvalidJson, format!("{place}: {what}")).with_entry(index, None)
}

#[cfg(test)]
mod tests;
