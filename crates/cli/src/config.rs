//! What this tool is told by its surroundings: environment variables and the file of the last
//! login. No other file reads either.
//!
//! Precedence: option, then environment variable, then file, then default. The kept key is for the
//! server that it was kept for: another address, wherever it comes from, never gets it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tose_api::Slug;
use tose_api::client::{ApiKey, ServerUrl};

use crate::error::Error;

const DEFAULT_SERVER: &str = "http://127.0.0.1:8700";

/// The environment variables that count; an empty one counts as not set.
pub(crate) struct Environment {
    api_url: Option<String>,
    api_key: Option<String>,
    config_dir: Option<String>,
    home: Option<String>,
    pub(crate) no_color: bool,
    /// The terminal shows plain text and nothing else.
    pub(crate) is_dumb: bool,
}

impl Environment {
    /// Reads them.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the environment is read"
    )]
    pub(crate) fn read() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            api_url: variable("TOSE_API_URL"),
            api_key: variable("TOSE_API_KEY"),
            config_dir: variable("TOSE_CONFIG_DIR"),
            home: variable("HOME"),
            no_color: variable("NO_COLOR").is_some(),
            is_dumb: variable("TERM").is_some_and(|term| term == "dumb"),
        }
    }
}

/// Where the server is, and who calls. Each part is checked when a command needs it.
pub(crate) struct Config {
    api_url: Option<ServerUrl>,
    environment: Environment,
}

/// What the file of the last login holds.
pub(crate) struct Login {
    pub(crate) api_url: ServerUrl,
    pub(crate) api_key: ApiKey,
    pub(crate) workspace: Slug,
}

impl Config {
    /// Takes the value of `--api-url` and the environment.
    pub(crate) fn new(api_url: Option<ServerUrl>, environment: Environment) -> Self {
        Self {
            api_url,
            environment,
        }
    }

    /// The file that keeps the login.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let Environment {
            config_dir, home, ..
        } = &self.environment;
        let folder = match (config_dir, home) {
            (Some(folder), _) => PathBuf::from(folder),
            (None, Some(home)) => Path::new(home).join(".tose"),
            (None, None) => {
                return Err(Error::Usage("set TOSE_CONFIG_DIR or HOME".to_owned()).into());
            }
        };
        Ok(folder.join("config.json"))
    }

    /// The server to talk to.
    pub(crate) fn server(&self) -> Result<ServerUrl> {
        if let Some(api_url) = &self.api_url {
            return Ok(api_url.clone());
        }
        if let Some(text) = &self.environment.api_url {
            let parsed = text.parse();
            return parsed.map_err(|error| Error::Usage(format!("TOSE_API_URL: {error}")).into());
        }
        let default = || DEFAULT_SERVER.parse().expect("the default is an address");
        Ok(self.login()?.map_or_else(default, |login| login.api_url))
    }

    /// The key to show to `server`.
    pub(crate) fn api_key(&self, server: &ServerUrl) -> Result<ApiKey> {
        if let Some(text) = &self.environment.api_key {
            let parsed = text.parse();
            return parsed.map_err(|error| Error::Usage(format!("TOSE_API_KEY: {error}")).into());
        }
        match self.login()? {
            Some(login) if login.api_url == *server => Ok(login.api_key),
            _ => Err(Error::NotLoggedIn {
                server: server.clone(),
            }
            .into()),
        }
    }

    /// The workspace of the key for `server`, where the login tells it.
    pub(crate) fn workspace(&self, server: &ServerUrl) -> Result<Option<Slug>> {
        if self.environment.api_key.is_some() {
            return Ok(None);
        }
        let login = self.login()?.filter(|login| login.api_url == *server);
        Ok(login.map(|login| login.workspace))
    }

    /// Keeps a login in place of the one before.
    pub(crate) fn keep(&self, login: &Login) -> Result<()> {
        let stored = StoredLogin {
            api_url: login.api_url.clone(),
            api_key: login.api_key.expose().to_owned(),
            workspace: login.workspace.clone(),
        };
        let path = self.path()?;
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        replace_private_file(&path, &(serde_json::to_string_pretty(&stored)? + "\n"))
    }

    /// Forgets the login; tells whether there was one.
    pub(crate) fn forget(&self) -> Result<bool> {
        let path = self.path()?;
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot remove {}", path.display())),
        }
    }

    fn login(&self) -> Result<Option<Login>> {
        // Without a place for the file there is no login; only keeping one needs the place.
        let Ok(path) = self.path() else {
            return Ok(None);
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let again = || format!("{} holds no login: run `tose login` again", path.display());
        let stored: StoredLogin = serde_json::from_str(&text).with_context(again)?;
        let api_key = stored.api_key.parse().with_context(again)?;
        Ok(Some(Login {
            api_url: stored.api_url,
            api_key,
            workspace: stored.workspace,
        }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredLogin {
    api_url: ServerUrl,
    api_key: String,
    workspace: Slug,
}

/// Makes a file that only its owner can read; refuses when there is one already.
pub(crate) fn create_private_file(path: &Path, text: &str) -> Result<()> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Ok(file) => write_and_sync(file, path, text),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Error::FileExists {
            path: path.to_owned(),
        }
        .into()),
        Err(error) => Err(error).with_context(|| format!("cannot make {}", path.display())),
    }
}

/// Makes a file that only its owner can read, in place of the one that may be there: whatever
/// happens in between, `path` is the one or the other, and whole.
pub(crate) fn replace_private_file(path: &Path, text: &str) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    create_private_file(&temporary, text)?;
    fs::rename(&temporary, path).or_else(|error| {
        fs::remove_file(&temporary).ok();
        Err(error).with_context(|| format!("cannot write {}", path.display()))
    })
}

fn write_and_sync(mut file: File, path: &Path, text: &str) -> Result<()> {
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.with_context(|| format!("cannot write {}", path.display()))
}
