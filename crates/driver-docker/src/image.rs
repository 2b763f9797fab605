//! Images: pulled where they are missing, listed and removed where they have a project's name. Nobody but
//! this driver gives such names: a pulled image has no label to know it by.
//!
//! Not here: building (see [`crate::build`]).

use std::collections::HashMap;

use bollard::errors::Error;
use bollard::models::{CreateImageInfo, ProgressDetail};
use bollard::query_parameters::{CreateImageOptionsBuilder, RemoveImageOptions};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, future};
use tose_api::{DeploymentId, ProjectId};
use tose_model::driver::{BuiltImage, DriverError, DriverResult, Scope};

use crate::DockerDriver;
use crate::engine::NO_LIMIT;
use crate::error::{answer, failed, has_status};

impl DockerDriver {
    pub(crate) async fn pull_missing_image(
        &self,
        image: &str,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>> {
        // With its tag: a bare name could be the beginning of some image's id.
        let reference = with_tag(image);
        if self.is_here(&reference).await? {
            return Ok(stream::empty().boxed());
        }
        if self.labels.is_built_here(image) {
            let reason = "it was built here and is gone".to_owned();
            return Err(DriverError::ImageUnavailable {
                image: image.to_owned(),
                reason,
            });
        }
        let docker = self.engine.docker().await?.with_timeout(NO_LIMIT);
        if image.contains('@') {
            // A manifest that somebody pulled with credentials is found by its digest without asking.
            let asked = docker.inspect_registry_image(image, None);
            let known = self.engine.within(asked).await;
            known.map_err(|error| pull_failed(image, error))?;
        }
        let options = CreateImageOptionsBuilder::default()
            .from_image(&reference)
            .build();
        let mut progress = Progress::default();
        let image = image.to_owned();
        let lines = docker
            .create_image(Some(options), None, None)
            .filter_map(move |message| {
                future::ready(match message {
                    Ok(message) => pull_line(&mut progress, message).map(Ok),
                    Err(error) => Some(Err(pull_failed(&image, error))),
                })
            });
        Ok(lines.boxed())
    }

    pub(crate) async fn list_built_images(
        &self,
        project_id: ProjectId,
    ) -> DriverResult<Vec<BuiltImage>> {
        let repository = self.labels.repository(project_id);
        let names = self.list_image_names(project_id).await?;
        let mut images: Vec<_> = names
            .into_iter()
            .filter_map(|image| {
                let tag = image.strip_prefix(&repository)?.strip_prefix(':')?;
                Some(BuiltImage {
                    deployment_id: tag.parse().ok()?,
                    image,
                })
            })
            .collect();
        images.sort_by_key(|image| image.deployment_id);
        Ok(images)
    }

    pub(crate) async fn remove_image(
        &self,
        project_id: ProjectId,
        deployment_id: DeploymentId,
    ) -> DriverResult<()> {
        self.forget_stages(project_id, deployment_id).await?;
        let image = self.labels.image(project_id, deployment_id);
        self.image_names.remove(project_id, &image);
        if !self.is_here(&image).await? {
            return Ok(());
        }
        // Equal builds are one image of several names, and the engine lets go of a name in use.
        if self.is_in_use(project_id, &image).await? {
            return Ok(());
        }
        let docker = self.engine.docker().await?;
        match self
            .engine
            .within(docker.remove_image(&image, None::<RemoveImageOptions>, None))
            .await
        {
            Ok(_) => Ok(()),
            // It went, or a container uses it.
            Err(error) if has_status(&error, 404) || has_status(&error, 409) => Ok(()),
            Err(error) => Err(self.engine.failed(format!("remove image {image}"), error)),
        }
    }

    async fn is_in_use(&self, project_id: ProjectId, image: &str) -> DriverResult<bool> {
        let containers = self.list_containers(Scope::Project(project_id)).await?;
        Ok(containers.iter().any(|container| container.image == image))
    }

    pub(crate) async fn is_here(&self, image: &str) -> DriverResult<bool> {
        let docker = self.engine.docker().await?;
        match self.engine.within(docker.inspect_image(image)).await {
            Ok(_) => Ok(true),
            Err(error) if has_status(&error, 404) => Ok(false),
            Err(error) => Err(self.engine.failed(format!("look at image {image}"), error)),
        }
    }
}

/// The reference with the tag that goes without saying. Without one the engine pulls every tag.
pub(crate) fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// What was last said of each layer: the engine repeats itself with every few bytes.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    said: HashMap<String, String>,
}

