//! Certificates of domains, and the orders for them.
//!
//! Invariants: a domain has at most one; what is in use stays until another one takes its place; an
//! uploaded one is never ordered anew.

use tose_api::domain::CertificateSource;
use tose_api::{DomainId, Hostname, ProjectId, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::secret::Sealed;

use crate::database::{Store, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

/// What is known of a domain's certificate, without the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateState {
    /// The domain.
    pub domain_id: DomainId,
    /// Where it is from.
    pub source: CertificateSource,
    /// Until when it is good; `None` while there is none.
    pub not_after: Option<Timestamp>,
    /// Why the last order failed.
    pub reason: Option<String>,
    /// When the next one is due.
    pub next_at: Option<Timestamp>,
}

/// A certificate with its key, and the host that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCertificate {
    /// The host.
    pub hostname: Hostname,
    /// PEM, the host's own first.
    pub chain: String,
    /// The private key.
    pub sealed_key: Sealed,
}

/// A certificate that is in use and expires soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringCertificate {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// The host.
    pub hostname: Hostname,
    /// When it expires.
    pub not_after: Timestamp,
}

/// A new certificate of a domain.
#[derive(Debug, Clone)]
pub struct NewCertificate {
    /// Where it is from.
    pub source: CertificateSource,
    /// PEM, the host's own first.
    pub chain: String,
    /// The private key.
    pub sealed_key: Sealed,
    /// Until when it is good.
    pub not_after: Timestamp,
    /// When the next one is to be ordered; `None` for never.
    pub next_at: Option<Timestamp>,
}

/// A domain for which a certificate is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCertificate {
    /// The domain.
    pub domain_id: DomainId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// The host.
    pub hostname: Hostname,
    /// Orders that failed since the last one that did not.
    pub failures: u32,
}

#[derive(sqlx::FromRow)]
struct StateRow {
    domain_id: String,
    source: String,
    not_after: Option<i64>,
    reason: Option<String>,
    next_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct DueRow {
    id: String,
    workspace_id: String,
    project_id: String,
    hostname: String,
    failures: i64,
}

const fn source_text(source: CertificateSource) -> &'static str {
    match source {
        CertificateSource::Acme => "acme",
        CertificateSource::Uploaded => "uploaded",
    }
}

