//! Real deliveries, checked by what receivers use: the functions of `docs/webhooks.md`, run in their
//! languages, and the libraries of Standard Webhooks. What is not installed here is skipped, and said.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{DeliveryId, EventType, Secret};
use hookswitch_runtime::Clock;
use hookswitch_testkit::{ReceivedRequest, Receiver};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::super::headers::Extras;
use super::super::{AttemptRequest, Sender};
use super::{sender, webhook_to};
use crate::seams::directory::Webhook;

const DOC: &str = include_str!("../../../../../docs/webhooks.md");
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const PLAIN: &str = "a plain secret, with ünicode";
const BODY: &str = "{\"event\":\"call.incoming\",\"timestamp\":1729866000,\"data\":{\"caller\":\"Zoë \\\"x\\\"\"}}";

/// Installing a library, or compiling a snippet.
const COMMAND_DEADLINE: Duration = Duration::from_mins(2);

/// Delivers the body, as in production, and gives back what arrived.
async fn delivered(sender: &Sender, secret: &str, previous: Option<&str>) -> ReceivedRequest {
    let receiver = Receiver::healthy().await;
    let webhook = Webhook { secret: Some(Secret::new(secret)), ..webhook_to(&receiver.url("/")) };
    let (now, previous) = (Clock::system().now(), previous.map(Secret::new));
    let request = AttemptRequest {
        webhook: &webhook,
        delivery: &DeliveryId::generate(now),
        event_type: &EventType::CALL_INCOMING,
        attempt: 1,
        body: Bytes::from_static(BODY.as_bytes()),
        now,
    };
    let extras = Extras { previous_secret: previous.as_ref(), ..Extras::default() };
    let outcome = sender.send_with(&request, &extras).await;
    assert!(outcome.is_success(), "{outcome:?}");
    receiver.requests().remove(0)
}

/// One case: who asks with which secret, and what is right to say.
fn case(name: &str, request: &ReceivedRequest, secret: &str, hex: bool, standard: bool) -> Value {
    let headers: Map<String, Value> =
        request.headers.iter().map(|(name, value)| (name.to_lowercase(), json!(value))).collect();
    let body = String::from_utf8(request.body.to_vec()).expect("JSON is text");
    json!({"name": name, "body": body, "headers": headers, "secret": secret, "hex": hex, "standard": standard})
}

/// The same request with one of its headers changed.
fn with(request: &ReceivedRequest, name: &str, change: impl Fn(&str) -> String) -> ReceivedRequest {
    let mut request = request.clone();
    let found = request.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let (_, value) = found.expect("the header is there");
    *value = change(value);
    request
}

async fn cases() -> Value {
    let sender = sender();
    let mut all = Vec::new();
    for secret in [STANDARD, PLAIN] {
        let good = delivered(&sender, secret, None).await;
        all.push(case("genuine", &good, secret, true, true));
        all.push(case("another secret", &good, NEXT, false, false));
        let body = Bytes::from(BODY.replace("incoming", "outgoing"));
        all.push(case("another body", &ReceivedRequest { body, ..good.clone() }, secret, false, false));
        let id = with(&good, "webhook-id", |id| format!("{id}0"));
        all.push(case("another id", &id, secret, true, false));
        let old = with(&good, "webhook-timestamp", |at| (at.parse::<i64>().expect("a number") - 400).to_string());
        all.push(case("another time", &old, secret, true, false));
        let cut = with(&good, "webhook-signature", |signature| signature[..signature.len() - 6].to_owned());
        all.push(case("half a signature", &cut, secret, true, false));
        let odd = with(&good, "x-webhook-signature", |_| "nonsense".to_owned());
        all.push(case("no hex", &odd, secret, false, true));
        let bare = ReceivedRequest { headers: Vec::new(), ..good };
        all.push(case("unsigned", &bare, secret, false, false));
    }
    let overlap = delivered(&sender, NEXT, Some(STANDARD)).await;
    all.push(case("rotation, old secret", &overlap, STANDARD, true, true));
    all.push(case("rotation, new secret", &overlap, NEXT, true, true));
    all.push(case("rotation, neither", &overlap, "whsec_AAAA", false, false));
    Value::Array(all)
}

