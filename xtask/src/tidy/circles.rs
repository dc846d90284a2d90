//! No file uses, through however many others, a file that uses it: each can be read without the other.
//!
//! Two files that are one thing say so in the head of one of them, with a link to the other:
//! ``//! One thing with [`other`](super::other): …``.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use syn::{Expr, ExprLit, Lit, Meta};

use super::Problem;
use super::modules::Modules;
use super::rules::WITHOUT_CIRCLES;
use super::source::RustFile;

/// How a file begins the sentence that names the files it is one thing with.
const MARKER: &str = "One thing with ";

type Uses<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// The circles of all crates that must have none.
pub(crate) fn check(files: &[RustFile]) -> Vec<Problem> {
    WITHOUT_CIRCLES.iter().flat_map(|source| check_crate(source, files)).collect()
}

fn check_crate(source: &str, files: &[RustFile]) -> Vec<Problem> {
    let modules = Modules::new(source, files);
    let mut uses = modules.uses();
    let mut problems = Vec::new();
    for file in modules.files() {
        for link in links(file) {
            match modules.linked(&file.path, &link) {
                Some(other) => part(&mut uses, &file.path, other),
                None => {
                    problems.push(Problem::line(
                        &file.path,
                        1,
                        format!("is one thing with `{link}`, which is no file"),
                    ));
                }
            }
        }
    }
    problems.extend(circles(&uses).into_iter().map(|circle| {
        let shown = circle.iter().map(|path| path.strip_prefix(source).unwrap_or(path)).collect::<Vec<_>>().join(" → ");
        let text = format!(
            "files use each other in a circle: {shown}; let one of them be given what it takes from the next, or, if two \
             of them are one thing, say so in the head of one: ``//! {MARKER}[`other`](super::other): …``"
        );
        Problem::file(circle[0], text)
    }));
    problems
}

/// Forgets what two files that are one thing use of each other.
fn part<'a>(uses: &mut Uses<'a>, one: &'a str, other: &'a str) {
    for (from, to) in [(one, other), (other, one)] {
        if let Some(used) = uses.get_mut(from) {
            used.remove(to);
        }
    }
}

/// The targets of the links in the head's paragraph that begins with the marker.
fn links(file: &RustFile) -> Vec<String> {
    let head = file.syntax.attrs.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<String> = head.collect();
    let paragraphs = lines.split(String::is_empty).map(|lines| lines.join(" "));
    let marked = paragraphs.filter_map(|paragraph| Some(paragraph.split_once(MARKER)?.1.to_owned()));
    marked
        .flat_map(|text| {
            let targets = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
            targets.collect::<Vec<_>>()
        })
        .collect()
}

/// One circle, the shortest, of every set of files that all use each other.
fn circles<'a>(uses: &Uses<'a>) -> Vec<Vec<&'a str>> {
    let mut found = Vec::new();
    let mut done = BTreeSet::new();
    for start in uses.keys() {
        if done.contains(start) {
            continue;
        }
        let reached = |from| way(uses, from, start).is_some();
        let set: Vec<&str> =
            uses.keys().copied().filter(|file| way(uses, start, file).is_some() && reached(*file)).collect();
        done.extend(set.iter().copied());
        let circles = set.iter().filter_map(|file| way(uses, file, file));
        found.extend(circles.min_by_key(Vec::len));
    }
    found
}

/// The shortest way of one step or more from file to file, both ends included.
fn way<'a>(uses: &Uses<'a>, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut before = BTreeMap::<&str, &str>::new();
    let mut waiting = VecDeque::from([from]);
    while let Some(at) = waiting.pop_front() {
        for next in uses.get(at).into_iter().flatten().copied() {
            if before.contains_key(next) {
                continue;
            }
            before.insert(next, at);
            if next == to {
                let mut way = vec![next];
                let mut step = at;
                while step != from {
                    way.push(step);
                    step = before[step];
                }
                way.push(from);
                way.reverse();
                return Some(way);
            }
            waiting.push_back(next);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let parse = |(path, text): &(&str, &str)| RustFile::parse(&format!("c/src/{path}"), (*text).to_owned());
        let files: Vec<RustFile> = files.iter().map(|file| parse(file).expect("Rust")).collect();
        check_crate("c/src/", &files).into_iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn a_circle_is_told_once_and_by_its_shortest_way() {
        let found = problems(&[
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "use crate::a::A; use crate::b::B; use crate::d::D;"),
            ("d.rs", ""),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("b.rs → c.rs → b.rs"), "{found:?}");
    }

    #[test]
    fn files_that_use_each_other_one_way_are_fine() {
        let found = problems(&[
            ("lib.rs", "mod a; pub use a::A;"),
            ("a/mod.rs", "mod b; mod c; use self::b::B; pub use self::c::C;"),
            ("a/b.rs", "use super::C;"),
            ("a/c.rs", ""),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn two_files_may_say_that_they_are_one_thing() {
        let with_head = |head: &str| {
            let text = format!("{head}\nuse super::b::B;");
            problems(&[("lib.rs", "mod a; mod b;"), ("a.rs", &text), ("b.rs", "use super::a::A;")])
        };
        assert_eq!(with_head("//! What it is for.").len(), 1);
        for marker in ["One thing with [`b`](super::b): why.", "One thing with\n//! [`b`](super::b): why."] {
            assert_eq!(with_head(&format!("//! What for.\n//!\n//! {marker}")), Vec::<String>::new(), "{marker}");
        }
        let found = with_head("//! One thing with [`x`](super::x): why.");
        assert!(found.len() == 2 && found[0].contains("no file"), "{found:?}");
    }
}
