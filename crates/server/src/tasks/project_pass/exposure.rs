//! The port of a database that is reached from the outside: it follows the server's address.

use std::net::SocketAddr;

use tose_model::database::Exposure;
use tose_model::error::Result;
use tose_model::route::{PortRoute, Ports, ProjectRoutes};

use crate::tasks::project_pass::{Pass, replace_routes};

impl Pass<'_> {
    /// Has the proxy listen on the database's port, or on none.
    pub(super) async fn route_port(&self) -> Result<()> {
        let database = self.scene.database.as_ref();
        let exposure = database.and_then(|database| self.platform.exposure_of(database));
        let mut ports = Ports::new();
        if let Some(exposure) = exposure {
            if let Err(error) = self.platform.ensure_self_signed().await {
                // Clients without TLS get in all the same.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "there is no certificate for databases"
                );
            }
            let addr = self.platform.config.databases.expose_addr;
            let addr = SocketAddr::new(addr, exposure.port.get());
            ports.insert(addr, self.port_route(exposure));
        }
        let routes = ProjectRoutes {
            ports,
            ..ProjectRoutes::default()
        };
        replace_routes(self.platform, self.scene.project.id, routes).await
    }

    fn port_route(&self, exposure: &Exposure) -> PortRoute {
        let project = &self.scene.project;
        // While one version takes over from another, the newer one counts. Whether it takes logins is for
        // its clients to see: a server that starts anew is not to lose its port meanwhile.
        let newest = self
            .scene
            .observed
            .iter()
            .filter_map(|replica| Some((replica.generation, self.scene.addr(replica)?)))
            .max();
        PortRoute {
            project_id: project.id,
            backend: newest.map(|(_, addr)| addr),
            allow: exposure.allow.clone(),
            host: project.hostname.clone(),
            self_signed: self.platform.config.base_domain.clone(),
        }
    }
}
