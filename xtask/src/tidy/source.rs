//! Rules for one Rust file: its opening line, its length, its functions' length, no switched-off tests.

use super::Problem;
use super::functions::functions;
use super::mask::mask;
use super::rules::{MAX_FILE_LINES, MAX_FUNCTION_LINES};

/// All problems of one Rust file.
pub(crate) fn check(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !text.starts_with("//! ") {
        problems.push(Problem::line(path, 1, "does not open with `//! …`: say in one line what the file is for"));
    }
    let lines = text.lines().count();
    if lines > MAX_FILE_LINES {
        let text = format!("is {lines} lines long (at most {MAX_FILE_LINES}): give its second responsibility a file");
        problems.push(Problem::file(path, text));
    }
    let masked = mask(text);
    for function in functions(&masked).into_iter().filter(|function| function.length > MAX_FUNCTION_LINES) {
        let (name, length) = (function.name, function.length);
        let text = format!("`fn {name}` is {length} lines long (at most {MAX_FUNCTION_LINES}): name its parts");
        problems.push(Problem::line(path, function.line, text));
    }
    for (number, line) in masked.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("#[ignore")) {
        let text = format!("`{}`: repair the test, delete it, or move it to the soak suite", line.trim());
        problems.push(Problem::line(path, number + 1, text));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        check("crates/x/src/lib.rs", text).into_iter().map(|problem| problem.to_string()).collect()
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
        assert!(found.len() == 1 && found[0].contains("451 lines long"), "{found:?}");
    }

    #[test]
    fn functions_end_at_the_limit() {
        let of = |lines: usize| format!("//! x\nfn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2));
        assert_eq!(problems(&of(MAX_FUNCTION_LINES)).len(), 0);
        let found = problems(&of(MAX_FUNCTION_LINES + 1));
        assert!(found.len() == 1 && found[0].contains("lib.rs:2: `fn long` is 61 lines"), "{found:?}");
    }

    #[test]
    fn tests_are_not_switched_off() {
        for attribute in ["#[ignore]", "#[ignore = \"flaky\"]"] {
            let found = problems(&format!("//! x\n#[test]\n{attribute}\nfn t() {{}}\n"));
            assert!(found.len() == 1 && found[0].contains("lib.rs:3"), "{found:?}");
        }
        assert_eq!(problems("//! x\n// #[ignore]\nconst A: &str = \"\n#[ignore]\n\";\n").len(), 0);
    }
}
