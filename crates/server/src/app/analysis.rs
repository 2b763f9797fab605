//! Why a deployment failed, or a project is not well, told from their output.
//!
//! Guarantees: what is looked at is bounded in lines, bytes and, where a deployment's end waits for it, in
//! time. A language model is asked only for somebody who asks, and gets no value of a variable.
//! Not here: what a line means (`tose_model::analysis`), what a secret looks like (`tose_model::redaction`).

use std::time::Duration;

use tose_api::analysis::{AnalysisView, AnalyzeLogs, CauseView, LogAnalysisView, MAX_ANALYZED};
use tose_api::deployment::DeploymentStatus;
use tose_api::log::LogSource;
use tose_api::{ProjectId, Timestamp};
use tose_logs::{Query, Record, StreamId};
use tose_model::access::Access;
use tose_model::analysis::{Analysis, Cause, Facts, analyze};
use tose_model::assistant::{Question, question};
use tose_model::deployment::Deployment;
use tose_model::driver::ReplicaName;
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_model::redaction::Redactor;

use crate::app::Platform;
use crate::app::log::log_error;

/// How much of each log is looked at: its last lines, and bytes.
const MAX_LINES: usize = 2000;
const MAX_BYTES: usize = 1 << 20;
/// How many pages of a log are looked through for lines that matter.
const MAX_PAGES: usize = 10;
/// How long the end of a deployment waits for what is known of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How far the clock of an engine may be from ours.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// What is looked at.
#[derive(Debug, Default)]
struct Material {
    /// What was said while the version was built.
    build: Vec<String>,
    /// What its replicas wrote.
    output: Vec<String>,
    /// The reason on its record.
    reason: Option<String>,
}

impl Material {
    /// What replicas wrote explains more than a build that went well before.
    fn analyze(&self) -> Analysis {
        let facts = Facts {
            reason: self.reason.as_deref(),
            exit_code: None,
        };
        if !self.output.is_empty() {
            let output: Vec<&str> = self.output.iter().map(String::as_str).collect();
            let analysis = analyze(&output, &facts);
            if self.build.is_empty() || analysis.likely().is_some() {
                return analysis;
            }
        }
        analyze(&self.lines(), &facts)
    }

    fn is_empty(&self) -> bool {
        self.build.is_empty() && self.output.is_empty() && self.reason.is_none()
    }

    /// All lines, the build's first.
    fn lines(&self) -> Vec<&str> {
        let lines = self.build.iter().chain(&self.output);
        lines.map(String::as_str).collect()
    }
}

/// Whose output is looked at.
struct Asked<'a> {
    access: &'a Access,
    project: &'a Project,
    deployment: Option<Deployment>,
}

impl Platform {
    /// Says why a deployment failed or a project is not well.
    pub(crate) async fn analyze_logs(
        &self,
        access: &Access,
        slug: &str,
        input: AnalyzeLogs,
    ) -> Result<LogAnalysisView> {
        let project = self.find_project(access, slug).await?;
        let (deployment, material) = self.choose(access, project.id, input).await?;
        let (material, analysis) = examine(material).await?;
        let deployment_id = deployment.as_ref().map(|deployment| deployment.id);
        let asked = Asked {
            access,
            project: &project,
            deployment,
        };
        let (model, answer) = self.ask(asked, material, &analysis).await.unzip();
        let AnalysisView { summary, causes } = view(analysis);
        Ok(LogAnalysisView {
            summary,
            causes,
            deployment: deployment_id,
            model,
            answer,
        })
    }

    /// What is looked at, and the deployment that it is of.
    async fn choose(
        &self,
        access: &Access,
        project_id: ProjectId,
        input: AnalyzeLogs,
    ) -> Result<(Option<Deployment>, Material)> {
        let deployment = match (input.logs, input.deployment) {
            (Some(_), Some(_)) => {
                let problem = "cannot be given together with logs";
                return Err(Error::invalid_field("deployment", problem));
            }
            (Some(logs), None) => return Ok((None, sent(&logs)?)),
            (None, Some(id)) => {
                let scope = access.scope();
                Some(self.store.get_deployment(scope, project_id, id).await?)
            }
            (None, None) => self.newest_failure(access, project_id).await?,
        };
        let material = match &deployment {
            Some(deployment) => self.material(deployment, None).await?,
            None => self.project_output(project_id).await?,
        };
        Ok((deployment, material))
    }

