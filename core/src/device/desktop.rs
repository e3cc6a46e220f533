//! Measures memory and processor on desktops, servers and Android.
//!
//! The host's own figure is preferred: on iOS only the app can ask for its limit. Without one, Linux reports available
//! memory itself (`MemAvailable`: allocatable without swapping), and macOS and Windows are measured with `sysinfo`. A
//! container's limit lowers either.

use std::thread::available_parallelism;

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::{DeviceFacts, DeviceSnapshot};
use crate::error::{Error, Result};

/// Memory according to one source, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Memory {
    total: u64,
    available: u64,
    source: &'static str,
}

/// Measures this device. `facts` are the host's; its memory figure replaces the system's own, whether higher or lower.
///
/// # Errors
/// `Unsupported` if the system does not report its memory.
pub fn snapshot(facts: &DeviceFacts) -> Result<DeviceSnapshot> {
    let wanted = RefreshKind::nothing()
        .with_memory(MemoryRefreshKind::nothing().with_ram())
        .with_cpu(CpuRefreshKind::nothing());
    let unsupported = |cause| Error::unsupported(format!("this system does not describe itself: {cause}"));
    let system = System::new_with_specifics(wanted).map_err(unsupported)?;
    let memory = measure_memory(&system, facts.known_memory());
    if memory.total == 0 {
        return Err(Error::unsupported(
            "this system does not say how much memory it has; state how much a model may use",
        ));
    }
    Ok(DeviceSnapshot {
        memory_total: memory.total,
        memory_available: memory.available,
        memory_source: memory.source.to_owned(),
        threads: compute_threads(),
        cpu: system
            .cpus()
            .first()
            .map(|cpu| cpu.brand().trim().to_owned())
            .unwrap_or_default(),
        os: System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned()),
    })
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn measure_memory(system: &System, host: Option<u64>) -> Memory {
    use std::path::Path;
    let machine = read_meminfo(Path::new("/")).unwrap_or_else(|| system_memory(system));
    machine
        .with_host(host)
        .within(super::cgroup::memory_limit(Path::new("/")))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn measure_memory(system: &System, host: Option<u64>) -> Memory {
    system_memory(system).with_host(host)
}

fn system_memory(system: &System) -> Memory {
    Memory {
        total: system.total_memory(),
        available: system.available_memory(),
        source: "system",
    }
}

impl Memory {
    /// Replaces the available memory by the host's figure, which cannot exceed the machine.
    fn with_host(self, host: Option<u64>) -> Self {
        match host {
            Some(bytes) => Self {
                available: bytes.min(self.total),
                source: "host",
                ..self
            },
            None => self,
        }
    }

    /// Applies the limit of a control group.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn within(self, limit: Option<super::cgroup::MemoryLimit>) -> Self {
        let Some(limit) = limit else { return self };
        let (available, source) = match limit.available < self.available {
            true => (limit.available, "cgroup limit"),
            false => (self.available, self.source),
        };
        Self {
            total: self.total.min(limit.limit),
            available,
            source,
        }
    }
}

/// Reads the kernel's own estimate, from the file system at `root`.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn read_meminfo(root: &std::path::Path) -> Option<Memory> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let bytes = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kibibytes.checked_mul(1024)
    };
    Some(Memory {
        total: bytes("MemTotal")?,
        available: bytes("MemAvailable")?,
        source: "MemAvailable",
    })
}

/// Returns how many threads should compute: one for each fast core that this process may use.
fn compute_threads() -> u32 {
    let allowed = available_parallelism().map_or(1, usize::from);
    threads_for(u32::try_from(allowed).unwrap_or(u32::MAX), fast_cores())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn fast_cores() -> Option<u32> {
    match super::cores::performance_cores_in(std::path::Path::new("/")) {
        0 => nearside_llama::performance_cores(),
        fast => u32::try_from(fast).ok(),
    }
}

/// On Apple's systems the cores of the fastest level, on Windows those of the highest efficiency class.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn fast_cores() -> Option<u32> {
    nearside_llama::performance_cores()
}

/// Returns the threads for so many hardware threads, of which so many are fast cores. If the cores are unknown, half of
/// the hardware threads: two threads of one core compute no faster than one.
fn threads_for(allowed: u32, fast: Option<u32>) -> u32 {
    let unknown = if allowed <= 4 { allowed } else { allowed / 2 };
    fast.unwrap_or(unknown).min(allowed).max(1)
}

/// Returns the peak resident memory of this process, in bytes; 0 if the system does not report it.
pub fn peak_resident_bytes() -> u64 {
    // `VmHWM` is in kB, which the kernel means as 1,024 bytes (proc_pid_status(5)).
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_describes_itself() {
        let snapshot = snapshot(&DeviceFacts::default()).expect("a snapshot");
        assert!(snapshot.memory_available > 0 && snapshot.memory_available <= snapshot.memory_total);
        assert!((1..=1024).contains(&snapshot.threads));
        assert!(!snapshot.os.is_empty());
    }

    #[test]
    fn the_hosts_figure_counts_and_zero_is_not_told() {
        let available = |bytes| {
            let facts = DeviceFacts {
                memory_available: bytes,
                ..DeviceFacts::default()
            };
            let snapshot = snapshot(&facts).expect("a snapshot");
            (snapshot.memory_available, snapshot.memory_source)
        };
        let (_, own) = available(None);
        assert_eq!(available(Some(0)).1, own, "0 is not told");
        let (bytes, source) = available(Some(1_000_000));
        assert_eq!((bytes, source.as_str()), (1_000_000, "host"));
        let machine = Memory {
            total: 16_000,
            available: 1_000,
            source: "system",
        };
        assert_eq!(
            machine.clone().with_host(Some(2_000)).available,
            2_000,
            "also if higher"
        );
        assert_eq!(machine.with_host(Some(u64::MAX)).available, 16_000);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_control_group_lowers_the_hosts_figure_too() {
        let machine = Memory {
            total: 16_000,
            available: 9_000,
            source: "MemAvailable",
        };
        let group = super::super::cgroup::MemoryLimit {
            limit: 4_000,
            available: 3_000,
        };
        let found = machine.clone().with_host(Some(8_000)).within(Some(group));
        assert_eq!(
            (found.total, found.available, found.source),
            (4_000, 3_000, "cgroup limit")
        );
        let found = machine.with_host(Some(2_000)).within(Some(group));
        assert_eq!((found.available, found.source), (2_000, "host"));
    }

    #[test]
    fn threads_are_fast_cores_and_never_all_hyper_threads() {
        for (name, allowed, fast, expected) in [
            ("an M1: 4 fast cores of 8", 8, Some(4), 4),
            ("an iPhone: 2 of 6", 6, Some(2), 2),
            ("a PC: 8 cores with 16 threads", 16, Some(8), 8),
            ("a PC that does not say", 16, None, 8),
            ("a small one that does not say", 4, None, 4),
            ("a container with two of many", 2, Some(32), 2),
            ("nothing", 0, None, 1),
        ] {
            assert_eq!(threads_for(allowed, fast), expected, "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn free_memory_is_what_the_kernel_says_can_be_had() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(root.path().join("proc")).expect("a folder");
        let text = "MemTotal:       24684092 kB\nMemFree:        1 kB\nMemAvailable:   24011804 kB\n";
        std::fs::write(root.path().join("proc/meminfo"), text).expect("a file");
        let memory = read_meminfo(root.path()).expect("understood");
        assert_eq!((memory.total, memory.available), (24_684_092 * 1024, 24_011_804 * 1024));
    }
}
