//! What a receiver has, asked again and again beside the loop that publishes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use hookswitch_testkit::ApiClient;
use tokio::runtime::{Builder, Runtime};

use super::receiver::{COUNT, MARK, REPORT};
use super::spec::Arrived;

/// Between two questions: at 10,000 deliveries a second, 50 of them.
const STEP: Duration = Duration::from_millis(5);
/// Said when the receiver does not answer any more.
const GONE: u64 = u64::MAX;

/// A receiver as the load client and the floor see it.
#[derive(Debug)]
pub(super) struct Progress {
    receiver: ApiClient,
    /// One thread, which asks until this value is gone.
    runtime: Runtime,
    received: Arc<AtomicU64>,
}

impl Progress {
    /// Asks once, and then from a thread of its own.
    pub(super) fn watch(receiver: SocketAddr) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let receiver = ApiClient::new(&receiver.to_string());
        let received = Arc::new(AtomicU64::new(runtime.block_on(count(&receiver))?));
        let (asked, told) = (receiver.clone(), Arc::clone(&received));
        runtime.spawn(async move {
            while let Ok(count) = count(&asked).await {
                told.store(count, Ordering::Relaxed);
                tokio::time::sleep(STEP).await;
            }
            told.store(GONE, Ordering::Relaxed);
        });
        Ok(Self { receiver, runtime, received })
    }

    /// Deliveries it had received a moment ago, each once.
    pub(super) fn received(&self) -> Result<u64> {
        match self.received.load(Ordering::Relaxed) {
            GONE => bail!("the receiver is gone"),
            count => Ok(count),
        }
    }

    /// Lets it forget the delays so far.
    pub(super) fn mark(&self) -> Result<()> {
        self.runtime.block_on(ask(&self.receiver, MARK)).map(drop)
    }

    /// Everything it knows.
    pub(super) fn report(&self) -> Result<Arrived> {
        let report = self.runtime.block_on(ask(&self.receiver, REPORT))?;
        serde_json::from_slice(&report).context("the receiver's report is not readable")
    }
}

async fn count(receiver: &ApiClient) -> Result<u64> {
    serde_json::from_slice(&ask(receiver, COUNT).await?).context("the receiver does not say how much it has")
}

async fn ask(receiver: &ApiClient, path: &str) -> Result<Bytes> {
    Ok(receiver.try_get(path).await?.body)
}
