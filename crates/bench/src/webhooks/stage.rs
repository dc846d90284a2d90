//! A server with its database, a receiver, and the webhooks between them.

use anyhow::{Context as _, Result, bail};

use super::database::{Engine, MariaDb, mariadb};
use super::receiver::PORTS;
use super::spec::{Delivered, Filled, Orders, SILENT_PATH, SILENT_TYPE, Shape, Task, WEBHOOK_PATH};
use crate::call::Caller;
use crate::programs::Programs;
use crate::spec::{Phases, Publishing};
use crate::subject::{SECRET, Subject, order};
use crate::token::mint;

/// The hidden chores that take part.
pub(super) const RECEIVER: &str = "webhook-receiver";
const CLIENT: &str = "webhook-client";

/// The longest time limit that a webhook can have: the silent receiver is tried as seldom as can be.
const PATIENT_SECONDS: u32 = 120;
/// That of the others, whose receiver answers at once.
const USUAL_SECONDS: u32 = 30;

/// Where the webhooks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    /// Each at a port of its own.
    Own,
    /// All at the same.
    Shared,
}

/// What is measured; ends with this value.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    programs: &'a Programs,
    shape: Shape,
    // Ended before what it uses.
    server: Subject,
    receiver: Subject,
    database: Option<MariaDb>,
    /// Events so far, but for those that nobody answers.
    published: u32,
}

impl<'a> Stage<'a> {
    /// Starts all of it afresh. Beside the webhooks of the shape there is one whose receiver never answers.
    pub(super) fn start(programs: &'a Programs, engine: Engine, shape: Shape, hosts: Hosts) -> Result<Self> {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::MariaDb => Some(mariadb(programs)?),
        };
        let receiver = Subject::start_chore(programs, &[RECEIVER, &serde_json::to_string(&shape)?])?;
        let mut env = vec![("WEBHOOK_ALLOW_HTTP", "true"), ("WEBHOOK_ALLOW_CIDRS", "127.0.0.0/8")];
        let url = database.as_ref().map(MariaDb::url);
        env.extend(url.as_deref().map(|url| ("DATABASE_URL", url)));
        let server = Subject::start_server(programs, &env)?;
        let stage = Self { programs, shape, server, receiver, database, published: 0 };
        stage.register(hosts)?;
        Ok(stage)
    }

    /// Publishes for a time.
    pub(super) fn deliver(&mut self, publishing: Publishing, phases: Phases) -> Result<Delivered> {
        let task = Task::Deliver { shape: self.shape, publishing, phases, first: self.published };
        let delivered: Delivered = order(self.programs, CLIENT, &self.orders(task))?;
        self.published = delivered.published;
        Ok(delivered)
    }

    /// Lets deliveries wait for the silent receiver.
    pub(super) fn fill(&self, events: u32) -> Result<Filled> {
        order(self.programs, CLIENT, &self.orders(Task::Fill { events }))
    }

    fn orders(&self, task: Task) -> Orders {
        let mut pids = vec![self.server.pid(), self.receiver.pid()];
        pids.extend(self.database.as_ref().map(MariaDb::pid));
        let (server, receiver) = (self.server.address(), self.receiver.address());
        Orders { server, receiver, pids, secret: SECRET.to_owned(), task }
    }

    fn register(&self, hosts: Hosts) -> Result<()> {
        let (mut caller, token) = (Caller::connect(self.server.address())?, mint(SECRET, 1, "service"));
        let mut create = |port: u16, path: &str, event_type: &str, timeout: u32| -> Result<()> {
            let url = format!("http://127.0.0.1:{port}{path}");
            let webhook = serde_json::json!({
                "name": path, "url": url, "events": [event_type], "secret": "a-secret-of-the-bench", "timeout": timeout,
            });
            let answer = caller.post("/api/v1/webhooks", &token, &webhook.to_string())?;
            if answer.status != 201 {
                bail!("the webhook was not created ({}): {}", answer.status, answer.body);
            }
            Ok(())
        };
        let main = self.receiver.address().port();
        let ports: Vec<u16> = serde_json::from_str(&Caller::connect(self.receiver.address())?.get(PORTS)?.body)?;
        for (number, own) in (0..).zip(ports) {
            let port = if hosts == Hosts::Own { own } else { main };
            create(port, &format!("{WEBHOOK_PATH}{number}"), &self.shape.event_type(number), USUAL_SECONDS)?;
        }
        create(main, SILENT_PATH, SILENT_TYPE, PATIENT_SECONDS).context("the silent one")
    }
}
