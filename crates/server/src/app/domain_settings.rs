//! What visitors of a domain meet on their way to the app.
//!
//! Invariants: a password is kept as a salted digest, sealed, and never shown; a path leads to a project
//! of the same workspace, and nowhere once that is gone; no redirect within the workspace leads back.

use std::collections::{BTreeMap, HashMap};

use tose_api::domain::DomainView;
use tose_api::domain_settings::{DomainSettings, DomainUser, PathRoute};
use tose_api::{Hostname, ProjectId};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_model::route::{Credential, PathRule, Rules};
use tose_model::secret::{ExposeSecret, Sealed, SecretString};
use tose_store::{Domain, ProjectHost, StoredPath, StoredSettings};

use crate::app::{Platform, vault_error};
use crate::secrets::Place;

/// The limit of a body is written in MiB and kept in bytes.
const MIB: u64 = 1024 * 1024;

/// The projects that paths of some domains lead to, without those that are gone.
#[derive(Default)]
pub(crate) struct PathTargets(HashMap<ProjectId, ProjectHost>);

impl PathTargets {
    /// The settings as their owner wrote them, without passwords.
    pub(super) fn view(&self, stored: StoredSettings) -> DomainSettings {
        let paths = stored.paths.into_iter().filter_map(|path| {
            Some(PathRoute {
                project: self.0.get(&path.project_id)?.slug.clone(),
                prefix: path.prefix,
                strip_prefix: path.strip_prefix,
            })
        });
        DomainSettings {
            paths: paths.collect(),
            ..stored.settings
        }
    }

    fn rules(&self, stored: &[StoredPath]) -> Vec<PathRule> {
        let rules = stored.iter().filter_map(|path| {
            Some(PathRule {
                prefix: path.prefix.clone(),
                host: self.0.get(&path.project_id)?.hostname.clone(),
                project_id: path.project_id,
                strip_prefix: path.strip_prefix,
            })
        });
        rules.collect()
    }
}

impl Platform {
    /// Puts settings in place of the domain's.
    pub(crate) async fn set_domain_settings(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
        input: DomainSettings,
    ) -> Result<DomainView> {
        let (project, domain) = self.find_domain(access, slug, id).await?;
        if let Some((field, problem)) = input.problem() {
            return Err(Error::invalid_field(field, problem));
        }
        if let Some(to) = &input.redirect_to {
            let redirects = self.store.list_redirects(access.scope()).await?;
            check_redirect(&domain.hostname, to, &redirects)?;
        }
        let paths = self
            .find_paths(access.scope(), &project, input.paths)
            .await?;
        let credentials = self.credentials(&domain, &input.users)?;
        let new = StoredSettings {
            settings: DomainSettings {
                users: without_passwords(input.users),
                paths: Vec::new(),
                ..input
            },
            paths,
            sealed_users: self.seal_users(&domain, &credentials),
        };
        let target = format!("{}/{}", project.slug, domain.hostname);
        let event = self.event(access, "domain.settings", target);
        self.store
            .set_domain_settings(access.scope(), project.id, domain.id, &new, &event)
            .await?;
        self.signals.project(project.id);
        self.domain_view(access, &project, domain.id).await
    }

    /// The projects that paths of these domains lead to.
    pub(crate) async fn path_targets(
        &self,
        scope: &WorkspaceScope,
        domains: &[Domain],
    ) -> Result<PathTargets> {
        if domains
            .iter()
            .all(|domain| domain.settings.paths.is_empty())
        {
            return Ok(PathTargets::default());
        }
        let hosts = self.store.list_project_hosts(scope).await?;
        let by_id = hosts.into_iter().map(|host| (host.project_id, host));
        Ok(PathTargets(by_id.collect()))
    }

    /// The domain's settings as the data plane gets them; `None` where visitors meet nothing.
    pub(crate) fn rules(
        &self,
        domain: &Domain,
        targets: &PathTargets,
    ) -> Result<Option<Box<Rules>>> {
        let settings = &domain.settings.settings;
        let users = self.open_users(domain)?;
        if users.len() != settings.users.len() {
            // Without them everybody would come in.
            let text = format!("the passwords of {} are not there", domain.hostname);
            return Err(Error::internal(text, "the database was changed by hand"));
        }
        let rules = Rules {
            allowed_ips: settings.allowed_ips.clone(),
            redirect_to: settings.redirect_to.clone(),
            requests_per_second: settings.requests_per_second,
            users,
            maintenance: settings.maintenance,
            max_requests: settings.max_requests,
            max_body_bytes: settings.max_body_mb.map(|mb| u64::from(mb) * MIB),
            paths: targets.rules(&domain.settings.paths),
            sticky: settings.sticky,
            upstream: settings.upstream,
            compression: settings.compression,
            hsts: settings.hsts,
            maintenance_page: settings.maintenance_page.clone(),
            error_page: settings.error_page.clone(),
            access_log: settings.access_log,
        };
        Ok((rules != Rules::default()).then(|| Box::new(rules)))
    }

