//! Managed databases, their backups, and what is told of their servers. A database is named by its
//! slug.

use reqwest::{Method, Url};

use super::log::{FindLogs, LogFilter, LogFormat, LogQuery, LogStream};
use super::transport::{Download, json};
use super::{Client, ExecQuery, ExecStream, MetricsQuery, Page, Paging, Result};
use crate::database::{
    BackupView, CreateDatabase, DatabaseView, ExposeDatabase, RestoreBackup, UpdateDatabase,
};
use crate::exec::{Exec, ExecResult};
use crate::log::{LogPage, LogStats};
use crate::metrics::MetricsView;
use crate::project::StatusView;
use crate::workspace::Deleted;
use crate::{BackupId, Slug};

impl Client {
    /// `GET W/databases`.
    pub async fn list_databases(
        &self,
        workspace: &Slug,
        paging: Paging,
    ) -> Result<Page<DatabaseView>> {
        let url = self.workspace_url(workspace, &["databases"]);
        self.transport.get_page(url, paging).await
    }

    /// `POST W/databases`: makes one, and starts it.
    pub async fn create_database(
        &self,
        workspace: &Slug,
        body: &CreateDatabase,
    ) -> Result<DatabaseView> {
        let url = self.workspace_url(workspace, &["databases"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET D`, with its password for admins.
    pub async fn get_database(&self, workspace: &Slug, database: &Slug) -> Result<DatabaseView> {
        self.transport
            .get(self.database_url(workspace, database, &[]))
            .await
    }

    /// `PUT D`: what is not sent keeps its value.
    pub async fn update_database(
        &self,
        workspace: &Slug,
        database: &Slug,
        body: &UpdateDatabase,
    ) -> Result<DatabaseView> {
        let url = self.database_url(workspace, database, &[]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE D`, with its data and its backups.
    pub async fn delete_database(&self, workspace: &Slug, database: &Slug) -> Result<Deleted> {
        let url = self.database_url(workspace, database, &[]);
        self.transport.send(Method::DELETE, url, None).await
    }

    /// `POST D/start`.
    pub async fn start_database(&self, workspace: &Slug, database: &Slug) -> Result<DatabaseView> {
        self.act_on_database(workspace, database, "start").await
    }

    /// `POST D/stop`: its data is kept.
    pub async fn stop_database(&self, workspace: &Slug, database: &Slug) -> Result<DatabaseView> {
        self.act_on_database(workspace, database, "stop").await
    }

    /// `POST D/restart`.
    pub async fn restart_database(
        &self,
        workspace: &Slug,
        database: &Slug,
    ) -> Result<DatabaseView> {
        self.act_on_database(workspace, database, "restart").await
    }

    /// `POST D/expose`: opens it to the outside, changes who may come, or closes it.
    pub async fn expose_database(
        &self,
        workspace: &Slug,
        database: &Slug,
        body: &ExposeDatabase,
    ) -> Result<DatabaseView> {
        let url = self.database_url(workspace, database, &["expose"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `POST D/retry`: tries one again that failed.
    pub async fn retry_database(&self, workspace: &Slug, database: &Slug) -> Result<DatabaseView> {
        self.act_on_database(workspace, database, "retry").await
    }

    /// `POST D/reset-password`.
    pub async fn reset_database_password(
        &self,
        workspace: &Slug,
        database: &Slug,
    ) -> Result<DatabaseView> {
        self.act_on_database(workspace, database, "reset-password")
            .await
    }

    async fn act_on_database(
        &self,
        workspace: &Slug,
        database: &Slug,
        act: &str,
    ) -> Result<DatabaseView> {
        let url = self.database_url(workspace, database, &[act]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET D/status`: what its server does.
    pub async fn get_database_status(
        &self,
        workspace: &Slug,
        database: &Slug,
    ) -> Result<StatusView> {
        self.transport
            .get(self.database_url(workspace, database, &["status"]))
            .await
    }

    /// `GET D/metrics`: what it used over time.
    pub async fn get_database_metrics(
        &self,
        workspace: &Slug,
        database: &Slug,
        query: MetricsQuery,
    ) -> Result<MetricsView> {
        let mut url = self.database_url(workspace, database, &["metrics"]);
        query.add_to(&mut url);
        self.transport.get(url).await
    }

    /// `POST D/exec`: runs a command beside its server, to its end.
    pub async fn exec_in_database(
        &self,
        workspace: &Slug,
        database: &Slug,
        body: &Exec,
    ) -> Result<ExecResult> {
        let url = self.database_url(workspace, database, &["exec"]);
        self.exec_at(url, body).await
    }

    /// `WS D/connect`: the database's own client in a terminal; of the query only the size counts.
    pub async fn connect_database(
        &self,
        workspace: &Slug,
        database: &Slug,
        query: &ExecQuery,
    ) -> Result<ExecStream> {
        let url = self.database_url(workspace, database, &["connect"]);
        self.attach_at(url, query).await
    }

    /// `WS D/exec`: the same with its input and output.
    pub async fn stream_exec_in_database(
        &self,
        workspace: &Slug,
        database: &Slug,
        query: &ExecQuery,
    ) -> Result<ExecStream> {
        let url = self.database_url(workspace, database, &["exec"]);
        self.attach_at(url, query).await
    }

    /// `WS D/live-logs`: what its server writes.
    pub async fn stream_database_logs(
        &self,
        workspace: &Slug,
        database: &Slug,
        query: LogQuery,
        filter: &LogFilter,
    ) -> Result<LogStream> {
        let url = self.database_url(workspace, database, &["live-logs"]);
        self.open_live_log(url, query, filter).await
    }

    /// `GET D/logs`: a page of the lines that are there.
    pub async fn find_database_logs(
        &self,
        workspace: &Slug,
        database: &Slug,
        query: &FindLogs,
    ) -> Result<LogPage> {
        let url = self.database_url(workspace, database, &["logs"]);
        self.find_lines(url, query).await
    }

    /// `GET D/logs/download`: all of them as a gzipped file.
    pub async fn download_database_logs(
        &self,
        workspace: &Slug,
        database: &Slug,
        query: &FindLogs,
        format: LogFormat,
    ) -> Result<Download> {
        let url = self.database_url(workspace, database, &["logs", "download"]);
        self.download_lines(url, query, format).await
    }

    /// `GET D/logs/stats`: how many lines there are.
    pub async fn get_database_log_stats(
        &self,
        workspace: &Slug,
        database: &Slug,
    ) -> Result<LogStats> {
        self.transport
            .get(self.database_url(workspace, database, &["logs", "stats"]))
            .await
    }

    /// `GET D/backups`: newest first.
    pub async fn list_backups(
        &self,
        workspace: &Slug,
        database: &Slug,
        paging: Paging,
    ) -> Result<Page<BackupView>> {
        let url = self.database_url(workspace, database, &["backups"]);
        self.transport.get_page(url, paging).await
    }

    /// `POST D/backups`: begins to make one.
    pub async fn create_backup(&self, workspace: &Slug, database: &Slug) -> Result<BackupView> {
        let url = self.database_url(workspace, database, &["backups"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET D/backups/:id`.
    pub async fn get_backup(
        &self,
        workspace: &Slug,
        database: &Slug,
        id: BackupId,
    ) -> Result<BackupView> {
        self.transport
            .get(self.backup_url(workspace, database, id, &[]))
            .await
    }

    /// `DELETE D/backups/:id`.
    pub async fn delete_backup(
        &self,
        workspace: &Slug,
        database: &Slug,
        id: BackupId,
    ) -> Result<Deleted> {
        let url = self.backup_url(workspace, database, id, &[]);
        self.transport.send(Method::DELETE, url, None).await
    }

    /// `GET D/backups/:id/download`: the dump, as the database's own tool wrote it.
    pub async fn download_backup(
        &self,
        workspace: &Slug,
        database: &Slug,
        id: BackupId,
    ) -> Result<Download> {
        let url = self.backup_url(workspace, database, id, &["download"]);
        self.transport.download(url).await
    }

    /// `POST D/backups/:id/prove`: begins to restore it into an instance that is made for that.
    pub async fn prove_backup(
        &self,
        workspace: &Slug,
        database: &Slug,
        id: BackupId,
    ) -> Result<BackupView> {
        let url = self.backup_url(workspace, database, id, &["prove"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `POST D/backups/:id/restore`: begins to replace a database's data, and answers that database.
    pub async fn restore_backup(
        &self,
        workspace: &Slug,
        database: &Slug,
        id: BackupId,
        body: &RestoreBackup,
    ) -> Result<DatabaseView> {
        let url = self.backup_url(workspace, database, id, &["restore"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    fn backup_url(&self, workspace: &Slug, database: &Slug, id: BackupId, rest: &[&str]) -> Url {
        let id = id.to_string();
        let path = [&["backups", id.as_str()][..], rest].concat();
        self.database_url(workspace, database, &path)
    }
}
