//! Writing JSON from entries that are JSON already.

use std::collections::BTreeMap;

use crate::section::{Section, Sections};
use crate::state::State;

/// An object under way.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) text: String,
}

impl Body {
    pub(crate) fn new() -> Self {
        Self { text: String::from("{") }
    }

    /// Appends a field whose value is JSON.
    pub(crate) fn field(&mut self, name: &str, json: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        string(&mut self.text, name);
        self.text.push(':');
        self.text.push_str(json);
    }

    /// Where the state stands, and whether it is all there is.
    pub(crate) fn position(&mut self, state: &State) {
        if let Some(position) = state.position() {
            self.field("position", &format!("\"{position}\""));
        }
    }

    pub(crate) fn complete(&mut self, state: &State) {
        let incomplete = state.incomplete();
        self.field("complete", if incomplete.is_none() { "true" } else { "false" });
        if let Some(reason) = incomplete {
            self.field("incomplete", &format!("\"{}\"", reason.as_str()));
        }
    }

    /// One object of entries per section.
    pub(crate) fn sections<'a>(&mut self, entries: impl IntoIterator<Item = (Section, &'a str, &'a str)>) {
        let mut sections: BTreeMap<Section, String> = BTreeMap::new();
        for (section, key, json) in entries {
            let text = sections.entry(section).or_default();
            text.push(if text.is_empty() { '{' } else { ',' });
            string(text, key);
            text.push(':');
            text.push_str(json);
        }
        for (section, mut text) in sections {
            text.push('}');
            self.field(section.as_str(), &text);
        }
    }

    /// The sections that have nothing in them, as empty objects.
    pub(crate) fn empty_sections(&mut self, wanted: Sections, has: impl Fn(Section) -> bool) {
        for section in wanted.iter().filter(|section| !has(*section)) {
            self.field(section.as_str(), "{}");
        }
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// Appends a text as JSON.
pub(crate) fn string(out: &mut String, text: &str) {
    out.push_str(&serde_json::to_string(text).expect("a text serialises"));
}
