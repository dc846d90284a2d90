//! Receivers that break every rule: each attempt ends by its deadline, with the right class, having
//! read little.

use std::time::Duration;

use hookswitch_testkit::{HostileReceiver, Step};

use crate::{KEPT_BYTES, client, post, post_briefly};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Far above what one answer may cost us, far below what a receiver could send within the deadline:
/// our own bound, and what lies in the buffers of two sockets.
const LITTLE_BYTES: usize = 16 * 1024 * 1024;

/// One attempt at a receiver with this script ends with this status and this error, in time, and we
/// hang up on a receiver that would go on.
async fn check(what: &str, script: impl IntoIterator<Item = Step>, status: Option<u16>, error: &str) {
    let receiver = HostileReceiver::start(script).await;
    let client = client();
    let is_slow = error.starts_with("timeout");
    let url = receiver.url("/");
    let outcome = if is_slow { post_briefly(&client, &url).await } else { post(&client, &url).await };
    let (got, said) = outcome.told();
    assert!(got == status && said.starts_with(error), "{what}: {got:?} {said:?}");
    assert!(outcome.took < Duration::from_secs(5), "{what}: {:?}", outcome.took);
    assert!(receiver.n_sent_bytes() < LITTLE_BYTES, "{what}: {} bytes", receiver.n_sent_bytes());
    assert!(outcome.exchange.body.len() <= KEPT_BYTES, "{what}: little is kept");
    if !error.is_empty() {
        receiver.all_closed().await;
    }
}

fn read_then(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    std::iter::once(Step::Read).chain(steps).collect()
}

#[tokio::test]
async fn resets_and_silences_at_every_stage() {
    let head = || Step::send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n");
    let body = || Step::send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it");
    let none = None;
    check("reset on accept", [Step::Reset], none, "connection_reset").await;
    check("reset after the request", read_then([Step::Reset]), none, "connection_reset").await;
    check("reset in the head", read_then([head(), Step::Reset]), none, "connection_reset").await;
    check("reset in the body", read_then([body(), Step::Reset]), Some(200), "connection_reset").await;
    check("closed on accept", [Step::Close], none, "connection_reset").await;
    check("closed after the request", read_then([Step::Close]), none, "connection_reset").await;
    check("closed in the head", read_then([head(), Step::Close]), none, "connection_reset").await;
    check("closed in the body", read_then([body(), Step::Close]), Some(200), "connection_reset").await;
    check("silent from the start", [Step::Hang], none, "timeout: not done").await;
    check("silent after the request", read_then([Step::Hang]), none, "timeout: not done").await;
    check("silent in the head", read_then([head(), Step::Hang]), none, "timeout: not done").await;
    check("silent in the body", read_then([body(), Step::Hang]), Some(200), "timeout: the answer was not").await;
}

#[tokio::test]
async fn slow_answers_end_with_the_deadline() {
    let pause = Duration::from_millis(100);
    let drip = |text: &str| Step::Drip(text.as_bytes().to_vec(), pause);
    check("a slow head", read_then([drip(OK)]), None, "timeout").await;
    let slow_body = read_then([Step::send("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n"), drip(&"x".repeat(90))]);
    check("a slow body", slow_body, Some(200), "timeout").await;
    let chunks = read_then([
        Step::send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        drip(&"1\r\nx\r\n".repeat(20)),
    ]);
    check("slow chunks", chunks, Some(200), "timeout").await;
}

#[tokio::test]
async fn answers_without_end_are_cut() {
    let head = "HTTP/1.1 200 OK\r\n";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let repeat = |text: &str| Step::Repeat(text.repeat(1 + 4096 / text.len()).into_bytes());
    check("a body", read_then([Step::send(chunked), repeat("4\r\nxxxx\r\n")]), Some(200), "response_too_large").await;
    let until_close = "HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\n";
    check("until close", read_then([Step::send(until_close), repeat("x")]), Some(503), "response_too_large").await;
    let declared = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
    check("a declared body", read_then([Step::send(declared), repeat("x")]), Some(200), "response_too_large").await;
    check("one header", read_then([Step::send("HTTP/1.1 200 OK\r\nx: "), repeat("y")]), None, "invalid_response").await;
    check("many headers", read_then([Step::send(head), repeat("x: y\r\n")]), None, "invalid_response").await;
    check("a status line", read_then([Step::send("HTTP/1.1 200 "), repeat("k")]), None, "invalid_response").await;
    let continues = read_then([repeat("HTTP/1.1 100 Continue\r\n\r\n")]);
    check("informational answers", continues, None, "invalid_response: much was sent").await;
    let hints = read_then([repeat("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")]);
    check("early hints", hints, None, "invalid_response: much was sent").await;
    let trailers = read_then([Step::send(chunked), Step::send("0\r\n"), repeat("x: y\r\n")]);
    check("trailers", trailers, Some(200), "").await;
    let extension = read_then([Step::send(chunked), Step::send("1;"), repeat("e")]);
    check("a chunk extension", extension, Some(200), "").await;
}

#[tokio::test]
async fn what_is_no_http_is_called_so() {
    let answered = |text: &str| read_then([Step::send(text), Step::Hang]);
    for (what, answer) in [
        ("another protocol", "SSH-2.0-OpenSSH_9.2p1\r\n\r\n"),
        ("no status", "HTTP/1.1 OK\r\n\r\n"),
        ("a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"),
        ("a header without colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
        ("a header name with blanks", "HTTP/1.1 200 OK\r\nx y: z\r\n\r\n"),
        ("a zero in a header", "HTTP/1.1 200 OK\r\nx: \0\r\n\r\n"),
        ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx"),
        ("a length that is none", "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n"),
        ("a negative length", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
        ("HTTP/2", "HTTP/2 200\r\n\r\n"),
        ("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("HTTP/2's frames", "\0\0\0\u{4}\0\0\0\0\0\0\0\u{8}\u{7}\0\0\0\0\0\0\0\0\0\0\0\u{1}"),
        ("TLS", "\u{15}\u{3}\u{3}\0\u{2}\u{2}F"),
    ] {
        check(what, answered(answer), None, "invalid_response").await;
    }
    let switched = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n";
    check("an upgrade", answered(switched), Some(101), "invalid_response: the protocol").await;
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n";
    check("a chunk that is none", answered(chunk), Some(200), "invalid_response").await;
}

#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    // Ten bytes that say they are gzip, and a body that would be a gigabyte.
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 40000\r\n\r\n".to_vec();
    answer.extend([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    answer.extend(std::iter::repeat_n(0, 39_990));
    check("a gzip bomb", read_then([Step::Send(answer)]), Some(200), "").await;
}

#[tokio::test]
async fn informational_answers_before_the_real_one_are_skipped() {
    let some = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    check("two of them", read_then([Step::send(some), Step::send(OK)]), Some(200), "").await;
}

#[tokio::test]
async fn bytes_after_an_answer_do_not_become_the_next_one() {
    let smuggled = format!("{OK}HTTP/1.1 500 Smuggled\r\ncontent-length: 0\r\n\r\n");
    let receiver = HostileReceiver::start(read_then([Step::send(&smuggled)])).await;
    let client = client();
    for _ in 0..3 {
        let outcome = post(&client, &receiver.url("/")).await;
        assert_eq!(outcome.told(), (Some(200), String::new()));
    }
}
