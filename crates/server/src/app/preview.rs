//! Previews: a pull request runs as a project of its own, until it is closed.
//!
//! A preview takes its repository, settings and variables from its project at each deployment; a variable
//! that is set on the preview itself goes before. Requests from forks get none: their authors could read
//! the project's secrets.
//!
//! Guarantees: a preview ends with its request, with its project, and when previews are switched off.

use tose_api::deployment::Trigger;
use tose_api::git::{PushOutcome, PushVerdict};
use tose_api::project::{ProjectView, Source};
use tose_api::{DeploymentId, DomainId, ProjectId, Slug};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::deployment::Deployment;
use tose_model::error::{Error, Result};
use tose_model::project::{DesiredState, Project};
use tose_model::pull_request::{PullRequest, PullRequestAction};
use tose_store::{NewKind, NewPreview, NewProject, NewPushDelivery, PushCandidate};

use crate::app::Platform;
use crate::app::deployment::Recipe;
use crate::app::project::HOSTNAME_ATTEMPTS;
use crate::app::push::{PushEvent, outcome};

/// The most characters of a slug.
const MAX_SLUG: usize = 40;

impl Platform {
    pub(crate) async fn list_previews(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<Vec<ProjectView>> {
        let project = self.find_project(access, slug).await?;
        let records = self
            .store
            .list_preview_records(access.scope(), project.id)
            .await?;
        Ok(records
            .into_iter()
            .map(|record| self.project_view(record))
            .collect())
    }

    /// Acts on an event of a pull request and notes it. An event that comes again before it was noted is
    /// acted on again, which changes nothing.
    pub(super) async fn act_on_pull_request(
        &self,
        event: &PushEvent,
        request: &PullRequest,
        candidate: &PushCandidate,
        delivery: NewPushDelivery,
    ) -> Result<PushOutcome> {
        let access = Access::for_push(candidate.membership.clone(), event.ip);
        let (verdict, deployment_id) = self.follow(&access, request, candidate).await?;
        let delivery = NewPushDelivery {
            git_ref: Some(format!("#{} {}", request.number, request.branch)),
            commit: request.commit.clone(),
            verdict,
            ..delivery
        };
        let noted = self
            .store
            .add_push_delivery(
                access.scope(),
                candidate.project_id,
                &delivery,
                deployment_id,
                self.now(),
            )
            .await;
        match noted {
            Ok(()) => Ok(outcome(candidate, verdict, deployment_id)),
            Err(error) => {
                self.outcome_of_twin(candidate, &delivery, error.into())
                    .await
            }
        }
    }

    async fn follow(
        &self,
        access: &Access,
        request: &PullRequest,
        candidate: &PushCandidate,
    ) -> Result<(PushVerdict, Option<DeploymentId>)> {
        let leave = |verdict| Ok((verdict, None));
        let (scope, id) = (access.scope(), candidate.project_id);
        let known = self.store.find_preview(scope, id, request.number).await?;
        match request.action {
            PullRequestAction::Other => return leave(PushVerdict::NotAPush),
            PullRequestAction::Closed => {
                let Some(preview) = known else {
                    return leave(PushVerdict::NoPreview);
                };
                self.delete_project(access, preview.slug.as_str()).await?;
                return leave(PushVerdict::PreviewRemoved);
            }
            PullRequestAction::Changed => {}
        }
        if request.is_from_fork {
            return leave(PushVerdict::FromFork);
        }
        if !candidate.previews {
            return leave(PushVerdict::PreviewsOff);
        }
        if request.base != candidate.branch.as_str() {
            return leave(PushVerdict::OtherBranch);
        }
        let Some((project, _)) = self.store.find_project(scope, id).await? else {
            return leave(PushVerdict::NotRunning);
        };
        if project.desired == DesiredState::Stopped || project.source != Source::Git {
            return leave(PushVerdict::NotRunning);
        }
        let preview = match known {
            Some(preview) => preview,
            None => match self.create_preview(access, &project, request).await {
                Ok(preview) => preview,
                Err(tose_store::Error::Conflict(_)) => return leave(PushVerdict::PreviewLimit),
                Err(tose_store::Error::NotFound(_)) => return leave(PushVerdict::PreviewsOff),
                Err(error) => return Err(error.into()),
            },
        };
        let recipe = Recipe::new(Trigger::Push);
        let queued = self
            .queue(access, &preview, recipe, "deployment.preview")
            .await?;
        Ok((PushVerdict::Deployed, Some(queued.id)))
    }

    /// Makes the project that runs a request.
    async fn create_preview(
        &self,
        access: &Access,
        project: &Project,
        request: &PullRequest,
    ) -> std::result::Result<Project, tose_store::Error> {
        let id = ProjectId::from_uuid(self.ids.uuid());
        let mut created = Err(tose_store::Error::Taken("the preview's slug"));
        for attempt in 0..HOSTNAME_ATTEMPTS {
            let new = self.new_preview(id, project, request, attempt);
            let event = self.event(access, "preview.create", &new.slug);
            created = self
                .store
                .create_project(access.scope(), &new, &event)
                .await;
            if !matches!(created, Err(tose_store::Error::Taken(_))) {
                break;
            }
            // The same event, twice at once: the other one has made it.
            let twin = self
                .store
                .find_preview(access.scope(), project.id, request.number)
                .await?;
            if let Some(twin) = twin {
                return Ok(twin);
            }
        }
        created?;
        let found = self.store.find_project(access.scope(), id).await?;
        let (preview, _) = found.ok_or(tose_store::Error::NotFound("project"))?;
        Ok(preview)
    }

    fn new_preview(
        &self,
        id: ProjectId,
        project: &Project,
        request: &PullRequest,
        attempt: u32,
    ) -> NewProject {
        let slug = preview_slug(&project.slug, request.number, attempt);
        let hostnames = self.hostnames(&project.workspace, &slug);
        let name: String = format!("{} #{}", project.name, request.number)
            .chars()
            .take(100)
            .collect();
        NewProject {
            id,
            name,
            slug,
            source: Source::Git,
            image: None,
            run: project.run.clone(),
            build: project.build.clone(),
            region: project.region.clone(),
            replicas: 1,
            domain_id: DomainId::from_uuid(self.ids.uuid()),
            hostnames,
            preview: Some(NewPreview {
                project_id: project.id,
                number: request.number,
                branch: request.branch.clone(),
            }),
            kind: NewKind::App,
            now: self.now(),
        }
    }

    /// Ends every preview of a project.
    pub(crate) async fn delete_previews(&self, access: &Access, project: &Project) -> Result<()> {
        let (previews, current) = self.list_ending(access, project).await?;
        if previews.is_empty() {
            return Ok(());
        }
        let event = self.event(access, "preview.delete_all", &project.slug);
        self.store
            .delete_previews(access.scope(), project.id, self.now(), &event)
            .await?;
        self.close_logs(&current).await;
        for preview in previews {
            self.signals.project(preview);
        }
        self.signals.builder();
        Ok(())
    }

    /// A project's previews, and what is under way in them: asked before they are deleted.
    pub(super) async fn list_ending(
        &self,
        access: &Access,
        project: &Project,
    ) -> Result<(Vec<ProjectId>, Vec<Deployment>)> {
        let scope = access.scope();
        let records = self.store.list_preview_records(scope, project.id).await?;
        let previews: Vec<_> = records.iter().map(|record| record.project.id).collect();
        let mut current = Vec::new();
        for id in &previews {
            let of_one = self.store.list_current_deployments(scope, *id).await?;
            current.extend(of_one);
        }
        Ok((previews, current))
    }

    /// The project whose repository, settings and variables a deployment of `project` is made with.
    pub(crate) async fn find_origin(
        &self,
        scope: &WorkspaceScope,
        project: &Project,
    ) -> Result<Option<Project>> {
        let Some(preview) = &project.preview else {
            return Ok(None);
        };
        let found = self.store.find_project(scope, preview.project_id).await?;
        let (origin, _) = found.ok_or(Error::NotFound("project"))?;
        Ok(Some(origin))
    }
}

/// `SLUG-pr-NUMBER`, with another ending where that is taken.
fn preview_slug(project: &Slug, number: u32, attempt: u32) -> Slug {
    let end = match attempt {
        0 => format!("-pr-{number}"),
        more => format!("-pr-{number}-{more}"),
    };
    let room = MAX_SLUG - end.len();
    let begin: String = project.as_str().chars().take(room).collect();
    let begin = begin.trim_end_matches('-');
    format!("{begin}{end}")
        .parse()
        .expect("a slug's beginning and this end are a slug")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_previews_slug_is_short_enough_whatever_the_projects() {
        let slug = |text: &str| text.parse::<Slug>().expect("a slug");
        assert_eq!(preview_slug(&slug("shop"), 7, 0).as_str(), "shop-pr-7");
        assert_eq!(preview_slug(&slug("shop"), 7, 2).as_str(), "shop-pr-7-2");
        let long = slug(&format!("{}-x", "a".repeat(30)));
        let made = preview_slug(&long, u32::MAX, 4);
        assert_eq!(made.as_str(), format!("{}-pr-4294967295-4", "a".repeat(24)));
    }
}
