//! Follows the requests that are written over a connection, to know where each begins: only there the head of an
//! answer may be expected. A receiver that answers early is still being sent the rest of the same request.

use crate::answer_head::end_of_head;

/// What was written of one request. They are our own: heads are well formed, and a body has a `Content-Length`.
#[derive(Debug, Default)]
pub(crate) struct RequestWatch {
    /// Of a head that is not whole yet.
    head: Vec<u8>,
    body_left: u64,
}

impl RequestWatch {
    /// Takes note of what was written; true when a request began with it.
    pub(crate) fn wrote(&mut self, mut bytes: &[u8]) -> bool {
        let mut began = false;
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let n_body = bytes.len().min(usize::try_from(self.body_left).unwrap_or(usize::MAX));
                self.body_left -= n_body as u64;
                bytes = &bytes[n_body..];
                continue;
            }
            began |= self.head.is_empty();
            let n_before = self.head.len();
            self.head.extend_from_slice(bytes);
            let Some(end) = end_of_head(&self.head, n_before.saturating_sub(3)) else { break };
            self.body_left = content_length(&self.head[..end]);
            self.head = Vec::new();
            bytes = &bytes[end - n_before..];
        }
        began
    }
}

fn content_length(head: &[u8]) -> u64 {
    const NAME: &[u8] = b"content-length:";
    let value = head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    });
    value.and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_begins_where_the_one_before_it_ends() {
        let first = b"POST /a HTTP/1.1\r\nContent-Length: 9\r\nHost: x\r\n\r\nGET /\r\n\r\n";
        let second = b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n";
        for piece in [1, 2, 5, 20, 200] {
            let mut watch = RequestWatch::default();
            for request in [&first[..], second, first, first] {
                let begins: Vec<bool> = request.chunks(piece).map(|bytes| watch.wrote(bytes)).collect();
                assert!(begins[0] && !begins[1..].contains(&true), "in pieces of {piece}: {begins:?}");
            }
        }
    }
}