/// The code block after the marker for this language.
fn snippet(language: &str) -> &'static str {
    let marker = format!("<!-- verify: {language} -->\n```");
    let rest = DOC.split_once(&marker).unwrap_or_else(|| panic!("docs/webhooks.md has no {marker}")).1;
    let code = rest.split_once('\n').expect("a fence ends its line").1;
    code.split_once("```").expect("a fence is closed").0
}

/// Tests hide what they print; this is not hidden.
fn skip(what: &str) {
    let _closed = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

/// Runs a program in the directory; `None` when it is not installed, else its complaint, empty when all is well.
async fn run(dir: &Path, program: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).kill_on_drop(true).stdin(std::process::Stdio::null());
    let output = match tokio::time::timeout(COMMAND_DEADLINE, command.output()).await {
        Err(_) => return Some(format!("{program} did not end within {COMMAND_DEADLINE:?}")),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Ok(output) => output.expect("the program starts"),
    };
    // PHP complains on standard output.
    let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
    Some(if output.status.success() { String::new() } else { format!("{} {said}", output.status) })
}

async fn stage() -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    std::fs::write(dir.path().join("cases.json"), cases().await.to_string()).expect("written");
    dir
}

/// Runs the document's function for a language over all cases.
async fn check_snippet(language: &str, file: &str, program: &str, args: &[&str], code: String) {
    let dir = stage().await;
    std::fs::write(dir.path().join(file), code).expect("written");
    match run(dir.path(), program, &[args, &[file, "cases.json"]].concat()).await {
        None => skip(&format!("the {language} functions of docs/webhooks.md, because {program} is not installed")),
        Some(complaint) => assert_eq!(complaint, "", "the {language} functions of docs/webhooks.md"),
    }
}

#[tokio::test]
async fn the_functions_for_node_are_right() {
    let code = format!("{}\n{}", snippet("node"), include_str!("../../../tests/verifiers/check.mjs"));
    check_snippet("Node", "check.mjs", "node", &[], code).await;
}

#[tokio::test]
async fn the_functions_for_python_are_right() {
    let code = format!("{}\n{}", snippet("python"), include_str!("../../../tests/verifiers/check.py"));
    check_snippet("Python", "check.py", "python3", &[], code).await;
}

#[tokio::test]
async fn the_functions_for_go_are_right() {
    let code = format!("{}\n{}", include_str!("../../../tests/verifiers/check.go"), snippet("go"));
    check_snippet("Go", "check.go", "go", &["run"], code).await;
}

#[tokio::test]
async fn the_functions_for_php_are_right() {
    let code = format!("<?php\n{}\n{}", snippet("php"), include_str!("../../../tests/verifiers/check.php"));
    check_snippet("PHP", "check.php", "php", &[], code).await;
}

#[tokio::test]
async fn the_standard_webhooks_library_of_python_accepts_our_deliveries() {
    let dir = stage().await;
    let program = include_str!("../../../tests/verifiers/library.py");
    std::fs::write(dir.path().join("library.py"), program).expect("written");
    let install = ["-m", "pip", "install", "--quiet", "--target", ".", "--retries", "1", "standardwebhooks"];
    match run(dir.path(), "python3", &install).await {
        None => skip("Standard Webhooks for Python: python3 is not installed"),
        Some(complaint) if !complaint.is_empty() => {
            skip(&format!("Standard Webhooks for Python, which cannot be installed: {complaint}"));
        }
        Some(_) => assert_eq!(run(dir.path(), "python3", &["library.py", "cases.json"]).await.as_deref(), Some("")),
    }
}

#[tokio::test]
async fn the_standard_webhooks_library_of_npm_accepts_our_deliveries() {
    let dir = stage().await;
    let program = include_str!("../../../tests/verifiers/library.mjs");
    std::fs::write(dir.path().join("library.mjs"), program).expect("written");
    let install = ["install", "--prefix", ".", "--no-audit", "--no-fund", "--fetch-retries", "1", "standardwebhooks"];
    match run(dir.path(), "npm", &install).await {
        None => skip("Standard Webhooks for Node: npm is not installed"),
        Some(complaint) if !complaint.is_empty() => {
            skip(&format!("Standard Webhooks for Node, which cannot be installed: {complaint}"));
        }
        Some(_) => assert_eq!(run(dir.path(), "node", &["library.mjs", "cases.json"]).await.as_deref(), Some("")),
    }
}
