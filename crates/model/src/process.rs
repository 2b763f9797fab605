//! The processes of a project beside the one that answers visitors: workers.
//!
//! A version says what its processes are (its source's own file, or its Procfile); a project says how
//! many replicas of each it wants, where that is not what the version says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tose_api::Slug;

/// The most processes of a version, besides the one that answers visitors.
pub const MAX_PROCESSES: usize = 8;
/// The most replicas of one of them.
pub const MAX_REPLICAS: u32 = 100;
/// Names that mean something else.
const RESERVED: [&str; 3] = ["web", "release", "job"];

/// What a version runs under a name, beside the process that answers visitors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// What runs in place of the image's own entrypoint and command; see [`crate::command::split`].
    pub command: String,
    /// How many run where the project does not say.
    #[serde(default = "one")]
    pub replicas: u32,
}

fn one() -> u32 {
    1
}

/// The processes of a version by their names. The order of the names gives each its slot.
pub type Processes = BTreeMap<Slug, Process>;
/// How many replicas of its processes a project wants, where it says so.
pub type Scale = BTreeMap<Slug, u32>;

/// Whether a process may have this name.
pub fn is_process_name(name: &Slug) -> bool {
    !RESERVED.contains(&name.as_str())
}

/// How many replicas of each process there are to be, in the order of slots.
pub fn counts<'a>(
    processes: &'a Processes,
    scale: &'a Scale,
) -> impl Iterator<Item = (&'a Slug, u32)> {
    processes.iter().map(|(name, process)| {
        let wanted = scale.get(name).copied().unwrap_or(process.replicas);
        (name, wanted)
    })
}

/// How many replicas of all processes there are to be.
pub fn total(processes: &Processes, scale: &Scale) -> u32 {
    counts(processes, scale).map(|(_, wanted)| wanted).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_project_wants_goes_before_what_the_version_says() {
        let name = |text: &str| text.parse::<Slug>().expect("a slug");
        let process = |replicas| Process {
            command: "work".to_owned(),
            replicas,
        };
        let processes = Processes::from([(name("mail"), process(0)), (name("worker"), process(2))]);
        let found =
            |scale: &Scale| -> Vec<u32> { counts(&processes, scale).map(|(_, n)| n).collect() };
        assert_eq!(found(&Scale::new()), [0, 2]);
        let scale = Scale::from([(name("mail"), 3), (name("gone"), 9)]);
        assert_eq!(found(&scale), [3, 2]);
        assert_eq!(total(&processes, &scale), 5);
        assert!(is_process_name(&name("worker")) && !is_process_name(&name("web")));
    }
}
