//! Which layers a build may find in the engine's cache.
//!
//! Guarantee: with [`LayerCache::Project`] a build finds only layers from which an image of the same
//! project was made. The engine confines its cache to the ancestors of the images that it is named, and
//! is named this project's alone: those of its deployments, and the last image of each stage of the
//! newest build, which are kept under names of their own for this.
//! See docs/decisions/0014-layers-belong-to-a-project.md.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{
    ListImagesOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use tose_api::{DeploymentId, ProjectId};
use tose_model::driver::{DriverResult, LayerCache};

use crate::DockerDriver;

/// What the engine says when a step has made an image.
const MADE: &str = " ---> ";
/// How many characters of an image's id it says.
const ID_LENGTH: usize = 12;

impl DockerDriver {
    /// The images whose layers a build may use; `None` for every layer there is.
    pub(crate) async fn cache_sources(
        &self,
        project_id: ProjectId,
        cache: LayerCache,
    ) -> DriverResult<Option<Vec<String>>> {
        if cache == LayerCache::Machine {
            return Ok(None);
        }
        let mut sources = match self.image_names.find(project_id) {
            Some(names) => names,
            None => self.list_image_names(project_id).await?,
        };
        // A list without an image would mean all of them.
        let repository = self.labels.repository(project_id);
        sources.push(format!("{repository}:none"));
        Ok(Some(sources))
    }

    /// The names of a project's images, stages included. An engine with many images takes long for it.
    pub(crate) async fn list_image_names(
        &self,
        project_id: ProjectId,
    ) -> DriverResult<Vec<String>> {
        let docker = self.engine.docker().await?;
        let repository = self.labels.repository(project_id);
        let listed = self.engine.within(tags(&docker, &repository)).await;
        let names =
            listed.map_err(|error| self.engine.failed("list the images of a project", error))?;
        self.image_names.set(project_id, &names);
        Ok(names)
    }

    /// Forgets the stages of a deployment's build.
    pub(crate) async fn forget_stages(
        &self,
        project_id: ProjectId,
        deployment_id: DeploymentId,
    ) -> DriverResult<()> {
        let docker = self.engine.docker().await?;
        let repository = self.labels.repository(project_id);
        let own = format!("{}-", self.labels.image(project_id, deployment_id));
        let forgotten = async {
            for tag in tags(&docker, &repository).await? {
                if tag.starts_with(&own) {
                    remove(&docker, &tag).await;
                }
            }
            Ok(())
        };
        let forgotten = self.engine.within(forgotten).await;
        forgotten.map_err(|error| self.engine.failed("forget a build's stages", error))
    }
}

/// The names of projects' images as they were last listed, so that a build need not wait for a list.
/// One that is gone is no source of layers to the engine, and no harm.
#[derive(Debug, Default)]
pub(crate) struct ImageNames(Mutex<HashMap<ProjectId, Vec<String>>>);

impl ImageNames {
    fn all(&self) -> MutexGuard<'_, HashMap<ProjectId, Vec<String>>> {
        self.0.lock().expect("nothing panics while it is held")
    }

    fn find(&self, project_id: ProjectId) -> Option<Vec<String>> {
        self.all().get(&project_id).cloned()
    }

    fn set(&self, project_id: ProjectId, names: &[String]) {
        if names.is_empty() {
            self.forget(project_id);
        } else {
            self.all().insert(project_id, names.to_vec());
        }
    }

    /// Lists anew before the next build.
    fn forget(&self, project_id: ProjectId) {
        self.all().remove(&project_id);
    }

    /// Forgets an image and its stages.
    pub(crate) fn remove(&self, project_id: ProjectId, image: &str) {
        let Some(mut names) = self.find(project_id) else {
            return;
        };
        names.retain(|name| !name.starts_with(image));
        self.set(project_id, &names);
    }
}

/// Keeps the stages of a build.
pub(crate) struct StageKeeper {
    pub(crate) docker: Docker,
    /// The project's.
    pub(crate) repository: String,
    /// The deployment's.
    pub(crate) tag: String,
    /// The names that the project's images had before the build.
    pub(crate) before: Vec<String>,
    pub(crate) project_id: ProjectId,
    pub(crate) known: Arc<ImageNames>,
}

impl StageKeeper {
    /// Keeps these stages, and no longer those of earlier builds. What fails here only makes a later
    /// build slower.
    pub(crate) async fn keep(&self, stages: &[String]) {
        // A build that is called off from here on leaves names that no list has.
        self.known.forget(self.project_id);
        if let Err(error) = self.try_keep(stages).await {
            tracing::warn!(%error, repository = self.repository, "the stages of a build could not be kept");
        }
        // Whoever listed meanwhile has seen only some of them.
        self.known.forget(self.project_id);
    }

