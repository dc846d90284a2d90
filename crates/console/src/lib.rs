//! The console: the pages that a person opens in a browser to see a node at work. Static files, embedded.
//!
//! Knows nothing of the node: the pages use its public API like anybody else, through the client for JavaScript, with the
//! token of whoever looks.
//!
//! ```
//! let page = hookswitch_console::file("").expect("the console's first page");
//! assert_eq!(page.content_type, "text/html; charset=utf-8");
//! ```

/// One file, as it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its name below the console's path; the page itself has none.
    pub name: &'static str,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// What is in it.
    pub body: &'static str,
}

/// What the console's pages may do, for the header `Content-Security-Policy`: nothing but what comes from this node.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! files {
    ($($name:literal $content_type:ident $path:literal,)*) => {
        /// Every file.
        pub const FILES: &[File] =
            &[$(File { name: $name, content_type: $content_type, body: include_str!($path) },)*];
    };
}

files! {
    "" HTML "../assets/index.html",
    "console.css" STYLE "../assets/console.css",
    "icon.svg" IMAGE "../assets/icon.svg",
    "app.js" SCRIPT "../assets/app.js",
    "chart.js" SCRIPT "../assets/chart.js",
    "dom.js" SCRIPT "../assets/dom.js",
    "event-list.js" SCRIPT "../assets/event-list.js",
    "live.js" SCRIPT "../assets/live.js",
    "node.js" SCRIPT "../assets/node.js",
    "nodes.js" SCRIPT "../assets/nodes.js",
    "people.js" SCRIPT "../assets/people.js",
    "publish.js" SCRIPT "../assets/publish.js",
    "examples.js" SCRIPT "../assets/examples.js",
    "trace.js" SCRIPT "../assets/trace.js",
    "webhooks.js" SCRIPT "../assets/webhooks.js",
    "webhook-form.js" SCRIPT "../assets/webhook-form.js",
    "webhook-log.js" SCRIPT "../assets/webhook-log.js",
    "client/index.js" SCRIPT "../../../clients/js/src/index.js",
    "client/connection.js" SCRIPT "../../../clients/js/src/connection.js",
    "client/seen.js" SCRIPT "../../../clients/js/src/seen.js",
    "client/shared.js" SCRIPT "../../../clients/js/src/shared.js",
    "client/shared-worker.js" SCRIPT "../../../clients/js/src/shared-worker.js",
    "client/token.js" SCRIPT "../../../clients/js/src/token.js",
    "client/transports.js" SCRIPT "../../../clients/js/src/transports.js",
    "client/watch.js" SCRIPT "../../../clients/js/src/watch.js",
    "client/words.js" SCRIPT "../../../clients/js/src/words.js",
}

/// The file of this name.
pub fn file(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between these words and the next quote.
    fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
    }

    #[test]
    fn everything_a_file_names_is_there() {
        for file in FILES {
            let folder = file.name.rsplit_once('/').map_or("", |(folder, _)| folder);
            for name in quoted(file.body, " from \"./") {
                let whole = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                assert!(super::file(&whole).is_some(), "{} names {whole}", file.name);
            }
        }
        let page = super::file("").expect("the page");
        for name in quoted(page.body, "=\"/console/") {
            assert!(super::file(name).is_some(), "the page names {name}");
        }
    }

    #[test]
    fn nothing_comes_from_elsewhere_and_nothing_is_inline() {
        for file in FILES {
            for foreign in ["//cdn", "https://fonts", "@import", "url(http", "eval(", "innerHTML"] {
                assert!(!file.body.contains(foreign), "{} has {foreign}", file.name);
            }
        }
        let page = super::file("").expect("the page").body;
        assert!(!page.contains("style=") && !page.contains("<style") && !page.contains(" onclick="), "{page}");
        assert!(page.matches("<script").count() == page.matches("<script type=\"module\" src=").count());
    }
}
