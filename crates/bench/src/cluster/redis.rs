//! What a Redis can do by itself.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hookswitch_testkit::RedisServer;
use tokio::time::Instant;

/// When nothing has come to a subscriber for this long, messages are missing.
const SILENCE: Duration = Duration::from_secs(10);
/// What to say where it is missing.
const HINT: &str = "it is not installed? Debian: `apt-get install redis-tools`";
/// Where redis-benchmark publishes; no node listens to it.
const CHANNEL: &str = "bench";
/// As large as the payload of our events.
const MESSAGE_BYTES: usize = 256;
/// Requests that redis-benchmark has on the way per connection, when it does not wait for each answer.
pub(crate) const PIPELINE: u32 = 16;

/// Messages per second that redis-benchmark publishes over 50 connections, each with `pipeline` on the way.
pub(crate) fn publish_rate(redis: &RedisServer, messages: u32, pipeline: u32) -> Result<f64> {
    let (port, messages, pipeline) = (redis.port(), messages.to_string(), pipeline.to_string());
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
pub(crate) fn heard_rate(redis: &RedisServer, messages: u32, pipeline: u32) -> Result<f64> {
    let mut stream = TcpStream::connect(redis.addr())?;
    stream.write_all(format!("SUBSCRIBE {CHANNEL}\r\n").as_bytes())?;
    stream.set_read_timeout(Some(SILENCE))?;
    let listener = thread::spawn(move || listen(stream, messages));
    publish_rate(redis, messages, pipeline)?;
    let heard = listener.join().map_err(|_panic| anyhow!("the subscriber crashed"))?;
    Ok(f64::from(messages) / heard?.as_secs_f64())
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
        started.get_or_insert_with(Instant::now);
        heard += count;
    }
    Ok(started.map(|started| started.elapsed()).unwrap_or_default())
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
