//! A certificate authority for one run, and what it issues.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both in PEM.
pub(crate) struct Issued {
    /// That of the host and that of the authority: public ones have as many.
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self(issuer))
    }

    /// What visitors have to trust, in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for one host, with a key on P-256.
    pub(crate) fn issue(&self, host: &str) -> Result<Issued> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new([host.to_owned()])?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Issued {
            chain: format!("{}{}", certificate.pem(), self.0.pem()),
            key: key.serialize_pem(),
        })
    }
}
