//! The one answer to "how many bytes may a model take here, now, and according to which source".
//!
//! ```text
//! free memory: the host's figure, else the system's, lowered by a control group   (device::snapshot)
//!   + memory of the model itself, if it is loaded: it is not taken twice
//!   + memory of idle models: they are unloaded first
//!   − memory of models that are being loaded: theirs, though not taken yet
//!   − a reserve: a tenth, at least 64 MB and at most 1 GiB; a quarter while the system asks apps to free memory
//! ```
//!
//! Models that answer need no line: their memory is missing from the free memory already. Free memory is an estimate
//! (kernels count some pages in use as free), and the app and others continue to allocate while a model runs; a phone
//! kills the app that takes the last page. llama.cpp's own `--fit` also leaves 1 GiB free.

use super::report::MemoryBudget;
use crate::device::DeviceSnapshot;

/// Memory of the models in memory, in bytes, without the mapped weights: the system may evict those in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ModelMemory {
    /// Held by the model that the budget is for.
    pub(crate) own: u64,
    /// Held by idle models.
    pub(crate) idle: u64,
    /// Promised to models that are being loaded.
    pub(crate) starting: u64,
    /// Bytes in which the model that the budget is for runs at this moment; 0 if it is not loaded.
    pub(crate) running: u64,
}

impl MemoryBudget {
    /// Returns the budget on a device in this state. `under_pressure`: the system asks apps to free memory.
    pub(crate) fn measure(snapshot: &DeviceSnapshot, under_pressure: bool, models: ModelMemory) -> Self {
        let free = snapshot
            .memory_available
            .saturating_add(models.own)
            .saturating_add(models.idle)
            .saturating_sub(models.starting);
        let reserve = match under_pressure {
            true => (free / 4).max(MIN_RESERVE_BYTES),
            false => (free / 10).clamp(MIN_RESERVE_BYTES, MAX_RESERVE_BYTES),
        };
        let mut source = snapshot.memory_source.clone();
        if models.own > 0 {
            source += " and the model itself";
        }
        if models.idle > 0 {
            source += " and idle models";
        }
        source += match under_pressure {
            true => " less a reserve under memory pressure",
            false => " less a reserve",
        };
        Self {
            bytes: free.saturating_sub(reserve).max(models.running),
            source,
        }
    }
}

const MIN_RESERVE_BYTES: u64 = 64_000_000;
const MAX_RESERVE_BYTES: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(available: u64, under_pressure: bool, models: ModelMemory) -> MemoryBudget {
        let snapshot = DeviceSnapshot {
            memory_total: 1 << 40,
            memory_available: available,
            memory_source: "host".into(),
            threads: 1,
            cpu: String::new(),
            os: String::new(),
        };
        MemoryBudget::measure(&snapshot, under_pressure, models)
    }

    #[test]
    fn the_reserve_is_a_tenth_within_bounds_and_a_quarter_under_pressure() {
        let from = |available| budget(available, false, ModelMemory::default());
        assert_eq!(from(4_000_000_000).bytes, 3_600_000_000);
        assert_eq!(from(64 << 30).bytes, 63 << 30);
        assert_eq!(from(100_000_000).bytes, 36_000_000);
        assert_eq!(from(1).bytes, 0);
        assert_eq!(from(1).source, "host less a reserve");
        let pressed = budget(4_000_000_000, true, ModelMemory::default());
        assert_eq!(pressed.bytes, 3_000_000_000);
        assert_eq!(pressed.source, "host less a reserve under memory pressure");
    }

    #[test]
    fn memory_of_loaded_models_is_counted_once() {
        let models = ModelMemory {
            own: 1_000_000_000,
            idle: 2_000_000_000,
            starting: 500_000_000,
            running: 0,
        };
        let found = budget(1_500_000_000, false, models);
        assert_eq!(found.bytes, 3_600_000_000);
        assert_eq!(found.source, "host and the model itself and idle models less a reserve");
        let running = ModelMemory {
            own: 1_000_000_000,
            running: 1_200_000_000,
            ..ModelMemory::default()
        };
        assert_eq!(budget(0, true, running).bytes, 1_200_000_000, "a model that runs fits");
    }
}
