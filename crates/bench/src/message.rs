//! The event that is published: a 256-byte payload that carries its sequence number and the moment it was sent, in the
//! unit of the run's clock.

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
const TIME_DIGITS: usize = 15;

const BEFORE_SEQUENCE: &[u8] = br#"{"s":1"#;
const BEFORE_TIME: &[u8] = br#","t":1"#;
const BEFORE_PADDING: &[u8] = br#","p":""#;
const END: &[u8] = br#""}"#;

/// How a delivered envelope introduces our payload, and how the body of a webhook's delivery does.
const IN_ENVELOPE: &[u8] = br#""payload":{"s":1"#;
const IN_DELIVERY: &[u8] = br#""data":{"s":1"#;

/// A publishing request, ready but for the two numbers of each event.
#[derive(Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    /// Where the sequence number of each event stands.
    sequences_at: Vec<usize>,
}

impl Request {
    /// A keep-alive `POST` of one event of each of `types`, in their order, to `host` with a bearer token.
    pub(crate) fn new(host: &str, token: &str, types: &[&str]) -> Self {
        let (body, sequences_at) = body(types);
        let head = format!("POST /api/v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n");
        Self::whole(&head, &body, sequences_at)
    }

    /// A keep-alive `POST` of what a server makes of one event, with `headers` beside what every request has.
    pub(crate) fn delivery(host: &str, path: &str, headers: &str, event_type: &str) -> Self {
        let mut body = format!(r#"{{"event":"{event_type}","timestamp":1729866000,"data":"#).into_bytes();
        let sequence_at = push_payload(&mut body);
        body.push(b'}');
        Self::whole(&format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{headers}"), &body, vec![sequence_at])
    }

    fn whole(begin: &str, body: &[u8], mut sequences_at: Vec<usize>) -> Self {
        let length = body.len();
        let head = format!("{begin}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        for at in &mut sequences_at {
            *at += head.len();
        }
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        Self { bytes, sequences_at }
    }

    /// How many events one request carries.
    pub(crate) fn batch(&self) -> usize {
        self.sequences_at.len()
    }

    /// Appends the request for the next events; `number` gives each its sequence number.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, sent_at: u64, mut number: impl FnMut() -> u32) {
        for at in &self.sequences_at {
            write_digits(&mut self.bytes[*at..][..SEQUENCE_DIGITS], u64::from(number()));
            write_digits(&mut self.bytes[time_at(*at)..][..TIME_DIGITS], sent_at);
        }
        out.extend_from_slice(&self.bytes);
    }
}

/// The body of a request, and where in it the sequence numbers stand.
fn body(types: &[&str]) -> (Vec<u8>, Vec<usize>) {
    let mut body = if types.len() == 1 { Vec::new() } else { br#"{"events":["#.to_vec() };
    let mut sequences_at = Vec::new();
    for (place, event_type) in types.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        sequences_at.push(push_event(&mut body, event_type));
    }
    if types.len() != 1 {
        body.extend_from_slice(b"]}");
    }
    (body, sequences_at)
}

/// Appends one event without its numbers, and says where the first of them stands.
fn push_event(body: &mut Vec<u8>, event_type: &str) -> usize {
    body.extend_from_slice(format!(r#"{{"type":"{event_type}","payload":"#).as_bytes());
    let sequence_at = push_payload(body);
    body.push(b'}');
    sequence_at
}

/// Appends the payload without its numbers, and says where the first of them stands.
fn push_payload(body: &mut Vec<u8>) -> usize {
    let payload_at = body.len();
    for part in [BEFORE_SEQUENCE, &[b'0'; SEQUENCE_DIGITS], BEFORE_TIME, &[b'0'; TIME_DIGITS], BEFORE_PADDING] {
        body.extend_from_slice(part);
    }
    body.resize(payload_at + PAYLOAD_BYTES - END.len(), b'x');
    body.extend_from_slice(END);
    payload_at + BEFORE_SEQUENCE.len()
}

/// Where the time stands that belongs to a sequence number.
fn time_at(sequence_at: usize) -> usize {
    sequence_at + SEQUENCE_DIGITS + BEFORE_TIME.len()
}

/// Reads sequence number and sending time out of what is delivered, which all has the same layout.
#[derive(Debug)]
pub(crate) struct Reader {
    introduction: &'static [u8],
    introduction_at: usize,
}

impl Reader {
    /// For messages to WebSocket clients.
    pub(crate) fn of_envelopes() -> Self {
        Self { introduction: IN_ENVELOPE, introduction_at: 0 }
    }

    /// For bodies of requests to webhooks.
    pub(crate) fn of_deliveries() -> Self {
        Self { introduction: IN_DELIVERY, introduction_at: 0 }
    }

    /// `None` for a message that is no event of ours.
    pub(crate) fn read(&mut self, message: &[u8]) -> Option<(u32, u64)> {
        let introduction = self.introduction;
        if !message.get(self.introduction_at..)?.starts_with(introduction) {
            self.introduction_at = message.windows(introduction.len()).position(|window| window == introduction)?;
        }
        let sequence_at = self.introduction_at + introduction.len();
        let time_at = time_at(sequence_at);
        let sequence = read_digits(message.get(sequence_at..sequence_at + SEQUENCE_DIGITS)?)?;
        Some((u32::try_from(sequence).ok()?, read_digits(message.get(time_at..time_at + TIME_DIGITS)?)?))
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
    use hookswitch_receiver::Head;

    #[test]
    fn what_is_published_is_read_again_wherever_the_payload_stands() {
        let mut request = Request::new("127.0.0.1:1", "token", &[EVENT_TYPE]);
        let mut reader = Reader::of_envelopes();
        for (sequence, nanos) in [(0, 0), (7, 123_456), (999_999_999, 999_999_999_999_999)] {
            let mut out = Vec::new();
            request.push(&mut out, nanos, || sequence);
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
        Request::new("a", "b", &[EVENT_TYPE]).push(&mut out, 2, || 1);
        let body = &out[Head::parse(&out).unwrap().bytes..];
        let parsed: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(parsed["type"], EVENT_TYPE);
        assert_eq!(serde_json::to_vec(&parsed["payload"]).unwrap().len(), PAYLOAD_BYTES);
    }

    #[test]
    fn a_batch_numbers_each_of_its_events() {
        let (mut out, mut numbers) = (Vec::new(), 4..);
        let mut request = Request::new("a", "b", &[EVENT_TYPE; 3]);
        request.push(&mut out, 2, || numbers.next().unwrap());
        let body = std::str::from_utf8(&out[Head::parse(&out).unwrap().bytes..]).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(body).unwrap()["events"].is_array());
        let read = body.split(r#"{"type""#).skip(1).map(|event| Reader::of_envelopes().read(event.as_bytes()));
        assert_eq!(read.collect::<Vec<_>>(), [Some((4, 2)), Some((5, 2)), Some((6, 2))]);
        assert_eq!(request.batch(), 3);
    }
    #[test]
    fn a_delivery_is_read_as_the_server_would_send_it() {
        let mut out = Vec::new();
        Request::delivery("a", "/w/7", "X-Webhook-ID: 7\r\n", "bench.07").push(&mut out, 5, || 9);
        let head = Head::parse(&out).unwrap();
        assert_eq!((head.first_line(), head.header("x-webhook-id")), ("POST /w/7 HTTP/1.1", Some("7")));
        assert_eq!(head.bytes + head.content_length(), out.len());
        assert!(serde_json::from_slice::<serde_json::Value>(&out[head.bytes..]).unwrap()["data"].is_object());
        assert_eq!(Reader::of_deliveries().read(&out[head.bytes..]), Some((9, 5)));
    }
}
