//! What a request and the connection that is made for it tell each other past the pool between them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::{ErrorClass, Failure};

tokio::task_local! {
    /// Of the request whose task polls the connector. The pool hands it nothing but the URL.
    static PROGRESS: Arc<ConnectProgress>;
}

/// On whose behalf a connection is made, and what it waits for.
#[derive(Debug)]
pub(crate) struct ConnectProgress {
    requester: Arc<str>,
    if_late: Mutex<Failure>,
}

impl ConnectProgress {
    /// One for a request on behalf of this requester.
    pub(crate) fn new(requester: &Arc<str>) -> Arc<Self> {
        let if_late = Mutex::new(Failure::because(ErrorClass::Timeout, "no connection within the time limit"));
        Arc::new(Self { requester: Arc::clone(requester), if_late })
    }

    /// That of the present request.
    pub(crate) fn present() -> Arc<Self> {
        PROGRESS.try_with(Arc::clone).unwrap_or_else(|_| Self::new(&Arc::from("")))
    }

    /// Runs what may make a connection.
    pub(crate) async fn during<T>(self: Arc<Self>, connects: impl Future<Output = T>) -> T {
        PROGRESS.scope(self, connects).await
    }

    /// Whose share of what is bounded it uses up.
    pub(crate) fn requester(&self) -> &Arc<str> {
        &self.requester
    }

    /// From here on a deadline that passes has this reason.
    pub(crate) fn waits(&self, if_late: Failure) {
        *self.if_late.lock().unwrap_or_else(PoisonError::into_inner) = if_late;
    }

    /// Why there is no connection, at the deadline.
    pub(crate) fn if_late(&self) -> Failure {
        *self.if_late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
