//! How long functions are, read from masked source (see [`super::mask`]).

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Line of the `fn` keyword, counted from 1.
    pub(crate) line: usize,
    /// Lines from `fn` to the closing brace, both included.
    pub(crate) length: usize,
}

/// Every function with a body, nested ones too.
pub(crate) fn functions(masked: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in masked.match_indices("fn ") {
        let starts_word = at == 0 || !masked[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let name: String = masked[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(&masked[at..]) {
            let line = 1 + masked[..at].matches('\n').count();
            let length = 1 + masked[at..at + end].matches('\n').count();
            found.push(Function { name, line, length });
        }
    }
    found
}

/// Offset of the brace that closes the body; `None` for a declaration, which ends with `;` before any brace.
fn body_end(from_fn: &str) -> Option<usize> {
    let mut nesting = 0_usize;
    let mut braces = 0_usize;
    for (at, c) in from_fn.char_indices() {
        match c {
            '(' | '[' => nesting += 1,
            ')' | ']' => nesting = nesting.saturating_sub(1),
            ';' if braces == 0 && nesting == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces = braces.checked_sub(1)?;
                if braces == 0 && nesting == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::mask::mask;

    fn lengths(source: &str) -> Vec<(String, usize, usize)> {
        functions(&mask(source)).into_iter().map(|f| (f.name, f.line, f.length)).collect()
    }

    #[test]
    fn a_function_runs_from_its_keyword_to_its_closing_brace() {
        let source = "/// fn not_me() {\npub(crate) async fn one(\n    a: [u8; 4],\n) -> u8 {\n    match a {\n        _ => 1,\n    }\n}\n";
        assert_eq!(lengths(source), [("one".to_owned(), 2, 7)]);
    }

    #[test]
    fn braces_in_strings_do_not_count() {
        let source = "fn s() {\n    print(\"}\");\n    print('{');\n}\nfn t() {}\n";
        assert_eq!(lengths(source), [("s".to_owned(), 1, 4), ("t".to_owned(), 5, 1)]);
    }

    #[test]
    fn declarations_and_pointer_types_are_not_functions() {
        let source =
            "trait T {\n    fn declared(&self, f: fn (u8) -> u8);\n    fn given(&self) {\n    }\n}\ntype F = fn(u8);\n";
        assert_eq!(lengths(source), [("given".to_owned(), 3, 2)]);
    }

    #[test]
    fn nested_functions_are_seen_as_well() {
        let source = "fn outer() {\n    fn inner() {\n    }\n}\n";
        assert_eq!(lengths(source), [("outer".to_owned(), 1, 4), ("inner".to_owned(), 2, 2)]);
    }
}
