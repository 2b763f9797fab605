//! The vault: the one place where secrets are sealed and opened, and where API keys are made.
//!
//! Sealed values are XChaCha20-Poly1305 under a key that lies in the data directory (mode 0600). What
//! a value belongs to (table, row, workspace, name) is authenticated with it, so that a sealed value
//! that is copied to another row cannot be opened there.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use tose_api::{
    BackupId, DeploymentId, DomainId, DrainId, EnvKey, NotificationChannelId, ProjectId, UserId,
    WorkspaceId,
};
use tose_model::IdGen;
use tose_model::secret::{ExposeSecret, Sealed, SecretString};
use zeroize::Zeroizing;

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;
/// The first byte of a sealed value: the version of its key. There is one so far.
const KEY_VERSION: u8 = 1;
/// What every API key begins with; secret scanners look for it.
const API_KEY_PREFIX: &str = "tose_sk_";
/// Random bytes in an API key: 160 bits.
const API_KEY_BYTES: usize = 20;

/// What went wrong with a secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key file could not be read or made.
    #[error("the key file {path} could not be {operation}")]
    KeyFile {
        path: PathBuf,
        operation: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// The key file is not what this program wrote.
    #[error(
        "the key file {0} does not hold 32 bytes; restore it from a backup of the data directory"
    )]
    BadKeyFile(PathBuf),
    /// Others could read the key file.
    #[error("the key file {0} can be read by others; run chmod 600 on it")]
    ReadableByOthers(PathBuf),
    /// A file that has to hold a secret holds none.
    #[error("the file {0} is empty; a secret has to stand in it")]
    EmptyFile(PathBuf),
    /// A value could not be opened: it was changed, moved, or sealed with another key.
    #[error("a sealed value could not be opened; was the key file replaced?")]
    Open,
}

