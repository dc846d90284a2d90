//! Which entry of a batch a byte lies in, also of a body that is no JSON or no UTF-8.

/// Where in `text` the parser gave up.
pub(super) fn offset_of(text: &str, error: &serde_json::Error) -> usize {
    let line = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    line + error.column().saturating_sub(1)
}

/// The index of the entry of `events` that the byte at `offset` belongs to; `None` when it stands beside the list.
/// Reads what comes before as far as strings and brackets go, and takes it for JSON.
pub(super) fn entry_at(body: &[u8], offset: usize) -> Option<usize> {
    let mut walk = Walk::default();
    let mut bytes = body.iter().take(offset.saturating_add(1)).enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => {
                let mut end = at;
                while let Some((at, byte)) = bytes.next() {
                    end = at;
                    match byte {
                        b'"' => break,
                        b'\\' => _ = bytes.next(),
                        _ => {}
                    }
                }
                walk.string(&body[at + 1..end.max(at + 1)]);
            }
            b'{' | b'[' => walk.open(*byte == b'['),
            b'}' | b']' => walk.close(),
            b',' => walk.comma(),
            _ => {}
        }
    }
    walk.entry
}

/// How far the walk has come.
#[derive(Debug, Default)]
struct Walk {
    depth: usize,
    /// The last string within the outermost object was the name of the list.
    is_named: bool,
    entry: Option<usize>,
}

impl Walk {
    fn string(&mut self, text: &[u8]) {
        if self.depth == 1 {
            self.is_named = text == b"events";
        }
    }

    fn open(&mut self, is_list: bool) {
        if is_list && self.depth == 1 && self.is_named {
            self.entry = Some(0);
        }
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 1 {
            self.entry = None;
        }
    }

    fn comma(&mut self) {
        match &mut self.entry {
            Some(index) if self.depth == 2 => *index += 1,
            _ if self.depth == 1 => self.is_named = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(body: &str, marked: &str, entry: Option<usize>) {
        let at = body.find(marked).expect(marked);
        assert_eq!(entry_at(body.as_bytes(), at), entry, "{marked} in {body}");
    }

    #[test]
    fn a_byte_lies_in_an_entry_or_beside_the_list() {
        let body = r#"{"a":[1,2,"A"],"events":[{"x":"B,\"]","y":[1,2,{"C":3}]},"D",{"E":[]}],"b":["F",1]}"#;
        for (marked, entry) in
            [("A", None), ("B", Some(0)), ("C", Some(0)), ("D", Some(1)), ("E", Some(2)), ("F", None)]
        {
            check(body, marked, entry);
        }
        check(r#"{"events":{"x":["A"]}}"#, "A", None);
        check(r#"["events",["A"]]"#, "A", None);
        assert_eq!(entry_at(b"{\"events\":[{},{\"t\":\"\xff", 18), Some(1));
        assert_eq!(entry_at(b"", 0), None);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), offset in any::<usize>()) {
            let _ignored = entry_at(&body, offset);
        }
    }
}
