//! The client for JavaScript in `clients/js`, tested by Node against the program that was just built.
//!
//! A machine without Node tests everything else: what was not tested is said, in words that stand out.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::run::{answers, cargo, run, workspace_root};
use crate::setup;

/// The oldest Node that the client is for.
const MIN_NODE: &str = "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)";
/// Its own reporters tell what was left out, and why.
const NODE_TEST: [&str; 5] =
    ["--experimental-websocket", "--no-warnings", "--test", "--test-reporter=spec", "--test-concurrency=2"];

/// Runs the client's tests, as many of them as the machine has programs for.
pub(crate) fn test() -> Result<()> {
    if !answers(Command::new("node").args(["-e", MIN_NODE])) {
        println!("NOT TESTED: clients/js and the console: `node` (20 or newer) is missing");
        return Ok(());
    }
    setup::browser();
    let folder = folder();
    if !install(&folder) {
        println!("NOT TESTED: types, size, and pages in a browser: `npm ci` in clients/js failed");
    }
    run(cargo().args(["build", "--package", "hookswitch-server"]))?;
    let mut tests: Vec<_> = std::fs::read_dir(folder.join("test"))?.collect::<std::io::Result<Vec<_>>>()?;
    tests.sort_by_key(std::fs::DirEntry::file_name);
    let tests = tests.iter().map(std::fs::DirEntry::path).filter(|path| path.to_string_lossy().ends_with(".test.js"));
    run(Command::new("node").args(NODE_TEST).args(tests).current_dir(folder))
}

fn folder() -> PathBuf {
    workspace_root().join("clients/js")
}

/// Fetches what the tests need beside Node, unless it is there as it was locked; whether it is there then.
fn install(folder: &std::path::Path) -> bool {
    let changed = |file: &str| std::fs::metadata(folder.join(file)).and_then(|meta| meta.modified()).ok();
    let (locked, installed) = (changed("package-lock.json"), changed("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= locked {
        return true;
    }
    run(Command::new("npm").args(["ci", "--no-fund", "--no-audit"]).current_dir(folder)).is_ok()
}
