//! Databases that are reached from the outside, each on a port of its own.
//!
//! What is here is intent: the port and who may come. The pass over the project has the proxy listen
//! (`tasks/project_pass/exposure.rs`).

use tose_api::database::{DatabaseView, ExposeDatabase, ExposeView};
use tose_api::workspace::Role;
use tose_model::access::Access;
use tose_model::database::{self, Database, Exposure};
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_model::secret::{ExposeSecret, SecretString};
use tose_proxy::certificates::{Certificate, Name};

use crate::app::Platform;

impl Platform {
    /// Opens a database to the outside, changes who may come, or closes it.
    pub(crate) async fn expose_database(
        &self,
        access: &Access,
        slug: &str,
        input: ExposeDatabase,
    ) -> Result<DatabaseView> {
        let project = self.find_project(access, slug).await?;
        self.get_database_of(access.scope(), &project).await?;
        if input.allow.len() > ExposeDatabase::MAX_ALLOW {
            let problem = format!("has at most {} entries", ExposeDatabase::MAX_ALLOW);
            return Err(Error::invalid_field("allow", problem));
        }
        match input.enabled {
            true => self.open_port(access, &project, &input).await?,
            false => {
                let event = self.event(access, "database.expose", &project.slug);
                self.store
                    .hide_database(access.scope(), project.id, &event)
                    .await?;
            }
        }
        self.signals.project(project.id);
        self.get_database(access, slug).await
    }

    async fn open_port(
        &self,
        access: &Access,
        project: &Project,
        input: &ExposeDatabase,
    ) -> Result<()> {
        let Some(ports) = self.config.databases.expose_ports.clone() else {
            let message = "this server opens no databases to the outside";
            return Err(Error::conflict("expose_off", message));
        };
        let event = self.event(access, "database.expose", &project.slug);
        let (scope, id) = (access.scope(), project.id);
        let port = self
            .store
            .expose_database(scope, id, ports, &input.allow, &event)
            .await?;
        port.map(drop).ok_or_else(|| {
            let message = "every port that the operator gives to databases is taken";
            Error::conflict("no_port_free", message)
        })
    }

    /// How a database is reached from the outside, unless the operator has switched that off.
    pub(crate) fn exposure_of<'a>(&self, database: &'a Database) -> Option<&'a Exposure> {
        let is_on = self.config.databases.expose_ports.is_some();
        database.exposure.as_ref().filter(|_| is_on)
    }

    pub(super) fn expose_view(
        &self,
        access: &Access,
        project: &Project,
        database: &Database,
    ) -> Result<Option<ExposeView>> {
        let Some(exposure) = self.exposure_of(database) else {
            return Ok(None);
        };
        let host = project.hostname.as_str();
        let mut view = ExposeView {
            host: host.to_owned(),
            port: exposure.port,
            allow: exposure.allow.clone(),
            url: None,
        };
        if access.role() >= Role::Admin {
            let account = self.open_account(database)?;
            let url = database::url(database.kind, &account, host, exposure.port);
            view.url = Some(url.expose_secret().to_owned());
        }
        Ok(Some(view))
    }

    /// Makes sure that the proxy can speak TLS with clients of databases where no certificate was ordered:
    /// with one for the names below the base domain that signs itself.
    pub(crate) async fn ensure_self_signed(&self) -> Result<()> {
        let name = Name::SelfSigned(self.config.base_domain.clone());
        let (folder, read) = (self.certificates.clone(), name.clone());
        let failed = |error| Error::internal("a certificate could not be read or written", error);
        let found = tokio::task::spawn_blocking(move || folder.read(&read)).await;
        let found = found.map_err(|error| Error::internal("a certificate was not read", error))?;
        if found.map_err(failed)?.is_some() {
            return Ok(());
        }
        let certificate = self.make_self_signed(&name)?;
        let folder = self.certificates.clone();
        let written = tokio::task::spawn_blocking(move || folder.write(&name, &certificate)).await;
        let written =
            written.map_err(|error| Error::internal("a certificate was not written", error))?;
        written.map_err(failed)
    }

    fn make_self_signed(&self, name: &Name) -> Result<Certificate> {
        let base = name.host().to_string();
        let made = rcgen::generate_simple_self_signed([format!("*.{base}"), base])
            .map_err(|error| Error::internal("a certificate could not be made", error))?;
        let key = SecretString::from(made.signing_key.serialize_pem());
        Ok(Certificate {
            chain: made.cert.pem(),
            sealed_key: self.seal_key(name, &key).as_bytes().to_vec(),
        })
    }
}
