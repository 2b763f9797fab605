//! HTTPS of domains: what is known of it, and certificates that users bring.

use std::collections::HashSet;

use tose_api::domain::{
    CertificateSource, DomainStatus, DomainView, HttpsStatus, HttpsView, SetCertificate,
};
use tose_api::{DomainId, Hostname, Timestamp};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_model::secret::{ExposeSecret, Sealed, SecretString};
use tose_proxy::certificates::{Certificate, Name, certified};
use tose_store::{CertificateState, Domain, NewCertificate};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

use crate::app::Platform;
use crate::secrets::Place;

/// The domains of a project that have a certificate, and where they are served with it.
pub(crate) struct HostsWithHttps {
    port: Option<u16>,
    domains: HashSet<DomainId>,
    /// Whether the platform's own certificate serves the name that it gave.
    is_shared: bool,
}

impl HostsWithHttps {
    /// Where visitors of a domain are sent who come without HTTPS.
    pub(crate) fn port_of(&self, domain: &Domain) -> Option<u16> {
        let is_shared = self.is_shared && domain.is_default;
        self.port
            .filter(|_| is_shared || self.domains.contains(&domain.id))
    }
}

impl Platform {
    pub(crate) async fn hosts_with_https(
        &self,
        scope: &WorkspaceScope,
        project: &Project,
    ) -> Result<HostsWithHttps> {
        let port = self.config.https_addr.addr().map(|addr| addr.port());
        let certificates = match port {
            Some(_) => self.store.list_certificates(scope, project.id).await?,
            None => Vec::new(),
        };
        let now = self.now();
        let good = certificates
            .iter()
            .filter(|state| state.not_after.is_some_and(|at| at > now));
        Ok(HostsWithHttps {
            port,
            domains: good.map(|state| state.domain_id).collect(),
            is_shared: self.wildcard_covers(&project.hostname),
        })
    }

    /// Whether certificates are ordered for names like this one.
    fn orders_for(&self, domain: &Domain) -> bool {
        self.config.acme.is_some()
            && self.config.https_addr.addr().is_some()
            && (!domain.is_default || self.config.has_public_base())
    }

    pub(super) fn https_view(
        &self,
        domain: &Domain,
        state: Option<&CertificateState>,
    ) -> HttpsView {
        let not_after = state.and_then(|state| state.not_after);
        let reason = state.and_then(|state| state.reason.clone());
        let is_good = not_after.is_some_and(|at| at > self.now());
        if !is_good
            && domain.is_default
            && let Some(expires_at) = self.wildcard_expiry(&domain.hostname)
        {
            return HttpsView {
                status: HttpsStatus::Active,
                reason: None,
                source: Some(CertificateSource::Acme),
                expires_at: Some(expires_at),
            };
        }
        let (status, reason) = if self.config.https_addr.addr().is_none() {
            (
                HttpsStatus::Off,
                Some("this server serves no HTTPS".to_owned()),
            )
        } else if is_good {
            (HttpsStatus::Active, reason)
        } else if not_after.is_some() && reason.is_none() {
            (
                HttpsStatus::Failed,
                Some("the certificate has expired".to_owned()),
            )
        } else if reason.is_some() {
            (HttpsStatus::Failed, reason)
        } else if !self.orders_for(domain) {
            let text = "this server orders no certificate for it; bring one";
            (HttpsStatus::Off, Some(text.to_owned()))
        } else if domain.status != DomainStatus::Active {
            let text = "a certificate is ordered once the domain is active";
            (HttpsStatus::Pending, Some(text.to_owned()))
        } else {
            (HttpsStatus::Pending, None)
        };
        HttpsView {
            status,
            reason,
            source: state
                .filter(|_| not_after.is_some())
                .map(|state| state.source),
            expires_at: not_after,
        }
    }

    /// Takes a certificate that the domain's owner brings.
    pub(crate) async fn set_certificate(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
        input: SetCertificate,
    ) -> Result<DomainView> {
        let (project, domain) = self.find_domain(access, slug, id).await?;
        let key = SecretString::from(input.private_key);
        let not_after = check(&domain.hostname, &input.certificate, &key, self.now())?;
        let target = format!("{}/{}", project.slug, domain.hostname);
        let event = self.event(access, "domain.certificate", target);
        let new = NewCertificate {
            source: CertificateSource::Uploaded,
            sealed_key: self.seal_key(&Name::Host(domain.hostname.clone()), &key),
            chain: input.certificate,
            not_after,
            next_at: None,
        };
        self.store
            .set_certificate(access.scope(), domain.id, &new, Some(&event))
            .await?;
        if domain.status == DomainStatus::Active {
            self.use_certificate(access.scope(), domain.id).await?;
        }
        self.signals.project(project.id);
        self.domain_view(access, &project, domain.id).await
    }

