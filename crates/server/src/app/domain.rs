//! Host names of a project.

use tose_api::domain::DomainView;
use tose_model::access::Access;
use tose_model::error::Result;
use tose_store::Domain;

use crate::app::Platform;

impl Platform {
    pub(crate) async fn list_domains(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<Vec<DomainView>> {
        let project = self.find_project(access, slug).await?;
        let domains = self.store.list_domains(access.scope(), project.id).await?;
        Ok(domains.into_iter().map(view).collect())
    }
}

fn view(domain: Domain) -> DomainView {
    DomainView {
        id: domain.id,
        domain: domain.hostname,
        status: domain.status,
        is_default: domain.is_default,
        created_at: domain.created_at,
    }
}
