//! Rules for any tracked text: nothing that is true on one machine only.

use super::Problem;
use super::rules::{LOCK_FILE_SOURCE, MACHINE_PATHS, REGISTRY_HOSTS};

/// All problems of one text file.
pub(crate) fn check(path: &str, text: &str) -> Vec<Problem> {
    text.lines().enumerate().flat_map(|(number, line)| check_line(path, number + 1, line)).collect()
}

fn check_line(path: &str, number: usize, line: &str) -> Vec<Problem> {
    let line = if path.ends_with("Cargo.lock") { line.replace(LOCK_FILE_SOURCE, "") } else { line.to_owned() };
    let paths = MACHINE_PATHS.iter().filter(|start| begins_path(&line, start)).map(|start| {
        Problem::line(path, number, format!("names a path of one machine (`{start}…`): make it relative"))
    });
    let hosts = REGISTRY_HOSTS.iter().filter(|host| line.contains(**host)).map(|host| {
        Problem::line(
            path,
            number,
            format!("names the package registry `{host}`: leave that to the machine's configuration"),
        )
    });
    paths.chain(hosts).collect()
}

/// Whether `start` stands where a path begins, and not in the middle of a longer one or of a URL.
fn begins_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '_' | '-' | '}' | ')' | '*' | '~'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        check(path, text).into_iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for start in MACHINE_PATHS {
            let found = problems("README.md", &format!("one\ncd {start}x\n"));
            assert!(found.len() == 1 && found[0].contains("README.md:2"), "{start}: {found:?}");
        }
        for fine in [concat!("frame", "wo", "rk/src"), concat!("./ro", "ot/x"), concat!("https://a.example/ho", "me/")]
        {
            assert_eq!(problems("README.md", fine).len(), 0, "{fine}");
        }
    }

    #[test]
    fn registries_are_found_except_where_cargo_writes_them() {
        for host in REGISTRY_HOSTS {
            assert_eq!(problems("docs/x.md", &format!("see https://{host}/y")).len(), 1, "{host}");
        }
        let line = format!("source = \"{LOCK_FILE_SOURCE}\"");
        assert_eq!(problems("Cargo.lock", &line).len(), 0);
        assert_eq!(problems("docs/x.md", &line).len(), 1);
    }
}
