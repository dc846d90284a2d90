//! What others ask of a shard.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::TenantId;
use tokio::sync::oneshot;

use crate::attachment::Attachment;
use crate::publish::wire_form::FormId;
use crate::seams::user_key::UserKey;
use crate::shard::SlotKey;
use crate::shard::catch_up::PageEnd;
use crate::shard::connection_handle::ConnectionHandle;
use crate::shard::transport::Transport;
use crate::trace::judged::AskedEvent;
use crate::trace::report::ConnectionReport;

/// Makes a connection's transport on the shard's thread, inside its local runtime, and starts whatever
/// reads from the client. The handle must not be used before this returns.
pub(crate) type OpenTransport = Box<dyn FnOnce(ConnectionHandle) -> io::Result<Rc<dyn Transport>> + Send>;

/// What admission and offline delivery ask of a shard.
pub(crate) enum Request {
    /// Puts a connection into the tables; from then on events are queued for it. With `holds_back`
    /// those for its user wait until a delivery task was there.
    Attach { who: Attachment, form: FormId, holds_back: bool, reply: oneshot::Sender<SlotKey> },
    /// Hands over the socket.
    Open { key: SlotKey, open: OpenTransport },
    /// Takes a connection out that was never opened.
    Detach { key: SlotKey },
    /// Finds an open connection of the user and holds newer events for it back; with `only_broadcast` one
    /// that gets everything.
    BeginBacklog { user: UserKey, only_broadcast: bool, reply: oneshot::Sender<Option<SlotKey>> },
    /// Sends those of a page of missed messages that the connection's subscription wants; `done` is told how
    /// that ended, or dropped with a connection that its client has ended.
    Backlog { key: SlotKey, messages: Vec<Bytes>, done: oneshot::Sender<PageEnd> },
    /// Tells every connection of the tenant, or of all, that events of other nodes may be missing.
    Gap { tenant: Option<TenantId>, n_missed: Option<u64> },
    /// The tenant's history was asked for elsewhere: whoever waits for it goes on.
    Recovered { tenant: TenantId },
    /// The user's open connections wait for kept messages no longer; with `only_unserved` those that nobody brings
    /// any.
    Release { user: UserKey, only_unserved: bool },
    /// Tells of the user's connections, and what became of an event for each.
    Describe { user: UserKey, asked: Option<AskedEvent>, reply: oneshot::Sender<Vec<ConnectionReport>> },
    /// Sends so many connections elsewhere, one after the other.
    SendAway { n: usize, over: Duration },
}