    /// Forgets a certificate that the domain's owner brought; one is ordered instead, where the server
    /// orders any.
    pub(crate) async fn delete_certificate(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<DomainView> {
        let (project, domain) = self.find_domain(access, slug, id).await?;
        let target = format!("{}/{}", project.slug, domain.hostname);
        let event = self.event(access, "domain.certificate_delete", target);
        self.store
            .delete_uploaded_certificate(access.scope(), domain.id, &event)
            .await?;
        self.signals.project(project.id);
        self.signals.certificates();
        self.domain_view(access, &project, domain.id).await
    }

    /// Seals the key of a certificate as the proxy opens it.
    pub(crate) fn seal_key(&self, name: &Name, key: &SecretString) -> Sealed {
        let name = name.to_string();
        let place = Place::CertificateKey { name: &name };
        self.vault
            .seal(place, key.expose_secret(), self.ids.as_ref())
    }

    /// Gives the certificate of an active domain to the proxy, if it has one.
    pub(crate) async fn use_certificate(&self, scope: &WorkspaceScope, id: DomainId) -> Result<()> {
        let Some(stored) = self.store.find_certificate(scope, id).await? else {
            return Ok(());
        };
        let hostname = &stored.hostname;
        let (folder, name) = (self.certificates.clone(), Name::Host(hostname.clone()));
        let certificate = Certificate {
            chain: stored.chain,
            sealed_key: stored.sealed_key.as_bytes().to_vec(),
        };
        let written = tokio::task::spawn_blocking(move || folder.write(&name, &certificate));
        let failed =
            |error: tose_proxy::Error| Error::internal("a certificate could not be written", error);
        written
            .await
            .map_err(|error| Error::internal("a certificate could not be written", error))?
            .map_err(failed)?;
        // A proxy that does not answer reads it when it starts anew.
        if let Err(error) = self
            .data_plane
            .forget_certificates(std::slice::from_ref(hostname))
            .await
        {
            tracing::warn!(%hostname, error = &error as &dyn std::error::Error, "the proxy was not told of a certificate");
        }
        Ok(())
    }
}

/// Until when a certificate is good, if it can be used for the host.
fn check(
    hostname: &Hostname,
    chain: &str,
    key: &SecretString,
    now: Timestamp,
) -> Result<Timestamp> {
    let invalid = |problem: String| Error::invalid_field("certificate", problem);
    certified(chain, key)
        .map_err(|error| invalid(format!("cannot be used with this private_key: {error}")))?;
    let facts = read(chain).ok_or_else(|| invalid("is no certificate in PEM".to_owned()))?;
    if facts.not_after <= now {
        return Err(invalid("has expired; bring a newer one".to_owned()));
    }
    if !facts.names.iter().any(|name| covers(name, hostname)) {
        let names = facts.names.join(", ");
        return Err(invalid(format!("is for {names}, not for {hostname}")));
    }
    Ok(facts.not_after)
}

/// What a certificate says of itself.
pub(crate) struct Facts {
    /// From when it is good.
    pub(crate) not_before: Timestamp,
    /// Until when.
    pub(crate) not_after: Timestamp,
    names: Vec<String>,
}

/// Reads the first certificate of a chain.
pub(crate) fn read(chain: &str) -> Option<Facts> {
    let pem = Pem::iter_from_buffer(chain.as_bytes()).next()?.ok()?;
    let certificate = pem.parse_x509().ok()?;
    let time = |seconds: i64| Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000));
    let names = certificate.subject_alternative_name().ok()??;
    let names = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
    Some(Facts {
        not_before: time(certificate.validity().not_before.timestamp()),
        not_after: time(certificate.validity().not_after.timestamp()),
        names: names.collect(),
    })
}

fn covers(name: &str, hostname: &Hostname) -> bool {
    let parent = hostname.as_str().split_once('.').map(|(_, parent)| parent);
    name == hostname.as_str()
        || name
            .strip_prefix("*.")
            .is_some_and(|below| Some(below) == parent)
}
