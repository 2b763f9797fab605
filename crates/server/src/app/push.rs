//! Push events of Git servers: checked, noted, and turned into deployments.
//!
//! A push deploys the newest commit that its branch has when the build begins. So events may come in
//! any order, and one that finds a deployment waiting needs no other: that one will build it too.
//!
//! Guarantees: nothing happens without a signature made with the project's own secret, or with that of the
//! server's GitHub App for projects that read this repository through the event's installation; an event is
//! acted on once, however often it is sent; what became of it is kept.

use std::net::IpAddr;

use bytes::Bytes;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tose_api::deployment::{DeploymentStatus, Trigger};
use tose_api::envelope::{Meta, Paging};
use tose_api::git::{GitProvider, PushDeliveryView, PushOutcome, PushReceived, PushVerdict};
use tose_api::project::Source;
use tose_api::{DeploymentId, PushDeliveryId};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::error::{Error, Result};
use tose_model::project::{DesiredState, Project};
use tose_model::pull_request::PullRequest;
use tose_model::push::{Push, PushTarget};
use tose_model::secret::{ExposeSecret, SecretString};
use tose_store::{NewPushDelivery, PushCandidate};

use crate::app::{Platform, vault_error};
use crate::secrets::{self, Place};

/// A push event as it came.
pub(crate) struct PushEvent {
    pub(crate) provider: GitProvider,
    /// The kind of event, as the sender calls it.
    pub(crate) kind: String,
    /// The sender's own id of the event, if it gave one.
    pub(crate) delivery: Option<String>,
    pub(crate) proof: Proof,
    pub(crate) body: Bytes,
    pub(crate) ip: Option<IpAddr>,
}

/// How an event shows that it comes from who knows the secret.
pub(crate) enum Proof {
    /// An HMAC-SHA256 of the body.
    Signature(Vec<u8>),
    /// The secret itself, as GitLab sends it.
    Token(SecretString),
}

impl Proof {
    fn is_made_with(&self, secret: &SecretString, body: &[u8]) -> bool {
        match self {
            Self::Signature(signature) => secrets::is_signed(secret, body, signature),
            Self::Token(token) => {
                let (token, secret) = (token.expose_secret(), secret.expose_secret());
                !secret.is_empty() && bool::from(token.as_bytes().ct_eq(secret.as_bytes()))
            }
        }
    }
}

impl Platform {
    /// Acts on an event for every project that is connected to its repository and whose secret it
    /// was made with. An unknown repository is nobody's: nothing happens.
    ///
    /// # Errors
    /// `Unauthenticated` when projects are connected and none of their secrets made it.
    pub(crate) async fn receive_push(&self, event: PushEvent) -> Result<PushReceived> {
        let body: Value = serde_json::from_slice(&event.body)
            .map_err(|error| Error::invalid(format!("the body is no valid JSON: {error}")))?;
        let mut push = Push::parse(&body);
        let request = PullRequest::parse(&event.kind, &body);
        let named = body["installation"]["id"].as_u64();
        let installation = named.filter(|_| self.is_of_github_app(&event));
        if let Some(id) = installation
            && event.kind == "installation"
        {
            let action = body["action"].as_str();
            if matches!(action, Some("deleted" | "suspend")) {
                self.drop_github_installation(id, event.ip).await?;
            }
            return Ok(PushReceived {
                projects: Vec::new(),
            });
        }
        drop(body);
        if !matches!(event.kind.as_str(), "push" | "Push Hook") {
            push.target = PushTarget::None;
        }
        let mut candidates = Vec::new();
        for repository in &push.repositories {
            let found = self.store.list_push_candidates_for_task(repository).await?;
            candidates.extend(found);
        }
        // What names an installation comes from an app: such an event is signed whatever it is about.
        let has_to_be_signed = named.is_some() && installation.is_none();
        if candidates.is_empty() && !has_to_be_signed {
            return Ok(PushReceived {
                projects: Vec::new(),
            });
        }
        candidates.sort_by_key(|candidate| candidate.project_id);
        candidates.dedup_by_key(|candidate| candidate.project_id);
        let mut projects = Vec::new();
        for candidate in candidates {
            let is_proven = match (installation, &candidate.webhook_secret) {
                (Some(id), _) => candidate.installation_id == Some(id),
                (None, None) => false,
                (None, Some(sealed)) => {
                    let place = Place::WebhookSecret {
                        workspace_id: candidate.membership.workspace_id,
                        project_id: candidate.project_id,
                    };
                    let secret = self.vault.open(place, sealed).map_err(vault_error)?;
                    event.proof.is_made_with(&secret, &event.body)
                }
            };
            if is_proven {
                let acted = self.act_on_push(&event, &push, request.as_ref(), candidate);
                projects.push(acted.await?);
            }
        }
        if projects.is_empty() && installation.is_none() {
            return Err(Error::unauthenticated(
                "the event is not signed with the secret of a project that is connected to this repository; GET …/git/webhook answers the secret",
            ));
        }
        Ok(PushReceived { projects })
    }