/// What a sealed value belongs to.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// The value of a variable.
    EnvVar {
        workspace_id: WorkspaceId,
        project_id: ProjectId,
        key: &'a EnvKey,
    },
    /// A deployment's whole environment.
    DeploymentEnv {
        workspace_id: WorkspaceId,
        deployment_id: DeploymentId,
    },
    /// A private SSH key.
    DeployKey {
        workspace_id: WorkspaceId,
        project_id: ProjectId,
    },
    /// A token for a Git server over https.
    AccessToken {
        workspace_id: WorkspaceId,
        project_id: ProjectId,
    },
    /// A password for a registry of images.
    RegistryPassword {
        workspace_id: WorkspaceId,
        project_id: ProjectId,
    },
    /// The password of a database's account.
    DatabasePassword {
        workspace_id: WorkspaceId,
        project_id: ProjectId,
    },
    /// The password of a database server's administrator.
    DatabaseAdminPassword {
        workspace_id: WorkspaceId,
        project_id: ProjectId,
    },
    /// The key of a backup's file.
    BackupKey {
        workspace_id: WorkspaceId,
        backup_id: BackupId,
    },
    /// The key of a log segment outside of this machine.
    LogSegmentKey { name: &'a str },
    /// What a project's push events are signed with.
    WebhookSecret {
        workspace_id: WorkspaceId,
        project_id: ProjectId,
    },
    /// By what the users of a domain are known.
    DomainUsers {
        workspace_id: WorkspaceId,
        domain_id: DomainId,
    },
    /// What opens the service of a log drain.
    DrainSecrets {
        workspace_id: WorkspaceId,
        drain_id: DrainId,
    },
    /// The webhook that is told when a project goes down.
    UptimeWebhook {
        workspace_id: WorkspaceId,
        project_id: ProjectId,
    },
    /// Where a channel of notifications leads, and what opens it.
    NotificationChannel {
        workspace_id: WorkspaceId,
        channel_id: NotificationChannelId,
    },
    /// The secret of an authenticator app.
    TotpSecret { user_id: UserId },
    /// The private key of a certificate; the name is that of `tose_proxy::certificates::Name`.
    CertificateKey { name: &'a str },
    /// What orders certificates at this address.
    AcmeAccount { directory_url: &'a str },
    /// The answer to a call with an `Idempotency-Key`.
    Answer { name: &'a str },
}

impl Place<'_> {
    fn associated_data(&self) -> String {
        match self {
            Self::EnvVar {
                workspace_id,
                project_id,
                key,
            } => {
                format!("v{KEY_VERSION}/env_vars/{workspace_id}/{project_id}/{key}")
            }
            Self::DeploymentEnv {
                workspace_id,
                deployment_id,
            } => {
                format!("v{KEY_VERSION}/deployments.env/{workspace_id}/{deployment_id}")
            }
            Self::DeployKey {
                workspace_id,
                project_id,
            } => {
                format!("v{KEY_VERSION}/git_connections.deploy_key/{workspace_id}/{project_id}")
            }
            Self::AccessToken {
                workspace_id,
                project_id,
            } => {
                format!("v{KEY_VERSION}/git_connections.access_token/{workspace_id}/{project_id}")
            }
            Self::RegistryPassword {
                workspace_id,
                project_id,
            } => {
                format!("v{KEY_VERSION}/registry_credentials.password/{workspace_id}/{project_id}")
            }
            Self::DatabasePassword {
                workspace_id,
                project_id,
            } => {
                format!("v{KEY_VERSION}/databases.password/{workspace_id}/{project_id}")
            }
            Self::DatabaseAdminPassword {
                workspace_id,
                project_id,
            } => {
                format!("v{KEY_VERSION}/databases.admin_password/{workspace_id}/{project_id}")
            }
            Self::BackupKey {
                workspace_id,
                backup_id,
            } => {
                format!("v{KEY_VERSION}/backups.file_key/{workspace_id}/{backup_id}")
            }
            Self::LogSegmentKey { name } => format!("v{KEY_VERSION}/logs.segment_key/{name}"),
            Self::WebhookSecret {
                workspace_id,
                project_id,
            } => {
                format!("v{KEY_VERSION}/git_connections.webhook_secret/{workspace_id}/{project_id}")
            }
            Self::DomainUsers {
                workspace_id,
                domain_id,
            } => {
                format!("v{KEY_VERSION}/domains.users/{workspace_id}/{domain_id}")
            }
            Self::DrainSecrets {
                workspace_id,
                drain_id,
            } => {
                format!("v{KEY_VERSION}/drains.secrets/{workspace_id}/{drain_id}")
            }
            Self::UptimeWebhook {
                workspace_id,
                project_id,
            } => {
                format!("v{KEY_VERSION}/monitors.discord_webhook/{workspace_id}/{project_id}")
            }
            Self::NotificationChannel {
                workspace_id,
                channel_id,
            } => {
                format!("v{KEY_VERSION}/notification_channels.secrets/{workspace_id}/{channel_id}")
            }
            Self::TotpSecret { user_id } => {
                format!("v{KEY_VERSION}/users.totp_secret/{user_id}")
            }
            Self::CertificateKey { name } => format!("v{KEY_VERSION}/certificates.key/{name}"),
            Self::AcmeAccount { directory_url } => {
                format!("v{KEY_VERSION}/settings.acme_account/{directory_url}")
            }
            Self::Answer { name } => format!("v{KEY_VERSION}/idempotency_keys.answer/{name}"),
        }
    }
}

/// Seals and opens secrets.
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

impl Vault {
    /// Opens the vault whose key lies at `path`, making the key if there is none.
    ///
    /// # Errors
    /// When the file cannot be used, or others than its owner may read it.
    pub fn open_or_create(path: &Path, ids: &dyn IdGen) -> Result<Self, VaultError> {
        let key = match read_key(path)? {
            Some(key) => key,
            None => create_key(path, ids)?,
        };
        let cipher = XChaCha20Poly1305::new_from_slice(key.as_slice())
            .map_err(|_| VaultError::BadKeyFile(path.to_owned()))?;
        Ok(Self { cipher })
    }

    /// Seals `plain` so that it can be opened only for the same place.
    pub fn seal(&self, place: Place<'_>, plain: &str, ids: &dyn IdGen) -> Sealed {
        let mut nonce = [0; NONCE_LEN];
        ids.fill(&mut nonce);
        let aad = place.associated_data();
        let payload = Payload {
            msg: plain.as_bytes(),
            aad: aad.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("the cipher takes any text that fits into memory");
        let mut bytes = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
        bytes.push(KEY_VERSION);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Sealed::from_bytes(bytes)
    }

    /// Opens what was sealed for the same place.
    ///
    /// # Errors
    /// When it was sealed for another place or with another key, or was changed.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<SecretString, VaultError> {
        let bytes = sealed.as_bytes();
        let (&version, rest) = bytes.split_first().ok_or(VaultError::Open)?;
        let (nonce, body) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(VaultError::Open)?;
        if version != KEY_VERSION {
            return Err(VaultError::Open);
        }
        let aad = place.associated_data();
        let payload = Payload {
            msg: body,
            aad: aad.as_bytes(),
        };
        let plain = self
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| VaultError::Open)?;
        String::from_utf8(plain)
            .map(SecretString::from)
            .map_err(|_| VaultError::Open)
    }
}

/// Keys are in no message.
impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

/// The proxy opens the keys of certificates by itself: it lives on when the control plane is gone.
impl tose_proxy::certificates::KeyOpener for Vault {
    fn open(&self, name: &str, sealed: &[u8]) -> Option<SecretString> {
        let sealed = Sealed::from_bytes(sealed.to_vec());
        self.open(Place::CertificateKey { name }, &sealed).ok()
    }
}

fn read_key(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let fail = |source| VaultError::KeyFile {
        path: path.to_owned(),
        operation: "read",
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    check_private(path, &file)?;
    let mut key = Zeroizing::new(Vec::with_capacity(KEY_LEN + 1));
    file.take(KEY_LEN as u64 + 1)
        .read_to_end(&mut key)
        .map_err(fail)?;
    if key.len() != KEY_LEN {
        return Err(VaultError::BadKeyFile(path.to_owned()));
    }
    Ok(Some(key))
}

fn check_private(path: &Path, file: &File) -> Result<(), VaultError> {
    let metadata = file.metadata().map_err(|source| VaultError::KeyFile {
        path: path.to_owned(),
        operation: "read",
        source,
    })?;
    if metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(VaultError::ReadableByOthers(path.to_owned()))
}

/// The largest file with a secret of the operator's, in bytes.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// A secret that the operator keeps in a file, without the end of its last line.
///
/// # Errors
/// When it cannot be read, others than its owner may read it, or it is empty.
pub fn read_secret_file(path: &Path) -> Result<SecretString, VaultError> {
    let fail = |source| VaultError::KeyFile {
        path: path.to_owned(),
        operation: "read",
        source,
    };
    let file = File::open(path).map_err(fail)?;
    check_private(path, &file)?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_SECRET_FILE)
        .read_to_string(&mut text)
        .map_err(fail)?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(VaultError::EmptyFile(path.to_owned()));
    }
    Ok(SecretString::from(secret))
}

