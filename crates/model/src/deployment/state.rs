//! The one place where a deployment's status changes.

use tose_api::deployment::DeploymentStatus::{self as Status, *};

/// What happens to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its build began.
    BuildStarted,
    /// Its image is there; its replicas may start.
    ImageReady,
    /// Its replicas are ready and visitors get them.
    Promoted,
    /// It cannot come to life.
    Failure,
    /// It was called off.
    Cancel,
    /// Another one takes its place.
    Replaced,
    /// The project was stopped.
    Stop,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 7] = [
        Self::BuildStarted,
        Self::ImageReady,
        Self::Promoted,
        Self::Failure,
        Self::Cancel,
        Self::Replaced,
        Self::Stop,
    ];
}

/// The status after `event`, or `None` if it cannot happen in this status.
pub fn next(status: Status, event: Event) -> Option<Status> {
    match (status, event) {
        (Queued, Event::BuildStarted) => Some(Building),
        (Building, Event::ImageReady) => Some(Deploying),
        (Deploying, Event::Promoted) => Some(Running),
        (Queued | Building | Deploying, Event::Failure) => Some(Failed),
        (Queued | Building | Deploying, Event::Cancel) => Some(Cancelled),
        (Queued | Running, Event::Replaced) => Some(Superseded),
        (Running, Event::Stop) => Some(Stopped),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_table_is_as_written_down() {
        let mut table = String::new();
        for status in Status::ALL {
            for event in Event::ALL {
                if let Some(after) = next(status, event) {
                    table += &format!("{} + {event:?} -> {}\n", status.as_str(), after.as_str());
                }
            }
        }
        insta::assert_snapshot!(table, @r"
        queued + BuildStarted -> building
        queued + Failure -> failed
        queued + Cancel -> cancelled
        queued + Replaced -> superseded
        building + ImageReady -> deploying
        building + Failure -> failed
        building + Cancel -> cancelled
        deploying + Promoted -> running
        deploying + Failure -> failed
        deploying + Cancel -> cancelled
        running + Replaced -> superseded
        running + Stop -> stopped
        ");
    }

    #[test]
    fn every_status_on_the_way_has_an_exit_and_every_end_has_none() {
        for status in Status::ALL {
            let can_fail = next(status, Event::Failure).is_some();
            assert_eq!(can_fail, status.is_in_progress(), "{status:?}");
            if matches!(status, Failed | Stopped | Cancelled | Superseded) {
                assert!(
                    Event::ALL
                        .into_iter()
                        .all(|event| next(status, event).is_none())
                );
            }
        }
    }
}
