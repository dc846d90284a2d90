//! What the kernel says about a process: processor time, memory, open-file limit.

use std::time::Duration;

use anyhow::{Context, Result};

/// `USER_HZ`, the unit of `/proc/<pid>/stat`: 100 on every Linux this runs on.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of a process, all its threads included.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    parse_cpu_time(&stat).with_context(|| format!("/proc/{pid}/stat is not as expected: {stat}"))
}

/// Resident memory of a process in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let rollup = read(&format!("/proc/{pid}/smaps_rollup"))?;
    parse_kib(&rollup, "Rss:").with_context(|| format!("/proc/{pid}/smaps_rollup has no Rss line"))
}

/// How many files this process, and what it starts, may have open.
pub(crate) fn open_files_limit() -> Result<usize> {
    let limits = read("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    let soft = line.split_whitespace().next().unwrap_or_default();
    if soft == "unlimited" {
        return Ok(usize::MAX);
    }
    soft.parse().context("/proc/self/limits has no open-file limit")
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

fn parse_cpu_time(stat: &str) -> Option<Duration> {
    // The command's name stands in brackets and may hold spaces and brackets itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * 1_000 / TICKS_PER_SECOND))
}

fn parse_kib(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added_whatever_the_name() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 150 25 9 9 20 0 3 0 100 1000 200";
        assert_eq!(parse_cpu_time(stat), Some(Duration::from_millis(1_750)));
    }

    #[test]
    fn this_process_can_be_asked() {
        assert!(cpu_time(std::process::id()).is_ok());
        assert!(resident_bytes(std::process::id()).unwrap() > 100_000);
        assert!(open_files_limit().unwrap() > 10);
    }
}
