//! As much of HTTP/1.1 as the load client and the floors need.

/// Everything before a message's body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    text: &'a str,
    /// Bytes up to and with the empty line.
    pub(crate) bytes: usize,
}

impl<'a> Head<'a> {
    /// Finds the head; `None` means that bytes are missing (or that it is not text, which nobody here sends).
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        Some(Self { text: std::str::from_utf8(&bytes[..end]).ok()?, bytes: end })
    }

    /// The request or status line.
    pub(crate) fn first_line(&self) -> &'a str {
        self.text.lines().next().unwrap_or_default()
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let mut fields = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Bytes of the body; 0 without a `Content-Length`.
    pub(crate) fn content_length(&self) -> usize {
        self.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Head;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let message = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-LENGTH:  12 \r\n\r\n{\"a\":1}";
        let head = Head::parse(message).unwrap();
        assert_eq!(head.first_line(), "POST /x HTTP/1.1");
        assert_eq!((head.header("host"), head.content_length()), (Some("a"), 12));
        assert_eq!(&message[head.bytes..], b"{\"a\":1}");
        assert!(Head::parse(&message[..head.bytes - 1]).is_none());
    }
}