    /// Whether the server's GitHub App sent it.
    fn is_of_github_app(&self, event: &PushEvent) -> bool {
        match (&self.github, event.provider, &event.proof) {
            (Some(app), GitProvider::Github, Proof::Signature(signature)) => {
                app.has_signed(&event.body, signature)
            }
            _ => false,
        }
    }

    async fn act_on_push(
        &self,
        event: &PushEvent,
        push: &Push,
        request: Option<&PullRequest>,
        candidate: PushCandidate,
    ) -> Result<PushOutcome> {
        let scope = candidate.membership.scope();
        let delivery = self.delivery(event, push);
        let digest = delivery.digest.as_ref();
        let id = candidate.project_id;
        let known = self
            .store
            .find_push_delivery(&scope, id, &delivery.delivery, digest)
            .await?;
        if let Some(known) = known {
            return Ok(outcome(&candidate, known.verdict, known.deployment_id));
        }
        if let Some(request) = request {
            return self
                .act_on_pull_request(event, request, &candidate, delivery)
                .await;
        }
        match self.decide_push(&scope, push, &candidate).await? {
            Decision::Deploy(project) => {
                self.deploy_push(event, &candidate, &project, delivery)
                    .await
            }
            Decision::Leave(verdict, deployment_id) => {
                let delivery = NewPushDelivery {
                    verdict,
                    ..delivery
                };
                let now = self.now();
                let noted = self
                    .store
                    .add_push_delivery(&scope, id, &delivery, deployment_id, now)
                    .await;
                match noted {
                    Ok(()) => Ok(outcome(&candidate, verdict, deployment_id)),
                    Err(error) => {
                        self.outcome_of_twin(&candidate, &delivery, error.into())
                            .await
                    }
                }
            }
        }
    }

    fn delivery(&self, event: &PushEvent, push: &Push) -> NewPushDelivery {
        let digest: [u8; 32] = Sha256::digest(&event.body).into();
        // A token proves nothing about the body, so an equal body proves no repetition.
        let is_signed = matches!(event.proof, Proof::Signature(_));
        NewPushDelivery {
            id: PushDeliveryId::from_uuid(self.ids.uuid()),
            provider: event.provider,
            delivery: event
                .delivery
                .clone()
                .unwrap_or_else(|| format!("sha256:{}", hex::encode(digest))),
            digest: is_signed.then_some(digest),
            git_ref: push.target.name().map(str::to_owned),
            commit: push.commit.clone(),
            verdict: PushVerdict::Deployed,
        }
    }

    async fn decide_push(
        &self,
        scope: &WorkspaceScope,
        push: &Push,
        candidate: &PushCandidate,
    ) -> Result<Decision> {
        let leave = |verdict| Ok(Decision::Leave(verdict, None));
        let branch = match &push.target {
            PushTarget::None => return leave(PushVerdict::NotAPush),
            PushTarget::Other(_) => return leave(PushVerdict::OtherBranch),
            PushTarget::Branch(branch) => branch,
        };
        if branch != candidate.branch.as_str() || push.commit.is_none() {
            return leave(PushVerdict::OtherBranch);
        }
        if !candidate.auto_deploy {
            return leave(PushVerdict::AutoDeployOff);
        }
        if push.is_skipped() {
            return leave(PushVerdict::Skipped);
        }
        if !changes_what_is_watched(push, &candidate.watch_paths) {
            return leave(PushVerdict::NothingWatched);
        }
        let found = self.store.find_project(scope, candidate.project_id).await?;
        let project = match found {
            Some((project, _)) => project,
            None => return leave(PushVerdict::NotRunning),
        };
        if project.desired == DesiredState::Stopped || project.source != Source::Git {
            return leave(PushVerdict::NotRunning);
        }
        let waiting = self
            .store
            .list_current_deployments(scope, project.id)
            .await?
            .into_iter()
            .find(|deployment| {
                deployment.status == DeploymentStatus::Queued && deployment.trigger == Trigger::Push
            });
        Ok(match waiting {
            Some(deployment) => Decision::Leave(PushVerdict::Joined, Some(deployment.id)),
            None => Decision::Deploy(Box::new(project)),
        })
    }

    async fn deploy_push(
        &self,
        event: &PushEvent,
        candidate: &PushCandidate,
        project: &Project,
        delivery: NewPushDelivery,
    ) -> Result<PushOutcome> {
        let access = Access::for_push(candidate.membership.clone(), event.ip);
        match self.queue_push(&access, project, delivery.clone()).await {
            Ok(deployment) => Ok(outcome(
                candidate,
                PushVerdict::Deployed,
                Some(deployment.id),
            )),
            Err(error) => self.outcome_of_twin(candidate, &delivery, error).await,
        }
    }

