//! Logs: to standard error, as text for people or JSON for collectors, written by a thread of its own, so that a
//! reader that is slow or gone stops nothing but the log.

mod buffer;
mod writer;

use std::backtrace::Backtrace;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use hookswitch::runtime::metrics::Registry;
use tracing_subscriber::EnvFilter;

use self::buffer::LineBuffer;
use self::writer::BufferedWriter;
use crate::config::{Log, LogFormat};

/// How long the end of the process waits for a reader of its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The process's lines; there is one subscriber.
static LINES: OnceLock<Arc<LineBuffer>> = OnceLock::new();

/// Sets up the process's one subscriber, and the thread that writes for it.
pub(crate) fn init(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(&log.filter)?;
    let lines = Arc::clone(LINES.get_or_init(Arc::default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(BufferedWriter(Arc::clone(&lines)))
        .with_ansi(std::io::stderr().is_terminal());
    let done = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    done.map_err(|error| anyhow::anyhow!("logging is already set up: {error}"))?;
    let panics = Arc::clone(&lines);
    std::panic::set_hook(Box::new(move |panic| {
        panics.push(format!("{panic}\n{}\n", Backtrace::capture()).as_bytes());
    }));
    let thread = std::thread::Builder::new().name("log".to_owned());
    thread.spawn(move || write_out(&lines)).context("cannot start the log's thread")?;
    Ok(())
}

/// Registers how many lines were dropped because nobody read them.
pub(crate) fn register_metrics(registry: &mut Registry) {
    let dropped = LINES.get_or_init(Arc::default).dropped();
    registry.register("log_lines_dropped", "Lines of the log dropped because they were not read in time", dropped);
}

/// Writes a line that is no event of tracing, behind all that were logged, and waits at most [`LAST_LINES`] for its
/// reader. Without [`init`], directly.
pub(crate) fn last_line(text: &str) {
    match LINES.get() {
        Some(lines) => {
            lines.push(format!("{text}\n").as_bytes());
            flush();
        }
        None => _ = writeln!(std::io::stderr(), "{text}"),
    }
}

/// Waits until what was logged is written, at most [`LAST_LINES`].
pub(crate) fn flush() {
    if let Some(lines) = LINES.get() {
        lines.wait_written(LAST_LINES);
    }
}

/// The log's thread. A closed standard error is no reason to end: what is logged goes nowhere then.
fn write_out(lines: &LineBuffer) {
    loop {
        let batch = lines.take();
        let _closed = std::io::stderr().write_all(&batch.bytes);
        lines.written();
        if batch.n_dropped > 0 {
            tracing::warn!(lines = batch.n_dropped, "lines of the log were dropped: they were not read in time");
        }
    }
}
