//! What is printed, and what is counted.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use hookswitch::protocol::{Secret, Timestamp};
use hookswitch::runtime::Clock;
use hookswitch_receiver::Request;
use serde::Serialize;

use super::ReceiverArgs;
use super::delivery::Delivery;
use super::seen_deliveries::{SeenDeliveries, Summary};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Quiet,
}

/// Counts every request, and tells of it.
#[derive(Debug)]
pub(super) struct Report {
    secret: Option<Secret>,
    form: Form,
    sums_up_in_json: bool,
    clock: Clock,
    seen: Mutex<SeenDeliveries>,
}

#[derive(Serialize)]
struct ReportEntry<'a> {
    at: String,
    #[serde(flatten)]
    delivery: &'a Delivery<'a>,
    times: u32,
}

#[derive(Serialize)]
struct Last {
    summary: Summary,
}

impl Report {
    pub(super) fn new(args: &ReceiverArgs) -> Self {
        let form = match (args.quiet, args.json) {
            (true, _) => Form::Quiet,
            (_, true) => Form::Json,
            _ => Form::Text,
        };
        Self {
            secret: args.secret.clone(),
            form,
            sums_up_in_json: args.json,
            clock: Clock::system(),
            seen: Mutex::default(),
        }
    }

    /// Notes a request; returns how often its delivery has come by now.
    pub(super) fn note(&self, request: &Request) -> u32 {
        let now = self.clock.now();
        let delivery = Delivery::read(request, self.secret.as_ref(), now);
        let times = self.seen.lock().unwrap_or_else(PoisonError::into_inner).count(&delivery);
        match self.form {
            Form::Quiet => {}
            Form::Text => print(&text(&delivery, times, now)),
            Form::Json => print_json(&ReportEntry { at: now.to_string(), delivery: &delivery, times }),
        }
        times
    }

    /// The last line.
    pub(super) fn summary(&self) {
        let summary = self.seen.lock().unwrap_or_else(PoisonError::into_inner).summary();
        if self.sums_up_in_json {
            return print_json(&Last { summary });
        }
        let Summary { requests, deliveries, repeats, without_id, bad_signatures } = summary;
        print(&format!(
            "{requests} requests: {deliveries} deliveries, {repeats} repeats, {without_id} without id, \
             {bad_signatures} with bad signatures"
        ));
    }
}

/// Columns for people; the blanks around it keep the eye on the verdicts.
fn text(delivery: &Delivery<'_>, times: u32, now: Timestamp) -> String {
    let Delivery { event, attempt, delivery, hex, standard, body_bytes, .. } = delivery;
    let again = if times > 1 { format!("  seen {times} times") } else { String::new() };
    format!(
        "{now}  {event:<22} attempt {attempt}  {delivery}  hex {}  std {}  {body_bytes} bytes{again}",
        hex.label(),
        standard.label()
    )
}

fn print_json(line: &impl Serialize) {
    print(&serde_json::to_string(line).expect("plain data with text keys"));
}

/// Whoever read our lines may be gone, as with `| head`; the counting goes on.
fn print(line: &str) {
    let _gone = writeln!(std::io::stdout(), "{line}");
}
