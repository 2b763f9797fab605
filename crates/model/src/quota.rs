//! What the versions that run in a workspace may take together.

use std::iter::Sum;
use std::ops::Add;

use tose_api::quantity::thousandths;
use tose_api::{Cpu, Ram};

use crate::project::RunSpec;

/// Cores and memory, in thousandths of a core and of a GB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Load {
    /// Thousandths of a core.
    pub cpu_milli: u64,
    /// Thousandths of a GB.
    pub ram_milli: u64,
}

impl Load {
    /// What so many replicas may use.
    pub fn of(run: &RunSpec, replicas: u32) -> Self {
        let times = |milli: u32| u64::from(milli) * u64::from(replicas);
        Self {
            cpu_milli: times(run.cpu.milli()),
            ram_milli: times(run.ram.milli()),
        }
    }

    /// The larger of both, of each separately.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.max(other.cpu_milli),
            ram_milli: self.ram_milli.max(other.ram_milli),
        }
    }
}

impl Add for Load {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli + other.cpu_milli,
            ram_milli: self.ram_milli + other.ram_milli,
        }
    }
}

impl Sum for Load {
    fn sum<I: Iterator<Item = Self>>(loads: I) -> Self {
        loads.fold(Self::default(), Add::add)
    }
}

/// The most that a workspace may have; `None`: as much as there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Cores of all replicas.
    pub cpu: Option<Cpu>,
    /// Memory of all replicas.
    pub ram: Option<Ram>,
}

impl Quota {
    /// Whether there is no limit at all.
    pub fn is_unlimited(&self) -> bool {
        self.cpu.is_none() && self.ram.is_none()
    }

    /// How `load` is too much, as the rest of a sentence; `None` when it is not.
    pub fn find_excess(&self, load: Load) -> Option<String> {
        let cores = match self.cpu.map(Cpu::milli) {
            Some(1000) => "core",
            _ => "cores",
        };
        let cpu = self.cpu.map(|limit| (limit.milli(), load.cpu_milli, cores));
        let ram = self
            .ram
            .map(|limit| (limit.milli(), load.ram_milli, "GB of memory"));
        let mut all = cpu.into_iter().chain(ram);
        let (limit, needed, unit) = all.find(|(limit, needed, _)| *needed > u64::from(*limit))?;
        Some(format!(
            "the workspace may use {} {unit} in all, and it would need {}",
            thousandths(limit.into()),
            thousandths(needed),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_too_much_when_one_part_of_it_is() {
        let quota = Quota {
            cpu: "1.5".parse().ok(),
            ram: "2".parse().ok(),
        };
        let load = |cpu_milli, ram_milli| Load {
            cpu_milli,
            ram_milli,
        };
        assert_eq!(quota.find_excess(load(1500, 2000)), None);
        let text = "the workspace may use 1.5 cores in all, and it would need 1.501";
        assert_eq!(quota.find_excess(load(1501, 0)).as_deref(), Some(text));
        let text = "the workspace may use 2 GB of memory in all, and it would need 2.25";
        assert_eq!(quota.find_excess(load(1500, 2250)).as_deref(), Some(text));
        assert_eq!(Quota::default().find_excess(load(u64::MAX, u64::MAX)), None);
    }

    #[test]
    fn loads_add_up() {
        let one = Load {
            cpu_milli: 500,
            ram_milli: 250,
        };
        let sum: Load = [one, one, one].into_iter().sum();
        assert_eq!((sum.cpu_milli, sum.ram_milli), (1500, 750));
        assert_eq!(
            one.max(Load {
                cpu_milli: 1,
                ram_milli: 300
            })
            .ram_milli,
            300
        );
    }
}
