//! What the catalogue makes is what is in the repository and what nodes serve.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{ROUTES, asyncapi, openapi, path_of, tables, typescript};
use crate::pages::{ASYNCAPI, ERRORS, OPENAPI};

fn is_update() -> bool {
    std::env::var_os("HOOKSWITCH_GOLDEN").is_some_and(|mode| mode == "update")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a file with what it should be, or writes it.
fn check(file: &str, text: &str) {
    let path = workspace().join(file);
    if is_update() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(&path, text).expect("the golden file can be written");
        return;
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let at = there.lines().zip(text.lines()).position(|(there, wanted)| there != wanted);
    let at = at.unwrap_or_else(|| there.lines().count().min(text.lines().count()));
    assert!(
        there == text,
        "{file} is not what the catalogue says; `cargo xtask golden -p hookswitch-gateway` writes it\nline {}:\n\
         there:  {:?}\nwanted: {:?}",
        at + 1,
        there.lines().nth(at),
        text.lines().nth(at)
    );
}

fn pretty(document: &Value) -> String {
    let text = serde_json::to_string_pretty(document).expect("JSON");
    format!("{text}\n")
}

#[test]
fn golden_descriptions() {
    check("docs/api/openapi.json", &pretty(&openapi::document()));
    check("docs/api/asyncapi.json", &pretty(&asyncapi::document()));
    check("docs/errors.md", &tables::error_page());
    check("clients/js/events.d.ts", &typescript::file());
}

#[test]
fn golden_schemas_of_events() {
    let mut wanted = Vec::new();
    for (event_type, schema) in asyncapi::schemas_by_event() {
        let file = format!("{event_type}.json");
        check(&format!("docs/api/schemas/{file}"), &pretty(&schema));
        wanted.push(file);
    }
    for entry in fs::read_dir(workspace().join("docs/api/schemas")).expect("a folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(wanted.contains(&name), "docs/api/schemas/{name} is of no event type: delete it");
    }
}

#[test]
fn golden_tables_of_the_docs() {
    let file = "docs/protocol.md";
    let mut text = fs::read_to_string(workspace().join(file)).expect("the page");
    for (name, table) in tables::all() {
        let (begin, end) = (format!("<!-- catalogue: {name} -->\n"), "<!-- /catalogue -->\n");
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{file} has no {begin}"));
        let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("{begin} in {file} has no {end}"));
        text = format!("{before}{begin}{table}{end}{after}");
    }
    check(file, &text);
}

#[test]
fn a_node_serves_what_the_catalogue_says() {
    if is_update() {
        // What was written now is embedded by the next build.
        return;
    }
    let text = |bytes: &'static [u8]| String::from_utf8_lossy(bytes);
    assert_eq!(text(OPENAPI.bytes), pretty(&openapi::document()));
    assert_eq!(text(ASYNCAPI.bytes), pretty(&asyncapi::document()));
    assert_eq!(text(ERRORS.bytes), tables::error_page());
}

#[test]
fn every_route_of_webhooks_stands_in_their_page() {
    let page = fs::read_to_string(workspace().join("docs/webhooks.md")).expect("the page");
    for route in ROUTES.iter().filter(|route| path_of(route).starts_with("/api/v1/webhooks")) {
        let line = format!("| `{} {}", route.method, path_of(route));
        assert!(page.contains(&line), "docs/webhooks.md has no line {line}");
    }
}
