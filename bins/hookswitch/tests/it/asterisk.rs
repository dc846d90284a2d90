//! A node that follows a telephone system: what a real one sent once, played to it, and what subscribers hear of it.

use std::io::Read as _;

use flate2::read::GzDecoder;
use hookswitch_testkit::{PATIENCE, ScriptedPbx, WsClient, WsRequest, eventually};
use serde_json::Value;

use crate::stage::{Stage, TENANT};

/// Recordings of an Asterisk 22.10.1, with the events that are right; their form stands in the crate they belong to.
const ARCHIVE: &[u8] = include_bytes!("../../../../crates/asterisk/tests/captures.gz");

const EVENTS: &str = "call.*,queue.*,call.outgoing,call.ringing,call.ring_ended,call.parked,source.lost,source.back";

struct Capture {
    bytes: Vec<u8>,
    told: Vec<Value>,
}

fn capture(name: &str) -> Capture {
    let mut all = Vec::new();
    GzDecoder::new(ARCHIVE).read_to_end(&mut all).expect("the archive is whole");
    let mut rest = &all[..];
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').expect("the capture is in the archive");
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let words: Vec<&str> = head.split(' ').collect();
        let lengths: Vec<usize> = words[2..].iter().map(|word| word.parse().expect("a length")).collect();
        let (_timing, after) = rest[end + 1..].split_at(lengths[0]);
        let (bytes, after) = after.split_at(lengths[1]);
        let (told, after) = after.split_at(lengths[2]);
        if words[1] == name {
            let told = serde_json::Deserializer::from_slice(told).into_iter().map(|told| told.expect("an event"));
            return Capture { bytes: bytes.to_vec(), told: told.collect() };
        }
        rest = after;
    }
}

/// What everybody heard who was connected: neither the banner nor answers to one.
fn broadcasts(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let is_broadcast = |message: &&str| message.starts_with("Event: ") && !message.contains("\r\nActionID: ");
    text.split("\r\n\r\n").filter(is_broadcast).flat_map(|message| format!("{message}\r\n\r\n").into_bytes()).collect()
}

/// The events of one call: their types and what tells them apart, in order. Times are of no use: all comes at once.
fn of_call(event: &Value) -> Option<(String, String)> {
    let event_type = event["type"].as_str()?.to_owned();
    let call = event["payload"]["unique_id"].as_str()?;
    let detail = ["agent_id", "reason", "ended_by", "queue_name"].map(|name| event["payload"][name].to_string());
    Some((event_type, format!("{call} {}", detail.join(" "))))
}

async fn follow(pbx: &ScriptedPbx) -> Stage {
    let (addr, user) = (pbx.addr(), "hookswitch");
    Stage::with(&[
        ("ASTERISK_ADDRESS", &addr),
        ("ASTERISK_USER", user),
        ("ASTERISK_SECRET", "secret"),
        ("ASTERISK_TENANT", TENANT),
        ("ASTERISK_OUTSIDE", "from-trunk,PJSIP/trunk*"),
    ])
    .await
}

async fn subscriber(stage: &Stage) -> WsClient {
    let token = stage.sign(&hookswitch_testkit::Token::new(TENANT, 9).role("supervisor"));
    WsRequest::new(stage.addr(), &format!("/ws?events={EVENTS}")).bearer(&token).open().await
}

/// Reads until the call has ended, and gives what was told of calls.
async fn until_ended(client: &mut WsClient) -> Vec<(String, String)> {
    let mut told = Vec::new();
    loop {
        let event = client.next_event(PATIENCE).await;
        told.extend(of_call(&event));
        if event["type"] == "call.ended" {
            return told;
        }
    }
}

#[tokio::test]
async fn a_recorded_queue_call_reaches_subscribers_as_it_happened() {
    let (pbx, capture) = (ScriptedPbx::start().await, capture("04a-queue-ringall-agent-ends"));
    let stage = follow(&pbx).await;
    let mut client = subscriber(&stage).await;
    eventually("the node has taken the lists", PATIENCE, async || pbx.n_synced() > 0).await;
    pbx.send(&broadcasts(&capture.bytes));
    let told = until_ended(&mut client).await;
    let right: Vec<_> = capture.told.iter().filter_map(of_call).collect();
    assert_eq!(told, right);
}

#[tokio::test]
async fn a_call_that_ended_while_nobody_listened_ends_for_subscribers_after_the_reconnect() {
    let (pbx, capture) = (ScriptedPbx::start().await, capture("02a-direct-caller-hangs-up"));
    let stage = follow(&pbx).await;
    let mut client = subscriber(&stage).await;
    eventually("the node has taken the lists", PATIENCE, async || pbx.n_synced() > 0).await;
    let sent = broadcasts(&capture.bytes);
    let text = String::from_utf8(sent).expect("this one is text");
    let begin = text.find("Event: BridgeEnter").expect("the call is answered");
    pbx.send(&text.as_bytes()[..begin]);
    client.expect("call.incoming").await;
    pbx.hang_up();
    let told = until_ended(&mut client).await;
    let (event_type, detail) = told.last().expect("the call's end");
    assert_eq!(event_type, "call.ended");
    assert!(detail.contains("reconciled"), "{told:?}");
    let ends = told.iter().filter(|(event_type, _)| event_type == "call.ended").count();
    assert_eq!(ends, 1, "{told:?}");
}
