//! SIGTERM and SIGINT: the first asks for an orderly end, the second for one at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals, caught from [`Signals::catch`] on.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Which one came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Terminate,
    Interrupt,
}

impl Stop {
    /// The shell's convention: 128 and the signal's number.
    const fn exit_code(self) -> i32 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
        }
    }
}

impl Signals {
    /// Must be called within a tokio runtime.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next signal. Cancel safe.
    pub(crate) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }

    /// Ends the process at the next signal, whatever else is going on. What was accepted is on disk.
    pub(crate) async fn end_at_next(&mut self) -> ! {
        let stop = self.next().await;
        tracing::warn!(?stop, "second signal, ending at once");
        std::process::exit(stop.exit_code())
    }
}