/// Writes the key to a file beside `path` first, so that a crash leaves no half key under its name.
fn create_key(path: &Path, ids: &dyn IdGen) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let fail = |source| VaultError::KeyFile {
        path: path.to_owned(),
        operation: "made",
        source,
    };
    let mut key = Zeroizing::new(vec![0; KEY_LEN]);
    ids.fill(&mut key);
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(fail)?;
    file.write_all(&key).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    // A link fails where a rename would replace: of two processes that make the key, one wins.
    match std::fs::hard_link(&draft, path) {
        Ok(()) => {
            std::fs::remove_file(&draft).map_err(fail)?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            std::fs::remove_file(&draft).map_err(fail)?;
            read_key(path)?.ok_or(VaultError::BadKeyFile(path.to_owned()))
        }
        Err(error) => Err(fail(error)),
    }
}

/// A fresh API key with what is stored of it.
pub struct FreshApiKey {
    /// The whole key, shown once.
    pub key: SecretString,
    /// Its SHA-256. A fast hash is enough for 160 random bits.
    pub hash: [u8; 32],
    /// What may be shown later.
    pub prefix: String,
}

/// Makes an API key: `tose_sk_` and 40 lower-case hex digits.
pub fn fresh_api_key(ids: &dyn IdGen) -> FreshApiKey {
    let mut random = Zeroizing::new([0; API_KEY_BYTES]);
    ids.fill(random.as_mut_slice());
    let key = SecretString::from(format!(
        "{API_KEY_PREFIX}{}",
        hex::encode(random.as_slice())
    ));
    let shown: String = key
        .expose_secret()
        .chars()
        .take(API_KEY_PREFIX.len() + 4)
        .collect();
    FreshApiKey {
        hash: hash_api_key(key.expose_secret()),
        prefix: format!("{shown}…"),
        key,
    }
}

/// The hash under which a key or token is stored. A fast hash is enough for 160 random bits.
pub fn hash_api_key(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// A fresh token for a login, an invitation, a reset or a hook: 40 lower-case hex digits.
pub fn fresh_token(ids: &dyn IdGen) -> SecretString {
    let mut random = Zeroizing::new([0; API_KEY_BYTES]);
    ids.fill(random.as_mut_slice());
    SecretString::from(hex::encode(random.as_slice()))
}

/// Whether `signature` is the HMAC-SHA256 of `body` with this secret. An empty secret signs nothing.
pub fn is_signed(secret: &SecretString, body: &[u8], signature: &[u8]) -> bool {
    let secret = secret.expose_secret().as_bytes();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return false;
    };
    mac.update(body);
    !secret.is_empty() && mac.verify_slice(signature).is_ok()
}

