//! Dependency rules: arrows between our crates, homes of external packages, shared lints.

use std::collections::BTreeSet;

use super::Problem;
use super::rules::{HOMES, Kind, ROOMS, Room, TESTKIT};

/// Which table of the manifest a dependency stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Normal,
    Dev,
    Build,
}

/// What the rules look at in one crate of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Path of the manifest, relative to the workspace.
    pub(crate) manifest: String,
    pub(crate) manifest_text: String,
    pub(crate) has_library: bool,
    pub(crate) dependencies: Vec<(Table, String)>,
}

/// All dependency problems of the workspace.
pub(crate) fn check(packages: &[Package]) -> Vec<Problem> {
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    packages.iter().flat_map(|package| check_package(package, &ours)).collect()
}

fn check_package(package: &Package, ours: &BTreeSet<&str>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !inherits_lints(&package.manifest_text) {
        problems.push(Problem::file(
            &package.manifest,
            "does not share the workspace lints: add `[lints] workspace = true`",
        ));
    }
    let Some(room) = ROOMS.iter().find(|room| room.name == package.name) else {
        let text = format!("`{}` is no known room: add it to xtask/src/tidy/rules.rs with its arrows", package.name);
        problems.push(Problem::file(&package.manifest, text));
        return problems;
    };
    let outgoing = package.dependencies.iter().filter(|(table, _)| *table != Table::Dev);
    let found = outgoing.filter_map(|(_, name)| {
        if ours.contains(name.as_str()) { wrong_arrow(room, name) } else { wrong_home(room, name) }
    });
    problems.extend(found.map(|text| Problem::file(&package.manifest, text)));
    problems
}

fn wrong_arrow(room: &Room, target: &str) -> Option<String> {
    if room.may_use.contains(&target) {
        return None;
    }
    if target == TESTKIT {
        return Some(format!("`{TESTKIT}` is for tests only: move it to [dev-dependencies]"));
    }
    let allowed = if room.may_use.is_empty() { "nothing of ours".to_owned() } else { room.may_use.join(", ") };
    let name = room.name;
    Some(format!(
        "wrong arrow: `{name}` must not use `{target}` (it may use {allowed}); move the code, or put a seam into `{name}`"
    ))
}

fn wrong_home(room: &Room, package: &str) -> Option<String> {
    let home = HOMES.iter().find(|home| home.package == package)?;
    if room.kind != Kind::Library || home.rooms.contains(&room.name) {
        return None;
    }
    let lives =
        if home.rooms.is_empty() { "binaries, testkit and chores".to_owned() } else { home.rooms.join(" and ") };
    Some(format!("`{package}` lives in {lives} only: use what that crate offers, or make it a dev-dependency"))
}

/// Whether the manifest holds `[lints]` with `workspace = true`, or the one-line spelling of it.
fn inherits_lints(manifest: &str) -> bool {
    let mut section = "";
    manifest.lines().map(|line| line.split('#').next().unwrap_or("").trim()).any(|line| {
        if line.starts_with('[') {
            section = line;
        }
        let spelling: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        (section == "[lints]" && spelling == "workspace=true")
            || (section.is_empty() && spelling == "lints.workspace=true")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[package]\nname = \"x\"\n[lints]\nworkspace = true\n";

    fn package(name: &str, dependencies: &[(Table, &str)]) -> Package {
        Package {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            manifest_text: LINTS.to_owned(),
            has_library: true,
            dependencies: dependencies.iter().map(|(table, name)| (*table, (*name).to_owned())).collect(),
        }
    }

    /// Problems of a small workspace that holds `name` with these dependencies beside well-behaved neighbours.
    fn problems(name: &str, dependencies: &[(Table, &str)]) -> Vec<String> {
        let mut all: Vec<Package> =
            ROOMS.iter().filter(|room| room.name != name).map(|room| package(room.name, &[])).collect();
        all.push(package(name, dependencies));
        check(&all).into_iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn arrows_point_left_only() {
        use Table::{Build, Dev, Normal};
        assert_eq!(problems("hookswitch-hub", &[(Normal, "hookswitch-runtime"), (Dev, "hookswitch-testkit")]).len(), 0);
        for (from, table, to) in [
            ("hookswitch-hub", Normal, "hookswitch-webhooks"),
            ("hookswitch-webhooks", Normal, "hookswitch-hub"),
            ("hookswitch-protocol", Normal, "hookswitch-runtime"),
            ("hookswitch-switch", Build, "hookswitch-store"),
            ("hookswitch-gateway", Normal, "hookswitch-store"),
            ("hookswitch-store", Normal, "hookswitch-switch"),
            ("hookswitch-redis", Normal, "hookswitch-webhooks"),
            ("hookswitch-gateway", Normal, "hookswitch-redis"),
        ] {
            let found = problems(from, &[(table, to)]);
            assert_eq!(found.len(), 1, "{from} -> {to}: {found:?}");
            assert!(found[0].contains("wrong arrow"), "{found:?}");
        }
    }

    #[test]
    fn testkit_is_for_tests_and_chores() {
        let found = problems("hookswitch-gateway", &[(Table::Normal, TESTKIT)]);
        assert!(found.len() == 1 && found[0].contains("[dev-dependencies]"), "{found:?}");
        assert_eq!(problems("hookswitch-gateway", &[(Table::Dev, TESTKIT)]).len(), 0);
        assert_eq!(problems("hookswitch-xtask", &[(Table::Normal, TESTKIT)]).len(), 0);
    }

    #[test]
    fn external_packages_stay_at_home() {
        use Table::{Dev, Normal};
        for (room, package) in [
            ("hookswitch-gateway", "sha2"),
            ("hookswitch-webhooks", "diesel"),
            ("hookswitch-switch", "hyper"),
            ("hookswitch-hub", "jsonwebtoken"),
            ("hookswitch-hub", "fred"),
            ("hookswitch-gateway", "percent-encoding"),
            ("hookswitch", "anyhow"),
        ] {
            let found = problems(room, &[(Normal, package)]);
            assert!(found.len() == 1 && found[0].contains("lives in"), "{room} uses {package}: {found:?}");
            assert_eq!(problems(room, &[(Dev, package)]).len(), 0, "dev-dependencies are exempt");
        }
        assert_eq!(problems("hookswitch-egress", &[(Normal, "hyper"), (Normal, "ipnet")]).len(), 0);
        assert_eq!(problems("hookswitch-server", &[(Normal, "anyhow"), (Normal, "ipnet")]).len(), 0);
        assert_eq!(problems("hookswitch-testkit", &[(Normal, "jsonwebtoken"), (Normal, "anyhow")]).len(), 0);
    }

    #[test]
    fn every_crate_is_a_known_room_and_shares_the_lints() {
        let found = problems("hookswitch-extras", &[]);
        assert!(found.len() == 1 && found[0].contains("no known room"), "{found:?}");
        let mut bare = package("hookswitch-hub", &[]);
        bare.manifest_text = "[package]\nname = \"x\"\n[lints.clippy]\nworkspace = true\n".to_owned();
        let found = check(&[bare]);
        assert!(found.len() == 1 && found[0].to_string().contains("lints"), "{found:?}");
    }

    #[test]
    fn lints_may_be_shared_in_either_spelling() {
        assert!(inherits_lints("[lints]\n# shared\nworkspace=true # yes\n"));
        assert!(inherits_lints("lints.workspace = true\n[package]\n"));
        assert!(!inherits_lints("[dependencies]\nworkspace = true\n"));
        assert!(!inherits_lints("# [lints]\n# workspace = true\n"));
    }
}
