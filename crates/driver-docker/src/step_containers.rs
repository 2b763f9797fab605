//! The containers of a build's steps: how much they write, and what an engine that broke leaves of them.
//!
//! A step's container is named by the engine before the step's own output, and that could name others. So
//! every container that was named counts until it is gone, and one more name never takes one away.

use std::collections::BTreeSet;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{InspectContainerOptionsBuilder, RemoveContainerOptions};

use crate::error::answer;

/// What the engine says of a step that has a container.
const RUNNING: &str = " ---> Running in ";
/// How many digits of a container's id it says.
const ID_LENGTH: usize = 12;
/// How often it is tried to take away what is left, and how many times.
const REMOVAL_PERIOD: Duration = Duration::from_secs(2);
const REMOVALS: u32 = 300;
/// The most containers that are looked at; a build has one at a time.
const MOST: usize = 64;

/// The containers of a build's steps.
#[derive(Debug, Default)]
pub(crate) struct StepContainers {
    ids: BTreeSet<String>,
    has_too_many: bool,
}

impl StepContainers {
    /// Reads a message of the engine.
    pub(crate) fn read(&mut self, text: &str) {
        let Some(id) = text.strip_prefix(RUNNING).map(str::trim_end) else {
            return;
        };
        if id.len() != ID_LENGTH || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return;
        }
        if self.ids.len() < MOST {
            self.ids.insert(id.to_owned());
        } else {
            self.has_too_many = true;
        }
    }

    /// Whether nothing runs as far as is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether one of them has written more than `limit` bytes, or so many were named that it cannot be
    /// told. An engine that does not answer says nothing about them.
    pub(crate) async fn have_written_more(&mut self, docker: &Docker, limit: u64) -> bool {
        let options = InspectContainerOptionsBuilder::default().size(true).build();
        let mut gone = Vec::new();
        for id in &self.ids {
            match docker.inspect_container(id, Some(options.clone())).await {
                Ok(container) => {
                    let written = container.size_rw.and_then(|size| u64::try_from(size).ok());
                    if written.is_some_and(|written| written > limit) {
                        return true;
                    }
                }
                Err(error) if matches!(answer(&error), Some((404, _))) => gone.push(id.clone()),
                Err(_) => {}
            }
        }
        for id in gone {
            self.ids.remove(&id);
        }
        self.has_too_many
    }

    /// Takes those away that are left and do not run, once the engine answers again. What a step's output
    /// named cannot be a container of anybody else's build: that one runs, or its id is not known.
    pub(crate) async fn remove(mut self, docker: Docker) {
        let mut ticks = tokio::time::interval(REMOVAL_PERIOD);
        for _ in 0..REMOVALS {
            ticks.tick().await;
            let mut left = BTreeSet::new();
            for id in self.ids {
                match docker
                    .remove_container(&id, None::<RemoveContainerOptions>)
                    .await
                {
                    Ok(()) => tracing::info!(
                        container = id,
                        "removed the container of a build that the engine broke off"
                    ),
                    Err(error) if matches!(answer(&error), Some((404, _))) => {}
                    Err(_) => {
                        left.insert(id);
                    }
                }
            }
            if left.is_empty() {
                return;
            }
            self.ids = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_known_by_their_names_and_no_name_takes_one_away() {
        let mut steps = StepContainers::default();
        steps.read("Step 1/2 : RUN x\n");
        steps.read(" ---> Running in nothing\n");
        assert!(steps.is_empty());
        steps.read(" ---> Running in 0123456789ab\n");
        for number in 0..100 {
            steps.read(&format!(" ---> Running in {number:012x}\n"));
        }
        assert!(steps.ids.contains("0123456789ab") && steps.has_too_many);
    }
}
