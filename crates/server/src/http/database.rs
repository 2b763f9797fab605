//! `/api/workspaces/:slug/databases`.

use std::io::Read;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body as HttpBody;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use tokio::sync::OwnedSemaphorePermit;
use tose_api::database::{CreateDatabase, ExposeDatabase, RestoreBackup, UpdateDatabase};
use tose_model::Error;
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::{Body, OptionalBody, Page};
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, accepted, ok, page};

/// The slug of the workspace, and what names the database.
type DatabasePath = ProjectPath;
/// The same with the backup's id.
type BackupPath = Path<(String, String, String)>;

/// Bytes of a piece of a download.
const PIECE: usize = 64 << 10;

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<CreateDatabase>,
) -> Reply {
    accepted(platform.create_database(&access, input).await?)
}

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Page(paging): Page,
) -> Reply {
    page(platform.list_databases(&access, paging).await?)
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database)): DatabasePath,
) -> Reply {
    ok(platform.get_database(&access, &database).await?)
}

pub(crate) async fn update(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database)): DatabasePath,
    Body(input): Body<UpdateDatabase>,
) -> Reply {
    ok(platform.update_database(&access, &database, input).await?)
}

pub(crate) async fn start(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database)): DatabasePath,
) -> Reply {
    ok(platform.start_database(&access, &database).await?)
}

pub(crate) async fn stop(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database)): DatabasePath,
) -> Reply {
    ok(platform.stop_database(&access, &database).await?)
}

pub(crate) async fn restart(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database)): DatabasePath,
) -> Reply {
    ok(platform.restart_database(&access, &database).await?)
}

pub(crate) async fn retry(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database)): DatabasePath,
) -> Reply {
    ok(platform.retry_database(&access, &database).await?)
}

pub(crate) async fn reset_password(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database)): DatabasePath,
) -> Reply {
    ok(platform.reset_database_password(&access, &database).await?)
}

pub(crate) async fn expose(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database)): DatabasePath,
    Body(input): Body<ExposeDatabase>,
) -> Reply {
    ok(platform.expose_database(&access, &database, input).await?)
}

pub(crate) async fn list_backups(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database)): DatabasePath,
    Page(paging): Page,
) -> Reply {
    page(platform.list_backups(&access, &database, paging).await?)
}

pub(crate) async fn create_backup(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database)): DatabasePath,
) -> Reply {
    accepted(platform.create_backup(&access, &database).await?)
}

pub(crate) async fn get_backup(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database, id)): BackupPath,
) -> Reply {
    ok(platform.get_backup(&access, &database, &id).await?)
}

pub(crate) async fn prove(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database, id)): BackupPath,
) -> Reply {
    accepted(platform.prove_backup(&access, &database, &id).await?)
}

pub(crate) async fn delete_backup(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database, id)): BackupPath,
) -> Reply {
    ok(platform.delete_backup(&access, &database, &id).await?)
}

pub(crate) async fn restore(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database, id)): BackupPath,
    OptionalBody(input): OptionalBody<RestoreBackup>,
) -> Reply {
    accepted(
        platform
            .restore_backup(&access, &database, &id, input)
            .await?,
    )
}

/// The dump as the database's own tool wrote it, decrypted and uncompressed while it is sent.
pub(crate) async fn download(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, database, id)): BackupPath,
) -> Reply {
    let place = platform.limits.socket(access.scope().id())?;
    let (name, reader) = platform.open_backup(&access, &database, &id).await?;
    let pieces = stream::try_unfold(
        Download {
            reader,
            _place: place,
        },
        Download::next,
    );
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    Ok((headers, HttpBody::from_stream(pieces)).into_response())
}

/// A download under way.
struct Download {
    reader: Box<dyn Read + Send>,
    /// Among the connections that a workspace may keep open.
    _place: OwnedSemaphorePermit,
}

impl Download {
    /// The next bytes; none at the end.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let read = self.reader.read(&mut piece)?;
            piece.truncate(read);
            Ok::<_, std::io::Error>((Bytes::from(piece), self))
        });
        let broken = "a backup could not be read";
        let (piece, rest) = read
            .await
            .map_err(|error| Error::internal(broken, error))?
            .map_err(|error| Error::internal(broken, error))?;
        Ok((!piece.is_empty()).then_some((piece, rest)))
    }
}
