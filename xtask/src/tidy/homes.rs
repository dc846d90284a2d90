//! Types whose inherent methods stand in one file only, so that a reader finds them all.

use syn::visit::Visit;
use syn::{ItemImpl, ItemMod, Type};

use super::Problem;
use super::rules::METHOD_HOMES;
use super::source::{RustFile, is_for_tests};

/// Methods of such types that stand elsewhere.
pub(crate) fn check(file: &RustFile) -> Vec<Problem> {
    let is_ruled = |home: &&(&str, &str, &str)| file.path.starts_with(home.0) && file.path != home.2;
    METHOD_HOMES.iter().filter(is_ruled).flat_map(|(_, name, home)| problems(file, name, home)).collect()
}

fn problems(file: &RustFile, name: &str, home: &str) -> Vec<Problem> {
    let mut blocks = InherentBlocks { name, lines: Vec::new() };
    blocks.visit_file(&file.syntax);
    let text =
        format!("`impl {name}` stands in {home} alone: move the methods there, or make them functions of their own");
    blocks.lines.into_iter().map(|line| Problem::line(&file.path, line, text.clone())).collect()
}

/// Where one type has methods that belong to no trait.
struct InherentBlocks<'a> {
    name: &'a str,
    lines: Vec<usize>,
}

impl<'ast> Visit<'ast> for InherentBlocks<'_> {
    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        let Type::Path(of) = &*block.self_ty else { return };
        let is_of = of.path.segments.last().is_some_and(|segment| segment.ident == self.name);
        if block.trait_.is_none() && is_of && !is_for_tests(&block.attrs) {
            self.lines.push(block.impl_token.span.start().line);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_for_tests(&module.attrs) {
            syn::visit::visit_item_mod(self, module);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_the_hub_stand_in_its_file_alone() {
        let check_text = |path: &str, text: &str| check(&RustFile::parse(path, text.to_owned()).expect("Rust")).len();
        let block = "impl Hub { fn f() {} }";
        assert_eq!(check_text("crates/hub/src/hub.rs", block), 0);
        assert_eq!(check_text("crates/switch/src/switch.rs", block), 0, "another crate's");
        assert_eq!(check_text("crates/hub/src/publish/fanout.rs", block), 1);
        assert_eq!(check_text("crates/hub/src/publish/fanout.rs", "impl crate::Hub { fn f() {} }"), 1);
        assert_eq!(check_text("crates/hub/src/publish/fanout.rs", "impl Debug for Hub {} impl Hubs {}"), 0);
    }
}
