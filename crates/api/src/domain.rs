//! Host names that lead to a project.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain_settings::DomainSettings;
use crate::{DomainId, Hostname, Timestamp};

/// How far a domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DomainStatus {
    /// Its DNS record was not seen so far.
    Pending,
    /// It leads to the project.
    Active,
    /// It cannot be used; the reason says why.
    Failed,
}

/// Where a certificate is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateSource {
    /// Ordered from the certificate authority by the platform, which renews it as well.
    Acme,
    /// Brought by the domain's owner, who has to renew it.
    Uploaded,
}

/// How far a domain's HTTPS is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpsStatus {
    /// It has no certificate, and none is ordered.
    Off,
    /// A certificate is on its way.
    Pending,
    /// It is served with a certificate, and visitors without HTTPS are sent there.
    Active,
    /// No certificate could be had; the reason says why, and it is tried again.
    Failed,
}

/// A domain's HTTPS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpsView {
    /// How far it is.
    pub status: HttpsStatus,
    /// Why there is no certificate, or why the one that is there was not renewed.
    pub reason: Option<String>,
    /// Where the certificate is from.
    pub source: Option<CertificateSource>,
    /// Until when the certificate is good.
    pub expires_at: Option<Timestamp>,
}

/// Body of `PUT P/domains/:id/certificate`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetCertificate {
    /// The certificate for the domain and those that it was issued by, in PEM, in this order.
    #[schemars(length(min = 1, max = 65536))]
    pub certificate: String,
    /// Its private key in PEM, without a passphrase. It is never shown again.
    #[schemars(length(min = 1, max = 16384))]
    pub private_key: String,
}

/// Body of `POST P/domains`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddDomain {
    /// The host name, such as `app.example.com`: not a single word, not an address.
    #[schemars(extend("pattern" = "\\.[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub domain: Hostname,
}

/// A record to set in the name's DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsRecord {
    /// `CNAME` or `TXT`.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The record's full name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it is for.
    pub purpose: String,
}

/// A host name that leads to a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DomainView {
    /// The domain's id.
    pub id: DomainId,
    /// The host name.
    pub domain: Hostname,
    /// How far it is.
    pub status: DomainStatus,
    /// Why it is not active, and what to do.
    pub reason: Option<String>,
    /// Whether it is the one that the platform gave.
    pub is_default: bool,
    /// How far its HTTPS is.
    pub https: HttpsView,
    /// What visitors meet before the app; the users are without their passwords.
    pub settings: DomainSettings,
    /// What to set where the name's DNS is kept: either record proves that the name is yours.
    pub dns_records: Vec<DnsRecord>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When DNS was last asked for it.
    pub checked_at: Option<Timestamp>,
}
