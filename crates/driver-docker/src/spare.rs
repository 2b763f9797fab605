//! What the engine's machine has left, where that is the machine that this runs on.

use std::path::{Path, PathBuf};

use tose_model::driver::{Disk, DriverResult, Spare};

use crate::DockerDriver;

impl DockerDriver {
    pub(crate) async fn measure_spare(&self) -> DriverResult<Spare> {
        if !self.is_here {
            return Ok(Spare::default());
        }
        let root = self
            .root_dir
            .get_or_try_init(|| self.find_root_dir())
            .await?;
        Ok(Spare {
            memory_bytes: free_memory(),
            disk: root.as_deref().and_then(measure_disk),
        })
    }

    async fn find_root_dir(&self) -> DriverResult<Option<PathBuf>> {
        let docker = self.engine.docker().await?;
        let info = self.engine.within(docker.info()).await;
        let info = info.map_err(|error| self.engine.failed("tell where it keeps images", error))?;
        Ok(info.docker_root_dir.map(PathBuf::from))
    }
}

/// An engine in another file system than ours has a folder that is not there.
fn measure_disk(folder: &Path) -> Option<Disk> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(Disk {
        used_bytes: (found.f_blocks - found.f_bfree.min(found.f_blocks))
            .saturating_mul(found.f_frsize),
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
    })
}

/// What the kernel expects that it could give to new processes.
fn free_memory() -> Option<u64> {
    parse_free_memory(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse_free_memory(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_what_the_kernel_calls_available() {
        let text = "MemTotal:       24689764 kB\nMemFree:          204800 kB\nMemAvailable:    1048576 kB\n";
        assert_eq!(parse_free_memory(text), Some(1 << 30));
        assert_eq!(parse_free_memory("MemTotal: 1 kB\n"), None);
        assert!(free_memory().is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn a_disk_is_used_in_part() {
        let disk = measure_disk(Path::new("/")).expect("it is there");
        assert!(
            disk.used_bytes > 0 && disk.used_percent() <= 100,
            "{disk:?}"
        );
        assert_eq!(measure_disk(Path::new("/nowhere")), None);
    }
}
