//! The typed client: one method per endpoint, one file per resource.
//!
//! Guarantees: the key travels in the header `X-API-Key` only, and only to the server that it was
//! made for (redirects are reported, not followed). Every request ends within a time limit, and an
//! answer is read up to a size limit. A `GET` is sent again, twice at most, when no connection came
//! about; nothing else is repeated.
//!
//! Not here: what becomes of an answer, whether a failed call is worth another try later, and what
//! only browsers do: logging in with a password and all that needs such a login.

mod error;
mod key;
mod server_url;
mod socket;
mod transport;

mod account;
mod alert;
mod autoscaling;
mod database;
mod deployment;
mod domain;
mod drain;
mod env_var;
mod exec;
mod git;
mod github;
mod hook;
mod job;
mod log;
mod maintenance;
mod member;
mod notification;
mod project;
mod registry;
mod schedule;
mod status_page;
mod template;
mod uptime;
mod wallet;
mod workspace;

use reqwest::Url;

use crate::{Meta, Slug};

pub use crate::envelope::Paging;
pub use error::{Error, Refusal, Result};
pub use exec::{ExecChunk, ExecInput, ExecOutput, ExecQuery, ExecStream, TerminalSize};
pub use key::{ApiKey, InvalidApiKey};
pub use log::{FindLogs, LogEvent, LogFilter, LogFormat, LogQuery, LogStream};
pub use project::MetricsQuery;
pub use server_url::{InvalidServerUrl, ServerUrl};
pub use transport::Download;
pub use uptime::ChecksQuery;
pub use wallet::UsageQuery;

use transport::Transport;

/// A server, as the holder of one key sees it.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The page's rows, newest first.
    pub items: Vec<T>,
    /// Where the page stands in its list.
    pub meta: Meta,
}

impl Client {
    /// Makes a client; nothing is sent.
    pub fn new(server: ServerUrl, key: ApiKey, user_agent: &str) -> Result<Self> {
        Transport::new(server, key, user_agent).map(|transport| Self { transport })
    }

    /// The server that this client talks to.
    pub fn server_url(&self) -> &ServerUrl {
        self.transport.server()
    }

    /// The address of a workspace, `W` in the methods' documentation, and what follows it.
    fn workspace_url(&self, workspace: &Slug, rest: &[&str]) -> Url {
        let path = [&["workspaces", workspace.as_str()][..], rest].concat();
        self.transport.url(&path)
    }

    /// The address of a project, `P` in the methods' documentation, and what follows it.
    fn project_url(&self, workspace: &Slug, project: &Slug, rest: &[&str]) -> Url {
        let path = [&["projects", project.as_str()][..], rest].concat();
        self.workspace_url(workspace, &path)
    }

    /// The address of a database, `D` in the methods' documentation, and what follows it.
    fn database_url(&self, workspace: &Slug, database: &Slug, rest: &[&str]) -> Url {
        let path = [&["databases", database.as_str()][..], rest].concat();
        self.workspace_url(workspace, &path)
    }
}

#[cfg(test)]
mod tests;
