//! The newcomer's path: what README and `docs/webhooks.md` print runs as it is printed, but for the ports.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Stdio;

use hookswitch_testkit::{NodeProcess, NodeSpec, PATIENCE, eventually, eventually_some};
use serde_json::Value;
use tokio::process::{Child, Command};

const README: &str = include_str!("../../../../README.md");
const WEBHOOKS: &str = include_str!("../../../../docs/webhooks.md");

/// `hookswitch dev`, and what a terminal knows after the lines to paste.
struct Newcomer {
    node: NodeProcess,
    exports: String,
}

impl Newcomer {
    async fn start() -> Option<Self> {
        for program in ["bash", "curl", "python3"] {
            let found = Command::new(program).arg("--version").stdout(Stdio::null()).status().await;
            if !found.is_ok_and(|status| status.success()) {
                let _closed =
                    writeln!(std::io::stderr(), "SKIPPED: the newcomer's path, as {program} is not installed");
                return None;
            }
        }
        let spec = ["JWT_SECRET", "SERVER_HOST", "SERVER_PORT", "DATABASE_URL"]
            .iter()
            .fold(NodeSpec::new(env!("CARGO_BIN_EXE_hookswitch")), |spec, name| spec.without_env(name));
        let node = spec.args(&["dev", "--port", "0", "--rate", "20"]).start().await;
        eventually("it has said everything", PATIENCE, async || node.log().contains("Stop with Ctrl-C")).await;
        let exports = node.log().lines().filter(|line| line.starts_with("export ")).collect::<Vec<_>>().join("\n");
        Some(Self { node, exports })
    }

    /// The lines of a document, in a terminal of this newcomer's.
    fn shell(&self, lines: &str, port: u16) -> Command {
        let lines = lines.replace("127.0.0.1:8000", self.node.addr());
        let lines = ["127.0.0.1:9000", "127.0.0.1:9001"]
            .iter()
            .fold(lines, |lines, receiver| lines.replace(receiver, &format!("127.0.0.1:{port}")));
        let lines = lines.replace("(\"127.0.0.1\", 9000)", &format!("(\"127.0.0.1\", {port})"));
        let mut command = Command::new("bash");
        command.arg("-c").arg(format!("set -e\n{}\n{lines}", self.exports)).current_dir(self.node.spec().dir());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// What they print.
    async fn run(&self, lines: &str, port: u16) -> String {
        let output = tokio::time::timeout(PATIENCE, self.shell(lines, port).output()).await;
        let output = output.expect("it ends in time").expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{lines}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// A program that goes on in another terminal, once it listens.
    async fn start_receiver(&self, lines: &str, port: u16) -> Child {
        // The shell becomes the program, so that it ends with this test.
        let child = self.shell(&format!("exec {lines}"), port).stdout(Stdio::null()).spawn().expect("a shell");
        let connects = async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        eventually("the receiver listens", PATIENCE, connects).await;
        child
    }
}

/// The shell lines after these words.
fn lines_after<'a>(document: &'a str, words: &str) -> &'a str {
    let rest = document.split_once(words).unwrap_or_else(|| panic!("no {words:?}")).1;
    rest.split_once("```sh\n").and_then(|(_, rest)| rest.split_once("```")).expect("a block of shell").0
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

fn last_answer(said: &str) -> Value {
    assert!(said.ends_with('\n'), "the prompt stands in a line of its own: {said:?}");
    let line = said.lines().last().expect("a line");
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[tokio::test]
async fn what_readme_prints_runs() {
    let Some(newcomer) = Newcomer::start().await else { return };
    let published = newcomer.run(lines_after(README, "**Publish** an event"), 0).await;
    assert_eq!(last_answer(&published)["success"], true);

    let (port, receiver) = (free_port(), lines_after(README, "A receiver that prints what it gets"));
    let _receiver = newcomer.start_receiver(receiver, port).await;
    let said = newcomer.run(lines_after(README, "Register it from another terminal"), port).await;
    let log = last_answer(&said);
    let codes: Vec<_> = log["data"].as_array().expect("a list").iter().map(|row| &row["response_code"]).collect();
    assert!(!codes.is_empty() && codes.iter().all(|code| **code == 200), "the log shows attempts: {log}");

    let online = lines_after(README, "**See who is online**");
    let everybody = eventually_some("the simulated agents are online", PATIENCE, || async {
        let answer = last_answer(&newcomer.run(online, 0).await);
        answer["data"].as_array().filter(|users| users.len() >= 10).cloned()
    });
    assert!(everybody.await.contains(&Value::from(112)));
}

#[tokio::test]
async fn what_the_page_about_webhooks_prints_runs() {
    let Some(newcomer) = Newcomer::start().await else { return };
    let (port, page) = (free_port(), WEBHOOKS.split_once("## In five minutes").expect("the section").1);
    let receiver = lines_after(page, "").lines().find(|line| line.starts_with("hookswitch receiver")).expect("a line");
    let _receiver = newcomer.start_receiver(receiver, port).await;
    let rest = page.split_once("--secret my-secret\n```").expect("the receiver").1;
    let log = last_answer(&newcomer.run(lines_after(rest, ""), port).await);
    assert_eq!(log["data"][0]["response_code"], 200, "the log shows attempts: {log}");
}

#[test]
fn receivers_of_different_pages_do_not_fight_for_a_port() {
    assert!(README.contains("9000") && !WEBHOOKS.contains("127.0.0.1:9000"));
}

/// The lines to put into a `Cargo.toml` name what the example uses, as this workspace has it.
#[test]
fn the_dependencies_of_readmes_example_are_those_it_uses() {
    let lines = README.split_once("```toml\n[dependencies]\n").and_then(|(_, rest)| rest.split_once("```"));
    let table: toml::Table = lines.expect("a block of dependencies").0.parse().expect("TOML");
    let code = README.split_once("```rust\n").and_then(|(_, rest)| rest.split_once("```")).expect("the example").0;
    for name in table.keys() {
        assert!(code.contains(&format!("{name}::")), "{name} is not used");
    }
    let used = code.lines().filter_map(|line| line.trim().strip_prefix("use ")?.split("::").next());
    for name in used.filter(|name| *name != "std") {
        assert!(table.contains_key(name), "{name} is used");
    }
    let features = table["tokio"]["features"].to_string();
    assert!(features.contains("macros") && features.contains("rt-multi-thread"), "{features}");
    let path = table["hookswitch"]["path"].as_str().expect("a path");
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = path.strip_prefix("../hookswitch/").expect("beside the clone");
    assert!(here.join(folder).join("Cargo.toml").exists(), "{path}");
}
