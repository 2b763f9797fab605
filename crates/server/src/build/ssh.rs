//! Keys for Git over SSH, made and read by OpenSSH's own `ssh-keygen`.
//!
//! A private key lies on the disk only while the program works, in a folder of its own that nobody
//! else can enter.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tose_model::secret::SecretString;

use crate::build::git::write_key;

/// A fresh pair.
pub(crate) struct KeyPair {
    /// The private half, in OpenSSH's format.
    pub(crate) private: SecretString,
    /// The public half, as a line of `authorized_keys`.
    pub(crate) public: String,
}

/// Makes an Ed25519 pair; `comment` goes to the end of the public half's line.
pub(crate) async fn make_key(scratch: &Path, comment: &str) -> std::io::Result<KeyPair> {
    let dir = private_dir(scratch)?;
    let args = ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", "key"];
    let output = keygen(dir.path(), &args).output().await?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(std::io::Error::other(text.trim().to_owned()));
    }
    Ok(KeyPair {
        private: SecretString::from(std::fs::read_to_string(dir.path().join("key"))?),
        public: std::fs::read_to_string(dir.path().join("key.pub"))?
            .trim()
            .to_owned(),
    })
}

/// The public half of a private key; `None` for a text that is no key, or one with a passphrase.
pub(crate) async fn public_half(
    scratch: &Path,
    private: &SecretString,
) -> std::io::Result<Option<String>> {
    let dir = private_dir(scratch)?;
    write_key(&dir.path().join("key"), private)?;
    let output = keygen(dir.path(), &["-y", "-P", "", "-f", "key"])
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((output.status.success() && !text.is_empty()).then_some(text))
}

/// The host keys in a `known_hosts` file that are `host`'s, as `ssh-keygen` shows them: length,
/// fingerprint and kind.
pub(crate) async fn fingerprints(known_hosts: &Path, host: &str) -> std::io::Result<Vec<String>> {
    let (Some(folder), Some(name)) = (known_hosts.parent(), known_hosts.file_name()) else {
        return Ok(Vec::new());
    };
    let name = name.to_string_lossy();
    let args = ["-l", "-F", host, "-f", &name];
    let output = keygen(folder, &args).output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(lines
        .filter_map(|line| line.split_once(' '))
        .map(|(_, key)| key.to_owned())
        .collect())
}

fn private_dir(scratch: &Path) -> std::io::Result<tempfile::TempDir> {
    std::fs::create_dir_all(scratch)?;
    tempfile::Builder::new().prefix("key-").tempdir_in(scratch)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that runs ssh-keygen"
)]
fn keygen(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("ssh-keygen");
    command
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

#[cfg(test)]
mod tests {
    use tose_model::secret::ExposeSecret;

    use super::*;

    #[tokio::test]
    async fn a_made_key_has_the_public_half_that_is_read_from_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let pair = make_key(dir.path(), "tose-demo-shop").await.expect("a key");
        assert!(pair.public.starts_with("ssh-ed25519 "), "{}", pair.public);
        assert!(pair.public.ends_with(" tose-demo-shop"), "{}", pair.public);
        let read = public_half(dir.path(), &pair.private).await.expect("read");
        assert_eq!(read.as_deref(), Some(pair.public.as_str()));
        let left = std::fs::read_dir(dir.path()).expect("a folder").count();
        assert_eq!(left, 0, "a key lies about");
        assert!(pair.private.expose_secret().contains("PRIVATE KEY"));
    }

    #[tokio::test]
    async fn what_is_no_usable_key_has_no_public_half() {
        let dir = tempfile::tempdir().expect("a folder");
        let text =
            "-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n-----END OPENSSH PRIVATE KEY-----";
        let read = public_half(dir.path(), &SecretString::from(text)).await;
        assert_eq!(read.expect("read"), None);
    }
}
