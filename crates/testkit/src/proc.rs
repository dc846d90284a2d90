//! What `/proc` says about a process: memory and processor time. `None` for a process that is gone.

use std::time::{Duration, Instant};

/// Ticks per second in `/proc/*/stat`, the same on every Linux (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// Resident memory, in bytes: the exact sum, which `VmRSS` may miss by a few pages per thread.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// User and system time used so far, all threads included.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    stat_cpu_time(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Threads that it has.
pub fn n_threads(pid: u32) -> Option<usize> {
    Some(std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.count())
}

/// Waits until every thread of a process has stopped: SIGSTOP reaches one that runs on another processor a little
/// later, and until then it answers.
///
/// # Panics
/// When that takes five seconds, or the process is gone.
#[expect(clippy::disallowed_methods, reason = "real time: the process does not live in the test's")]
pub(crate) fn await_stopped(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_stopped(pid).unwrap_or_else(|| panic!("process {pid} is gone")) {
        assert!(Instant::now() < deadline, "process {pid} does not stop");
        std::thread::yield_now();
    }
}

fn is_stopped(pid: u32) -> Option<bool> {
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // A thread that is gone meanwhile does nothing any more either.
        let Ok(stat) = std::fs::read_to_string(task.ok()?.path().join("stat")) else { continue };
        let (_, after_name) = stat.rsplit_once(") ")?;
        if !after_name.starts_with('T') {
            return Some(false);
        }
    }
    Some(true)
}

fn stat_cpu_time(stat: &str) -> Option<Duration> {
    // The second field is the name in parentheses and may hold spaces and parentheses; utime and stime are 14 and 15.
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11).map(str::parse::<u64>);
    let ticks = fields.next()?.ok()? + fields.next()?.ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_time() {
        let me = std::process::id();
        assert!(resident_bytes(me) > Some(1024 * 1024));
        let before = cpu_time(me);
        let mut n = 0_u64;
        while cpu_time(me) == before {
            n = std::hint::black_box(n.wrapping_add(1));
        }
        assert_eq!((resident_bytes(u32::MAX), cpu_time(u32::MAX)), (None, None));
    }

    #[test]
    fn user_and_system_time_are_added_whatever_the_name() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 150 25 9 9 20 0 3 0 100 1000 200";
        assert_eq!(stat_cpu_time(stat), Some(Duration::from_millis(1_750)));
    }
}
