//! Certificates as files: how the control plane gives them to the proxy, and how the proxy finds the
//! one of a name.
//!
//! A certificate is read when somebody first asks for its name, so a start takes as long with ten
//! thousand of them as with one. Invariants: each path holds a whole certificate or none; a private
//! key is on the disk only as [`KeyOpener`] can open it; a file is looked for only under a name that
//! is a host name.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use tose_api::Hostname;
use tose_model::secret::{ExposeSecret, SecretString};

use crate::error::{Error, Result, chain};
use crate::snapshot;

/// By which a handshake says that it only checks who has a name (RFC 8737).
pub(crate) const ACME_TLS_ALPN: &[u8] = b"acme-tls/1";
/// How many certificates are kept in memory.
const MAX_KEPT: usize = 20_000;
/// Held while a file is written: two at once would write beside the same place. Only one process does.
static WRITING: Mutex<()> = Mutex::new(());
/// The longest token of a challenge.
const MAX_TOKEN_LEN: usize = 128;

/// Opens private keys.
pub trait KeyOpener: std::fmt::Debug + Send + Sync {
    /// The key in PEM that was sealed for `name`, see [`Name`]; `None` if it cannot be opened.
    fn open(&self, name: &str, sealed: &[u8]) -> Option<SecretString>;
}

/// What a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// One host.
    Host(Hostname),
    /// All names one label below this one.
    Below(Hostname),
    /// A check of who has the host, by TLS-ALPN-01.
    Challenge(Hostname),
    /// What signs itself, for ports of databases alone: their clients may do without a name that is proven.
    SelfSigned(Hostname),
}

impl Name {
    fn folder(&self) -> &'static str {
        match self {
            Self::Host(_) => "hosts",
            Self::Below(_) => "wildcards",
            Self::Challenge(_) => "challenges",
            Self::SelfSigned(_) => "self-signed",
        }
    }

    /// The host; of a wildcard, what stands behind it.
    pub fn host(&self) -> &Hostname {
        match self {
            Self::Host(host)
            | Self::Below(host)
            | Self::Challenge(host)
            | Self::SelfSigned(host) => host,
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host) => write!(f, "{host}"),
            Self::Below(host) => write!(f, "*.{host}"),
            Self::Challenge(host) => write!(f, "challenge:{host}"),
            Self::SelfSigned(host) => write!(f, "self-signed:{host}"),
        }
    }
}

/// A certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate and those that it was issued by, in PEM, the root left out.
    pub chain: String,
    /// The private key, sealed under [`Name`]'s text.
    pub sealed_key: Vec<u8>,
}