impl Store {
    /// What is known of the certificates of a project's domains.
    pub async fn list_certificates(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Vec<CertificateState>> {
        let rows: Vec<StateRow> = sqlx::query_as(
            "SELECT c.domain_id, c.source, c.not_after, c.reason, c.next_at
             FROM certificates c JOIN domains d ON d.id = c.domain_id
             WHERE d.workspace_id = $1 AND d.project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list certificates"))?;
        rows.into_iter()
            .map(|row| {
                Ok(CertificateState {
                    domain_id: row::parse("certificates.domain_id", &row.domain_id)?,
                    source: row::parse_enum("certificates.source", row.source)?,
                    not_after: row.not_after.map(row::to_time),
                    reason: row.reason,
                    next_at: row.next_at.map(row::to_time),
                })
            })
            .collect()
    }

    /// The certificate of a domain, if it has one.
    pub async fn find_certificate(
        &self,
        scope: &WorkspaceScope,
        domain_id: DomainId,
    ) -> Result<Option<StoredCertificate>> {
        let found: Option<(String, String, Vec<u8>)> = sqlx::query_as(
            "SELECT d.hostname, c.chain, c.sealed_key
             FROM certificates c JOIN domains d ON d.id = c.domain_id
             WHERE d.workspace_id = $1 AND d.id = $2 AND c.chain IS NOT NULL",
        )
        .bind(scope.id().to_string())
        .bind(domain_id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a certificate"))?;
        found.map(stored).transpose()
    }

    /// Every certificate that is in use: for the task that gives them to the proxy.
    pub async fn list_certificates_for_task(&self) -> Result<Vec<StoredCertificate>> {
        let rows: Vec<(String, String, Vec<u8>)> = sqlx::query_as(
            "SELECT d.hostname, c.chain, c.sealed_key
             FROM certificates c JOIN domains d ON d.id = c.domain_id
             WHERE c.chain IS NOT NULL AND d.status = 'active'",
        )
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list all certificates"))?;
        rows.into_iter().map(stored).collect()
    }

    /// Certificates in use that expire within this time, and have not expired.
    pub async fn list_expiring_certificates_for_task(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<ExpiringCertificate>> {
        let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
            "SELECT d.workspace_id, d.project_id, d.hostname, c.not_after
             FROM certificates c JOIN domains d ON d.id = c.domain_id
             WHERE d.status = 'active' AND c.not_after > $1 AND c.not_after <= $2",
        )
        .bind(now.as_nanos())
        .bind(until.as_nanos())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list certificates that expire"))?;
        rows.into_iter()
            .map(|(workspace_id, project_id, hostname, not_after)| {
                Ok(ExpiringCertificate {
                    workspace_id: row::parse("domains.workspace_id", &workspace_id)?,
                    project_id: row::parse("domains.project_id", &project_id)?,
                    hostname: row::parse("domains.hostname", &hostname)?,
                    not_after: row::to_time(not_after),
                })
            })
            .collect()
    }

    /// Active domains for which an order is due, those that wait longest first. `defaults` says
    /// whether names that the platform gave are among them.
    pub async fn list_due_certificates_for_task(
        &self,
        defaults: Defaults,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<DueCertificate>> {
        let rows: Vec<DueRow> = sqlx::query_as(
            "SELECT d.id, d.workspace_id, d.project_id, d.hostname, COALESCE(c.failures, 0) AS failures
             FROM domains d LEFT JOIN certificates c ON c.domain_id = d.id
             JOIN projects p ON p.id = d.project_id AND p.deleted_at IS NULL AND p.kind <> 'database'
             WHERE d.status = 'active' AND (d.is_default = 0 OR $1)
               AND (c.domain_id IS NULL OR c.next_at <= $2)
             ORDER BY COALESCE(c.next_at, 0), d.created_at LIMIT $3",
        )
        .bind(defaults == Defaults::Included)
        .bind(now.as_nanos())
        .bind(i64::from(most))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list due certificates"))?;
        rows.into_iter()
            .map(|row| {
                Ok(DueCertificate {
                    domain_id: row::parse("domains.id", &row.id)?,
                    workspace_id: row::parse("domains.workspace_id", &row.workspace_id)?,
                    project_id: row::parse("domains.project_id", &row.project_id)?,
                    hostname: row::parse("domains.hostname", &row.hostname)?,
                    failures: row::to_u32("certificates.failures", row.failures)?,
                })
            })
            .collect()
    }

    /// How many of a workspace's domains had a certificate ordered since then.
    pub async fn count_orders(&self, scope: &WorkspaceScope, since: Timestamp) -> Result<u32> {
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM certificates WHERE workspace_id = $1 AND ordered_at > $2",
        )
        .bind(scope.id().to_string())
        .bind(since.as_nanos())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("count a workspace's orders"))?;
        row::to_u32("certificates", count)
    }

    /// How many domains had a certificate ordered since then.
    pub async fn count_orders_for_task(&self, since: Timestamp) -> Result<u32> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM certificates WHERE ordered_at > $1")
                .bind(since.as_nanos())
                .fetch_one(self.readers())
                .await
                .map_err(Error::query("count orders"))?;
        row::to_u32("certificates", count)
    }

    /// Notes that a certificate is being ordered, before it is: one that is cut off by the end of the
    /// server counts as well. The next order is due at `next_at` unless this one ends before.
    pub async fn begin_order(
        &self,
        scope: &WorkspaceScope,
        domain_id: DomainId,
        now: Timestamp,
        next_at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "INSERT INTO certificates (domain_id, workspace_id, source, ordered_at, next_at)
             SELECT id, workspace_id, 'acme', $3, $4 FROM domains WHERE workspace_id = $1 AND id = $2
             ON CONFLICT (domain_id) DO UPDATE SET ordered_at = $3, next_at = $4
             WHERE certificates.source = 'acme'",
        )
        .bind(scope.id().to_string())
        .bind(domain_id.to_string())
        .bind(now.as_nanos())
        .bind(next_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note an order"))?;
        commit(tx).await
    }

    /// Notes that an order failed; a certificate that is there stays.
    pub async fn fail_order(
        &self,
        scope: &WorkspaceScope,
        domain_id: DomainId,
        reason: &str,
        next_at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE certificates SET failures = failures + 1, reason = $3, next_at = $4
             WHERE workspace_id = $1 AND domain_id = $2 AND source = 'acme'",
        )
        .bind(scope.id().to_string())
        .bind(domain_id.to_string())
        .bind(reason)
        .bind(next_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note an order that failed"))?;
        commit(tx).await
    }

    /// Has an order that failed tried again at `now`, unless it failed more than `most` times.
    pub async fn retry_order(
        &self,
        scope: &WorkspaceScope,
        domain_id: DomainId,
        most: u32,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE certificates SET next_at = $4
             WHERE workspace_id = $1 AND domain_id = $2 AND source = 'acme'
               AND failures BETWEEN 1 AND $3",
        )
        .bind(scope.id().to_string())
        .bind(domain_id.to_string())
        .bind(i64::from(most))
        .bind(now.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("try an order again"))?;
        commit(tx).await
    }

