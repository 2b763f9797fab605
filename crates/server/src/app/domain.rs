//! Host names of a project: the platform's own, and those that users bring.
//!
//! Invariant: a name that the platform did not give is routed only after DNS has shown that its
//! owner wants that: by a `CNAME` to the project's own host name, or a `TXT` record with a token of
//! the workspace. A claim without proof holds the name only against others without proof.

use std::time::Duration;

use tose_api::domain::{AddDomain, DnsRecord, DomainStatus, DomainView, HttpsView};
use tose_api::workspace::Deleted;
use tose_api::{DomainId, Hostname, WorkspaceId};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_store::{Domain, StoredSettings, Verdict};

use crate::app::Platform;
use crate::app::domain_settings::PathTargets;
use crate::dns::Proof;
use crate::secrets;

/// How long a claim may wait for its proof before it is called failed.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often a certificate's order may fail until asking for it makes it no earlier.
const MAX_RETRIES: u32 = 5;
/// The most names of a project besides the platform's own.
const MAX_DOMAINS: usize = 50;

impl Platform {
    pub(crate) async fn list_domains(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<Vec<DomainView>> {
        let project = self.find_project(access, slug).await?;
        let domains = self.store.list_domains(access.scope(), project.id).await?;
        let certificates = self
            .store
            .list_certificates(access.scope(), project.id)
            .await?;
        let targets = self.path_targets(access.scope(), &domains).await?;
        let views = domains.into_iter().map(|domain| {
            let state = certificates
                .iter()
                .find(|state| state.domain_id == domain.id);
            let https = self.https_view(&domain, state);
            view(domain, &project, https, &targets)
        });
        Ok(views.collect())
    }

    /// Claims a name for a project, and looks at once whether its DNS agrees.
    pub(crate) async fn add_domain(
        &self,
        access: &Access,
        slug: &str,
        input: AddDomain,
    ) -> Result<DomainView> {
        let project = self.find_project(access, slug).await?;
        let hostname = input.domain;
        self.check_foreign(&hostname)?;
        let existing = self.store.list_domains(access.scope(), project.id).await?;
        if existing.len() > MAX_DOMAINS {
            let text = format!("the project has {MAX_DOMAINS} domains; remove one first");
            return Err(Error::conflict("too_many_domains", text));
        }
        let verdict = self.ask_dns(&hostname, &project, self.now()).await;
        if verdict.status != DomainStatus::Active {
            self.check_unclaimed(access, &hostname).await?;
        }
        let new = Domain {
            id: DomainId::from_uuid(self.ids.uuid()),
            workspace_id: project.workspace_id,
            project_id: project.id,
            hostname,
            status: verdict.status,
            reason: verdict.reason,
            is_default: false,
            created_at: self.now(),
            checked_at: Some(verdict.at),
            settings: StoredSettings::default(),
        };
        let target = format!("{}/{}", project.slug, new.hostname);
        let event = self.event(access, "domain.add", target);
        self.store
            .create_domain(access.scope(), &new, &event)
            .await?;
        self.signals.project(project.id);
        self.signals.certificates();
        let https = self.https_view(&new, None);
        Ok(view(new, &project, https, &PathTargets::default()))
    }

    /// Asks DNS again, and has a certificate that could not be had ordered again.
    pub(crate) async fn verify_domain(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<DomainView> {
        let (project, domain) = self.find_domain(access, slug, id).await?;
        if !domain.is_default {
            self.check_domain(access.scope(), &domain, &project).await?;
        }
        self.store
            .retry_order(access.scope(), domain.id, MAX_RETRIES, self.now())
            .await?;
        self.signals.certificates();
        self.domain_view(access, &project, domain.id).await
    }

    pub(super) async fn domain_view(
        &self,
        access: &Access,
        project: &Project,
        id: DomainId,
    ) -> Result<DomainView> {
        let domain = self
            .store
            .get_domain(access.scope(), project.id, id)
            .await?;
        let certificates = self
            .store
            .list_certificates(access.scope(), project.id)
            .await?;
        let state = certificates.iter().find(|state| state.domain_id == id);
        let https = self.https_view(&domain, state);
        let targets = self
            .path_targets(access.scope(), std::slice::from_ref(&domain))
            .await?;
        Ok(view(domain, project, https, &targets))
    }

    pub(crate) async fn delete_domain(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<Deleted> {
        let (project, domain) = self.find_domain(access, slug, id).await?;
        let target = format!("{}/{}", project.slug, domain.hostname);
        let event = self.event(access, "domain.delete", target);
        self.store
            .delete_domain(access.scope(), project.id, domain.id, &event)
            .await?;
        self.signals.project(project.id);
        Ok(Deleted {
            deleted: domain.hostname.to_string(),
        })
    }

    /// Asks DNS for one domain and notes the answer. One that was active stays so while DNS does not
    /// answer: unknown is not absent.
    pub(crate) async fn check_domain(
        &self,
        scope: &WorkspaceScope,
        domain: &Domain,
        project: &Project,
    ) -> Result<()> {
        let verdict = self
            .ask_dns(&domain.hostname, project, domain.created_at)
            .await;
        if domain.status == DomainStatus::Active && verdict.status != DomainStatus::Active {
            return Ok(());
        }
        self.store
            .set_domain_verdict(scope, domain.id, &verdict)
            .await?;
        if verdict.status == DomainStatus::Active {
            // One may have been brought before, and visitors are sent to it from now on.
            self.use_certificate(scope, domain.id).await?;
        }
        self.signals.project(project.id);
        self.signals.certificates();
        Ok(())
    }

    async fn ask_dns(
        &self,
        hostname: &Hostname,
        project: &Project,
        claimed_at: tose_api::Timestamp,
    ) -> Verdict {
        let at = self.now();
        let token = secrets::domain_token(project.workspace_id, hostname.as_str());
        let proof = self
            .dns
            .prove(hostname, &project.hostname, &txt_name(hostname), &token)
            .await;
        let is_over = at.since(claimed_at) >= PATIENCE;
        let (status, reason) = match proof {
            Proof::Found => (DomainStatus::Active, None),
            Proof::Missing { seen } if is_over => (
                DomainStatus::Failed,
                Some(format!(
                    "no proof within seven days: {seen}; set one of the records and verify again"
                )),
            ),
            Proof::Missing { seen } => (
                DomainStatus::Pending,
                Some(format!(
                    "{seen}; set one of the records, it is looked for each minute"
                )),
            ),
            Proof::Unknown { problem } => (DomainStatus::Pending, Some(problem)),
        };
        Verdict { status, reason, at }
    }

    /// Names below the platform's own domain are the platform's to give.
    fn check_foreign(&self, hostname: &Hostname) -> Result<()> {
        let base = self.config.base_domain.as_str();
        let is_below = hostname
            .as_str()
            .strip_suffix(base)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if is_below {
            let problem =
                format!("names below {base} are given by the platform; bring a name of your own");
            return Err(Error::invalid_field("domain", problem));
        }
        // An address has digits there.
        let ends_well = hostname
            .as_str()
            .rsplit_once('.')
            .is_some_and(|(_, last)| last.starts_with(|c: char| c.is_ascii_lowercase()));
        if !ends_well {
            return Err(Error::invalid_field(
                "domain",
                "must be a full name such as app.example.com",
            ));
        }
        Ok(())
    }

    async fn check_unclaimed(&self, access: &Access, hostname: &Hostname) -> Result<()> {
        let Some(claim) = self.store.find_domain_for_task(hostname).await? else {
            return Ok(());
        };
        let own = access.scope().id();
        if claim.workspace_id == own {
            return Err(Error::conflict(
                "taken",
                "a project of this workspace has this domain; remove it there first",
            ));
        }
        let message = format!(
            "another workspace has this domain; if it is yours, set a TXT record at {} with {} and add it again",
            txt_name(hostname),
            secrets::domain_token(own, hostname.as_str())
        );
        Err(Error::conflict("taken", message))
    }

    pub(super) async fn find_domain(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<(Project, Domain)> {
        let project = self.find_project(access, slug).await?;
        let id: DomainId = id.parse().map_err(|_| Error::NotFound("domain"))?;
        let domain = self
            .store
            .get_domain(access.scope(), project.id, id)
            .await?;
        Ok((project, domain))
    }
}

/// Where the token of a name's owner stands.
fn txt_name(hostname: &Hostname) -> String {
    format!("_tose-challenge.{hostname}")
}

fn view(domain: Domain, project: &Project, https: HttpsView, targets: &PathTargets) -> DomainView {
    let dns_records = if domain.is_default {
        Vec::new()
    } else {
        records(&domain.hostname, project.workspace_id, &project.hostname)
    };
    DomainView {
        id: domain.id,
        domain: domain.hostname,
        status: domain.status,
        reason: domain.reason,
        is_default: domain.is_default,
        https,
        settings: targets.view(domain.settings),
        dns_records,
        created_at: domain.created_at,
        checked_at: domain.checked_at,
    }
}

fn records(hostname: &Hostname, workspace_id: WorkspaceId, target: &Hostname) -> Vec<DnsRecord> {
    let record = |record_type: &str, name: String, value: String, purpose: &str| DnsRecord {
        record_type: record_type.to_owned(),
        name,
        value,
        purpose: purpose.to_owned(),
    };
    vec![
        record(
            "CNAME",
            hostname.to_string(),
            target.to_string(),
            "leads visitors here, and proves that the name is yours",
        ),
        record(
            "TXT",
            txt_name(hostname),
            secrets::domain_token(workspace_id, hostname.as_str()),
            "proves that the name is yours, where it cannot have a CNAME: point its A record here as well",
        ),
    ]
}