/// The folder of the certificates.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The one in a data directory.
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("certificates"))
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.0.join(name.folder()).join(name.host().as_str())
    }

    fn token_path(&self, token: &str) -> Option<PathBuf> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_good =
            !token.is_empty() && token.len() <= MAX_TOKEN_LEN && token.bytes().all(is_token);
        is_good.then(|| self.0.join("tokens").join(token))
    }

    /// Puts a certificate in place, durably; only the owner can read it. Blocks. The proxy goes on
    /// with an earlier one until it is told, see [`crate::control::Client::forget_certificates`].
    pub fn write(&self, name: &Name, certificate: &Certificate) -> Result<()> {
        let path = self.path(name);
        let text = serde_json::to_vec(certificate).map_err(|source| Error::BrokenCertificate {
            name: name.to_string(),
            source: source.into(),
        })?;
        self.put(&path, &text)
    }

    /// Reads a certificate; `None` if there is none. Blocks.
    pub fn read(&self, name: &Name) -> Result<Option<Certificate>> {
        let path = self.path(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Certificates { path, source }),
        };
        let broken = |source: serde_json::Error| Error::BrokenCertificate {
            name: name.to_string(),
            source: source.into(),
        };
        serde_json::from_slice(&text).map(Some).map_err(broken)
    }

    /// Takes a certificate away, if there is one. Blocks.
    pub fn remove(&self, name: &Name) -> Result<()> {
        remove_file(&self.path(name))
    }

    /// The hosts that have a certificate. Blocks.
    pub fn list(&self) -> Result<Vec<Hostname>> {
        let path = self.0.join("hosts");
        let failed = |source| Error::Certificates {
            path: path.clone(),
            source,
        };
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut hosts = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            // What a crash left beside a file is listed like one, and goes like one that nobody owns.
            hosts.extend(name.to_str().and_then(|text| text.parse::<Hostname>().ok()));
        }
        Ok(hosts)
    }

    /// Has the proxy answer `text` to a check by HTTP-01. Blocks.
    pub fn write_token(&self, token: &str, text: &str) -> Result<()> {
        match self.token_path(token) {
            Some(path) => self.put(&path, text.as_bytes()),
            None => Err(Error::Certificates {
                path: self.0.join("tokens"),
                source: io::ErrorKind::InvalidInput.into(),
            }),
        }
    }

    /// Ends that. Blocks.
    pub fn remove_token(&self, token: &str) -> Result<()> {
        match self.token_path(token) {
            Some(path) => remove_file(&path),
            None => Ok(()),
        }
    }

    /// The answer to a check, if this is one.
    pub(crate) fn find_token(&self, token: &str) -> Option<Vec<u8>> {
        fs::read(self.token_path(token)?).ok()
    }

    fn put(&self, path: &Path, text: &[u8]) -> Result<()> {
        let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let put = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            snapshot::replace(path, text)
        };
        put().map_err(|source| Error::Certificates {
            path: path.to_owned(),
            source,
        })
    }
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Certificates {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// The certificates as handshakes find them.
#[derive(Debug)]
pub(crate) struct Certificates {
    folder: Folder,
    keys: Arc<dyn KeyOpener>,
    kept: Mutex<HashMap<Name, Arc<CertifiedKey>>>,
    /// Grows when something is forgotten: what was read before may be what had to be forgotten.
    forgettings: AtomicU64,
}

impl Certificates {
    pub(crate) fn new(folder: Folder, keys: Arc<dyn KeyOpener>) -> Self {
        Self {
            folder,
            keys,
            kept: Mutex::default(),
            forgettings: AtomicU64::new(0),
        }
    }

    /// Reads these anew when they are next asked for.
    pub(crate) fn forget(&self, hosts: &[Hostname]) {
        let mut kept = self.kept.lock().expect("nothing panics while it is held");
        self.forgettings.fetch_add(1, Ordering::SeqCst);
        kept.retain(|name, _| !hosts.contains(name.host()));
    }

    fn find(&self, name: Name) -> Option<Arc<CertifiedKey>> {
        let lock = || self.kept.lock().expect("nothing panics while it is held");
        if let Some(found) = lock().get(&name) {
            return Some(Arc::clone(found));
        }
        let before = self.forgettings.load(Ordering::SeqCst);
        let found = match self.load(&name) {
            Ok(found) => Arc::new(found?),
            Err(error) => {
                tracing::error!(%name, error = %chain(&error), "a certificate cannot be used");
                return None;
            }
        };
        let mut kept = lock();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        if self.forgettings.load(Ordering::SeqCst) == before {
            kept.insert(name, Arc::clone(&found));
        }
        Some(found)
    }

    /// The certificate of a host, or that of all names beside it.
    pub(crate) fn find_for(&self, host: &Hostname) -> Option<Arc<CertifiedKey>> {
        self.find(Name::Host(host.clone())).or_else(|| {
            let (_, parent) = host.as_str().split_once('.')?;
            self.find(Name::Below(parent.parse().ok()?))
        })
    }

    /// The one that signs itself.
    pub(crate) fn find_self_signed(&self, host: &Hostname) -> Option<Arc<CertifiedKey>> {
        self.find(Name::SelfSigned(host.clone()))
    }

    fn load(&self, name: &Name) -> Result<Option<CertifiedKey>> {
        let Some(certificate) = self.folder.read(name)? else {
            return Ok(None);
        };
        let broken = |source: AnyError| Error::BrokenCertificate {
            name: name.to_string(),
            source,
        };
        let key = self
            .keys
            .open(&name.to_string(), &certificate.sealed_key)
            .ok_or_else(|| broken("its key cannot be opened".into()))?;
        let certified = match name {
            Name::Challenge(_) => put_together(&certificate.chain, &key),
            _ => certified(&certificate.chain, &key),
        };
        certified.map(Some).map_err(broken)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host: Hostname = hello.server_name()?.to_ascii_lowercase().parse().ok()?;
        let is_challenge = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.any(|protocol| protocol == ACME_TLS_ALPN));
        if is_challenge {
            return self.find(Name::Challenge(host));
        }
        self.find_for(&host)
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A chain with its key as handshakes use it; an error says what is wrong with either.
pub fn certified(chain: &str, key: &SecretString) -> std::result::Result<CertifiedKey, AnyError> {
    let certified = put_together(chain, key)?;
    certified.keys_match()?;
    Ok(certified)
}

/// The same for a challenge, which has an extension that nobody but certificate authorities reads.
fn put_together(chain: &str, key: &SecretString) -> std::result::Result<CertifiedKey, AnyError> {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<std::result::Result<Vec<_>, _>>()?;
    if chain.is_empty() {
        return Err("it holds no certificate in PEM".into());
    }
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())?;
    Ok(CertifiedKey::new(chain, any_supported_type(&key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_of_one_certificate_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::of(dir.path());
        let name = Name::Host("shop.example.com".parse().unwrap());
        std::thread::scope(|scope| {
            for number in 0..8_u8 {
                let (folder, name) = (&folder, &name);
                scope.spawn(move || {
                    for _ in 0..20 {
                        let certificate = Certificate {
                            chain: number.to_string(),
                            sealed_key: vec![number; 100],
                        };
                        folder.write(name, &certificate).unwrap();
                        let read = folder.read(name).unwrap().unwrap();
                        assert_eq!(read.sealed_key[0].to_string(), read.chain);
                    }
                });
            }
        });
        assert_eq!(folder.list().unwrap(), [name.host().clone()]);
    }
}
