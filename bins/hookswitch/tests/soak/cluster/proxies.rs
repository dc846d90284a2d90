//! nginx and `HAProxy` with the configurations of `docs/deploy`, where they are installed.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hookswitch_testkit::{ApiClient, HeldPort, eventually};

const NGINX: &str = include_str!("../../../../../docs/deploy/nginx.conf");
const HAPROXY: &str = include_str!("../../../../../docs/deploy/haproxy.cfg");

const STARTED: Duration = Duration::from_secs(15);

/// A running proxy in front of two nodes; killed when dropped.
pub(super) struct Proxy {
    pub(super) addr: String,
    child: Child,
    _dir: tempfile::TempDir,
    _ports: [HeldPort; 2],
}

/// Which one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Nginx,
    HaProxy,
}

impl Kind {
    /// Whether the program is on this machine; says so when it is not.
    #[expect(clippy::print_stdout, reason = "whoever reads the run must see what it did not try")]
    pub(super) fn is_here(self) -> bool {
        let (program, question) = match self {
            Self::Nginx => ("nginx", "-v"),
            Self::HaProxy => ("haproxy", "-v"),
        };
        let answers = Command::new(program).arg(question).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let is_here = answers.is_ok_and(|status| status.success());
        if !is_here {
            println!("NOT TRIED: {program} is not installed (`apt-get install {program}`)");
        }
        is_here
    }

    /// Starts it in front of nodes on these ports.
    pub(super) async fn start(self, nodes: [u16; 2]) -> Proxy {
        let dir = tempfile::TempDir::new().expect("a directory");
        let ports = [HeldPort::take(), HeldPort::take()];
        let (port, spare) = (ports[0].number(), ports[1].number());
        let at = dir.path().display();
        let (text, file) = match self {
            Self::Nginx => (nginx(nodes, port, spare, &at.to_string()), dir.path().join("nginx.conf")),
            Self::HaProxy => (haproxy(nodes, port), dir.path().join("haproxy.cfg")),
        };
        fs::write(&file, text).expect("a file of our own");
        let log = fs::File::create(dir.path().join("proxy.log")).expect("a file of our own");
        let mut command = match self {
            Self::Nginx => {
                let mut command = Command::new("nginx");
                let global = format!("daemon off; pid {at}/nginx.pid; user root;");
                command.arg("-p").arg(dir.path()).arg("-c").arg(&file).arg("-g").arg(global);
                command
            }
            Self::HaProxy => {
                let mut command = Command::new("haproxy");
                command.arg("-db").arg("-f").arg(&file);
                command
            }
        };
        let child = command.stdout(log.try_clone().expect("a second handle")).stderr(log).spawn();
        let child = child.expect("it was there a moment ago");
        let proxy = Proxy { addr: format!("127.0.0.1:{port}"), child, _dir: dir, _ports: ports };
        eventually("the proxy answers", STARTED, async || {
            ApiClient::new(&proxy.addr).try_get("/readyz").await.is_ok_and(|answer| answer.status == 404)
        })
        .await;
        proxy
    }
}

fn nginx(nodes: [u16; 2], port: u16, spare: u16, dir: &str) -> String {
    let temporary = format!("http {{\n    client_body_temp_path {dir}/body;\n    proxy_temp_path {dir}/proxy;");
    replaced(
        NGINX,
        &[
            ("server node-1:8000", &format!("server 127.0.0.1:{}", nodes[0])),
            ("server node-2:8000", &format!("server 127.0.0.1:{}", nodes[1])),
            ("listen 80 default_server", &format!("listen 127.0.0.1:{port} default_server")),
            ("listen 127.0.0.1:8081", &format!("listen 127.0.0.1:{spare}")),
            ("\nhttp {", &format!("\n{temporary}")),
            // What the machine allows a test is enough for it.
            ("worker_rlimit_nofile 65536;", ""),
            ("worker_connections 30000;", "worker_connections 2000;"),
        ],
    )
}

fn haproxy(nodes: [u16; 2], port: u16) -> String {
    replaced(
        HAPROXY,
        &[
            ("server node-1 node-1:8000", &format!("server node-1 127.0.0.1:{}", nodes[0])),
            ("server node-2 node-2:8000", &format!("server node-2 127.0.0.1:{}", nodes[1])),
            ("bind :80\n", &format!("bind 127.0.0.1:{port}\n")),
            ("maxconn 60000", "maxconn 500"),
        ],
    )
}

/// Each of these must be there, or the test would not try what stands in the documents.
fn replaced(text: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(text.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "the configuration has no {old:?} any more");
        text.replace(old, new)
    })
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // SIGTERM, so that nginx takes its workers along.
        let _asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ended = self.child.wait();
    }
}
