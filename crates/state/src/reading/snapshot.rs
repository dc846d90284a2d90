//! Everything there is, in pages.

use crate::reading::body::Body;
use crate::reading::subscription::StateSubscription;
use crate::section::Section;
use crate::state::State;

/// A message with a page is at most so large; an envelope takes part of it.
pub const PAGE_BYTES: usize = 64 * 1024;

/// What a page's envelope and its other fields take, without `sources`.
const ENVELOPE_BYTES: usize = 1024;

type Entry<'a> = (Section, &'a str, &'a str);

impl State {
    /// The payloads of `state.snapshot`, all of one position. With the envelope none is larger than
    /// [`PAGE_BYTES`].
    pub fn snapshot(&self, wanted: &StateSubscription) -> Vec<String> {
        let sources = self.sources.encode();
        let pages = self.pages(wanted, PAGE_BYTES.saturating_sub(ENVELOPE_BYTES + sources.len()));
        let n_pages = pages.len();
        let page = |(at, entries): (usize, Vec<Entry<'_>>)| {
            let mut body = Body::new();
            body.position(self);
            body.field("page", &(at + 1).to_string());
            body.field("pages", &n_pages.to_string());
            body.complete(self);
            body.field("sources", &sources);
            body.sections(entries);
            body.finish()
        };
        pages.into_iter().enumerate().map(page).collect()
    }

    /// The `data` of `GET /api/v1/state`, with every section wanted, also an empty one.
    pub fn read(&self, wanted: &StateSubscription) -> String {
        let mut body = Body::new();
        body.position(self);
        body.complete(self);
        body.field("sources", &self.sources.encode());
        let entries: Vec<Entry<'_>> = self.wanted(wanted).collect();
        let has = |section| entries.iter().any(|(other, ..)| *other == section);
        body.empty_sections(wanted.sections(), has);
        body.sections(entries.iter().copied());
        body.finish()
    }

    fn wanted<'a>(&'a self, wanted: &'a StateSubscription) -> impl Iterator<Item = Entry<'a>> {
        let shown = self.view.iter().filter(|((section, _), shown)| wanted.wants(*section, &shown.queues));
        shown.map(|((section, key), shown)| (*section, &**key, &*shown.json))
    }

    /// At least one page.
    fn pages<'a>(&'a self, wanted: &'a StateSubscription, n_bytes: usize) -> Vec<Vec<Entry<'a>>> {
        let (mut pages, mut page, mut n_used) = (Vec::new(), Vec::new(), 0);
        for entry in self.wanted(wanted) {
            // A key may need escapes: at worst six bytes for one.
            let size = entry.1.len() * 6 + entry.2.len() + 16;
            if n_used + size > n_bytes && !page.is_empty() {
                pages.push(std::mem::take(&mut page));
                n_used = 0;
            }
            n_used += size;
            page.push(entry);
        }
        pages.push(page);
        pages
    }
}
