//! The simulated agents' own connections: who is at work is online, as a person with a browser would be.

use std::collections::HashMap;

use hookswitch::hub::memory::{Inbox, MemoryTransport};
use hookswitch::hub::{Admission, Attachment, Subject};
use hookswitch::protocol::{SubscriptionName, TenantId, UserId};
use hookswitch::runtime::Scope;
use tokio::sync::oneshot;

use super::sim::{AgentStep, Fact};

/// What agents are told: nothing that anybody publishes, so that messages kept for them are left to people.
const NOTHING: &str = "dev.nothing";
/// Writes that may wait for an agent; each is read at once.
const INBOX_WRITES: usize = 4;

/// The connections of the agents who are at work.
#[derive(Debug)]
pub(super) struct Desks {
    admission: Admission,
    scope: Scope,
    tenant: TenantId,
    /// Dropping it ends the connection.
    taken: HashMap<UserId, oneshot::Sender<()>>,
}

impl Desks {
    pub(super) fn new(admission: Admission, scope: Scope, tenant: TenantId) -> Self {
        Self { admission, scope, tenant, taken: HashMap::new() }
    }

    /// Connects who comes to work and disconnects who goes home.
    pub(super) async fn follow(&mut self, fact: &Fact) {
        match fact {
            Fact::Agent(AgentStep::Login, agent) => self.take(agent.user_id.clone()).await,
            Fact::Agent(AgentStep::Logout, agent) => _ = self.taken.remove(&agent.user_id),
            _ => {}
        }
    }

    async fn take(&mut self, user: UserId) {
        let nothing = SubscriptionName::parse(NOTHING).expect("a legal name");
        let who = Attachment::new(self.tenant.clone(), Subject::User(user.clone()));
        let who = Attachment { subscription: Some(vec![nothing]), ..who };
        let (open, inbox) = MemoryTransport::pair(INBOX_WRITES);
        match self.admission.attach(who, MemoryTransport::FORM).await {
            Ok(pending) => pending.open(open).await,
            Err(error) => return tracing::debug!(%user, %error, "a simulated agent is not connected"),
        }
        let (leave, left) = oneshot::channel();
        self.scope.spawn_contained("desk", sit(inbox, left));
        self.taken.insert(user, leave);
    }
}

/// Reads until the agent goes home or the connection ends.
async fn sit(mut inbox: Inbox, left: oneshot::Receiver<()>) {
    let read = async { while inbox.next().await.is_some() {} };
    tokio::select! {
        () = read => {}
        _ = left => {}
    }
}
