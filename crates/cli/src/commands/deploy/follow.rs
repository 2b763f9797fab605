//! Following a deployment to its result.
//!
//! Guarantees: the result is what the server's record says, whatever becomes of the build's log.
//! A server that is away for a while, because it restarts, is waited for. Ctrl-C ends the following
//! and leaves the deployment alone.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tose_api::Timestamp;
use tose_api::client::Client;
use tose_api::deployment::{DeploymentStatus, DeploymentView};

use super::build_log::BuildLog;
use crate::context::{Context, Target};
use crate::error::Error;
use crate::text;
use crate::wait::{POLL_INTERVAL, Patience};

/// How long the build's last lines may take once the result is known.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Shows how the deployment goes on, and answers its record once it has a result.
pub(super) async fn follow(
    ctx: &Context,
    client: &Client,
    target: &Target,
    deployment: &DeploymentView,
) -> Result<DeploymentView> {
    let mut interrupts = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut follower = Follower {
        ctx,
        client,
        target,
        log: BuildLog::default(),
        shown_status: None,
        patience: Patience::default(),
        started: Instant::now(),
    };
    tokio::select! {
        biased;
        _ = interrupts.recv() => {
            let (id, option) = (deployment.id, ctx.project_option(target));
            Err(Error::Interrupted { id, option }.into())
        }
        result = follower.run(deployment) => result,
    }
}

struct Follower<'a> {
    ctx: &'a Context,
    client: &'a Client,
    target: &'a Target,
    log: BuildLog,
    shown_status: Option<DeploymentStatus>,
    patience: Patience,
    started: Instant,
}

impl Follower<'_> {
    async fn run(&mut self, deployment: &DeploymentView) -> Result<DeploymentView> {
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                line = self.log.next_line(), if self.log.is_open() => match line {
                    Some(line) => self.ctx.output.note(&line),
                    // The log ends when the deployment does: its record has news.
                    None if self.log.is_complete() => ticks.reset_immediately(),
                    None => {}
                },
                _ = ticks.tick() => {
                    if let Some(deployment) = self.poll(deployment).await? {
                        return Ok(deployment);
                    }
                }
            }
        }
    }

    /// Asks how far the deployment is; answers its record when it has a result.
    async fn poll(&mut self, deployment: &DeploymentView) -> Result<Option<DeploymentView>> {
        let (workspace, project) = (&self.target.workspace, &self.target.project);
        let answer = self
            .client
            .get_deployment(workspace, project, deployment.id)
            .await;
        let Some(deployment) = self.patience.pass(&self.ctx.output, answer)? else {
            return Ok(None);
        };
        self.show(&deployment);
        self.log
            .ensure_open(self.client, self.target, deployment.id)
            .await;
        if deployment.status.is_in_progress() {
            return Ok(None);
        }
        self.drain().await;
        Ok(Some(deployment))
    }

    fn show(&mut self, deployment: &DeploymentView) {
        let status = deployment.status;
        if !status.is_in_progress() {
            return;
        }
        if self.shown_status != Some(status) {
            self.shown_status = Some(status);
            let after = text::elapsed(reached_at(deployment).since(deployment.created_at));
            self.ctx
                .output
                .note(&format!("{} after {after}", status.as_str()));
        }
        let so_far = self.started.elapsed().as_secs();
        self.ctx
            .output
            .status(&format!("{} … {so_far} s", status.as_str()));
    }

    /// Shows the lines that the build wrote last.
    async fn drain(&mut self) {
        let rest = async {
            while let Some(line) = self.log.next_line().await {
                self.ctx.output.note(&line);
            }
        };
        // The deployment's result does not wait for a log that does not end.
        timeout(DRAIN_TIMEOUT, rest).await.ok();
    }
}

/// When the deployment came to the status it is in, as far as its record tells.
fn reached_at(deployment: &DeploymentView) -> Timestamp {
    let time = match deployment.status {
        DeploymentStatus::Building => deployment.build_started_at,
        DeploymentStatus::Deploying => deployment.build_finished_at,
        _ => None,
    };
    time.unwrap_or(deployment.created_at)
}
