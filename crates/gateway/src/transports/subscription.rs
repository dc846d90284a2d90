//! What comes with the URL of a socket: a subscription that is in force from the first event on, and where the
//! client was before.

use hookswitch_hub::ResumeFrom;
use hookswitch_protocol::{ErrorCode, SubscriptionName, limits};
use http::HeaderMap;

use crate::http::{Problem, Query};

/// The parameters that hold names, separated by commas; each may come more than once.
const PARAMETERS: [&str; 2] = ["events", "topics"];

/// What the query of an upgrade subscribes to; `None` where it names neither parameter.
///
/// # Errors
/// 400, naming the parameter, its value and the limit.
pub(crate) fn subscription(query: Query<'_>) -> Result<Option<Vec<SubscriptionName>>, Problem> {
    let mut names: Option<Vec<SubscriptionName>> = None;
    for parameter in PARAMETERS {
        for value in query.all(parameter) {
            let names = names.get_or_insert_default();
            for name in value.split(',').map(str::trim) {
                if names.len() == limits::SUBSCRIPTION_NAMES {
                    return Err(too_many(parameter));
                }
                let name = SubscriptionName::parse(name)
                    .map_err(|invalid| Problem::field(parameter, &format!("has a name that {}", invalid.problem)))?;
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }
    Ok(names)
}

/// Where the client was before: `?resume=<position>`, `?resume=` for nowhere, or `?resume=wait` where it will say so.
pub(crate) fn resume(query: Query<'_>) -> Option<ResumeFrom> {
    let said = query.get("resume")?;
    Some(match &*said {
        "" => ResumeFrom::Here,
        "wait" => ResumeFrom::Later,
        // What is no position is answered like one of another time.
        position => ResumeFrom::After(position.parse().ok()),
    })
}

/// Where an event stream's client was before: what browsers say by themselves when they come back wins over the URL.
pub(crate) fn last_event(headers: &HeaderMap, query: Query<'_>) -> Option<ResumeFrom> {
    let said = headers.get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    let is_late = |resume: &ResumeFrom| *resume == ResumeFrom::Later;
    match said {
        Some(id) => Some(ResumeFrom::After(id.parse().ok())),
        // Nobody could say it later.
        None => resume(query).filter(|resume| !is_late(resume)),
    }
}

fn too_many(parameter: &str) -> Problem {
    let message = format!("{parameter} has too many names, at most {} are allowed", limits::SUBSCRIPTION_NAMES);
    Problem::new(ErrorCode::TooManyNames, message).with_details(serde_json::json!({ "field": parameter }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Option<Vec<String>>, (ErrorCode, String)> {
        let names = subscription(Query::new(Some(query))).map_err(|error| (error.code, error.message.into_owned()))?;
        Ok(names.map(|names| names.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn names_come_separated_by_commas_or_one_by_one() {
        let names = |names: &[&str]| Ok(Some(names.iter().map(ToString::to_string).collect()));
        assert_eq!(read("token=x"), Ok(None));
        assert_eq!(read("events=call.*,notification"), names(&["call.*", "notification"]));
        assert_eq!(read("events=call.*%2C%20alert&topics=Room:7&events=alert"), names(&["call.*", "alert", "Room:7"]));
        assert_eq!(read("topics=*"), names(&["*"]));
    }

    #[test]
    fn where_the_client_was_comes_with_the_url() {
        let said = |query: &str| resume(Query::new(Some(query)));
        let after = |epoch, offset| Some(ResumeFrom::After(Some(hookswitch_protocol::Position { epoch, offset })));
        assert_eq!(said("token=x"), None);
        assert_eq!(said("resume="), Some(ResumeFrom::Here));
        assert_eq!(said("resume=wait"), Some(ResumeFrom::Later));
        assert_eq!(said("resume=17:4"), after(17, 4));
        assert_eq!(said("resume=17%3A4"), after(17, 4));
        assert_eq!(said("resume=yesterday"), Some(ResumeFrom::After(None)));
    }

    #[test]
    fn a_bad_one_is_told_by_parameter_and_limit() {
        for bad in ["events=", "events=a,,b", "events=a%20b", "topics=call*"] {
            let (code, message) = read(bad).expect_err(bad);
            assert_eq!(code, ErrorCode::InvalidField, "{bad}");
            assert!(message.starts_with(&bad[..6]), "{message}");
        }
        let many = |n: usize| format!("events={}", (0..n).map(|n| format!("t{n}")).collect::<Vec<_>>().join(","));
        assert_eq!(read(&many(256)).map(|names| names.map(|names| names.len())), Ok(Some(256)));
        let (code, message) = read(&many(257)).expect_err("too many");
        assert_eq!(
            (code, message.as_str()),
            (ErrorCode::TooManyNames, "events has too many names, at most 256 are allowed")
        );
        assert!(read(&format!("events={}", "x".repeat(9_000))).expect_err("too long").1.len() < 600);
    }
}
