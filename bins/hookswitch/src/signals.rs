//! SIGTERM, SIGINT and SIGHUP: the first asks for an orderly end, the second for one at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::logging;

/// The signals, caught from [`Signals::catch`] on.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// None under `nohup`.
    hangup: Option<Signal>,
}

/// Which one came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Terminate,
    Interrupt,
    Hangup,
}

impl Stop {
    /// The shell's convention: 128 and the signal's number.
    const fn exit_code(self) -> i32 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
            Self::Hangup => 129,
        }
    }
}

impl Signals {
    /// Must be called within a tokio runtime.
    pub(crate) fn catch() -> io::Result<Self> {
        let hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())?, hangup })
    }

    /// The next signal. Cancel safe.
    pub(crate) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
            () = heard(self.hangup.as_mut()) => Stop::Hangup,
        }
    }

    /// Lets one signal pass, where another way had asked for the end before; then as [`Signals::end_at_next`].
    pub(crate) async fn end_at_second(&mut self) -> ! {
        let stop = self.next().await;
        tracing::info!(?stop, "already draining; another signal ends it at once");
        self.end_at_next().await
    }

    /// Ends the process at the next signal, whatever else is going on. What was accepted is on disk.
    pub(crate) async fn end_at_next(&mut self) -> ! {
        let stop = self.next().await;
        tracing::warn!(?stop, "second signal, ending at once");
        logging::flush();
        std::process::exit(stop.exit_code())
    }
}

async fn heard(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether whoever started us asked, as `nohup` does, that the end of the terminal be ignored;
/// catching the signal would undo that. Asked of Linux only: elsewhere it is always caught.
fn ignores_hangup() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| is_hangup_in_mask(&status))
}

/// SIGHUP is signal 1, the lowest bit of the mask of ignored signals.
fn is_hangup_in_mask(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_seen() {
        assert!(is_hangup_in_mask("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!is_hangup_in_mask("SigIgn:\t0000000000001000\nSigCgt:\t1\n"));
        assert!(!is_hangup_in_mask(""));
    }
}
