//! The event that is published: a 256-byte payload that carries its sequence number and the moment it was sent.

/// What the subscribers under load listen to.
pub(crate) const EVENT_TYPE: &str = "call.incoming";
/// What bystanders listen to instead.
pub(crate) const OTHER_TYPE: &str = "queue.stats";
/// The tenant everybody belongs to.
pub(crate) const TENANT: &str = "bench-tenant";

/// Size of the payload object, braces included.
const PAYLOAD_BYTES: usize = 256;
/// Digits of the sequence number and of the time; a leading 1 makes each of them a fixed-width JSON number.
const SEQUENCE_DIGITS: usize = 9;
const NANOS_DIGITS: usize = 15;

const BEFORE_SEQUENCE: &[u8] = br#"{"s":1"#;
const BEFORE_NANOS: &[u8] = br#","t":1"#;
const BEFORE_PADDING: &[u8] = br#","p":""#;
const END: &[u8] = br#""}"#;

/// How a delivered envelope introduces our payload.
const INTRODUCTION: &[u8] = br#""payload":{"s":1"#;

/// A publishing request, ready but for the two numbers.
#[derive(Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    sequence_at: usize,
    nanos_at: usize,
}

impl Request {
    /// A keep-alive `POST` to `host` with a bearer token.
    pub(crate) fn new(host: &str, token: &str) -> Self {
        let mut body = format!(r#"{{"type":"{EVENT_TYPE}","payload":"#).into_bytes();
        let payload_at = body.len();
        for part in [BEFORE_SEQUENCE, &[b'0'; SEQUENCE_DIGITS], BEFORE_NANOS, &[b'0'; NANOS_DIGITS], BEFORE_PADDING] {
            body.extend_from_slice(part);
        }
        body.resize(payload_at + PAYLOAD_BYTES - END.len(), b'x');
        body.extend_from_slice(END);
        body.push(b'}');
        let head = format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let sequence_at = head.len() + payload_at + BEFORE_SEQUENCE.len();
        let nanos_at = sequence_at + SEQUENCE_DIGITS + BEFORE_NANOS.len();
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&body);
        Self { bytes, sequence_at, nanos_at }
    }

    /// Appends the request for one event.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, sequence: u32, nanos: u64) {
        write_digits(&mut self.bytes[self.sequence_at..][..SEQUENCE_DIGITS], u64::from(sequence));
        write_digits(&mut self.bytes[self.nanos_at..][..NANOS_DIGITS], nanos);
        out.extend_from_slice(&self.bytes);
    }
}

/// Reads sequence number and sending time out of delivered envelopes, which all have the same layout.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    introduction_at: usize,
}

impl Reader {
    /// `None` for a message that is no event of ours.
    pub(crate) fn read(&mut self, message: &[u8]) -> Option<(u32, u64)> {
        if !message.get(self.introduction_at..)?.starts_with(INTRODUCTION) {
            self.introduction_at = message.windows(INTRODUCTION.len()).position(|window| window == INTRODUCTION)?;
        }
        let sequence_at = self.introduction_at + INTRODUCTION.len();
        let nanos_at = sequence_at + SEQUENCE_DIGITS + BEFORE_NANOS.len();
        let sequence = read_digits(message.get(sequence_at..sequence_at + SEQUENCE_DIGITS)?)?;
        Some((u32::try_from(sequence).ok()?, read_digits(message.get(nanos_at..nanos_at + NANOS_DIGITS)?)?))
    }
}

fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn read_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::http::Head;

    #[test]
    fn what_is_published_is_read_again_wherever_the_payload_stands() {
        let mut request = Request::new("127.0.0.1:1", "token");
        let mut reader = Reader::default();
        for (sequence, nanos) in [(0, 0), (7, 123_456), (999_999_999, 999_999_999_999_999)] {
            let mut out = Vec::new();
            request.push(&mut out, sequence, nanos);
            let head = Head::parse(&out).unwrap();
            assert_eq!(head.bytes + head.content_length(), out.len());
            assert_eq!(reader.read(&out[head.bytes..]), Some((sequence, nanos)));
            let moved = [b"{\"id\":\"x\",", &out[head.bytes + 1..]].concat();
            assert_eq!(reader.read(&moved), Some((sequence, nanos)));
        }
        assert_eq!(reader.read(br#"{"type":"pong"}"#), None);
    }

    #[test]
    fn the_payload_is_a_json_object_of_256_bytes() {
        let mut out = Vec::new();
        Request::new("a", "b").push(&mut out, 1, 2);
        let body = &out[Head::parse(&out).unwrap().bytes..];
        let parsed: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(parsed["type"], EVENT_TYPE);
        assert_eq!(serde_json::to_vec(&parsed["payload"]).unwrap().len(), PAYLOAD_BYTES);
    }
}
