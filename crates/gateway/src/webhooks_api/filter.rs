//! Which entries of a log are wanted: each bad parameter is named.

use std::borrow::Cow;

use hookswitch_protocol::{DeliveryId, EventType, Timestamp};
use hookswitch_webhooks::{LogFilter, LogOutcome};

use crate::http::{Problem, Query};

/// Reads `event`, `status`, `since`, `delivery_id` and `include`.
///
/// # Errors
/// 400 naming the parameter.
pub(super) fn log_filter(query: Query<'_>) -> Result<LogFilter, Problem> {
    Ok(LogFilter {
        event_type: read(query, "event", |text| EventType::parse(text).map_err(|e| e.problem))?,
        outcome: read(query, "status", outcome)?,
        since: query.get("since").map(|_| query.moment("since", Timestamp::from_millis(0))).transpose()?,
        delivery: read(query, "delivery_id", |text| DeliveryId::parse(text).map_err(|e| e.problem))?,
        with_skips: read(query, "include", skipped)?.is_some(),
    })
}

fn read<T>(query: Query<'_>, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, Problem> {
    let parse = |text: Cow<'_, str>| parse(&text).map_err(|problem| Problem::field(name, &problem));
    query.get(name).map(parse).transpose()
}

fn outcome(text: &str) -> Result<LogOutcome, String> {
    match text {
        "success" => Ok(LogOutcome::Success),
        "failed" => Ok(LogOutcome::Failure),
        code => {
            let status = code.parse().ok().filter(|status| (100..=999).contains(status) && code.len() == 3);
            status
                .map(LogOutcome::Status)
                .ok_or_else(|| "must be success, failed or a three-digit HTTP status".to_owned())
        }
    }
}

fn skipped(text: &str) -> Result<(), String> {
    if text == "skipped" { Ok(()) } else { Err("can be skipped only".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<LogFilter, String> {
        log_filter(Query::new(Some(query))).map_err(|problem| problem.message.into_owned())
    }

    #[test]
    fn without_parameters_every_attempt_is_wanted() {
        assert_eq!(filter("limit=5&x=y"), Ok(LogFilter::default()));
    }

    #[test]
    fn parameters_are_read() {
        let all = filter("event=call.ended&status=failed&since=1970-01-01T00:00:01Z&delivery_id=d-1&include=skipped");
        let wanted = LogFilter {
            event_type: Some(EventType::CALL_ENDED),
            outcome: Some(LogOutcome::Failure),
            since: Some(Timestamp::from_millis(1_000)),
            delivery: Some(DeliveryId::parse("d-1").expect("legal")),
            with_skips: true,
        };
        assert_eq!(all, Ok(wanted));
        assert_eq!(filter("status=success").expect("good").outcome, Some(LogOutcome::Success));
        assert_eq!(filter("status=503").expect("good").outcome, Some(LogOutcome::Status(503)));
    }

    #[test]
    fn each_bad_parameter_is_named() {
        for bad in [
            "event=Call",
            "event=",
            "status=ok",
            "status=99",
            "status=0200",
            "status=+20",
            "since=yesterday",
            "since=",
            "delivery_id=",
            "include=all",
            "include=",
        ] {
            let name = bad.split('=').next().unwrap_or(bad);
            let problem = filter(bad).expect_err(bad);
            assert!(problem.starts_with(name), "{bad}: {problem}");
        }
    }
}