/// The HMAC-SHA256 of these parts, one after the other, as hex digits.
pub fn sign(secret: &SecretString, parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}

/// What a page has to send along with a login's cookie. It follows from the login's token, which
/// no page can read, and does not lead back to it.
pub fn csrf_token(session_token: &str) -> String {
    let digest = Sha256::digest(format!("csrf/{session_token}"));
    hex::encode(&digest[..API_KEY_BYTES])
}

/// What a workspace has to put into a name's DNS to prove that the name is its own.
pub fn domain_token(workspace_id: WorkspaceId, hostname: &str) -> String {
    let digest = Sha256::digest(format!("domain/{workspace_id}/{hostname}"));
    format!("tose-verify={}", hex::encode(&digest[..16]))
}

/// Whether a text has the form of a key; one that has not needs no look at the store.
pub fn is_api_key_shaped(text: &str) -> bool {
    text.strip_prefix(API_KEY_PREFIX)
        .is_some_and(is_token_shaped)
}

/// Whether a text has the form of a token.
pub fn is_token_shaped(text: &str) -> bool {
    text.len() == 2 * API_KEY_BYTES
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tose_testkit::SeededIds;
    use uuid::Uuid;

    fn place(key: &EnvKey) -> Place<'_> {
        let workspace_id = WorkspaceId::from_uuid(Uuid::nil());
        Place::EnvVar {
            workspace_id,
            project_id: ProjectId::from_uuid(Uuid::nil()),
            key,
        }
    }

    #[test]
    fn a_value_opens_only_where_it_was_sealed() {
        let dir = tempfile::tempdir().expect("a directory");
        let ids = SeededIds::new(1);
        let path = dir.path().join("secret.key");
        let vault = Vault::open_or_create(&path, &ids).expect("a vault");
        let (a, b): (EnvKey, EnvKey) = ("A".parse().expect("a key"), "B".parse().expect("a key"));
        let sealed = vault.seal(place(&a), "hunter2", &ids);
        assert!(
            !sealed
                .as_bytes()
                .windows(7)
                .any(|window| window == b"hunter2")
        );

        let again = Vault::open_or_create(&path, &ids).expect("the same vault");
        assert_eq!(
            again
                .open(place(&a), &sealed)
                .expect("opens")
                .expose_secret(),
            "hunter2"
        );
        assert!(
            again.open(place(&b), &sealed).is_err(),
            "opened under another name"
        );

        let mut changed = sealed.as_bytes().to_vec();
        *changed.last_mut().expect("a byte") ^= 1;
        assert!(
            again.open(place(&a), &Sealed::from_bytes(changed)).is_err(),
            "opened though changed"
        );
    }

    #[test]
    fn the_key_file_is_private_or_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let ids = SeededIds::new(1);
        let path = dir.path().join("secret.key");
        Vault::open_or_create(&path, &ids).expect("a vault");
        let mode = std::fs::metadata(&path)
            .expect("the file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(matches!(
            Vault::open_or_create(&path, &ids),
            Err(VaultError::ReadableByOthers(_))
        ));
    }

    #[test]
    fn a_file_with_a_secret_is_private_and_not_empty() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
            read_secret_file(&path)
        };
        let secret = write("s3cret\n", 0o600).expect("a secret");
        assert_eq!(secret.expose_secret(), "s3cret");
        for mode in [0o640, 0o604] {
            let refused = write("s3cret\n", mode);
            assert!(matches!(refused, Err(VaultError::ReadableByOthers(_))));
        }
        let empty = write(" \n", 0o600);
        assert!(matches!(empty, Err(VaultError::EmptyFile(_))));
        std::fs::remove_file(&path).expect("removed");
        let missing = read_secret_file(&path);
        assert!(matches!(missing, Err(VaultError::KeyFile { .. })));
    }

    #[test]
    fn api_keys_have_their_form() {
        let fresh = fresh_api_key(&SeededIds::new(7));
        let key = fresh.key.expose_secret();
        assert!(is_api_key_shaped(key), "{key}");
        assert_eq!(fresh.prefix.chars().count(), API_KEY_PREFIX.len() + 5);
        for bad in [
            "",
            "tose_sk_",
            "tose_sk_zz",
            &key.to_uppercase(),
            &format!("{key}0"),
        ] {
            assert!(!is_api_key_shaped(bad), "{bad}");
        }
    }
}
