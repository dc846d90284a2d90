//! Odd bytes that real PBXs send: each is got through, and no message after it is lost.

use hookswitch_asterisk::{Message, ReadError, ReadLimits, Reader};

fn read(bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut reader = Reader::default();
    reader.push(b"Asterisk Call Manager/5.0.2\r\n");
    let mut found = Vec::new();
    for part in bytes.chunks(piece) {
        reader.push(part);
        while let Some(message) = reader.next()? {
            found.push(message.raw().to_vec());
        }
    }
    Ok(found)
}

fn all(bytes: &[u8]) -> Vec<Vec<u8>> {
    let whole = read(bytes, usize::MAX).expect("it can be read");
    for piece in 1..9 {
        assert_eq!(read(bytes, piece).expect("it can be read"), whole, "in pieces of {piece}");
    }
    whole
}

fn names(messages: &[Vec<u8>]) -> Vec<String> {
    messages.iter().map(|raw| Message::new(raw).event().unwrap_or("an answer").to_owned()).collect()
}

#[test]
fn empty_lines_too_many_and_bare_ends_part_messages() {
    assert_eq!(names(&all(b"Event: A\r\nX: 1\r\n\r\n\r\nEvent: B\r\nX: 2\r\n\r\n")), ["A", "B"]);
    assert_eq!(names(&all(b"Event: A\r\nX: 1\r\n\nEvent: B\r\nX: 2\r\n\r\n")), ["A", "B"]);
    let bare = all(b"Event: Agents\r\nAgent: 7\r\nCallStarted: 1\nLoggedInTime: 2\r\n\r\n");
    assert_eq!(Message::new(&bare[0]).headers().count(), 4);
    assert_eq!(Message::new(&bare[0]).text("LoggedInTime"), "2");
}

#[test]
fn output_comes_by_header_and_bare() {
    let answer = b"Response: Success\r\nActionID: 3\r\nOutput: a\r\nOutput: \r\nOutput: b: c\r\n\r\n";
    assert_eq!(Message::new(&all(answer)[0]).output(), ["a", "", "b: c"]);
    let old = b"Response: Follows\r\nPrivilege: Command\r\nActionID: 4\r\nline: one\nline two\n\nafter\n\
        --END COMMAND--\r\n\r\nEvent: A\r\n\r\n";
    let read = all(old);
    assert_eq!(names(&read), ["an answer", "A"]);
    assert_eq!(Message::new(&read[0]).output(), ["line: one", "line two", "", "after"]);
    // Forged into a name, it swallows nothing.
    let forged = b"Response: Follows\r\nX: y\r\n\r\nEvent: A\r\nX: 1\r\n\r\nEvent: B\r\n\r\n";
    assert_eq!(names(&all(forged)), ["an answer", "A", "B"]);
}

#[test]
fn odd_headers_are_read() {
    let read = all(b"Event: Hangup\r\nUniqueid: 1.1\r\nChanVariable(PJSIP/101-00000001): CDR(dst)=101\r\n\r\n");
    assert_eq!(Message::new(&read[0]).text("ChanVariable(PJSIP/101-00000001)"), "CDR(dst)=101");
    let read = all(b"Event: RTCPSent\r\nReportBlock:\r\nFractionLost: 0\r\n\r\n");
    assert_eq!(Message::new(&read[0]).bytes("ReportBlock"), Some(&b""[..]));
    let read = all(b"Event: VarSet\r\nVariable: X\r\nValue: a\r\nname: b\r\nValue: c\r\nName: J\xf6rg\r\n\r\n");
    assert_eq!(Message::new(&read[0]).text("Value"), "a");
    assert_eq!(Message::new(&read[0]).text("NAME"), "b");
}

#[test]
fn what_is_too_long_is_an_error_that_names_the_limit() {
    let mut long = b"Event: A\r\n".to_vec();
    long.resize(300_000, b'x');
    let error = read(&long, 4_096).expect_err("it is too long");
    assert_eq!(error, ReadError::LineTooLong(ReadLimits::default().line));
    let many = [&b"Event: A\r\n"[..], &b"X: 1\r\n".repeat(100_000)].concat();
    let error = read(&many, 4_096).expect_err("it is too long");
    assert_eq!(error, ReadError::MessageTooLong(ReadLimits::default().message));
    let mut reader = Reader::default();
    reader.push(b"HTTP/1.1 400 Bad Request\r\n");
    assert_eq!(reader.next().expect_err("no banner"), ReadError::NoBanner);
}
