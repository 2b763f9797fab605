//! Events: which project to look at again.

use std::collections::HashMap;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use futures_util::future;
use futures_util::stream::BoxStream;
use tose_api::Timestamp;
use tose_model::driver::{DriverResult, EngineEvent, Scope};

use crate::DockerDriver;
use crate::error::{failed, refused};

/// What may change a replica's state.
const ACTIONS: [&str; 5] = ["start", "die", "oom", "destroy", "health_status"];

impl DockerDriver {
    pub(crate) async fn watch_events(
        &self,
    ) -> DriverResult<BoxStream<'static, DriverResult<EngineEvent>>> {
        let docker = self.engine.docker().await?;
        let about = self.engine.within(docker.info()).await;
        let about = about.map_err(|error| self.engine.failed("tell the time", error))?;
        let now = about
            .system_time
            .and_then(|time| time.parse::<Timestamp>().ok());
        let Some(now) = now else {
            return Err(refused("tell the time", "its answer has none"));
        };
        // The client connects when the stream is first read. Asking from this moment on, by the
        // engine's clock, keeps what happens until then.
        let nanos = now.as_nanos();
        let since = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
        let mut filters = self.labels.filters(Scope::Installation);
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        filters.insert("event".to_owned(), ACTIONS.map(str::to_owned).into());
        let options = EventsOptionsBuilder::default()
            .since(&since)
            .filters(&filters)
            .build();
        let labels = self.labels.clone();
        let events = docker.events(Some(options)).filter_map(move |event| {
            future::ready(match event {
                Ok(event) => {
                    let attributes = attributes(event);
                    let name = attributes.get("name").map_or("", String::as_str);
                    let identity = labels.identify(name, &attributes);
                    identity.map(|ours| {
                        Ok(EngineEvent {
                            project_id: ours.key.project_id,
                        })
                    })
                }
                Err(error) => Some(Err(failed("tell what happens", error))),
            })
        });
        Ok(events.boxed())
    }
}

fn attributes(event: EventMessage) -> HashMap<String, String> {
    event
        .actor
        .and_then(|actor| actor.attributes)
        .unwrap_or_default()
}