impl Progress {
    /// A line for what is news.
    pub(crate) fn line(
        &mut self,
        layer: Option<String>,
        status: String,
        detail: Option<&ProgressDetail>,
    ) -> Option<String> {
        let layer = layer.filter(|layer| !layer.is_empty());
        let Some(layer) = layer else {
            return Some(status);
        };
        if self.said.get(&layer) == Some(&status) {
            return None;
        }
        let size = detail
            .and_then(|detail| detail.total)
            .filter(|total| *total > 0);
        let line = match size {
            Some(total) => format!("{layer}: {status} ({} MiB)", (total >> 20).max(1)),
            None => format!("{layer}: {status}"),
        };
        self.said.insert(layer, status);
        Some(line)
    }
}

pub(crate) fn pull_line(progress: &mut Progress, message: CreateImageInfo) -> Option<String> {
    progress.line(
        message.id,
        message.status?,
        message.progress_detail.as_ref(),
    )
}

fn pull_failed(image: &str, error: Error) -> DriverError {
    let message = match &error {
        Error::DockerStreamError { error } => Some(error.as_str()),
        _ => answer(&error).map(|(_, message)| message),
    };
    match message {
        Some(message) => DriverError::ImageUnavailable {
            image: image.to_owned(),
            reason: registry_reason(message),
        },
        None => failed(format!("pull image {image}"), error),
    }
}

/// Why a registry gave no image, in words for the person who named it.
pub(crate) fn registry_reason(message: &str) -> String {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let reason = if says(&["manifest unknown", "not found: manifest"]) {
        "its registry has no such tag"
    } else if says(&[
        "pull access denied",
        "repository does not exist",
        "denied:",
        "unauthorized",
        "no basic auth credentials",
    ]) {
        "it does not exist, or it is private"
    } else if says(&["toomanyrequests", "rate limit"]) {
        "its registry limits how often one may pull; try again later"
    } else if says(&[
        "no such host",
        "connection refused",
        "i/o timeout",
        "network is unreachable",
    ]) || says(&[
        "Client.Timeout",
        "TLS handshake timeout",
        "no route to host",
    ]) {
        "its registry cannot be reached"
    } else if says(&["no matching manifest"]) {
        "it is not made for this kind of machine"
    } else if says(&["no space left on device"]) {
        "the machine's disk is full"
    } else {
        return message.trim().to_owned();
    };
    reason.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_without_tag_means_the_latest() {
        for (image, expected) in [
            ("nginx", "nginx:latest"),
            ("nginx:1.27", "nginx:1.27"),
            (
                "registry.example:5000/team/app",
                "registry.example:5000/team/app:latest",
            ),
            ("app@sha256:00", "app@sha256:00"),
        ] {
            assert_eq!(with_tag(image), expected);
        }
    }

    #[test]
    fn a_layer_is_named_once_per_stage() {
        let mut progress = Progress::default();
        let total = ProgressDetail {
            current: Some(1),
            total: Some(5 << 20),
        };
        let mut say = |layer: &str, status: &str| {
            progress.line(Some(layer.to_owned()), status.to_owned(), Some(&total))
        };
        assert_eq!(
            say("a1", "Downloading").as_deref(),
            Some("a1: Downloading (5 MiB)")
        );
        assert_eq!(say("a1", "Downloading"), None);
        assert_eq!(
            say("b2", "Downloading").as_deref(),
            Some("b2: Downloading (5 MiB)")
        );
        assert_eq!(
            say("a1", "Pull complete").as_deref(),
            Some("a1: Pull complete (5 MiB)")
        );
    }

    #[test]
    fn a_registrys_refusal_is_said_plainly() {
        for (message, reason) in [
            (
                "manifest for nginx:0 not found: manifest unknown: manifest unknown",
                "its registry has no such tag",
            ),
            (
                "pull access denied for x, repository does not exist or may require 'docker login'",
                "it does not exist, or it is private",
            ),
            (
                "Get \"https://r.example/v2/\": dial tcp: lookup r.example: no such host",
                "its registry cannot be reached",
            ),
            ("something else\n", "something else"),
        ] {
            assert_eq!(registry_reason(message), reason);
        }
    }
}
