//! Names that the glossary does not want: no public type and no module is called by one.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{Ident, Item, Visibility};

use super::Problem;
use super::source::{RustFile, is_for_tests};

/// Where the words are.
pub(crate) const GLOSSARY: &str = "docs/glossary.md";

/// The words of the glossary's columns headed "Not", without those that have a second meaning.
#[derive(Debug)]
pub(crate) struct Unwanted {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    words: Vec<String>,
    /// It may be part of a name, but not a name by itself.
    is_alone: bool,
    /// What the glossary says instead.
    term: String,
}

impl Unwanted {
    /// Reads every table of the glossary: terms stand in columns headed "Say", what is not wanted in those headed
    /// "Not", and what is right for something else in those headed "word".
    pub(crate) fn parse(glossary: &str) -> Self {
        let mut head = Vec::new();
        let (mut entries, mut right) = (Vec::new(), BTreeSet::new());
        for line in glossary.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            match line.strip_prefix('|') {
                None => head.clear(),
                Some(_) if head.is_empty() => head = cells,
                Some(_) => {
                    let cell = |name: &str| Some(cells[head.iter().position(|title| *title == name)?]);
                    let term = cell("Say").unwrap_or_default();
                    entries.extend(cell("Not").into_iter().flat_map(parts).map(|text| Entry::parse(text, term)));
                    right.extend(cell("word").map(words));
                }
            }
        }
        entries.retain(|entry| !right.contains(&entry.words));
        Self { entries }
    }

    /// What is wrong with a name.
    fn find(&self, name: &str) -> Option<String> {
        let words = words(name);
        let entry = self.entries.iter().find(|entry| entry.is_in(&words))?;
        let (unwanted, term) = (entry.words.join(" "), &entry.term);
        Some(format!("`{name}`: {GLOSSARY} has another word than \"{unwanted}\", see \"{term}\""))
    }
}

impl Entry {
    fn parse(text: &str, term: &str) -> Self {
        let bare = text.strip_suffix(" alone");
        Self { words: words(bare.unwrap_or(text)), is_alone: bare.is_some(), term: term.to_owned() }
    }

    /// Whether its words stand in a row, the last one in singular or plural.
    fn is_in(&self, name: &[String]) -> bool {
        if self.is_alone {
            return name == self.words;
        }
        name.windows(self.words.len()).any(|part| {
            let mut pairs = self.words.iter().zip(part).rev();
            let is_last = |(word, found): (&String, &String)| found == word || found.strip_suffix('s') == Some(word);
            pairs.next().is_some_and(is_last) && pairs.all(|(word, found)| word == found)
        })
    }
}

/// What stands in one cell: parts between commas, without what stands in brackets.
fn parts(cell: &str) -> impl Iterator<Item = &str> {
    let cell = cell.split('(').next().unwrap_or(cell);
    cell.split(',').map(str::trim).filter(|part| part.starts_with(char::is_alphabetic))
}

/// The words of a name in small letters: of `GapTeller`, `gap_teller` and `gap teller` they are the same.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::<String>::new();
    let mut before = ' ';
    for c in name.chars() {
        let begins = !before.is_alphanumeric() || (c.is_uppercase() && !before.is_uppercase());
        match words.last_mut() {
            _ if !c.is_alphanumeric() => {}
            Some(word) if !begins => word.extend(c.to_lowercase()),
            _ => words.push(c.to_lowercase().collect()),
        }
        before = c;
    }
    words
}

/// All unwanted names of one file.
pub(crate) fn check(unwanted: &Unwanted, file: &RustFile) -> Vec<Problem> {
    let mut types = PublicTypes::default();
    types.visit_file(&file.syntax);
    let module = unwanted.find(file.module_name()).map(|text| Problem::file(&file.path, format!("the module {text}")));
    let found = types.names.iter().filter_map(|name| {
        let text = unwanted.find(&name.to_string())?;
        Some(Problem::line(&file.path, name.span().start().line, text))
    });
    module.into_iter().chain(found).collect()
}

/// The types that others can name.
#[derive(Default)]
struct PublicTypes {
    names: Vec<Ident>,
}

impl<'ast> Visit<'ast> for PublicTypes {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, visibility, name) = match item {
            Item::Enum(item) => (&item.attrs, &item.vis, &item.ident),
            Item::Struct(item) => (&item.attrs, &item.vis, &item.ident),
            Item::Trait(item) => (&item.attrs, &item.vis, &item.ident),
            Item::Type(item) => (&item.attrs, &item.vis, &item.ident),
            Item::Mod(item) if is_for_tests(&item.attrs) => return,
            _ => return visit::visit_item(self, item),
        };
        if !matches!(visibility, Visibility::Inherited) && !is_for_tests(attributes) {
            self.names.push(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "\
| Say | For | Not |
|---|---|---|
| node | a process | server, instance |
| event | a fact | message (that is any frame), notification |
| tenant | a company | – |

| Not | Say |
|---|---|
| courier, gap teller | offline delivery |
| line alone | connection handle |

| word | right for |
|---|---|
| server | a database |
";

    fn problems(path: &str, text: &str) -> Vec<String> {
        let file = RustFile::parse(path, text.to_owned()).expect("Rust");
        check(&Unwanted::parse(TABLES), &file).into_iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn public_types_are_not_called_by_unwanted_words() {
        for name in ["Courier", "OfflineCourier", "Couriers", "GapTeller", "Line", "NodeInstance", "Message"] {
            for item in ["pub struct X;", "pub(crate) enum X {}", "pub trait X {}", "pub(super) type X = u8;"] {
                let found = problems("crates/hub/src/a.rs", &format!("\n{}", item.replace('X', name)));
                assert!(
                    found.len() == 1 && found[0].starts_with("crates/hub/src/a.rs:2: `"),
                    "{name}, {item}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn other_names_are_free() {
        for item in [
            "pub struct OfflineDelivery;",
            "pub struct LogLine;",
            "pub struct Lines;",
            "pub struct DatabaseServer;",
            "pub struct Gap; pub struct Teller;",
            "struct Courier;",
            "pub fn courier() {}",
            "#[cfg(test)] mod tests { pub struct Courier; }",
        ] {
            assert_eq!(problems("crates/hub/src/a.rs", item), Vec::<String>::new(), "{item}");
        }
    }

    #[test]
    fn modules_are_not_called_by_unwanted_words_either() {
        for path in ["crates/hub/src/gap_teller.rs", "crates/hub/src/courier/mod.rs", "crates/hub/src/line.rs"] {
            let found = problems(path, "");
            assert!(found.len() == 1 && found[0].contains("the module `"), "{path}: {found:?}");
        }
        assert_eq!(problems("crates/hub/src/log_line.rs", ""), Vec::<String>::new());
    }
}
