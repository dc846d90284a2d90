//! Heads that a browser would read: the status decides, whatever stands around it.

use std::time::Duration;

use hookswitch_testkit::{HostileReceiver, Step};

use crate::{client, post};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn with(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}retry-after: 7\r\ncontent-length: 2\r\n\r\nok")
}

/// Three attempts over one connection have this answer, with its body and a header that we go by.
async fn check(what: &str, answer: &str) {
    for pieces in [answer.len(), 100, 3] {
        let sent = answer.as_bytes().chunks(pieces).map(|bytes| Step::Send(bytes.to_vec()));
        let receiver = HostileReceiver::start(std::iter::once(Step::Read).chain(sent)).await;
        let client = client();
        for _ in 0..3 {
            let outcome = post(&client, &receiver.url("/")).await;
            assert_eq!(outcome.told(), (Some(200), String::new()), "{what}");
            let head = outcome.exchange.head.expect("an answer");
            assert!(head.headers.get("retry-after").is_none_or(|value| value == "7"), "{what}");
            assert_eq!(outcome.exchange.body, "ok", "{what}");
        }
        assert_eq!(receiver.n_connections(), 1, "{what}");
    }
}

#[tokio::test]
async fn folded_header_lines_are_unfolded() {
    check("a blank", &with("x-note: one\r\n two\r\n")).await;
    check("a tab", &with("x-note: one\r\n\ttwo\r\n\t three\r\n")).await;
    check("a field that begins with a fold", &with("x-note:\r\n  one\r\n")).await;
}

#[tokio::test]
async fn header_lines_are_not_counted() {
    check("a hundred", &with(&"set-cookie: a=b\r\n".repeat(98))).await;
    check("one more", &with(&"set-cookie: a=b\r\n".repeat(99))).await;
    check("150 cookies", &with(&"set-cookie: session=0123456789abcdef; Path=/; HttpOnly\r\n".repeat(150))).await;
    check("thousands", &with(&"x: y\r\n".repeat(8_000))).await;
}

#[tokio::test]
async fn a_warning_before_the_status_does_not_hide_it() {
    check("a line", &format!("PHP Warning:  Undefined variable $x in /srv/hook.php on line 3\r\n{OK}")).await;
    check("two, with empty lines", &format!("\nWarning: a in b on line 1\n\nWarning: c in d on line 2\n{OK}")).await;
    check("markup", &format!("<br />\n<b>Warning</b>:  a in <b>b</b> on line <b>3</b><br />\n{OK}")).await;
}

#[tokio::test]
async fn a_head_has_room_for_64_kib_and_no_more() {
    let long = |n: usize| with(&format!("x: {}\r\n", "y".repeat(n)));
    check("60 KiB", &long(60 * 1024)).await;
    let receiver = HostileReceiver::start([Step::Read, Step::send(&long(70 * 1024))]).await;
    let told = post(&client(), &receiver.url("/")).await.told();
    assert_eq!(told, (None, "invalid_response: the answer's head is longer than 65536 bytes".to_owned()));
}

#[tokio::test]
async fn a_script_may_work_for_a_while_between_its_warning_and_its_status() {
    let steps = [Step::Read, Step::send("Warning: slow\n"), Step::Pause(Duration::from_secs(3)), Step::send(OK)];
    let receiver = HostileReceiver::start(steps).await;
    assert_eq!(post(&client(), &receiver.url("/")).await.told(), (Some(200), String::new()));
}
