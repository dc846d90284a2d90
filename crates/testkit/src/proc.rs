//! What `/proc` says about a process: memory and processor time.

use std::time::Duration;

/// Ticks per second in `/proc/*/stat`, the same on every Linux (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// Resident memory, in bytes; 0 for a process that is gone.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    kib * 1024
}

/// User and system time used so far; zero for a process that is gone.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the name in parentheses and may hold spaces; utime and stime are 14 and 15.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_time() {
        let me = std::process::id();
        assert!(resident_bytes(me) > 1024 * 1024);
        let before = cpu_time(me);
        let mut n = 0_u64;
        while cpu_time(me) == before {
            n = std::hint::black_box(n.wrapping_add(1));
        }
        assert_eq!(resident_bytes(u32::MAX), 0);
    }
}
