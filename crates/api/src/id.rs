//! Ids: opaque strings outside, UUIDv7 inside, one type per resource so that they cannot be mixed up.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text that is no id of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no id")]
pub struct InvalidId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an id from a UUID, normally a fresh one from `IdGen`.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::name::deserialize_from_str(deserializer, "an id")
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "format": "uuid",
                    "description": "An opaque id",
                    "examples": ["01990d2c-7a80-7cc4-9f6b-3a1de61a2b4c"],
                })
            }
        }
    )*};
}

ids! {
    /// A person's account.
    UserId;
    /// A workspace: the unit of isolation, membership and billing.
    WorkspaceId;
    /// A project: one app with its configuration and its deployments.
    ProjectId;
    /// One attempt to bring a version of a project to life.
    DeploymentId;
    /// A command that runs once.
    JobId;
    /// An API key.
    ApiKeyId;
    /// A backup of a database.
    BackupId;
    /// A host name that leads to a project.
    DomainId;
    /// A rule about what projects use and serve.
    AlertId;
    /// An outside service that a project's log lines are forwarded to.
    DrainId;
    /// A line of a workspace's audit log.
    EventId;
    /// Something that people are told of.
    NoticeId;
    /// A way in which a workspace is told of what happens.
    NotificationChannelId;
    /// A person's login in one browser or program.
    SessionId;
    /// A time in which failures are expected.
    MaintenanceId;
    /// An offer to become a member of a workspace.
    InvitationId;
    /// A push event that was received for a project.
    PushDeliveryId;
    /// A payment that a provider has told of.
    PaymentId;
    /// A payment that a workspace was asked for.
    TopupId;
    /// An entry of the ledger.
    TransactionId;
}
