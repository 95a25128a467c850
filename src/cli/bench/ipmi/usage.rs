//! What a process has used: CPU seconds and memory, from `/proc`.

use anyhow::Context;

/// CPU seconds so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cpu {
    /// Of the process itself.
    pub own: f64,
    /// Of its children that have ended and were waited for.
    pub children: f64,
}

/// CPU seconds of a process; `None` means this one.
///
/// # Errors
/// There is no such process.
pub fn cpu(pid: Option<u32>) -> anyhow::Result<Cpu> {
    let path = pid.map_or("/proc/self/stat".to_owned(), |pid| format!("/proc/{pid}/stat"));
    let stat = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    parse(&stat, rustix::param::clock_ticks_per_second()).with_context(|| format!("{path} is not understood"))
}

fn parse(stat: &str, ticks_per_s: u64) -> Option<Cpu> {
    // The name in parentheses may hold blanks and parentheses; user, system and both of children are 11 words after.
    let words = stat.rsplit_once(')')?.1;
    let mut times = words.split_whitespace().skip(11).map(|word| word.parse::<u64>().ok());
    let mut next = || Some(times.next()?? as f64 / ticks_per_s.max(1) as f64);
    let (user, system, children_user, children_system) = (next()?, next()?, next()?, next()?);
    Some(Cpu { own: user + system, children: children_user + children_system })
}

/// Memory of this process that is in RAM, in bytes.
///
/// # Errors
/// `/proc` is not there.
pub fn resident_bytes() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").context("/proc/self/statm cannot be read")?;
    let pages: u64 =
        statm.split(' ').nth(1).and_then(|field| field.parse().ok()).context("statm has no second field")?;
    Ok(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_blanks_and_parentheses() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 900 80 0 0 150 50 25 75 20 0 3 0 100 1000 200";
        assert_eq!(parse(stat, 100), Some(Cpu { own: 2.0, children: 1.0 }));
        assert_eq!(parse("42 (a) S 1", 100), None);
        assert!(cpu(None).is_ok() && resident_bytes().is_ok_and(|bytes| bytes > 0));
        assert!(cpu(Some(u32::MAX)).is_err());
    }
}