    /// The name of the language model and its answer, where there is one. Never an error: what the rules say
    /// stands without it.
    async fn ask(
        &self,
        asked: Asked<'_>,
        material: Material,
        analysis: &Analysis,
    ) -> Option<(String, String)> {
        let assistant = self.assistant.as_ref()?;
        let workspace_id = asked.access.scope().id();
        if material.is_empty() || self.limits.questions.count(&workspace_id).is_err() {
            return None;
        }
        let question = match self.question(asked, material, analysis.clone()).await {
            Ok(question) => question,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the language model could not be asked"
                );
                return None;
            }
        };
        match assistant.ask(&question).await {
            Ok(answer) => Some((assistant.model().to_owned(), answer)),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the language model did not help"
                );
                None
            }
        }
    }

    /// What is asked, without the values of the project's variables: those of today, and those that
    /// deployments have whose output may be in it.
    async fn question(
        &self,
        asked: Asked<'_>,
        material: Material,
        analysis: Analysis,
    ) -> Result<Question> {
        let scope = asked.access.scope();
        let origin = self.find_origin(scope, asked.project).await?;
        let mut values = Vec::new();
        for project in origin.iter().chain([asked.project]) {
            let env = self.open_env(project, scope).await?;
            values.extend(env.into_values().map(|(value, _)| value));
        }
        let current = self.store.list_current_deployments(scope, asked.project.id);
        for deployment in current.await?.iter().chain(&asked.deployment) {
            let env = self.open_deployment_env(deployment)?;
            values.extend(env.into_iter().map(|(_, value, _)| value));
        }
        let nonce = self.ids.uuid().simple().to_string();
        let make = move || {
            let redactor = Redactor::new(values.iter());
            let (lines, reason) = (material.lines(), material.reason.as_deref());
            question(&lines, reason, &analysis, &redactor, &nonce)
        };
        let made = tokio::task::spawn_blocking(make).await;
        made.map_err(|error| Error::internal("logs could not be masked", error))
    }

    /// What is known of a deployment that is about to fail for this reason, if it is likely enough. Never
    /// an error: it fails all the same.
    pub(super) async fn explain_failure(
        &self,
        deployment: &Deployment,
        reason: &str,
    ) -> Option<AnalysisView> {
        let find = async {
            let material = self.material(deployment, Some(reason)).await?;
            examine(material).await
        };
        match tokio::time::timeout(PATIENCE, find).await {
            Ok(Ok((_, analysis))) => analysis.likely().is_some().then(|| view(analysis)),
            Ok(Err(error)) => {
                tracing::warn!(deployment_id = %deployment.id, error = &error as &dyn std::error::Error, "a failure could not be explained");
                None
            }
            Err(_) => {
                tracing::warn!(deployment_id = %deployment.id, "explaining a failure took too long");
                None
            }
        }
    }

    /// The project's newest deployment, if that failed.
    async fn newest_failure(
        &self,
        access: &Access,
        project_id: ProjectId,
    ) -> Result<Option<Deployment>> {
        let newest = self.find_newest_deployment(access, project_id).await?;
        Ok(newest.filter(|deployment| deployment.status == DeploymentStatus::Failed))
    }

    /// What was said of a deployment; `reason` is that of one whose record has none so far.
    async fn material(&self, deployment: &Deployment, reason: Option<&str>) -> Result<Material> {
        let build = StreamId::Build(deployment.id);
        let build = self.logs.tail(build, MAX_LINES).await.map_err(log_error)?;
        // What the platform says is known: it is the reason, and what an earlier look has found.
        let build = build.iter().filter(|record| is_foreign(record));
        let output = match deployment.build_finished_at {
            Some(built_at) => self.own_output(deployment, built_at).await?,
            None => Vec::new(),
        };
        Ok(Material {
            build: last(build.map(text).collect()),
            output,
            reason: reason.map(str::to_owned).or(deployment.error.clone()),
        })
    }

    /// The last lines that the replicas of a deployment wrote.
    async fn own_output(
        &self,
        deployment: &Deployment,
        built_at: Timestamp,
    ) -> Result<Vec<String>> {
        let query = Query {
            start: Some(built_at.saturating_sub(CLOCK_SLACK)),
            end: deployment
                .finished_at
                .map(|at| at.saturating_add(CLOCK_SLACK)),
            ..Query::default()
        };
        let is_own = |record: &Record| ReplicaName::is_of(&record.line.pod, deployment.id);
        self.last_lines(deployment.project_id, query, is_own).await
    }

    /// The last lines that a project's replicas wrote.
    async fn project_output(&self, id: ProjectId) -> Result<Material> {
        let output = self.last_lines(id, Query::default(), is_foreign).await?;
        Ok(Material {
            output,
            ..Material::default()
        })
    }

    /// The last lines of a project's log that are wanted, oldest first.
    async fn last_lines(
        &self,
        id: ProjectId,
        mut query: Query,
        is_wanted: impl Fn(&Record) -> bool,
    ) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        query.limit = MAX_LINES;
        for _ in 0..MAX_PAGES {
            let page = self.logs.find(StreamId::Project(id), query.clone()).await;
            let page = page.map_err(log_error)?;
            let wanted = page.records.iter().filter(|record| is_wanted(record));
            lines.extend(wanted.map(text));
            query.cursor = page.cursor;
            if query.cursor.is_none() || lines.len() >= MAX_LINES {
                break;
            }
        }
        lines.reverse();
        Ok(last(lines))
    }
}