    /// What the same event led to that came twice at once, once that is on the disk; the error, if there
    /// is no such event.
    pub(super) async fn outcome_of_twin(
        &self,
        candidate: &PushCandidate,
        delivery: &NewPushDelivery,
        error: Error,
    ) -> Result<PushOutcome> {
        self.store.wait_for_writes().await?;
        let known = self
            .store
            .find_push_delivery(
                &candidate.membership.scope(),
                candidate.project_id,
                &delivery.delivery,
                delivery.digest.as_ref(),
            )
            .await?;
        let known = known.ok_or(error)?;
        Ok(outcome(candidate, known.verdict, known.deployment_id))
    }

    pub(crate) async fn list_push_deliveries(
        &self,
        access: &Access,
        slug: &str,
        paging: Paging,
    ) -> Result<(Vec<PushDeliveryView>, Meta)> {
        let project = self.find_project(access, slug).await?;
        let (deliveries, total) = self
            .store
            .list_push_deliveries(access.scope(), project.id, paging)
            .await?;
        Ok((deliveries, paging.meta(total)))
    }
}

enum Decision {
    Deploy(Box<Project>),
    Leave(PushVerdict, Option<DeploymentId>),
}

pub(super) fn outcome(
    candidate: &PushCandidate,
    verdict: PushVerdict,
    deployment_id: Option<DeploymentId>,
) -> PushOutcome {
    PushOutcome {
        project: candidate.project.clone(),
        verdict,
        deployment_id,
    }
}

/// What matches the files that a project watches.
pub(crate) fn watcher(patterns: &[String]) -> std::result::Result<Gitignore, ignore::Error> {
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        builder.add_line(None, pattern)?;
    }
    builder.build()
}

/// Whether a push concerns a project. One that does not say what it changes concerns all.
fn changes_what_is_watched(push: &Push, patterns: &[String]) -> bool {
    let (Some(changed), false) = (&push.changed, patterns.is_empty()) else {
        return true;
    };
    // Patterns were checked when they were set; if one cannot be read, too much is better than nothing.
    watcher(patterns).map_or(true, |watched| {
        changed.iter().any(|file| {
            let file = file.trim_start_matches('/');
            watched.matched_path_or_any_parents(file, false).is_ignore()
        })
    })
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};

    use super::*;

    fn push(files: Option<&[&str]>) -> Push {
        let mut push = Push::parse(&Value::Null);
        push.changed = files.map(|files| files.iter().map(|file| (*file).to_owned()).collect());
        push
    }

    #[test]
    fn a_push_concerns_a_project_when_it_changes_a_watched_file() {
        let patterns = ["apps/web/", "shared/**/*.ts", "!apps/web/README.md"].map(str::to_owned);
        for (files, expected) in [
            (Some(&["apps/web/src/a.js"][..]), true),
            (Some(&["shared/x/y.ts"]), true),
            (Some(&["apps/api/main.go"]), false),
            (Some(&["apps/web/README.md"]), false),
            (Some(&["docs/a.md", "apps/web/b"]), true),
            (None, true),
        ] {
            let is_concerned = changes_what_is_watched(&push(files), &patterns);
            assert_eq!(is_concerned, expected, "{files:?}");
        }
        assert!(changes_what_is_watched(&push(Some(&["any"])), &[]));
    }

    #[test]
    fn a_proof_needs_the_right_secret_and_an_empty_one_proves_nothing() {
        let secret = SecretString::from("s3cret");
        let none = SecretString::from("");
        let token = |text: &str| Proof::Token(SecretString::from(text));
        assert!(token("s3cret").is_made_with(&secret, b"{}"));
        assert!(!token("other").is_made_with(&secret, b"{}"));
        assert!(!token("").is_made_with(&none, b"{}"));
        // HMAC-SHA256 of "{}" with the key "s3cret".
        let right = "adbde1ce40c89c14215687d5d762a47df6dfaefcfad61e2e86718ffc8498571b";
        let signature = || Proof::Signature(hex::decode(right).expect("hex"));
        assert!(signature().is_made_with(&secret, b"{}"));
        assert!(!signature().is_made_with(&secret, b"{ }"));
        assert!(!signature().is_made_with(&SecretString::from("other"), b"{}"));
        assert!(!Proof::Signature(Vec::new()).is_made_with(&secret, b"{}"));
        let of_none = Hmac::<Sha256>::new_from_slice(b"").expect("a key of any length");
        let of_none = of_none.chain_update(b"{}").finalize().into_bytes().to_vec();
        assert!(!Proof::Signature(of_none).is_made_with(&none, b"{}"));
    }
}
