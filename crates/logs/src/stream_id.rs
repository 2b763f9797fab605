//! Which log: one stream of lines per project, and one per deployment for its build.

use std::fmt;

use tose_api::{DeploymentId, ProjectId};

/// Names a stream. Each has a directory of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    /// What a project's replicas wrote.
    Project(ProjectId),
    /// What happened during a deployment.
    Build(DeploymentId),
    /// What a job wrote, by its number in the project.
    Job(ProjectId, u32),
}

impl StreamId {
    /// Reads the name of a stream's directory; `None` for a directory that is no stream's.
    pub(crate) fn from_directory(name: &str) -> Option<Self> {
        let id = if let Some(id) = name.strip_prefix("project-") {
            Self::Project(id.parse().ok()?)
        } else if let Some(job) = name.strip_prefix("job-") {
            let (number, project_id) = job.split_once('-')?;
            Self::Job(project_id.parse().ok()?, number.parse().ok()?)
        } else {
            Self::Build(name.strip_prefix("build-")?.parse().ok()?)
        };
        // A UUID can be spelled in several ways, but a stream has one directory.
        (id.to_string() == name).then_some(id)
    }
}

/// The name of the stream's directory.
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(id) => write!(f, "project-{id}"),
            Self::Build(id) => write!(f, "build-{id}"),
            Self::Job(id, number) => write!(f, "job-{number}-{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_and_its_directory_name_each_other() {
        let uuid = "01890a5d-ac96-774b-bcce-b302099a8057";
        let names = ["project", "build", "job-7"].map(|kind| format!("{kind}-{uuid}"));
        for name in names {
            let id = StreamId::from_directory(&name).expect("a stream");
            assert_eq!(id.to_string(), name);
        }
        let upper = format!("build-{}", uuid.to_uppercase());
        for name in [
            "",
            "build-",
            "project-x",
            &upper,
            &format!("build-{uuid}.removed"),
        ] {
            assert_eq!(StreamId::from_directory(name), None, "{name}");
        }
    }
}