    async fn find_paths(
        &self,
        scope: &WorkspaceScope,
        project: &Project,
        paths: Vec<PathRoute>,
    ) -> Result<Vec<StoredPath>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let hosts = self.store.list_project_hosts(scope).await?;
        let find = |(index, path): (usize, PathRoute)| {
            let invalid = |problem| Error::invalid_field(format!("paths.{index}.project"), problem);
            let slug = path.project;
            let Some(host) = hosts.iter().find(|host| host.slug == slug) else {
                return Err(invalid(format!("the workspace has no project {slug}")));
            };
            if host.project_id == project.id {
                let problem = format!("{slug} has the domain already; leave this path out");
                return Err(invalid(problem));
            }
            Ok(StoredPath {
                prefix: path.prefix,
                project_id: host.project_id,
                strip_prefix: path.strip_prefix,
            })
        };
        paths.into_iter().enumerate().map(find).collect()
    }

    /// By what these users are known: by their new passwords, or by those that they have.
    fn credentials(&self, domain: &Domain, users: &[DomainUser]) -> Result<Vec<Credential>> {
        let keeps_any = users.iter().any(|user| user.password.is_none());
        let known = if keeps_any {
            self.open_users(domain)?
        } else {
            Vec::new()
        };
        let credential = |(index, user): (usize, &DomainUser)| {
            if let Some(password) = &user.password {
                let mut salt = [0; 16];
                self.ids.fill(&mut salt);
                let password = SecretString::from(password.as_str());
                return Ok(Credential::new(user.name.clone(), &password, salt));
            }
            let kept = known.iter().find(|known| known.name == user.name).cloned();
            kept.ok_or_else(|| {
                let problem = format!("is needed: {} has none so far", user.name);
                Error::invalid_field(format!("users.{index}.password"), problem)
            })
        };
        users.iter().enumerate().map(credential).collect()
    }

    fn seal_users(&self, domain: &Domain, users: &[Credential]) -> Option<Sealed> {
        if users.is_empty() {
            return None;
        }
        let text = serde_json::to_string(users).expect("credentials are texts");
        Some(self.vault.seal(place(domain), &text, self.ids.as_ref()))
    }

    fn open_users(&self, domain: &Domain) -> Result<Vec<Credential>> {
        let Some(sealed) = &domain.settings.sealed_users else {
            return Ok(Vec::new());
        };
        let text = self
            .vault
            .open(place(domain), sealed)
            .map_err(vault_error)?;
        serde_json::from_str(text.expose_secret())
            .map_err(|error| Error::internal("the users of a domain could not be read", error))
    }
}

fn place(domain: &Domain) -> Place<'static> {
    Place::DomainUsers {
        workspace_id: domain.workspace_id,
        domain_id: domain.id,
    }
}

fn without_passwords(users: Vec<DomainUser>) -> Vec<DomainUser> {
    let users = users.into_iter().map(|user| DomainUser {
        password: None,
        ..user
    });
    users.collect()
}

/// Refuses what would send visitors in circles, as far as this workspace's domains tell.
fn check_redirect(
    from: &Hostname,
    to: &Hostname,
    redirects: &BTreeMap<Hostname, Hostname>,
) -> Result<()> {
    let invalid = |problem: String| Err(Error::invalid_field("redirect_to", problem));
    if to == from {
        return invalid("is this domain itself".to_owned());
    }
    let Some(second) = redirects.get(to) else {
        return Ok(());
    };
    let mut next = second;
    // Who is not through after all redirects goes in circles elsewhere.
    for _ in 0..=redirects.len() {
        if next == from {
            break;
        }
        match redirects.get(next) {
            Some(further) => next = further,
            None => return Ok(()),
        }
    }
    invalid(format!(
        "leads in a circle: {to} itself redirects to {second}; change that first"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_in_circles_are_refused_however_long_they_are() {
        let host = |name: &str| -> Hostname { name.parse().expect("a host name") };
        let check = |to: &str, redirects: &[(&str, &str)], is_good: bool| {
            let redirects = redirects.iter().map(|(from, to)| (host(from), host(to)));
            let found = check_redirect(&host("a.example"), &host(to), &redirects.collect());
            assert_eq!(found.is_ok(), is_good, "{to}: {found:?}");
        };
        check("a.example", &[], false);
        check("b.example", &[], true);
        // Its own redirect so far does not count.
        check("b.example", &[("a.example", "c.example")], true);
        check("b.example", &[("b.example", "c.example")], true);
        check("b.example", &[("b.example", "a.example")], false);
        let long = [("b.example", "c.example"), ("c.example", "a.example")];
        check("b.example", &long, false);
        let elsewhere = [("b.example", "c.example"), ("c.example", "b.example")];
        check("b.example", &elsewhere, false);
    }
}
