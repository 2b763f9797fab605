//! Word that a version which is live crashes again and again.
//!
//! Guarantee: people are told once a day of a version at most. Not here: what is done about it (`tose_model::plan`).

use std::time::Duration;

use tose_api::notification::NoticeEvent;
use tose_model::driver::ReplicaState;
use tose_model::plan::Replica;

use super::Pass;
use crate::app::notice::NewNotice;

/// How often a replica has to have crashed.
const CRASHES: u32 = 3;
/// A replica that runs longer than this has got over it.
const SETTLED: Duration = Duration::from_secs(300);
const DAY: i64 = 24 * 3600 * 1_000_000_000;

impl Pass<'_> {
    /// Tells of a replica of the live version that crashed often and has not got over it.
    pub(super) async fn tell_of_crashes(&self, replicas: &[Replica]) {
        let Some(live) = &self.scene.live else {
            return;
        };
        let now = self.platform.now();
        let is_crashing = |replica: &&Replica| {
            let observed = &replica.observed;
            observed.key.deployment_id == live.id
                && observed.restarts >= CRASHES
                && match observed.state {
                    ReplicaState::Created => false,
                    ReplicaState::Running => observed
                        .started_at
                        .is_some_and(|at| now.since(at) < SETTLED),
                    ReplicaState::Restarting { .. } | ReplicaState::Exited { .. } => true,
                }
        };
        let Some(replica) = replicas.iter().find(is_crashing) else {
            return;
        };
        let project = &self.scene.project;
        let restarts = replica.observed.restarts;
        let why = match replica.observed.state {
            ReplicaState::Restarting {
                exit_code,
                out_of_memory,
            }
            | ReplicaState::Exited {
                exit_code,
                out_of_memory,
            } => match out_of_memory {
                true => ", the last time because its memory was used up".to_owned(),
                false => format!(", the last time with exit code {exit_code}"),
            },
            ReplicaState::Created | ReplicaState::Running => String::new(),
        };
        let day = now.as_nanos().div_euclid(DAY);
        let notice = NewNotice {
            workspace_id: project.workspace_id,
            project_id: Some(project.id),
            event: NoticeEvent::CrashLoop,
            key: format!("crash/{}/{day}", live.id),
            title: format!(
                "{}/{} crashes again and again",
                project.workspace, project.slug
            ),
            text: format!(
                "Replica {} was restarted {restarts} times{why}.",
                replica.observed.name
            ),
        };
        self.platform.notify(notice).await;
    }
}
