//! Networks: one bridge per workspace, with a small range of addresses of its own.
//!
//! The engine's own pool has room for about 30 networks. Ranges are taken from a pool of ours
//! instead: where to begin follows from the workspace, so that the same one is asked for again
//! after a lost answer, and the first that no network uses is taken.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use bollard::models::{Ipam, IpamConfig, Network, NetworkCreateRequest};
use bollard::query_parameters::{ListNetworksOptions, ListNetworksOptionsBuilder};
use tose_api::{Slug, WorkspaceId};
use tose_model::driver::{DriverResult, Scope};

use crate::DockerDriver;
use crate::error::{answer, has_status, refused};

/// A workspace's range: 61 replicas, the bridge, and two addresses that name none.
const RANGE_PREFIX: u8 = 26;
/// How often another range is tried when the engine says that one is in use.
const ATTEMPTS: usize = 32;

/// A text that is no pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an address pool is an IPv4 network from /8 to /26, such as 10.210.0.0/16")]
pub struct InvalidPool;

/// The IPv4 network that the workspaces' ranges are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPool(Range);

impl Default for NetworkPool {
    /// `10.210.0.0/16`: 1,024 workspaces.
    fn default() -> Self {
        Self(Range {
            base: u32::from(Ipv4Addr::new(10, 210, 0, 0)),
            prefix: 16,
        })
    }
}

impl FromStr for NetworkPool {
    type Err = InvalidPool;

    fn from_str(text: &str) -> Result<Self, InvalidPool> {
        match text.parse::<Range>() {
            Ok(range) if (8..=RANGE_PREFIX).contains(&range.prefix) => Ok(Self(range)),
            _ => Err(InvalidPool),
        }
    }
}

impl NetworkPool {
    /// Every range of the pool once, beginning where `workspace_id` says.
    fn ranges(self, workspace_id: WorkspaceId) -> impl Iterator<Item = Range> {
        let count = 1_u32 << (RANGE_PREFIX - self.0.prefix);
        // The tail of a UUIDv7 is random, so workspaces rarely begin at the same place.
        let [.., b0, b1, b2, b3] = *workspace_id.as_uuid().as_bytes();
        let start = u32::from_be_bytes([b0, b1, b2, b3]) % count;
        (0..count).map(move |step| {
            let index = (start + step) % count;
            Range {
                base: self.0.base + (index << (32 - RANGE_PREFIX)),
                prefix: RANGE_PREFIX,
            }
        })
    }
}

/// An IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    base: u32,
    prefix: u8,
}

