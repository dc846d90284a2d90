//! What a node says of itself, judged by the validators of others, and held against what it does.
//!
//! `cargo xtask test` installs them; what is not there is skipped, and said.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hookswitch_testkit::Token;
use tokio::process::Command;

use crate::stage::{Stage, TENANT};

/// Longer than any of them is given to try a node.
const DEADLINE: Duration = Duration::from_mins(4);
/// For how long a node is tried by each role, in seconds.
const TRIED_SECS: &str = "20";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program among the tools; `None`, and a word about it, where it is not there.
fn tool(path: &str, what: &str) -> Option<PathBuf> {
    let tool = std::env::var_os("HOOKSWITCH_TOOLS").map(|folder| Path::new(&folder).join(path));
    let tool = tool.filter(|tool| tool.exists());
    if tool.is_none() {
        let _closed = writeln!(std::io::stderr(), "SKIPPED: {what}: {path} is not installed by `cargo xtask test`");
    }
    tool
}

/// Runs it; whatever it says is shown when it finds something.
async fn judge(program: &Path, args: &[&str]) {
    let mut command = Command::new(program);
    command.args(args).current_dir(workspace()).stdin(Stdio::null()).kill_on_drop(true);
    // It leaves nothing behind in the repository.
    command.env("HYPOTHESIS_STORAGE_DIRECTORY", std::env::temp_dir().join("hookswitch-hypothesis"));
    let output = tokio::time::timeout(DEADLINE, command.output()).await.expect("it ends in time").expect("it starts");
    let (said, also) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {args:?} found something\n{said}\n{also}", program.display());
}

#[tokio::test]
async fn openapi_is_what_openapi_says_it_is() {
    let Some(validator) = tool("venv/bin/openapi-spec-validator", "the validator of OpenAPI") else { return };
    judge(&validator, &["docs/api/openapi.json"]).await;
}

#[tokio::test]
async fn asyncapi_is_what_asyncapi_says_it_is() {
    let Some(modules) = tool("node_modules/@asyncapi/parser", "the validator of AsyncAPI") else { return };
    let tools = modules.ancestors().nth(3).expect("the folder of the tools").display().to_string();
    judge(Path::new("node"), &["xtask/tools/asyncapi.mjs", &tools, "docs/api/asyncapi.json"]).await;
}

#[tokio::test]
async fn events_are_what_their_schemas_say() {
    let Some(python) = tool("venv/bin/python", "events and their schemas") else { return };
    let (events, schemas) = ("crates/protocol/tests/golden/events.json", "docs/api/schemas");
    judge(&python, &["xtask/tools/events.py", events, schemas]).await;
}

#[tokio::test]
async fn types_are_typescript() {
    let Some(tsc) = tool("node_modules/typescript/bin/tsc", "the types of clients/js/events.d.ts") else { return };
    let tsc = tsc.display().to_string();
    judge(Path::new("node"), &[&tsc, "--noEmit", "--strict", "--lib", "es2022", "clients/js/events.d.ts"]).await;
}

/// Sends what the description allows, and what it does not, and looks whether the answers are among those described.
async fn try_as(role: &str) {
    let Some(schemathesis) = tool("venv/bin/schemathesis", "a node and its description") else { return };
    let stage = Stage::start().await;
    let token = stage.sign(&Token::new(TENANT, 456).role(role));
    let (url, header) =
        (format!("http://{}/api/v1/openapi.json", stage.addr()), format!("Authorization: Bearer {token}"));
    let args = ["--config-file", "xtask/tools/schemathesis.toml", "run", &url, "-H", &header];
    let bounds = ["--no-color", "--seed", "1", "--max-time", TRIED_SECS, "--generation-database", "none"];
    judge(&schemathesis, &[&args[..], &bounds].concat()).await;
    assert_eq!(stage.node.api().get("/healthz").await.status, 200, "it lives");
}

#[tokio::test]
async fn a_service_finds_what_is_described() {
    try_as("service").await;
}

#[tokio::test]
async fn a_supervisor_finds_what_is_described() {
    try_as("supervisor").await;
}

#[tokio::test]
async fn an_agent_finds_what_is_described() {
    try_as("agent").await;
}
