//! What another process costs, read from `/proc` (Linux).

use std::io;

/// Microseconds in one clock tick of `/proc`: `USER_HZ` is 100 on every Linux that this runs on.
const TICK_MICROS: u64 = 10_000;

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// CPU time that process `pid` has used, user and system together, in microseconds.
///
/// The kernel counts exactly and reports in steps of 10 ms, so measure over a second or more.
///
/// # Errors
/// When the process is gone or `/proc` cannot be read.
pub fn cpu_micros(pid: u32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses and may itself hold blanks; what
    // follows the last parenthesis is regular: state is field 3, utime 14, stime 15 (proc(5)).
    let (_, rest) = stat.rsplit_once(')').ok_or_else(|| bad("/proc/pid/stat without a name"))?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok());
    let user = ticks().ok_or_else(|| bad("/proc/pid/stat without utime"))?;
    let system = ticks().ok_or_else(|| bad("/proc/pid/stat without stime"))?;
    Ok((user + system) * TICK_MICROS)
}

/// Resident memory of process `pid`, in bytes.
///
/// # Errors
/// When the process is gone or `/proc` cannot be read.
pub fn rss_bytes(pid: u32) -> io::Result<u64> {
    status_bytes(pid, "VmRSS:")
}

/// The most resident memory that process `pid` has had so far, in bytes.
///
/// # Errors
/// When the process is gone or `/proc` cannot be read.
pub fn peak_rss_bytes(pid: u32) -> io::Result<u64> {
    status_bytes(pid, "VmHWM:")
}

fn status_bytes(pid: u32, key: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes =
        line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.map(|it| it * 1024).ok_or_else(|| bad("/proc/pid/status without this line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_up_in_the_counters_of_this_process() {
        let pid = std::process::id();
        let before = cpu_micros(pid).unwrap();
        let mut sum = 0_u64;
        while cpu_micros(pid).unwrap() < before + 2 * TICK_MICROS {
            sum = (0..100_000_u64).fold(sum, |sum, it| sum.wrapping_mul(31).wrapping_add(it));
        }
        assert_ne!(sum, 1);
        assert!(rss_bytes(pid).unwrap() > 100_000);
        assert!(peak_rss_bytes(pid).unwrap() >= 100_000);
    }

    #[test]
    fn a_process_that_does_not_exist_is_an_error() {
        assert!(cpu_micros(u32::MAX).is_err());
        assert!(rss_bytes(u32::MAX).is_err());
    }
}
