//! Heads, in pieces of every size.

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";

/// What is passed on of this, read in pieces of so many bytes.
fn passed(text: &[u8], piece: usize) -> Result<Vec<u8>, HeadTooLong> {
    let (mut reader, mut out) = (AnswerReader::default(), Vec::new());
    for bytes in text.chunks(piece) {
        reader.take(bytes, &mut out)?;
    }
    Ok(out)
}

fn check(text: &str, wanted: &str) {
    for piece in [1, 2, 3, 7, text.len()] {
        let got = passed(text.as_bytes(), piece).expect("short enough");
        assert_eq!(String::from_utf8_lossy(&got), wanted, "{text:?} in pieces of {piece}");
    }
}

#[test]
fn what_stands_before_the_status_line_is_left_out() {
    for before in [
        "",
        "\r\n",
        "PHP Warning:  Undefined variable $x in /srv/hook.php on line 3\n",
        "\nWarning: one in x on line 1\n\nWarning: two in x on line 2\r\n",
        "<br />\n<b>Warning</b>:  mysqli::real_connect(): é in <b>/srv/hook.php</b><br />\n",
        "\x1b[33mdeprecated\x1b[0m\r\n",
    ] {
        check(&format!("{before}{OK}ok"), &format!("{OK}ok"));
    }
    check("warning\nHTTP/1.1 200 OK\n\nok\0", "HTTP/1.1 200 OK\n\nok\0");
}

#[test]
fn what_is_no_answer_is_passed_on_or_held() {
    let not_text = "\u{15}\u{3}\u{3}\0\u{2}\u{2}F";
    assert_eq!(passed(not_text.as_bytes(), 100), Ok(not_text.as_bytes().to_vec()), "for the library to refuse");
    for greeting in ["SSH-2.0-OpenSSH_9.2p1\r\n", "PRI * HTTP/2.0\r\n\r\n", "220 mail.test ESMTP\r\n", "+OK ready\r\n"]
    {
        assert_eq!(passed(greeting.as_bytes(), 100), Ok(greeting.as_bytes().to_vec()), "it waits for us");
    }
    let (mut reader, mut out) = (AnswerReader::default(), Vec::new());
    reader.take(b"Notice: x in y on line 1\n\n", &mut out).expect("short");
    assert!(reader.waits_for_status() && out.is_empty());
    reader.give_up(&mut out);
    assert_eq!((&out[..], reader.is_through()), (&b"Notice: x in y on line 1\n\n"[..], true));
}

#[test]
fn behind_an_informational_answer_comes_another_head() {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    check(
        &format!("{hints}{hints}{OK}HTTP/1.1 500 in the body"),
        &format!("{hints}{hints}{OK}HTTP/1.1 500 in the body"),
    );
    let switched = "HTTP/1.1 101 Switching Protocols\r\n\r\n\0\u{1}";
    check(switched, switched);
}

#[test]
fn the_next_answer_is_read_like_the_first() {
    let (mut reader, mut out) = (AnswerReader::default(), Vec::new());
    reader.take(format!("{OK}warning\n").as_bytes(), &mut out).expect("short");
    assert_eq!(out, format!("{OK}warning\n").as_bytes(), "a body is nobody's head");
    out.clear();
    reader.expect_answer();
    reader.take(format!("warning\n{OK}").as_bytes(), &mut out).expect("short");
    assert_eq!(out, OK.as_bytes());
}

#[test]
fn of_too_many_lines_those_that_matter_are_passed_on() {
    let cookies = |n: usize| "Set-Cookie: a=b; Path=/\r\n".repeat(n);
    let few = format!("HTTP/1.1 200 OK\r\n{}Retry-After: 7\r\n\r\n", cookies(99));
    check(&few, &few);
    let many =
        format!("HTTP/1.1 200 OK\r\n{}Retry-After: 7\r\nx: y\r\n folded\r\ncontent-length: 0\r\n\r\n", cookies(150));
    let got = passed(&many.clone().into_bytes(), 1000).expect("short enough");
    let wanted = format!("HTTP/1.1 200 OK\r\n{}Retry-After: 7\r\ncontent-length: 0\r\n\r\n", cookies(50));
    assert_eq!(String::from_utf8_lossy(&got), wanted);
    let wrong = format!("HTTP/1.1 200 OK\r\n{}no header\r\nx y: z\r\n\r\n", cookies(150));
    let got = String::from_utf8(passed(wrong.as_bytes(), 1000).expect("short enough")).expect("text");
    assert!(got.ends_with("no header\r\nx y: z\r\n\r\n"), "refused by the library: {got}");
}

#[test]
fn bytes_are_counted() {
    let head = |n: usize| format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(n - 24));
    let longest = head(HEAD_BYTES);
    assert_eq!(longest.len(), HEAD_BYTES);
    for piece in [100, 5_000, 100_000] {
        assert!(passed(longest.as_bytes(), piece).is_ok_and(|got| got == longest.as_bytes()));
        assert_eq!(passed(head(HEAD_BYTES + 1).as_bytes(), piece), Err(HeadTooLong));
        assert_eq!(passed("warning\n".repeat(10_000).as_bytes(), piece), Err(HeadTooLong));
        let lines = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(10_000));
        assert!(passed(lines.as_bytes(), piece).is_ok_and(|got| got.len() < 1_000), "lines are not counted");
    }
    let body = format!("{OK}{}", "b".repeat(10 * HEAD_BYTES));
    assert!(passed(body.as_bytes(), 9_000).is_ok_and(|got| got == body.as_bytes()), "a body has its own limit");
}
