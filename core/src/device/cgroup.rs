//! The memory limit of a container or a service (Linux control groups, versions 1 and 2).
//!
//! A limit applies to all groups below it, so every group up to the root is read and the tightest limit wins. Inactive
//! file pages (`inactive_file`) count as used, but the kernel drops them first, so they count as available here.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Memory limit of the tightest group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryLimit {
    /// Bytes that the group may use.
    pub(super) limit: u64,
    /// Bytes of them that are free.
    pub(super) available: u64,
}

/// Paths of one cgroup version, below its mount point.
struct CgroupVersion {
    mount: &'static str,
    limits: &'static [&'static str],
    usage: &'static str,
    /// Name in `memory.stat`; version 1 has a sum over the groups below under another name.
    inactive: &'static str,
}

/// Returns the limit of this process, in the file system at `root`; `None` if it has none.
pub(super) fn memory_limit(root: &Path) -> Option<MemoryLimit> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mut tightest: Option<MemoryLimit> = None;
    for line in groups.lines() {
        // `0::/path` is version 2; `4:memory,other:/path` names the controllers of version 1.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let version = match controllers {
            "" => V2,
            names if names.split(',').any(|name| name == "memory") => V1,
            _ => continue,
        };
        for group in ancestors(&root.join(version.mount), path) {
            tightest = min_limit(tightest, version.read_limit(&group));
        }
    }
    tightest
}

impl CgroupVersion {
    fn read_limit(&self, group: &Path) -> Option<MemoryLimit> {
        let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
        // `max`, which does not parse, and the largest number of pages both mean "no limit".
        let limit = self.limits.iter().filter_map(|name| number(name)).min();
        let limit = limit.filter(|limit| *limit < UNLIMITED)?;
        let used = number(self.usage)?;
        let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let inactive = statistics.lines().find_map(|line| {
            let (name, value) = line.split_once(' ')?;
            (name == self.inactive).then(|| value.trim().parse().ok())?
        });
        let used = used.saturating_sub(inactive.unwrap_or(0));
        Some(MemoryLimit {
            limit,
            available: limit.saturating_sub(used),
        })
    }
}

/// Returns the group at `path` below `mount` and all its ancestors up to the mount. Inside a container the path may be
/// the host's and not exist; then only the mount counts, which is the container's group.
fn ancestors(mount: &Path, path: &str) -> Vec<PathBuf> {
    let names: Vec<_> = Path::new(path)
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    (0..=names.len())
        .rev()
        .map(|depth| mount.join(names[..depth].iter().collect::<PathBuf>()))
        .collect()
}

fn min_limit(a: Option<MemoryLimit>, b: Option<MemoryLimit>) -> Option<MemoryLimit> {
    match (a, b) {
        (Some(a), Some(b)) => Some(MemoryLimit {
            limit: a.limit.min(b.limit),
            available: a.available.min(b.available),
        }),
        (one, other) => one.or(other),
    }
}

const V2: CgroupVersion = CgroupVersion {
    mount: "sys/fs/cgroup",
    // Above `high` the kernel slows the process down until it gives memory back.
    limits: &["memory.max", "memory.high"],
    usage: "memory.current",
    inactive: "inactive_file",
};

const V1: CgroupVersion = CgroupVersion {
    mount: "sys/fs/cgroup/memory",
    limits: &["memory.limit_in_bytes"],
    usage: "memory.usage_in_bytes",
    inactive: "total_inactive_file",
};

/// Version 1 writes the largest multiple of a page below 2⁶³ for "none".
const UNLIMITED: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the limit in a file system with these files.
    fn memory_with(files: &[(&str, &str)]) -> Option<MemoryLimit> {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        memory_limit(root.path())
    }

    const OWN: &str = "sys/fs/cgroup/app/own";

    #[test]
    fn without_groups_or_limits_there_is_no_limit() {
        assert_eq!(memory_with(&[]), None);
        let unlimited = [
            ("proc/self/cgroup", "0::/app/own\n"),
            (&format!("{OWN}/memory.max"), "max\n"),
            (&format!("{OWN}/memory.current"), "1000\n"),
        ];
        assert_eq!(memory_with(&unlimited), None);
        let unlimited = [
            ("proc/self/cgroup", "4:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n"),
        ];
        assert_eq!(memory_with(&unlimited), None);
    }

    #[test]
    fn files_that_can_be_dropped_are_free() {
        let found = memory_with(&[
            ("proc/self/cgroup", "0::/app/own\n"),
            (&format!("{OWN}/memory.max"), "1000\n"),
            (&format!("{OWN}/memory.high"), "max\n"),
            (&format!("{OWN}/memory.current"), "700\n"),
            (
                &format!("{OWN}/memory.stat"),
                "anon 400\ninactive_file 200\nactive_file 100\n",
            ),
        ]);
        assert_eq!(
            found,
            Some(MemoryLimit {
                limit: 1000,
                available: 500
            })
        );
    }

    #[test]
    fn a_group_above_may_be_tighter() {
        let found = memory_with(&[
            ("proc/self/cgroup", "0::/app/own\n"),
            (&format!("{OWN}/memory.max"), "1000\n"),
            (&format!("{OWN}/memory.current"), "100\n"),
            ("sys/fs/cgroup/app/memory.max", "max\n"),
            ("sys/fs/cgroup/app/memory.high", "800\n"),
            ("sys/fs/cgroup/app/memory.current", "750\n"),
        ]);
        assert_eq!(
            found,
            Some(MemoryLimit {
                limit: 800,
                available: 50
            })
        );
    }

    #[test]
    fn version_one_is_read_even_where_the_path_is_the_hosts() {
        let found = memory_with(&[
            ("proc/self/cgroup", "5:cpu:/x\n4:memory,hugetlb:/docker/abc\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1900\n"),
            (
                "sys/fs/cgroup/memory/memory.stat",
                "inactive_file 1\ntotal_inactive_file 300\n",
            ),
        ]);
        assert_eq!(
            found,
            Some(MemoryLimit {
                limit: 2000,
                available: 400
            })
        );
    }

    #[test]
    fn a_group_over_its_limit_leaves_nothing() {
        let found = memory_with(&[
            ("proc/self/cgroup", "0::/app/own\n"),
            (&format!("{OWN}/memory.max"), "1000\n"),
            (&format!("{OWN}/memory.current"), "1200\n"),
        ]);
        assert_eq!(
            found,
            Some(MemoryLimit {
                limit: 1000,
                available: 0
            })
        );
    }
}
