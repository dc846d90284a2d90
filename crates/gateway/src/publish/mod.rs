//! What stands in a publishing request: one event or many; the first mistake is named by index and
//! field, and nothing of the batch is accepted then.

mod entry;

use hookswitch_protocol::{ErrorCode, NewEvent, json, limits};
use serde_json::value::RawValue;

use crate::http::Problem;
use entry::RawEntry;

/// Reads a publishing body; whether it was a batch, so that later refusals name entries alike.
///
/// # Errors
/// 400 with the index and field of the first mistake.
pub(crate) fn parse(body: &[u8]) -> Result<(Vec<NewEvent>, bool), Problem> {
    let text = std::str::from_utf8(body).map_err(|e| not_json(format!("the body is not UTF-8: {e}")))?;
    let body: RawEntry<'_> = serde_json::from_str(text).map_err(|e| not_json(format!("the body: {e}")))?;
    if !json::depth_within(text, limits::JSON_DEPTH) {
        let problem = format!("the body is nested deeper than {} levels", limits::JSON_DEPTH);
        return Err(Problem::new(ErrorCode::InvalidField, problem));
    }
    match body.events {
        None => Ok((vec![body.into_event().map_err(|mistake| mistake.into_problem(None))?], false)),
        Some(events) => {
            body.check_only_events().map_err(|mistake| mistake.into_problem(None))?;
            Ok((parse_list(events)?, true))
        }
    }
}

fn parse_list(events: &RawValue) -> Result<Vec<NewEvent>, Problem> {
    let entries: Vec<&RawValue> =
        serde_json::from_str(events.get()).map_err(|_| Problem::field("events", "must be an array of events"))?;
    if entries.is_empty() || entries.len() > limits::EVENTS_PER_REQUEST {
        let problem = format!("holds {} events, 1 to {} are allowed", entries.len(), limits::EVENTS_PER_REQUEST);
        return Err(Problem::field("events", &problem));
    }
    let parse_one = |(index, raw): (usize, &RawValue)| {
        let entry = serde_json::from_str::<RawEntry<'_>>(raw.get()).map_err(|_| entry::Mistake::not_an_object());
        entry.and_then(RawEntry::into_event).map_err(|mistake| mistake.into_problem(Some(index)))
    };
    entries.into_iter().enumerate().map(parse_one).collect()
}

fn not_json(message: String) -> Problem {
    Problem::new(ErrorCode::InvalidJson, message)
}

#[cfg(test)]
mod tests;
