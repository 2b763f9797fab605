//! Images that a project pulls with credentials of its own.
//!
//! All projects share one engine, and the engine runs whatever it has under a name for everybody. So such
//! an image is pulled by its digest, gets a name in the project's repository, and loses the registry's.
//!
//! Guarantees: the registry is asked on every pull; no tag of the registry's is made or moved; of two
//! pulls of one digest the second begins when the first has ended.
//! Caveat: while a pull goes on, and after one that was cut off until the next one, the image has its
//! digest as a name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::OwnedMutexGuard;
use tose_api::ImageRef;
use tose_model::driver::{DriverError, DriverResult, PrivatePull, Scope};
use tose_model::secret::ExposeSecret;

use crate::DockerDriver;
use crate::engine::NO_LIMIT;
use crate::error::{answer, failed, has_status};
use crate::image::{Progress, pull_line, registry_reason, with_tag};

/// References that are being pulled with credentials, each with its lock.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    locks: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl Pulls {
    /// Waits until nobody else pulls `reference`.
    async fn lock(&self, reference: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().expect("nothing panics while it is held");
            locks.retain(|_, lock| lock.strong_count() > 0);
            let known = locks.get(reference).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let fresh = Arc::default();
                locks.insert(reference.to_owned(), Arc::downgrade(&fresh));
                fresh
            })
        };
        lock.lock_owned().await
    }
}

impl DockerDriver {
    pub(crate) async fn pull_private(
        &self,
        pull: PrivatePull,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>> {
        let docker = self.engine.docker().await?;
        let credentials = docker_credentials(&pull);
        let reference = with_tag(pull.image.as_str());
        let asked = docker.inspect_registry_image(&reference, Some(credentials.clone()));
        let known = self.engine.within(asked).await;
        let known = known.map_err(|error| refused(&pull, error))?;
        let digest = known.descriptor.digest.unwrap_or_default();
        if digest.is_empty() {
            return Err(unavailable(&pull, "its registry named no digest"));
        }
        let source = format!("{}@{digest}", pull.image.repository());
        let guard = self.private_pulls.lock(&source).await;
        // Somebody who pulled it by its digest in the open goes on with that name.
        let containers = self.list_containers(Scope::Installation).await?;
        let is_in_use = containers.iter().any(|one| one.image == source);
        let keeper = Keeper {
            docker: docker.clone(),
            repository: self.labels.repository(pull.project_id),
            tag: pull.deployment_id.as_uuid().simple().to_string(),
            keeps_source: is_in_use,
            source,
            _guard: guard,
        };
        let options = CreateImageOptionsBuilder::default()
            .from_image(&keeper.source)
            .build();
        let docker = docker.with_timeout(NO_LIMIT);
        let messages = docker.create_image(Some(options), None, Some(credentials));
        let image = pull.image.clone();
        let mut progress = Progress::default();
        let lines = messages
            .map_err(move |error| refused(&pull, error))
            .try_filter_map(move |message| {
                std::future::ready(Ok(pull_line(&mut progress, message)))
            });
        let end = stream::once(async move {
            let kept = keeper.keep().await;
            kept.map_err(|error| failed(format!("keep image {image}"), error))
        });
        // The stream's user stops at its first error, and so does this one.
        let end = end.try_filter_map(|()| std::future::ready(Ok(None)));
        Ok(until_error(lines.chain(end)).boxed())
    }
}

/// The items up to the first error, and that one.
fn until_error(
    lines: impl futures_util::Stream<Item = DriverResult<String>> + Send + 'static,
) -> impl futures_util::Stream<Item = DriverResult<String>> + Send + 'static {
    lines.scan(false, |has_failed, line| {
        let next = (!*has_failed).then_some(line);
        *has_failed = *has_failed || matches!(next, Some(Err(_)));
        std::future::ready(next)
    })
}

/// What becomes of an image after its pull.
struct Keeper {
    docker: Docker,
    /// The project's.
    repository: String,
    /// The deployment's.
    tag: String,
    /// What it was pulled as.
    source: String,
    keeps_source: bool,
    _guard: OwnedMutexGuard<()>,
}

impl Keeper {
    /// Names the image after the deployment and takes the registry's name from it.
    async fn keep(&self) -> Result<(), Error> {
        let options = TagImageOptionsBuilder::default()
            .repo(&self.repository)
            .tag(&self.tag)
            .build();
        self.docker.tag_image(&self.source, Some(options)).await?;
        if self.keeps_source {
            return Ok(());
        }
        let removed = self
            .docker
            .remove_image(&self.source, None::<RemoveImageOptions>, None)
            .await;
        match removed {
            Ok(_) => Ok(()),
            Err(error) if has_status(&error, 404) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn docker_credentials(pull: &PrivatePull) -> DockerCredentials {
    let credentials = &pull.credentials;
    DockerCredentials {
        username: Some(credentials.username.clone()),
        password: Some(credentials.password.expose_secret().to_owned()),
        serveraddress: Some(pull.image.registry().to_string()),
        ..DockerCredentials::default()
    }
}

fn unavailable(pull: &PrivatePull, reason: &str) -> DriverError {
    DriverError::ImageUnavailable {
        image: pull.image.to_string(),
        reason: reason.to_owned(),
    }
}

fn refused(pull: &PrivatePull, error: Error) -> DriverError {
    let message = match &error {
        Error::DockerStreamError { error } => Some(error.as_str()),
        _ => answer(&error).map(|(_, message)| message),
    };
    match message {
        Some(message) => unavailable(pull, &private_reason(&pull.image, message)),
        None => failed(format!("pull image {}", pull.image), error),
    }
}

/// Why a registry gave no image to who showed credentials.
fn private_reason(image: &ImageRef, message: &str) -> String {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&[
        "no basic auth credentials",
        "unauthorized",
        "incorrect username",
        "denied",
    ]) {
        return format!(
            "the registry {} refused the project's credentials, or they may not read it; set others with `tose registry set`",
            image.registry()
        );
    }
    registry_reason(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_registry_and_what_to_set() {
        let image: ImageRef = "ghcr.io/a/b:0".parse().expect("an image");
        let said = private_reason(&image, "Head \"https://ghcr.io/v2/\": unauthorized: bad");
        assert!(said.contains("the registry ghcr.io refused"), "{said}");
        assert!(said.contains("tose registry set"), "{said}");
        let said = private_reason(&image, "manifest unknown: manifest unknown");
        assert_eq!(said, "its registry has no such tag");
    }
}