    async fn try_keep(&self, stages: &[String]) -> Result<(), Error> {
        for (number, id) in stages.iter().enumerate() {
            let options = TagImageOptionsBuilder::default()
                .repo(&self.repository)
                .tag(&format!("{}-{number}", self.tag))
                .build();
            self.docker.tag_image(id, Some(options)).await?;
        }
        let own = format!("{}:{}-", self.repository, self.tag);
        for tag in &self.before {
            let is_stage = tag.rsplit(':').next().is_some_and(|tag| tag.contains('-'));
            if is_stage && !tag.starts_with(&own) {
                remove(&self.docker, tag).await;
            }
        }
        Ok(())
    }
}

/// The names of a project's images.
async fn tags(docker: &Docker, repository: &str) -> Result<Vec<String>, Error> {
    let filters = HashMap::from([("reference".to_owned(), vec![repository.to_owned()])]);
    let options = ListImagesOptionsBuilder::default()
        .filters(&filters)
        .build();
    let listed = docker.list_images(Some(options)).await?;
    let tags = listed.into_iter().flat_map(|image| image.repo_tags);
    let prefix = format!("{repository}:");
    Ok(tags.filter(|tag| tag.starts_with(&prefix)).collect())
}

/// It may be gone, or in use, which is fine.
async fn remove(docker: &Docker, tag: &str) {
    let _ = docker
        .remove_image(tag, None::<RemoveImageOptions>, None)
        .await;
}

/// The last image of each stage but the last, as the engine's messages tell.
///
/// What a step prints comes in messages of the same kind, so it could name any image. It cannot get it
/// in here: after each step the engine itself names the right one, and a step that is counted twice
/// makes all of it void.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    step: u32,
    count: u32,
    last: Option<String>,
    found: Vec<String>,
    is_unsound: bool,
}

impl Stages {
    /// Reads a message of the engine.
    pub(crate) fn read(&mut self, text: &str) {
        if let Some((step, count, instruction)) = step(text) {
            let is_next = step == self.step + 1 && (self.step == 0 || count == self.count);
            self.is_unsound |= !is_next;
            (self.step, self.count) = (step, count);
            let begins = instruction
                .split_whitespace()
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("FROM"));
            if begins && step > 1 {
                self.found.extend(self.last.take());
            }
        } else if let Some(id) = text.strip_prefix(MADE) {
            let id = id.trim_end();
            let is_id = id.len() == ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_id {
                self.last = Some(id.to_owned());
            }
        }
    }

    /// The images, when the build has succeeded.
    pub(crate) fn found(&self) -> &[String] {
        if self.is_unsound || self.step != self.count {
            return &[];
        }
        &self.found
    }
}

/// The numbers and the instruction in `Step 2/4 : RUN npm ci`.
fn step(text: &str) -> Option<(u32, u32, &str)> {
    let (number, instruction) = text.strip_prefix("Step ")?.split_once(" : ")?;
    let (step, count) = number.split_once('/')?;
    Some((step.parse().ok()?, count.parse().ok()?, instruction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(messages: &[&str]) -> Vec<String> {
        let mut stages = Stages::default();
        messages.iter().for_each(|text| stages.read(text));
        stages.found().to_vec()
    }

    #[test]
    fn the_last_image_of_each_earlier_stage_is_found() {
        let messages = [
            "Step 1/5 : FROM a AS one\n",
            " ---> aaaaaaaaaaaa\n",
            "Step 2/5 : RUN x\n",
            " ---> Using cache\n",
            " ---> bbbbbbbbbbbb\n",
            "Step 3/5 : from b AS two\n",
            " ---> cccccccccccc\n",
            "Step 4/5 : FROM c\n",
            " ---> dddddddddddd\n",
            "Step 5/5 : LABEL x=y\n",
            " ---> Running in 0123456789ab\n",
            " ---> eeeeeeeeeeee\n",
        ];
        assert_eq!(found(&messages), ["bbbbbbbbbbbb", "cccccccccccc"]);
        assert!(found(&messages[..9]).is_empty(), "it broke off");
    }

    #[test]
    fn a_step_cannot_name_an_image() {
        let forged = [
            "Step 1/3 : FROM a\n",
            " ---> aaaaaaaaaaaa\n",
            "Step 2/3 : RUN evil\n",
            " ---> ffffffffffff\n",
            "Step 3/3 : FROM b\n",
            " ---> bbbbbbbbbbbb\n",
            "Step 3/3 : FROM b\n",
            " ---> cccccccccccc\n",
        ];
        assert!(found(&forged).is_empty());
        let overruled = [
            "Step 1/3 : FROM a\n",
            "Step 2/3 : RUN evil\n",
            " ---> ffffffffffff\n",
            " ---> bbbbbbbbbbbb\n",
            "Step 3/3 : FROM b\n",
            " ---> cccccccccccc\n",
        ];
        assert_eq!(found(&overruled), ["bbbbbbbbbbbb"]);
        let beyond = ["Step 1/1 : FROM a\n", "Step 2/2 : FROM b\n"];
        assert!(found(&beyond).is_empty());
    }
}
