//! A Redis of the bench's own, and what it can do by itself.
//!
//! Not testkit's: that one would draw the product's crates and an async runtime into a crate that every chore starts
//! with a build of.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tempfile::TempDir;

use crate::clock::{now, pause};
use crate::socket::HeldPort;
use crate::subject::end;

/// Longest wait for its first answer.
const START_DEADLINE: Duration = Duration::from_secs(10);
const START_STEP: Duration = Duration::from_millis(20);
/// When nothing has come to a subscriber for this long, messages are missing.
const SILENCE: Duration = Duration::from_secs(10);
/// What to say where it is missing.
const HINT: &str = "it is not installed? Debian: `apt-get install redis-server redis-tools`";
/// Where redis-benchmark publishes; no node listens to it.
const CHANNEL: &str = "bench";
/// As large as the payload of our events.
const MESSAGE_BYTES: usize = 256;
/// Requests that redis-benchmark has on the way per connection, when it does not wait for each answer.
pub(crate) const PIPELINE: u32 = 16;

/// A running Redis; killed with this value.
#[derive(Debug)]
pub(crate) struct Redis {
    child: Child,
    port: HeldPort,
    folder: TempDir,
}

impl Redis {
    /// Starts one on loopback and a free port, without a disk, and waits until it answers.
    pub(crate) fn start() -> Result<Self> {
        let port = HeldPort::take()?;
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let log = File::create(folder.path().join("redis.log"))?;
        let child = Command::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--port",
                &port.address.port().to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start redis-server; {HINT}"))?;
        let mut redis = Self { child, port, folder };
        redis.wait_for_answer()?;
        Ok(redis)
    }

    fn wait_for_answer(&mut self) -> Result<()> {
        let started = now();
        while !self.answers() {
            if self.child.try_wait()?.is_some() || started.elapsed() > START_DEADLINE {
                let log = std::fs::read_to_string(self.folder.path().join("redis.log")).unwrap_or_default();
                bail!("redis-server did not come up:\n{log}");
            }
            pause(START_STEP);
        }
        Ok(())
    }

    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<[u8; 7]> {
            let mut stream = TcpStream::connect(self.port.address)?;
            stream.set_read_timeout(Some(START_DEADLINE))?;
            stream.write_all(b"PING\r\n")?;
            let mut answer = [0; 7];
            stream.read_exact(&mut answer).map(|()| answer)
        };
        ask().is_ok_and(|answer| &answer == b"+PONG\r\n")
    }

    /// Where nodes find it.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.port.address)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Messages per second that redis-benchmark publishes over 50 connections, each with `pipeline` on the way.
    pub(crate) fn publish_rate(&self, messages: u32, pipeline: u32) -> Result<f64> {
        let (port, messages, pipeline) = (self.port.address.port(), messages.to_string(), pipeline.to_string());
        let output = Command::new("redis-benchmark")
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "50", "-P", &pipeline, "-n", &messages, "--csv"])
            .args(["PUBLISH", CHANNEL, &"x".repeat(MESSAGE_BYTES)])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start redis-benchmark; {HINT}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let rate = said.lines().last().and_then(rate).filter(|_| output.status.success());
        rate.with_context(|| format!("redis-benchmark failed ({}): {said}", output.status))
    }

    /// Messages per second that come to one subscriber, which reads and forgets them, meanwhile.
    pub(crate) fn heard_rate(&self, messages: u32, pipeline: u32) -> Result<f64> {
        let mut stream = TcpStream::connect(self.port.address)?;
        stream.write_all(format!("SUBSCRIBE {CHANNEL}\r\n").as_bytes())?;
        stream.set_read_timeout(Some(SILENCE))?;
        let listener = thread::spawn(move || listen(stream, messages));
        self.publish_rate(messages, pipeline)?;
        let heard = listener.join().map_err(|_panic| anyhow!("the subscriber crashed"))?;
        Ok(f64::from(messages) / heard?.as_secs_f64())
    }
}

/// Reads until all messages have come; from the first to the last of them it took as long as that.
fn listen(mut stream: TcpStream, messages: u32) -> Result<Duration> {
    let mut scratch = vec![0; 256 * 1_024];
    // The answer to the subscription, and then the messages, which all look the same.
    let (mut heard, mut started) = (stream.read(&mut scratch)?, None);
    let frame = format!("*3\r\n$7\r\nmessage\r\n$5\r\n{CHANNEL}\r\n$256\r\n\r\n").len() + MESSAGE_BYTES;
    let whole = heard + frame * messages as usize;
    while heard < whole {
        let count = stream.read(&mut scratch).context("messages are missing")?;
        if count == 0 {
            bail!("Redis cut the subscriber off after {heard} of {whole} bytes");
        }
        started.get_or_insert_with(now);
        heard += count;
    }
    Ok(started.map(|started| started.elapsed()).unwrap_or_default())
}

impl Drop for Redis {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The rate in a line of redis-benchmark's CSV: `"name","rate",…`; the name is the command, commas included.
fn rate(line: &str) -> Option<f64> {
    line.split("\",\"").nth(1)?.trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn the_rate_stands_behind_the_name() {
        assert_eq!(rate(r#""PUBLISH bench a,b","1111111.12","0.517","0.136""#), Some(1_111_111.12));
        assert_eq!(rate(r#""test","rps","avg_latency_ms""#), None);
    }
}
