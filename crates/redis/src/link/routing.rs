//! Running a command at the server that owns its key.

use std::time::Duration;

use bytes::Bytes;
use fred::clients::{Client, WithOptions};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike as _, PubsubInterface as _};
use fred::types::config::{Options, Server};
use fred::types::{CustomCommand, Value};
use fred::util::redis_keyslot;
use hookswitch_protocol::Chain;

use super::{Link, LinkError};
use crate::config::Topology;

/// How often a command is sent elsewhere, slots being on the move, until it fails.
const REDIRECTIONS: usize = 5;

/// What a master of a cluster says of a slot that is not its own.
#[derive(Debug, PartialEq, Eq)]
enum Redirection {
    /// It is that one's from now on.
    Moved(Server),
    /// It is moving there: this key is there already.
    Ask(Server),
}

impl Redirection {
    /// An answer of `from`.
    fn read(error: &Error, from: &Server) -> Option<Self> {
        let mut words = error.details().split(' ');
        let kind = words.next()?;
        let (host, port) = words.nth(1)?.rsplit_once(':')?;
        // A server that does not know its own address is where the others think that they reached it.
        let host = if host.is_empty() { from.host.to_string() } else { host.to_owned() };
        let server = Server::new(host, port.parse().ok()?);
        match kind {
            "MOVED" => Some(Self::Moved(server)),
            "ASK" => Some(Self::Ask(server)),
            _ => None,
        }
    }
}

impl Link {
    /// The client for this master's commands; for the only server's without one. They fail at once when there is no
    /// connection, and are not tried again.
    ///
    /// # Errors
    /// When no client can be made of the settings any more.
    pub(crate) fn client_at(&self, server: Option<&Server>) -> Result<WithOptions<Client>, Error> {
        let options = Options { timeout: Some(self.config().command_timeout), fail_fast: true, ..Options::default() };
        let client = self.clients().client(server);
        client
            .map(|client| client.with_options(&options))
            .map_err(|error| Error::new(ErrorKind::Config, Chain(&error).to_string()))
    }

    /// Runs a command at the owner of its key. See [`Self::at_slot`].
    ///
    /// # Errors
    /// What the client or Redis says.
    pub(crate) async fn at_key<R, F, Fut>(&self, key: &str, call: F) -> Result<R, Error>
    where
        F: Fn(WithOptions<Client>) -> Fut,
        Fut: Future<Output = Result<R, Error>>,
    {
        self.at_slot(redis_keyslot(key.as_bytes()), call).await
    }

    /// Publishes a message through the owner of a slot.
    ///
    /// # Errors
    /// What the client or Redis says, noted.
    pub(crate) async fn publish_at(&self, slot: u16, channel: &str, body: Bytes) -> Result<(), LinkError> {
        let send = async |client: WithOptions<Client>| client.publish(channel, body.clone()).await;
        let sent: Result<(), _> = self.at_slot(slot, send).await;
        sent.map_err(|source| self.failed("publish an event", channel, source))
    }

    /// Runs a command at the owner of a slot, and elsewhere when that one says so. `call` sends one command, which goes
    /// out at its first poll.
    ///
    /// # Errors
    /// What the client or Redis says.
    pub(crate) async fn at_slot<R, F, Fut>(&self, slot: u16, call: F) -> Result<R, Error>
    where
        F: Fn(WithOptions<Client>) -> Fut,
        Fut: Future<Output = Result<R, Error>>,
    {
        let Topology::Cluster(_) = self.config().topology else {
            return call(self.client_at(None)?).await;
        };
        let unknown = || Error::new(ErrorKind::Canceled, "which master owns the slot is not known");
        let server = self.clients().owner(slot).ok_or_else(unknown)?;
        let answer = call(self.client_at(Some(&server))?).await;
        match answer.as_ref().err().and_then(|error| Redirection::read(error, &server)) {
            None => answer,
            // Seldom, and large.
            Some(redirection) => Box::pin(self.follow(slot, server, redirection, call)).await,
        }
    }