/// What the platform says of a failure besides its reason, in a deployment's log.
pub(super) fn told(analysis: &AnalysisView) -> Vec<String> {
    let Some(cause) = analysis.causes.first() else {
        return Vec::new();
    };
    vec![
        format!("likely cause: {}", cause.title),
        format!("what to do: {}", cause.fix),
    ]
}

/// Lines that somebody sends.
fn sent(logs: &str) -> Result<Material> {
    if logs.len() > MAX_ANALYZED {
        let problem = "must have 1 MiB at most; send the end of it";
        return Err(Error::invalid_field("logs", problem));
    }
    Ok(Material {
        output: logs.lines().map(str::to_owned).collect(),
        ..Material::default()
    })
}

/// Looks at every line, beside the threads that answer calls.
async fn examine(material: Material) -> Result<(Material, Analysis)> {
    let look = move || {
        let analysis = material.analyze();
        (material, analysis)
    };
    let looked = tokio::task::spawn_blocking(look).await;
    looked.map_err(|error| Error::internal("logs could not be analyzed", error))
}

/// Whether an app or a build wrote it, and not the platform or the proxy.
fn is_foreign(record: &Record) -> bool {
    record.line.source != LogSource::System
}

fn text(record: &Record) -> String {
    String::from_utf8_lossy(&record.line.text).into_owned()
}

/// The last lines, as many as are looked at.
fn last(mut lines: Vec<String>) -> Vec<String> {
    let mut bytes = 0;
    let fits = |line: &&String| {
        bytes += line.len() + 1;
        bytes <= MAX_BYTES
    };
    let count = lines.iter().rev().take(MAX_LINES).take_while(fits).count();
    lines.split_off(lines.len() - count)
}

fn view(analysis: Analysis) -> AnalysisView {
    let cause = |cause: Cause| CauseView {
        title: cause.title,
        confidence: cause.confidence,
        evidence: cause.evidence,
        fix: cause.fix,
    };
    AnalysisView {
        summary: analysis.summary,
        causes: analysis.causes.into_iter().map(cause).collect(),
    }
}
