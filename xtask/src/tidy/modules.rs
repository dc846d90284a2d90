//! One crate as a graph: its files, and which of them use what another one defines.
//!
//! Re-exports are seen through: who takes `super::Name` uses the file that defines `Name`, not the one that passes it on.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, UseTree, Visibility};

use super::source::{RustFile, is_for_tests};

/// The path of a module or of something in it, from the crate's root.
type ModulePath = Vec<String>;

/// The files of one crate that are no tests, by their modules.
pub(crate) struct Modules<'a> {
    files: BTreeMap<ModulePath, &'a RustFile>,
    /// What each module names by `use`.
    imports: BTreeMap<ModulePath, BTreeMap<String, ModulePath>>,
}

impl<'a> Modules<'a> {
    /// The modules below `source`, the folder that holds `lib.rs`.
    pub(crate) fn new(source: &str, files: &'a [RustFile]) -> Self {
        let files = files.iter().filter_map(|file| Some((module_path(file.path.strip_prefix(source)?), file)));
        let mut files: BTreeMap<ModulePath, &RustFile> = files.collect();
        let tests: Vec<ModulePath> = files.iter().flat_map(|(path, file)| test_modules(path, file)).collect();
        files.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
        let mut modules = Self { files, imports: BTreeMap::new() };
        let read = modules.files.iter().map(|(path, file)| (path.clone(), modules.imports_of(path, file)));
        modules.imports = read.collect();
        modules
    }

    /// Every file with the files that it uses.
    pub(crate) fn uses(&self) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        let uses = self.files.iter().map(|(path, file)| {
            let mut usages = Usages::default();
            usages.visit_file(&file.syntax);
            let imported = usages.imported.iter().filter_map(|used| self.absolute(path, used));
            // What a module is imported for shows where it is named.
            let imported = imported.filter(|used| !self.files.contains_key(used));
            let named = usages.named.iter().filter_map(|used| self.absolute(path, used));
            let found = imported.chain(named).filter_map(|used| self.file_of(&used));
            (file.path.as_str(), found.filter(|other| *other != file.path).collect())
        });
        uses.collect()
    }

    /// The file that a link in the head of `file` leads to, such as `super::other`.
    pub(crate) fn linked(&self, file: &str, link: &str) -> Option<&'a str> {
        let (path, _) = self.files.iter().find(|(_, candidate)| candidate.path == file)?;
        let segments: Vec<String> = link.split("::").map(str::to_owned).collect();
        let target = self.absolute(path, &segments)?;
        self.files.get(&target).map(|file| file.path.as_str())
    }

    /// The files of the crate.
    pub(crate) fn files(&self) -> impl Iterator<Item = &'a RustFile> {
        self.files.values().copied()
    }

    fn imports_of(&self, module: &ModulePath, file: &RustFile) -> BTreeMap<String, ModulePath> {
        let uses =
            file.syntax.items.iter().filter_map(|item| if let Item::Use(item) = item { Some(item) } else { None });
        let names = uses.flat_map(|item| leaves(&item.tree)).filter_map(|(name, path)| {
            let path = self.absolute(module, &path)?;
            Some((name, path))
        });
        names.collect()
    }

    /// A path as it stands in `module`, from the crate's root; `None` when it leads out of the crate.
    fn absolute(&self, module: &ModulePath, path: &[String]) -> Option<ModulePath> {
        let mut base = module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (base, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                let child: ModulePath = module.iter().map(String::as_str).chain([first]).map(str::to_owned).collect();
                if !self.files.contains_key(&child) {
                    base.clone_from(self.imports.get(module)?.get(first)?);
                    rest = &path[1..];
                }
            }
        }
        Some(base.into_iter().chain(rest.iter().cloned()).collect())
    }

    /// The file that defines what an absolute path names.
    fn file_of(&self, path: &[String]) -> Option<&'a str> {
        let mut path = path.to_vec();
        // No chain of re-exports is longer than this.
        for _ in 0..16 {
            let depth = (0..=path.len()).rev().find(|depth| self.files.contains_key(&path[..*depth]))?;
            let module = &path[..depth];
            let passed_on = path.get(depth).and_then(|name| self.imports.get(module)?.get(name));
            match passed_on {
                Some(target) => path = target.iter().chain(&path[depth + 1..]).cloned().collect(),
                None => return self.files.get(module).map(|file| file.path.as_str()),
            }
        }
        None
    }
}

/// `shard/mod.rs` and `shard.rs` are `shard`; `lib.rs` is the root.
fn module_path(file: &str) -> ModulePath {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let mut path: ModulePath = stem.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod" || (path.len() == 1 && (last == "lib" || last == "main"))) {
        path.pop();
    }
    path
}

/// The modules in files of their own that `file` declares for tests only.
fn test_modules(path: &ModulePath, file: &RustFile) -> Vec<ModulePath> {
    let declared = file.syntax.items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && is_for_tests(&module.attrs) => Some(module.ident.to_string()),
        _ => None,
    });
    declared.map(|name| path.iter().cloned().chain([name]).collect()).collect()
}

