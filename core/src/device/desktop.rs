//! Measures memory and processor on desktops, servers and Android.
//!
//! Linux reports available memory itself (`MemAvailable`: allocatable without swapping); a container may have a lower
//! limit. macOS and Windows are measured with `sysinfo`.

use std::thread::available_parallelism;

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::DeviceSnapshot;
use crate::error::{Error, Result};

/// Memory according to one source, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Memory {
    total: u64,
    available: u64,
    source: &'static str,
}

/// Measures this device.
///
/// # Errors
/// `Unsupported` if the system does not report its memory.
pub fn snapshot() -> Result<DeviceSnapshot> {
    let wanted = RefreshKind::nothing()
        .with_memory(MemoryRefreshKind::nothing().with_ram())
        .with_cpu(CpuRefreshKind::nothing());
    let unsupported = |cause| Error::unsupported(format!("this system does not describe itself: {cause}"));
    let system = System::new_with_specifics(wanted).map_err(unsupported)?;
    let memory = measure_memory(&system);
    if memory.total == 0 {
        return Err(Error::unsupported(
            "this system does not say how much memory it has; give a budget instead",
        ));
    }
    Ok(DeviceSnapshot {
        memory_total: memory.total,
        memory_available: memory.available,
        memory_source: memory.source.to_owned(),
        threads: u32::try_from(compute_threads()).unwrap_or(u32::MAX).max(1),
        cpu: system
            .cpus()
            .first()
            .map(|cpu| cpu.brand().trim().to_owned())
            .unwrap_or_default(),
        os: System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned()),
    })
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn measure_memory(system: &System) -> Memory {
    use std::path::Path;
    let machine = read_meminfo(Path::new("/")).unwrap_or(Memory {
        total: system.total_memory(),
        available: system.available_memory(),
        source: "system",
    });
    match super::cgroup::memory_limit(Path::new("/")) {
        Some(limit) if limit.available < machine.available => Memory {
            total: machine.total.min(limit.limit),
            available: limit.available,
            source: "cgroup limit",
        },
        Some(limit) => Memory {
            total: machine.total.min(limit.limit),
            ..machine
        },
        None => machine,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn measure_memory(system: &System) -> Memory {
    Memory {
        total: system.total_memory(),
        available: system.available_memory(),
        source: "system",
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

#[cfg(any(target_os = "linux", target_os = "android"))]
fn compute_threads() -> usize {
    let allowed = available_parallelism().map_or(1, usize::from);
    match super::cores::performance_cores_in(std::path::Path::new("/")) {
        0 => allowed,
        fast => fast.min(allowed),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn compute_threads() -> usize {
    available_parallelism().map_or(1, usize::from)
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
        let snapshot = snapshot().expect("a snapshot");
        assert!(snapshot.memory_available > 0 && snapshot.memory_available <= snapshot.memory_total);
        assert!((1..=1024).contains(&snapshot.threads));
        assert!(!snapshot.os.is_empty());
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