    /// Puts a certificate in place of the domain's. One that was ordered does not replace one that was
    /// uploaded meanwhile. Says whether it took its place.
    pub async fn set_certificate(
        &self,
        scope: &WorkspaceScope,
        domain_id: DomainId,
        new: &NewCertificate,
        event: Option<&NewEvent>,
    ) -> Result<bool> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "INSERT INTO certificates (domain_id, workspace_id, source, chain, sealed_key, not_after, next_at)
             SELECT id, workspace_id, $3, $4, $5, $6, $7 FROM domains WHERE workspace_id = $1 AND id = $2
             ON CONFLICT (domain_id) DO UPDATE SET source = $3, chain = $4, sealed_key = $5, not_after = $6,
                 next_at = $7, failures = 0, reason = NULL
             WHERE certificates.source = 'acme' OR $3 = 'uploaded'",
        )
        .bind(scope.id().to_string())
        .bind(domain_id.to_string())
        .bind(source_text(new.source))
        .bind(&new.chain)
        .bind(new.sealed_key.as_bytes())
        .bind(new.not_after.as_nanos())
        .bind(new.next_at.map(Timestamp::as_nanos))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a certificate"))?;
        if let Some(event) = event {
            event::insert(&mut tx, scope.id(), event).await?;
        }
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Forgets a certificate that was uploaded.
    ///
    /// # Errors
    /// `NotFound` when the domain has none.
    pub async fn delete_uploaded_certificate(
        &self,
        scope: &WorkspaceScope,
        domain_id: DomainId,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        let done = sqlx::query(
            "DELETE FROM certificates WHERE workspace_id = $1 AND domain_id = $2 AND source = 'uploaded'",
        )
        .bind(scope.id().to_string())
        .bind(domain_id.to_string())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("delete a certificate"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("uploaded certificate"));
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }
}

fn stored((hostname, chain, sealed_key): (String, String, Vec<u8>)) -> Result<StoredCertificate> {
    Ok(StoredCertificate {
        hostname: row::parse("domains.hostname", &hostname)?,
        chain,
        sealed_key: Sealed::from_bytes(sealed_key),
    })
}

/// Whether names that the platform gave are looked at as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// They are.
    Included,
    /// Only names that users brought.
    LeftOut,
}