impl Range {
    fn overlaps(self, other: Self) -> bool {
        let mask = mask(self.prefix.min(other.prefix));
        self.base & mask == other.base & mask
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl FromStr for Range {
    type Err = InvalidPool;

    fn from_str(text: &str) -> Result<Self, InvalidPool> {
        let (address, prefix) = text.split_once('/').ok_or(InvalidPool)?;
        let address: Ipv4Addr = address.parse().map_err(|_| InvalidPool)?;
        let prefix: u8 = prefix.parse().map_err(|_| InvalidPool)?;
        if prefix > 32 {
            return Err(InvalidPool);
        }
        Ok(Self {
            base: u32::from(address) & mask(prefix),
            prefix,
        })
    }
}

impl DockerDriver {
    pub(crate) async fn ensure_network(
        &self,
        workspace_id: WorkspaceId,
        workspace: &Slug,
    ) -> DriverResult<()> {
        let operation = || format!("make a network for workspace {workspace}");
        let _alone = self.making_network.lock().await;
        if !self.find_networks(workspace_id).await?.is_empty() {
            return Ok(());
        }
        let taken = self.list_ranges().await?;
        let is_free = |range: &Range| !taken.iter().any(|other| range.overlaps(*other));
        let docker = self.engine.docker().await?;
        for range in self
            .pool
            .ranges(workspace_id)
            .filter(is_free)
            .take(ATTEMPTS)
        {
            let request = self.network_request(workspace_id, workspace, range);
            match self.engine.within(docker.create_network(request)).await {
                // No replica is in it yet, so the rules are there before anything can be reached.
                Ok(_) => return self.replace_rules().await,
                Err(error) if is_range_conflict(&error) => {
                    tracing::debug!(%range, "the engine uses this range elsewhere");
                    // An answer may have been lost: then the range is in use by this very network.
                    if !self.find_networks(workspace_id).await?.is_empty() {
                        return Ok(());
                    }
                }
                Err(error) => return Err(self.engine.failed(operation(), error)),
            }
        }
        Err(refused(operation(), "no range of the address pool is free"))
    }

    fn network_request(
        &self,
        workspace_id: WorkspaceId,
        workspace: &Slug,
        range: Range,
    ) -> NetworkCreateRequest {
        NetworkCreateRequest {
            name: self.labels.network_name(workspace_id),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(range.to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            labels: Some(self.labels.of_network(workspace_id, workspace)),
            ..NetworkCreateRequest::default()
        }
    }

    /// Has the machine keep the networks apart that are there now.
    pub(crate) async fn guard(&self) -> DriverResult<()> {
        let _alone = self.making_network.lock().await;
        self.replace_rules().await
    }

    /// Only for those who hold the lock: a list that is older than the last one must not win.
    async fn replace_rules(&self) -> DriverResult<()> {
        if !self.is_here {
            // An engine elsewhere has its networks elsewhere.
            return Ok(());
        }
        let ours = self.list_ours().await?;
        let ids: Vec<String> = ours.into_iter().map(|(id, _)| id).collect();
        self.firewall.replace(&ids).await;
        Ok(())
    }

    pub(crate) async fn remove_network(&self, workspace_id: WorkspaceId) -> DriverResult<()> {
        let docker = self.engine.docker().await?;
        for id in self.find_networks(workspace_id).await? {
            match self.engine.within(docker.remove_network(&id)).await {
                Ok(()) => {}
                Err(error) if has_status(&error, 404) => {}
                Err(error) => {
                    let operation = format!("remove the network of workspace {workspace_id}");
                    return Err(self.engine.failed(operation, error));
                }
            }
        }
        self.guard().await
    }

    pub(crate) async fn list_workspace_networks(&self) -> DriverResult<Vec<WorkspaceId>> {
        let mut workspaces: Vec<_> = self
            .list_ours()
            .await?
            .into_iter()
            .map(|(_, workspace_id)| workspace_id)
            .collect();
        workspaces.sort_unstable();
        workspaces.dedup();
        Ok(workspaces)
    }

    /// The engine's ids of the workspace's networks: one, or none.
    async fn find_networks(&self, workspace_id: WorkspaceId) -> DriverResult<Vec<String>> {
        let ours = self.list_ours().await?.into_iter();
        Ok(ours
            .filter(|(_, of)| *of == workspace_id)
            .map(|(id, _)| id)
            .collect())
    }

    async fn list_ours(&self) -> DriverResult<Vec<(String, WorkspaceId)>> {
        let filters = self.labels.filters(Scope::Installation);
        let options = ListNetworksOptionsBuilder::default()
            .filters(&filters)
            .build();
        let networks = self.list_engine_networks(Some(options)).await?;
        let ours = networks.into_iter().filter_map(|network| {
            let labels = network.labels.unwrap_or_default();
            let workspace_id = self.labels.workspace_of(&network.name?, &labels)?;
            Some((network.id?, workspace_id))
        });
        Ok(ours.collect())
    }

    /// The IPv4 ranges of every network of the engine, ours or not.
    async fn list_ranges(&self) -> DriverResult<Vec<Range>> {
        let networks = self.list_engine_networks(None).await?;
        let configs = networks
            .into_iter()
            .filter_map(|network| network.ipam?.config)
            .flatten();
        Ok(configs
            .filter_map(|config| config.subnet?.parse().ok())
            .collect())
    }

    async fn list_engine_networks(
        &self,
        options: Option<ListNetworksOptions>,
    ) -> DriverResult<Vec<Network>> {
        let docker = self.engine.docker().await?;
        let networks = self.engine.within(docker.list_networks(options)).await;
        networks.map_err(|error| self.engine.failed("list the networks", error))
    }
}

fn is_range_conflict(error: &bollard::errors::Error) -> bool {
    answer(error).is_some_and(|(_, message)| {
        message.contains("overlap") || message.contains("conflicts with")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(tail: &str) -> WorkspaceId {
        format!("0190a0a0-0000-7000-8000-{tail}")
            .parse()
            .expect("an id")
    }

    #[test]
    fn a_workspace_begins_at_its_own_range_and_comes_around() {
        let ranges: Vec<_> = NetworkPool::default()
            .ranges(workspace("000000000003"))
            .collect();
        assert_eq!(ranges.len(), 1024);
        assert_eq!(ranges[0].to_string(), "10.210.0.192/26");
        assert_eq!(ranges[1].to_string(), "10.210.1.0/26");
        assert_eq!(ranges[1023].to_string(), "10.210.0.128/26");
    }

    #[test]
    fn ranges_overlap_when_one_holds_the_other() {
        let range = |text: &str| text.parse::<Range>().expect("a range");
        assert!(range("10.210.0.0/26").overlaps(range("10.0.0.0/8")));
        assert!(range("10.210.0.0/26").overlaps(range("0.0.0.0/0")));
        assert!(!range("10.210.0.0/26").overlaps(range("10.210.0.64/26")));
    }

    #[test]
    fn a_pool_is_a_network_that_holds_ranges() {
        assert_eq!("10.210.0.0/16".parse(), Ok(NetworkPool::default()));
        for text in [
            "10.210.0.0",
            "10.210.0.0/27",
            "10.0.0.0/4",
            "fd00::/64",
            "10.0.0.0/99",
        ] {
            assert_eq!(text.parse::<NetworkPool>(), Err(InvalidPool), "{text}");
        }
    }
}
