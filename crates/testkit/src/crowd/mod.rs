//! Clients that are cut off at random and come back to another node, and a check that they missed nothing.

mod check;
mod client;
mod list;
mod load;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use check::CrowdReport;
pub use list::{List, Published, Received};
pub use load::CrowdLoad;

use crate::wait::STEP;
use client::Client;

/// Clients, one user each, that keep what they get and are cut off until [`Crowd::finish`].
#[derive(Debug)]
pub struct Crowd {
    lists: Vec<Arc<Mutex<List>>>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

impl Crowd {
    /// Connects a client for each user and token, spread over these nodes. What is published from now on is
    /// for them. A connection is cut without a close after `cut_after` on the average, and its client comes
    /// back to the next node with its position.
    ///
    /// # Panics
    /// When a node refuses a client or does not say where its list begins.
    pub async fn join(addrs: &[&str], users: impl IntoIterator<Item = (usize, String)>, cut_after: Duration) -> Self {
        let (stop, stopped) = watch::channel(false);
        let addrs: Vec<String> = addrs.iter().map(|addr| (*addr).to_owned()).collect();
        let connecting = users.into_iter().map(|(user, token)| {
            let list = Arc::new(Mutex::new(List { user, ..List::default() }));
            let (addrs, position, stopped) = (addrs.clone(), String::new(), stopped.clone());
            let mut client = Client { addrs, token, user, cut_after, list, position, stopped };
            async move {
                let socket = client.first().await;
                (client, socket)
            }
        });
        let mut crowd = Self { lists: Vec::new(), stop, clients: JoinSet::new() };
        for (client, socket) in join_all(connecting).await {
            crowd.lists.push(Arc::clone(&client.list));
            crowd.clients.spawn(client.run(socket));
        }
        crowd
    }

    /// Waits until every client has what was published for it, at most until the deadline, lets each read what
    /// is on its way to it, and compares.
    ///
    /// # Panics
    /// When a client panicked.
    pub async fn finish(mut self, published: &[Published], deadline: Duration) -> CrowdReport {
        let end = Instant::now() + deadline;
        let mut incomplete: Vec<_> = self.lists.iter().collect();
        while !incomplete.is_empty() && Instant::now() < end {
            incomplete.retain(|list| !is_complete(&list.lock().unwrap_or_else(PoisonError::into_inner), published));
            tokio::time::sleep(STEP * 10).await;
        }
        self.stop.send_replace(true);
        while let Some(client) = self.clients.join_next().await {
            client.expect("a client that goes on to the end");
        }
        CrowdReport::of(&self.taken(), published)
    }

    fn taken(&self) -> Vec<List> {
        let take = |list: &Arc<Mutex<List>>| list.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.lists.iter().map(take).collect()
    }
}

/// Whether there is as much as there has to be. Kept messages that came again count once.
fn is_complete(list: &List, published: &[Published]) -> bool {
    let wanted = published.iter().filter(|event| event.user.is_none_or(|user| user == list.user)).count();
    let distinct = || list.received.iter().map(|event| event.id.as_str()).collect::<HashSet<_>>().len();
    list.received.len() >= wanted && distinct() >= wanted
}
