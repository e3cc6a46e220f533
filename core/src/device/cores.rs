//! Selects the cores that computation should use.
//!
//! The threads of a matrix product wait for the slowest of them. On phones with small and large cores, all eight are
//! about half as fast as the large ones alone (llama.cpp issues 3154 and 7176); and two threads on one core share its
//! vector units, so one is enough.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Returns how many cores a matrix product should use. `capacities` is the speed of each core, in any unit.
///
/// All of them except the slowest cluster, if that is clearly slower than the fastest. Clusters of phones differ by a
/// third and more; the favoured cores of a desktop only by some percent.
pub(super) fn performance_cores(capacities: &[u64]) -> usize {
    let (Some(&slowest), Some(&fastest)) = (capacities.iter().min(), capacities.iter().max()) else {
        return 0;
    };
    if slowest.saturating_mul(4) > fastest.saturating_mul(3) {
        return capacities.len();
    }
    // Cores of one cluster may differ by a rounding.
    let cluster = slowest.saturating_add(slowest / 20);
    capacities.iter().filter(|capacity| **capacity > cluster).count()
}

/// Returns [`performance_cores`] of the cores that this process may use, on the Linux at `root`; 0 if unknown.
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
pub(super) fn performance_cores_in(root: &Path) -> usize {
    let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    // Keyed by the hardware threads of a core, so that each core counts once; values: capacity and frequency.
    let mut cores = BTreeMap::new();
    for cpu in allowed.map(parse_cpu_list).unwrap_or_default() {
        let folder = root.join(format!("sys/devices/system/cpu/cpu{cpu}"));
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
        let siblings = read("topology/thread_siblings_list").unwrap_or_else(|| cpu.to_string());
        cores.insert(siblings, [number("cpu_capacity"), number("cpufreq/cpuinfo_max_freq")]);
    }
    // The scheduler's capacity includes work per cycle, so it is preferred. Either must be known for every core.
    let known = |which: usize| cores.values().map(|speeds| speeds[which]).collect::<Option<Vec<_>>>();
    match known(0).or_else(|| known(1)) {
        Some(capacities) => performance_cores(&capacities),
        None => cores.len(),
    }
}

/// Parses the kernel's notation of a set: `0-3,6`.
fn parse_cpu_list(text: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            numbers.extend(first..=last.min(first.saturating_add(MAX_CPUS)));
        }
    }
    numbers
}

/// Linux's own maximum.
const MAX_CPUS: u32 = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_cluster_is_left_out_where_it_is_clearly_slower() {
        for (name, capacities, expected) in [
            ("nothing known", &[][..], 0),
            ("one core", &[1024], 1),
            ("a desktop with equal cores", &[1024; 8], 8),
            (
                "a desktop with two favoured cores",
                &[5_800, 5_800, 5_500, 5_500, 5_500, 5_500],
                6,
            ),
            (
                "a laptop with efficient cores",
                &[5_000, 5_000, 3_700, 3_700, 3_700, 3_700],
                2,
            ),
            (
                "Pixel 6: 4 small, 2 middle, 2 large",
                &[160, 160, 160, 160, 620, 620, 1024, 1024],
                4,
            ),
            (
                "Snapdragon 8 Gen 1 by frequency",
                &[1_785, 1_785, 1_785, 1_785, 2_496, 2_496, 2_496, 2_995],
                4,
            ),
            (
                "Snapdragon 8 Elite by frequency",
                &[3_532, 3_532, 3_532, 3_532, 3_532, 3_532, 4_320, 4_320],
                8,
            ),
            ("RK3588", &[530, 530, 530, 530, 1024, 1024, 1010, 1010], 4),
            ("a cluster that differs by a rounding", &[400, 401, 1024, 1024], 2),
        ] {
            assert_eq!(performance_cores(capacities), expected, "{name}");
        }
    }

    /// Returns the count in a file system with these processors: siblings, capacity, frequency.
    fn cores_of(allowed: &str, cpus: &[(&str, Option<u64>, Option<u64>)]) -> usize {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        write(
            "proc/self/status",
            &format!("Name:\ttest\nCpus_allowed_list:\t{allowed}\n"),
        );
        for (cpu, (siblings, capacity, frequency)) in cpus.iter().enumerate() {
            let folder = format!("sys/devices/system/cpu/cpu{cpu}");
            write(&format!("{folder}/topology/thread_siblings_list"), siblings);
            if let Some(capacity) = capacity {
                write(&format!("{folder}/cpu_capacity"), &format!("{capacity}\n"));
            }
            if let Some(frequency) = frequency {
                write(&format!("{folder}/cpufreq/cpuinfo_max_freq"), &format!("{frequency}\n"));
            }
        }
        performance_cores_in(root.path())
    }

    #[test]
    fn cores_are_counted_and_not_their_threads() {
        let two_cores = [
            ("0,2", None, None),
            ("1,3", None, None),
            ("0,2", None, None),
            ("1,3", None, None),
        ];
        assert_eq!(cores_of("0-3", &two_cores), 2);
    }

    #[test]
    fn only_cores_that_the_process_may_use_count() {
        let phone = [
            ("0", Some(200), None),
            ("1", Some(200), None),
            ("2", Some(1024), None),
            ("3", Some(1024), None),
        ];
        assert_eq!(cores_of("0-3", &phone), 2);
        assert_eq!(cores_of("0-1,3", &phone), 1);
        assert_eq!(
            cores_of("0-1", &phone),
            2,
            "in the background: the small ones are all there are"
        );
    }

    #[test]
    fn frequency_stands_in_for_capacity() {
        let phone = [
            ("0", None, Some(1_800_000)),
            ("1", None, Some(1_800_000)),
            ("2", None, Some(2_800_000)),
        ];
        assert_eq!(cores_of("0-2", &phone), 1);
        assert_eq!(cores_of("nonsense", &phone), 0);
    }
}
