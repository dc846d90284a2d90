//! The extension that a handshake may agree on: permessage-deflate (RFC 7692, section 7).
//!
//! Neither side keeps a window from one message to the next, so that a connection has no state of it, and one
//! compressed frame suits everybody who took the extension.

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderValue};

use super::deflate::WINDOW_BITS;

const NAME: &str = "permessage-deflate";

/// What is answered to an offer that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PerMessageDeflate {
    /// The window that the client asked for and is promised.
    window_bits: Option<u8>,
}

impl PerMessageDeflate {
    /// Takes the first offer that can be served. What cannot be, or is written wrongly, is declined: the connection
    /// does without.
    pub(crate) fn choose(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
        lines.filter_map(|line| offers(line.to_str().ok()?)).flatten().find_map(|offer| Self::serve(&offer))
    }

    fn serve(offer: &Offer) -> Option<Self> {
        if !offer.name.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let mut window_bits = None;
        for (at, (name, value)) in offer.parameters.iter().enumerate() {
            if offer.parameters[..at].iter().any(|(earlier, _)| earlier == name) {
                return None;
            }
            match (name.as_str(), value) {
                ("server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits", None) => {}
                // How small the client's window is, is its own affair: the largest is read.
                ("client_max_window_bits", Some(bits)) => _ = bits_of(bits)?,
                ("server_max_window_bits", Some(bits)) => {
                    window_bits = Some(bits_of(bits).filter(|bits| *bits >= WINDOW_BITS)?);
                }
                _ => return None,
            }
        }
        Some(Self { window_bits })
    }

    /// The header's value.
    pub(crate) fn answer(&self) -> HeaderValue {
        let window = self.window_bits.map(|bits| format!("; server_max_window_bits={bits}")).unwrap_or_default();
        let answer = format!("{NAME}; server_no_context_takeover; client_no_context_takeover{window}");
        answer.parse().expect("letters, digits and punctuation are a legal header value")
    }
}

/// 8 to 15, without a leading zero.
fn bits_of(value: &str) -> Option<u8> {
    match value.parse().ok()? {
        bits @ 8..=15 if !value.starts_with(['0', '+']) => Some(bits),
        _ => None,
    }
}

/// One extension as it is offered. Names of parameters are told apart letter by letter.
#[derive(Debug, PartialEq, Eq)]
struct Offer {
    name: String,
    parameters: Vec<(String, Option<String>)>,
}

/// All that one header line offers; `None` when that does not follow the grammar of RFC 6455, section 9.1.
fn offers(line: &str) -> Option<Vec<Offer>> {
    let mut text = Text(line);
    let mut offers = Vec::new();
    loop {
        // Empty elements of a list mean nothing (RFC 9110, section 5.6.1).
        if text.take(b',') {
            continue;
        }
        if text.is_empty() {
            return Some(offers);
        }
        let name = text.token()?;
        let mut parameters = Vec::new();
        while text.take(b';') {
            let name = text.token()?;
            let value = if text.take(b'=') { Some(text.value()?) } else { None };
            parameters.push((name, value));
        }
        offers.push(Offer { name, parameters });
        if !text.is_empty() && !text.take(b',') {
            return None;
        }
    }
}

/// The rest of a header's value.
struct Text<'a>(&'a str);

impl Text<'_> {
    fn is_empty(&mut self) -> bool {
        self.0 = self.0.trim_start_matches([' ', '\t']);
        self.0.is_empty()
    }

    /// Takes this character, where it is the next.
    fn take(&mut self, wanted: u8) -> bool {
        let is_next = !self.is_empty() && self.0.as_bytes()[0] == wanted;
        if is_next {
            self.0 = &self.0[1..];
        }
        is_next
    }

    fn token(&mut self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let end = self.0.bytes().position(|byte| !is_token(byte)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then(|| token.to_owned())
    }

    /// A token, with quotes around it or without.
    fn value(&mut self) -> Option<String> {
        if !self.take(b'"') {
            return self.token();
        }
        let mut value = String::new();
        let mut characters = self.0.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                other => value.push(other),
            }
        }
        None
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    fn answer(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, line.parse().expect("a legal value"));
        }
        let chosen = PerMessageDeflate::choose(&headers)?;
        Some(chosen.answer().to_str().expect("text").to_owned())
    }

    fn check_window(lines: &[&str], bits: u8) {
        assert_eq!(answer(lines), Some(format!("{PLAIN}; server_max_window_bits={bits}")));
    }

    #[test]
    fn what_browsers_and_libraries_offer_is_taken() {
        for offer in [
            // Chromium, and Safari since 15.
            "permessage-deflate; client_max_window_bits",
            // Firefox, and Node's `ws`.
            "permessage-deflate",
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            "permessage-deflate;client_max_window_bits=\"10\"",
            "Permessage-Deflate ; client_max_window_bits = 15",
            // Safari before 15 offers its own first.
            "x-webkit-deflate-frame, permessage-deflate",
            "other; a=\"b, permessage-deflate; x\"; c, permessage-deflate",
            ", ,permessage-deflate,",
        ] {
            assert_eq!(answer(&[offer]).as_deref(), Some(PLAIN), "{offer}");
        }
        // Python's `websockets`.
        check_window(&["permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"], 12);
        check_window(&["permessage-deflate; server_max_window_bits=15"], 15);
        check_window(&["permessage-deflate; server_max_window_bits=\"1\\3\""], 13);
    }

    #[test]
    fn the_first_offer_that_can_be_served_wins() {
        let small_first = "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=14";
        check_window(&[small_first], 14);
        for first in ["permessage-deflate; server_max_window_bits=9", "\"broken"] {
            assert_eq!(answer(&[first, "permessage-deflate"]).as_deref(), Some(PLAIN), "{first}");
        }
    }

    #[test]
    fn what_cannot_be_served_is_declined() {
        for offer in [
            "",
            "x-webkit-deflate-frame",
            "permessage-deflate; server_max_window_bits=11",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=012",
            "permessage-deflate; server_max_window_bits=+12",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=\"\"",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=12",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; unheard_of",
            "permessage-deflate; Client_Max_Window_Bits",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; client_max_window_bits=\"12",
            "permessage-deflate;",
            "permessage-deflate client_max_window_bits",
            "permessage-deflate; ; client_max_window_bits",
            "permessage-deflate, =",
        ] {
            assert_eq!(answer(&[offer]), None, "{offer}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "[ -~\t]{0,100}") {
            offers(&line);
        }

        #[test]
        fn what_follows_the_grammar_is_read(
            offered in prop::collection::vec(("[a-z-]{1,9}", prop::collection::vec(("[a-z_]{1,9}", prop::option::of("[a-z0-9]{1,5}")), 0..4)), 0..4),
            is_quoted: bool,
        ) {
            let quote = if is_quoted { "\"" } else { "" };
            let parameter = |(name, value): &(String, Option<String>)| match value {
                Some(value) => format!("; {name}={quote}{value}{quote}"),
                None => format!(";{name}"),
            };
            let texts = offered.iter().map(|(name, parameters)| {
                format!("{name}{}", parameters.iter().map(parameter).collect::<String>())
            });
            let line = texts.collect::<Vec<_>>().join(", ");
            let wanted: Vec<Offer> =
                offered.into_iter().map(|(name, parameters)| Offer { name, parameters }).collect();
            prop_assert_eq!(offers(&line), Some(wanted));
        }
    }
}