    /// Runs a command where `server` said, and so on.
    async fn follow<R, F, Fut>(
        &self,
        slot: u16,
        mut server: Server,
        mut redirection: Redirection,
        call: F,
    ) -> Result<R, Error>
    where
        F: Fn(WithOptions<Client>) -> Fut,
        Fut: Future<Output = Result<R, Error>>,
    {
        let mut n_left = REDIRECTIONS;
        loop {
            let (to, answer) = match redirection {
                Redirection::Moved(to) => {
                    self.learn(slot, &server, &to).await;
                    let answer = call(self.connected_at(&to).await?).await;
                    (to, answer)
                }
                Redirection::Ask(to) => {
                    let client = self.connected_at(&to).await?;
                    // Both are sent now, one right behind the other.
                    let (_, answer) = tokio::join!(asking(client.clone()), call(client));
                    (to, answer)
                }
            };
            server = to;
            n_left -= 1;
            let next = answer.as_ref().err().and_then(|error| Redirection::read(error, &server));
            match next.filter(|_| n_left > 0) {
                Some(next) => redirection = next,
                None => return answer,
            }
        }
    }

    /// The same as [`Self::client_at`], once it is connected or cannot be in time.
    async fn connected_at(&self, server: &Server) -> Result<WithOptions<Client>, Error> {
        let client = self.client_at(Some(server))?;
        let _connected = tokio::time::timeout(self.config().command_timeout, client.wait_for_connect()).await;
        Ok(client)
    }

    /// `from` said that the slot is `to`'s: asks that one who owns what, unless somebody did meanwhile.
    async fn learn(&self, slot: u16, from: &Server, to: &Server) {
        let _turn = self.clients().learning.lock().await;
        if self.clients().owner(slot).as_ref() == Some(from)
            && let Err(error) = self.slots_by(to).await
        {
            tracing::debug!(server = %to, error = %Chain(&error), "who owns which slot is asked for again later");
        }
    }

    /// Waits until the only server's client is connected, or those of all masters.
    pub(crate) async fn wait_for_connect(&self) {
        if let Topology::Cluster(_) = self.config().topology {
            // If not now, it is learnt when a server answers.
            let _known = self.slots().await;
        }
        let all = self.clients().all();
        futures_util::future::join_all(all.iter().map(Client::wait_for_connect)).await;
    }

    /// Asks the cluster again and again who owns which slot.
    pub(crate) async fn follow_slots(self, interval: Duration) {
        let mut interval = tokio::time::interval(interval);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            // Told by the link, and asked again.
            let _known = self.slots().await;
        }
    }

    /// Gives the connection for a server's commands up, and makes another, unless it is new. Commands under way fail.
    pub(crate) fn replace_commands(&self, server: Option<&Server>) {
        if self.clients().replace(server) {
            let server = server.map(tracing::field::display);
            tracing::warn!(server, "nothing comes back over the connection for commands, it is made anew");
            self.metrics().reconnections.inc();
        }
    }
}

async fn asking(client: WithOptions<Client>) -> Result<Value, Error> {
    client.custom(CustomCommand::new_static("ASKING", None, false), Vec::<Value>::new()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_names_a_server() {
        let from = Server::new("10.0.0.1", 7000);
        let read = |text: &'static str| Redirection::read(&Error::new(ErrorKind::Cluster, text), &from);
        assert_eq!(read("MOVED 3999 10.0.0.2:7001"), Some(Redirection::Moved(Server::new("10.0.0.2", 7001))));
        assert_eq!(read("ASK 3999 ::1:7001"), Some(Redirection::Ask(Server::new("::1", 7001))));
        assert_eq!(read("MOVED 3999 :7001"), Some(Redirection::Moved(Server::new("10.0.0.1", 7001))));
        for other in ["CLUSTERDOWN Hash slot not served", "ERR no such key a b:1", "MOVED", "MOVED 1 x", "MOVED 1 x:y"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
