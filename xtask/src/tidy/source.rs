//! Rules for one Rust file: its opening line, its length, no switched-off tests.

use syn::Attribute;
use syn::visit::Visit;

use super::Problem;
use super::rules::MAX_FILE_LINES;

/// A Rust file of the repository.
pub(crate) struct RustFile {
    /// Relative to the workspace.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
}

impl RustFile {
    /// Reads what the compiler would read, or says where it is no Rust.
    pub(crate) fn parse(path: &str, text: String) -> Result<Self, Problem> {
        match syn::parse_file(&text) {
            Ok(syntax) => Ok(Self { path: path.to_owned(), text, syntax }),
            Err(error) => Err(Problem::line(path, error.span().start().line, format!("is no Rust: {error}"))),
        }
    }

    /// Whether it is part of a crate or a binary, not of its tests, examples or chores.
    pub(crate) fn is_shipped(&self) -> bool {
        let mut folders = self.path.split('/');
        matches!(folders.next(), Some("crates" | "bins")) && folders.nth(1) == Some("src")
    }

    /// The name that the module of this file has: `shard` for `shard.rs` as for `shard/mod.rs`.
    pub(crate) fn module_name(&self) -> &str {
        let path = self.path.strip_suffix("/mod.rs").or(self.path.strip_suffix(".rs")).unwrap_or(&self.path);
        path.rsplit('/').next().unwrap_or(path)
    }
}

/// Whether `attributes` keep an item out of everything but tests.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

/// All problems of one Rust file.
pub(crate) fn check(file: &RustFile) -> Vec<Problem> {
    let path = &file.path;
    let mut problems = Vec::new();
    if !file.text.starts_with("//! ") {
        problems.push(Problem::line(path, 1, "does not open with `//! …`: say in one line what the file is for"));
    }
    let lines = file.text.lines().count();
    if lines > MAX_FILE_LINES {
        let text = format!("is {lines} lines long (at most {MAX_FILE_LINES}): give its second responsibility a file");
        problems.push(Problem::file(path, text));
    }
    let mut ignored = Ignored { path, problems };
    ignored.visit_file(&file.syntax);
    ignored.problems
}

/// Finds tests that are switched off.
struct Ignored<'a> {
    path: &'a str,
    problems: Vec<Problem>,
}

impl<'ast> Visit<'ast> for Ignored<'_> {
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("ignore") {
            let text = "`#[ignore]`: repair the test, delete it, or move it to the soak suite";
            self.problems.push(Problem::line(self.path, attribute.pound_token.span.start().line, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let file = RustFile::parse("crates/x/src/lib.rs", text.to_owned()).expect("Rust");
        check(&file).into_iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn a_plain_file_has_no_problem() {
        assert_eq!(problems("//! What it is for.\n\nfn f() {}\n"), Vec::<String>::new());
    }

    #[test]
    fn every_file_opens_with_its_purpose() {
        for text in ["", "use std::fmt;\n", "// Not this.\n", "\n//! Too late.\n", "//!\n//! Empty.\n"] {
            let found = problems(text);
            assert!(found.len() == 1 && found[0].contains("does not open with"), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn files_end_at_the_limit() {
        let text = format!("//! x\n{}", "const A: u8 = 0;\n".repeat(MAX_FILE_LINES - 1));
        assert_eq!(problems(&text).len(), 0);
        let found = problems(&format!("{text}\n"));
        assert!(found.len() == 1 && found[0].contains("400 lines long"), "{found:?}");
    }

    #[test]
    fn tests_are_not_switched_off() {
        for attribute in ["#[ignore]", "#[ignore = \"flaky\"]"] {
            let found = problems(&format!("//! x\n#[test]\n{attribute}\nfn t() {{}}\n"));
            assert!(found.len() == 1 && found[0].contains("lib.rs:3"), "{found:?}");
        }
        assert_eq!(problems("//! x\n// #[ignore]\nconst A: &str = \"\n#[ignore]\n\";\n").len(), 0);
    }

    #[test]
    fn what_is_no_rust_is_a_problem() {
        let parsed = RustFile::parse("crates/x/src/lib.rs", "//! x\nfn f( {\n".to_owned());
        let problem = parsed.err().expect("no Rust");
        assert!(problem.to_string().starts_with("crates/x/src/lib.rs:2: is no Rust"), "{problem}");
    }

    #[test]
    fn a_module_is_named_by_its_file_or_folder() {
        let named = |path: &str| RustFile::parse(path, String::new()).expect("empty").module_name().to_owned();
        assert_eq!(named("crates/hub/src/shard/mod.rs"), "shard");
        assert_eq!(named("crates/hub/src/shard.rs"), "shard");
    }
}
