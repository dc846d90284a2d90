//! A server with its database, a receiver, and the webhooks between them.

use anyhow::{Context as _, Result, ensure};
use hookswitch_testkit::{MariaDbServer, NodeProcess, Token};
use serde_json::json;

use super::database::{Engine, mariadb};
use super::receiver::PORTS;
use super::spec::{Delivered, Filled, Orders, SILENT_PATH, SILENT_TYPE, Shape, Task, WEBHOOK_PATH};
use crate::message::TENANT;
use crate::programs::Programs;
use crate::spec::{Phases, Publishing};
use crate::subject::{address, chore, order, server};

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
    server: NodeProcess,
    receiver: NodeProcess,
    database: Option<MariaDbServer>,
    /// Events so far, but for those that nobody answers.
    published: u32,
}

impl<'a> Stage<'a> {
    /// Starts all of it afresh. Beside the webhooks of the shape there is one whose receiver never answers.
    pub(super) async fn start(programs: &'a Programs, engine: Engine, shape: Shape, hosts: Hosts) -> Result<Self> {
        let receiver = chore(programs, &[RECEIVER, &serde_json::to_string(&shape)?]).start().await;
        let (mut spec, mut database) = (server(&programs.server).with_loopback_webhooks(), None);
        if engine == Engine::MariaDb {
            let (mariadb, url) = mariadb(programs).await?;
            (spec, database) = (spec.env("DATABASE_URL", &url), Some(mariadb));
        }
        let server = spec.start().await;
        let stage = Self { programs, shape, server, receiver, database, published: 0 };
        stage.register(hosts).await?;
        Ok(stage)
    }

    /// Publishes for a time.
    pub(super) async fn deliver(&mut self, publishing: Publishing, phases: Phases) -> Result<Delivered> {
        let task = Task::Deliver { shape: self.shape, publishing, phases, first: self.published };
        let delivered: Delivered = order(self.programs, CLIENT, &self.orders(task)?).await?;
        self.published = delivered.published;
        Ok(delivered)
    }

    /// Lets deliveries wait for the silent receiver.
    pub(super) async fn fill(&self, events: u32) -> Result<Filled> {
        order(self.programs, CLIENT, &self.orders(Task::Fill { events })?).await
    }

    fn orders(&self, task: Task) -> Result<Orders> {
        let mut pids = vec![self.server.pid(), self.receiver.pid()];
        pids.extend(self.database.as_ref().map(MariaDbServer::pid));
        let (server, receiver) = (address(&self.server)?, address(&self.receiver)?);
        Ok(Orders { server, receiver, pids, secret: self.server.secret().to_owned(), task })
    }

    async fn register(&self, hosts: Hosts) -> Result<()> {
        let main = address(&self.receiver)?.port();
        let ports: Vec<u16> = serde_json::from_slice(&self.receiver.api().get(PORTS).await.body)?;
        for (number, own) in (0..).zip(ports) {
            let port = if hosts == Hosts::Own { own } else { main };
            let (path, event_type) = (format!("{WEBHOOK_PATH}{number}"), self.shape.event_type(number));
            self.create(port, &path, &event_type, USUAL_SECONDS).await?;
        }
        self.create(main, SILENT_PATH, SILENT_TYPE, PATIENT_SECONDS).await.context("the silent one")
    }

    async fn create(&self, port: u16, path: &str, event_type: &str, timeout: u32) -> Result<()> {
        let token = Token::service(TENANT).sign(self.server.secret());
        let url = format!("http://127.0.0.1:{port}{path}");
        let webhook = json!({
            "name": path, "url": url, "events": [event_type], "secret": "a-secret-of-the-bench", "timeout": timeout,
        });
        let answer = self.server.api().with_token(token).post("/api/v1/webhooks", webhook).await;
        ensure!(answer.status == 201, "the webhook was not created ({}): {}", answer.status, answer.text());
        Ok(())
    }
}
