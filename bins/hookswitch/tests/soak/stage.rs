//! A node and its people for the long checks.

use hookswitch_testkit::{ApiClient, NodeProcess, NodeSpec, Token};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) const TENANT: &str = "tenant-123";

static MACHINE: Mutex<()> = Mutex::const_new(());

/// One check has the machine to itself: its descriptors, its memory, its processors.
pub(crate) async fn my_turn() -> MutexGuard<'static, ()> {
    MACHINE.lock().await
}

pub(crate) fn spec() -> NodeSpec {
    NodeSpec::new(env!("CARGO_BIN_EXE_hookswitch")).with_loopback_webhooks()
}

pub(crate) fn service(node: &NodeProcess) -> ApiClient {
    node.api().with_token(Token::service(TENANT).sign(node.secret()))
}

pub(crate) fn agent_token(node: &NodeProcess, user: usize) -> String {
    Token::new(TENANT, user).sign(node.secret())
}
