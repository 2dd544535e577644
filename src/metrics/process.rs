//! The `process_*` families that every exporter has, read from `/proc/self` at scrape time.
//!
//! Where `/proc` is not mounted they are left out.

use std::fs;

use prometheus::proto::MetricFamily;

use super::exposition::Family;

/// Of Linux on every platform that we build for: `getconf CLK_TCK`.
const TICKS_A_SECOND: f64 = 100.0;
const PAGE_BYTES: u64 = 4_096;

pub(super) fn families() -> Vec<MetricFamily> {
    let mut cpu = Family::counter("process_cpu_seconds_total", "User and system time");
    let mut start = Family::gauge("process_start_time_seconds", "Since the Unix epoch");
    let mut resident = Family::gauge("process_resident_memory_bytes", "Memory in RAM");
    let mut virtual_ = Family::gauge("process_virtual_memory_bytes", "Address space");
    let mut threads = Family::gauge("process_threads", "Threads");
    let mut open = Family::gauge("process_open_fds", "Open file descriptors");
    let mut most = Family::gauge("process_max_fds", "Most file descriptors allowed");
    if let Some(stat) = Stat::read() {
        cpu.seconds(stat.cpu_ticks / TICKS_A_SECOND);
        resident.set(&[], stat.resident_pages * PAGE_BYTES as f64);
        virtual_.set(&[], stat.virtual_bytes);
        threads.set(&[], stat.threads);
        if let Some(booted) = boot_time() {
            start.set(&[], booted + stat.start_ticks / TICKS_A_SECOND);
        }
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        open.set(&[], entries.count() as f64);
    }
    if let Some(limit) = descriptors_max() {
        most.set(&[], limit);
    }
    [cpu, start, resident, virtual_, threads, open, most].into_iter().filter_map(Family::done).collect()
}

/// Memory in RAM; `None` where `/proc` does not tell.
pub fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(PAGE_BYTES)
}

struct Stat {
    cpu_ticks: f64,
    threads: f64,
    start_ticks: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

impl Stat {
    /// Fields as `proc(5)` numbers them, from 1; the second is a name in brackets that may hold spaces.
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        let (_, behind_name) = text.rsplit_once(')')?;
        let fields: Vec<f64> =
            behind_name.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn descriptors_max() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_descriptors() {
        let stat = Stat::read().unwrap();
        assert!(resident_bytes().unwrap() > 0);
        assert!(stat.resident_pages > 0.0 && stat.threads >= 1.0 && stat.start_ticks > 0.0);
        assert!(descriptors_max().unwrap() > 0.0);
        assert!(boot_time().unwrap() > 1e9);
    }
}
