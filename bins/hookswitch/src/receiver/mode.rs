//! The ways to answer.

use std::time::Duration;

use hookswitch_receiver::{Step, answer, hostile_script};

use crate::config::parse_duration;

/// Said by `--help`, kept in step with [`Mode::parse`].
pub(super) const MODES: &str = "\
Modes:
  ok                200 at once
  status:N          this status, 200 to 599
  redirect:URL      302 to this place
  fail-first:N      503 to the first N requests of each delivery, then 200
  slow:TIME         200 after this time, e.g. slow:10s
  silent            no answer, the connection stays open
  slowloris         an answer's head, a byte a second
  endless           200 and a body without end
  endless-head      a header without end
  giant-header      a head of a megabyte
  broken-header     a head that is not HTTP
  http2             frames of HTTP/2
  gzip-bomb         60 kB that unpack to 10 MB and have no end
  continue-flood    `100 Continue` without end
  close             200, then the connection is closed without a word
  reset:accept      reset as soon as connected
  reset:request     reset when the request was read
  reset:head        reset in the middle of the answer's head
  reset:body        reset in the middle of the answer's body
";

/// How to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As HTTP wants it.
    Polite(Manner),
    /// Not at all like that: by this script.
    Hostile(Vec<Step>),
}

/// A proper answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manner {
    Status(u16),
    Redirect(String),
    FailFirst(u32),
    Slow(Duration),
}

impl Mode {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value)));
        let manner = match (name, value) {
            ("ok", None) => Manner::Status(200),
            ("status", Some(status)) => Manner::Status(read_status(status)?),
            ("redirect", Some(url)) if url.chars().all(|c| c == ' ' || c.is_ascii_graphic()) => {
                Manner::Redirect(url.to_owned())
            }
            ("fail-first", Some(n)) => Manner::FailFirst(n.parse().map_err(|_| "write e.g. fail-first:3".to_owned())?),
            ("slow", Some(time)) => Manner::Slow(parse_duration(time).ok_or("write e.g. slow:10s")?),
            _ => return hostile_script(text).map(Self::Hostile).ok_or_else(|| "no such mode".to_owned()),
        };
        Ok(Self::Polite(manner))
    }
}

fn read_status(text: &str) -> Result<u16, String> {
    let status = text.parse().ok().filter(|status| (200..=599).contains(status));
    status.ok_or_else(|| "write a status from 200 to 599".to_owned())
}

impl Manner {
    /// The answer to a request whose delivery has come so many times by now.
    pub(crate) fn answer(&self, times: u32, retry_after: Option<u32>) -> Vec<Step> {
        let status = match self {
            Self::Status(status) => *status,
            Self::Redirect(_) => 302,
            Self::FailFirst(n) if times <= *n => 503,
            Self::FailFirst(_) | Self::Slow(_) => 200,
        };
        let retry_after = retry_after.filter(|_| !(200..300).contains(&status)).map(|seconds| seconds.to_string());
        let location = if let Self::Redirect(url) = self { Some(url.as_str()) } else { None };
        let headers = [("retry-after", retry_after.as_deref()), ("location", location)];
        let headers: Vec<_> = headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let answer = Step::Send(answer(status, &headers, ""));
        if let Self::Slow(time) = self { vec![Step::Pause(*time), answer] } else { vec![answer] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_of_the_help_is_understood() {
        let mut n_modes = 0;
        for line in MODES.lines().skip(1) {
            let name = line.split_whitespace().next().expect("a mode");
            let example = name.replace(":N", ":503").replace(":URL", ":http://x/").replace(":TIME", ":10s");
            assert!(Mode::parse(&example).is_ok(), "{example}");
            n_modes += 1;
        }
        assert_eq!(n_modes, 19);
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(Mode::parse("ok"), Ok(Mode::Polite(Manner::Status(200))));
        assert_eq!(Mode::parse("slow:250ms"), Ok(Mode::Polite(Manner::Slow(Duration::from_millis(250)))));
        for bad in ["", "ok:1", "status", "status:99", "status:600", "status:x", "fail-first:-1", "slow:10", "reset"] {
            assert!(Mode::parse(bad).is_err(), "{bad}");
        }
    }
}
