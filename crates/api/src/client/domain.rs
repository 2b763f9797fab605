//! A project's host names.

use reqwest::{Method, Url};

use super::transport::json;
use super::{Client, Result};
use crate::domain::{AddDomain, DomainView, SetCertificate};
use crate::domain_settings::DomainSettings;
use crate::workspace::Deleted;
use crate::{DomainId, Slug};

impl Client {
    /// `GET P/domains`.
    pub async fn list_domains(&self, workspace: &Slug, project: &Slug) -> Result<Vec<DomainView>> {
        self.transport
            .get(self.project_url(workspace, project, &["domains"]))
            .await
    }

    /// `POST P/domains`: brings a host name; the answer has the DNS records to set.
    pub async fn add_domain(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &AddDomain,
    ) -> Result<DomainView> {
        let url = self.project_url(workspace, project, &["domains"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `POST P/domains/:id/verify`: looks at its DNS now.
    pub async fn verify_domain(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DomainId,
    ) -> Result<DomainView> {
        let url = self.domain_url(workspace, project, id, &["verify"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `PUT P/domains/:id/certificate`: brings a certificate.
    pub async fn set_certificate(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DomainId,
        body: &SetCertificate,
    ) -> Result<DomainView> {
        let url = self.domain_url(workspace, project, id, &["certificate"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE P/domains/:id/certificate`: forgets one that was brought.
    pub async fn delete_certificate(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DomainId,
    ) -> Result<DomainView> {
        let url = self.domain_url(workspace, project, id, &["certificate"]);
        self.transport.send(Method::DELETE, url, None).await
    }

    /// `PUT P/domains/:id/settings`: says what visitors meet before the app. A user without a password
    /// keeps the one that the name has.
    pub async fn set_domain_settings(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DomainId,
        body: &DomainSettings,
    ) -> Result<DomainView> {
        let url = self.domain_url(workspace, project, id, &["settings"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE P/domains/:id`: gives a host name up.
    pub async fn delete_domain(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DomainId,
    ) -> Result<Deleted> {
        let url = self.domain_url(workspace, project, id, &[]);
        self.transport.send(Method::DELETE, url, None).await
    }

    fn domain_url(&self, workspace: &Slug, project: &Slug, id: DomainId, rest: &[&str]) -> Url {
        let id = id.to_string();
        let path = [&["domains", id.as_str()][..], rest].concat();
        self.project_url(workspace, project, &path)
    }
}