/// Every name that a `use` brings in, with its path; `*` counts as the module itself.
fn leaves(tree: &UseTree) -> Vec<(String, Vec<String>)> {
    match tree {
        UseTree::Path(path) => {
            let first = path.ident.to_string();
            let below = leaves(&path.tree).into_iter();
            below
                .map(|(name, path)| {
                    let name = if name == "self" { first.clone() } else { name };
                    let rest = path.into_iter().filter(|segment| segment != "self");
                    (name, [first.clone()].into_iter().chain(rest).collect())
                })
                .collect()
        }
        UseTree::Name(name) => vec![(name.ident.to_string(), vec![name.ident.to_string()])],
        UseTree::Rename(renamed) => vec![(renamed.rename.to_string(), vec![renamed.ident.to_string()])],
        UseTree::Glob(_) => vec![("*".to_owned(), vec!["*".to_owned()])],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

/// The paths that a file uses outside of tests. What it only passes on (`pub use`) is none.
#[derive(Default)]
struct Usages {
    imported: Vec<Vec<String>>,
    named: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Usages {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    /// A module within the file: its `super` is the file.
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let mut within = Self::default();
        visit::visit_item_mod(&mut within, module);
        self.imported.extend(within.imported.into_iter().map(outside));
        self.named.extend(within.named.into_iter().map(outside));
    }

    /// The compiler refuses a private `use` that is not used.
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if matches!(item.vis, Visibility::Inherited) {
            self.imported.extend(leaves(&item.tree).into_iter().map(|(_, path)| path));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.named.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.named.extend(paths_in(call.tokens.clone()));
    }

    /// `pub(in crate::…)` uses nothing, and neither do attributes.
    fn visit_visibility(&mut self, _visibility: &'ast Visibility) {}

    fn visit_attribute(&mut self, _attribute: &'ast Attribute) {}
}

/// A path of a module within a file as the file itself would write it.
fn outside(path: Vec<String>) -> Vec<String> {
    let is_up = path.first().is_some_and(|first| first == "super");
    if is_up { path[1..].to_vec() } else { path }
}

/// The paths in what a macro is given: words joined by `::`.
fn paths_in(tokens: TokenStream) -> Vec<Vec<String>> {
    let mut paths = Vec::<Vec<String>>::new();
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Ident(word) => match paths.last_mut() {
                Some(path) if colons == 2 => path.push(word.to_string()),
                _ => paths.push(vec![word.to_string()]),
            },
            TokenTree::Punct(sign) if sign.as_char() == ':' => {
                colons += 1;
                continue;
            }
            TokenTree::Group(group) => paths.extend(paths_in(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => paths.push(Vec::new()),
        }
        colons = 0;
    }
    paths.retain(|path| !path.is_empty());
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(files: &[(&str, &str)]) -> Vec<RustFile> {
        let parse = |(path, text): &(&str, &str)| RustFile::parse(&format!("c/src/{path}"), (*text).to_owned());
        files.iter().map(|file| parse(file).expect("Rust")).collect()
    }

    /// What `a.rs` with this text uses, in a crate where `b` passes on what `b/inner.rs` defines.
    fn used_by_a(text: &str) -> Vec<String> {
        let files = parse(&[
            ("lib.rs", "mod a; mod b; pub use b::Inner; #[cfg(test)] mod rig;"),
            ("a.rs", text),
            ("b/mod.rs", "mod inner; pub use self::inner::Inner; pub struct Own;"),
            ("b/inner.rs", "pub struct Inner;"),
            ("rig.rs", "use crate::a::A;"),
        ]);
        let uses = Modules::new("c/src/", &files).uses();
        assert!(!uses.contains_key("c/src/rig.rs"), "a test is no part of the graph");
        assert!(uses["c/src/lib.rs"].is_empty(), "passing on is no use");
        uses["c/src/a.rs"].iter().map(|path| path.trim_start_matches("c/src/").to_owned()).collect()
    }

    #[test]
    fn the_file_that_defines_a_thing_is_used() {
        for text in [
            "use crate::Inner;",
            "use super::b::{self, Inner};",
            "use crate::b::Inner as Other;",
            "fn f(x: crate::b::Inner) {}",
            "use super::b; fn f(x: b::Inner) {}",
            "fn f() { call!(1, &crate::b::Inner) }",
            "mod within { use super::super::b::Inner; }",
        ] {
            let used = used_by_a(text);
            assert!(used.contains(&"b/inner.rs".to_owned()), "{text}: {used:?}");
        }
        assert_eq!(used_by_a("use crate::b::Own;"), ["b/mod.rs"]);
        assert_eq!(used_by_a("use crate::b::Inner;"), ["b/inner.rs"]);
    }

    #[test]
    fn tests_visibilities_and_other_crates_are_no_use() {
        for text in [
            "use std::fmt; use other::b::Inner;",
            "pub use crate::b::Inner;",
            "pub(in crate::b) struct A;",
            "#[cfg(test)] mod tests { use crate::b::Inner; }",
            "struct A; impl A { fn f(&self) -> Self { self::A } }",
        ] {
            assert_eq!(used_by_a(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn links_lead_to_files() {
        let files = parse(&[("lib.rs", ""), ("a/mod.rs", ""), ("a/b.rs", ""), ("a/c.rs", "")]);
        let modules = Modules::new("c/src/", &files);
        assert_eq!(modules.linked("c/src/a/b.rs", "super::c"), Some("c/src/a/c.rs"));
        assert_eq!(modules.linked("c/src/a/mod.rs", "self::b"), Some("c/src/a/b.rs"));
        assert_eq!(modules.linked("c/src/a/b.rs", "crate::a"), Some("c/src/a/mod.rs"));
        assert_eq!(modules.linked("c/src/a/b.rs", "super::d"), None);
    }
}
