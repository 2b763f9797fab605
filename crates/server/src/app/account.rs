//! Who calls, and the first account.

use std::time::Duration;

use subtle::ConstantTimeEq;
use tose_api::workspace::MeView;
use tose_api::{ApiKeyId, Slug, UserId, WorkspaceId};
use tose_model::access::Caller;
use tose_model::error::{Error, Result};
use tose_model::secret::SecretString;
use tose_store::{Bootstrap, NewApiKey, NewWorkspace};

use crate::app::Platform;
use crate::secrets;

/// How exact `last_used_at` is: a key that is used all the time costs one write in this time.
const LAST_USED_RESOLUTION: Duration = Duration::from_secs(60);

/// What `tosed admin bootstrap` made.
pub struct Bootstrapped {
    /// The account.
    pub user_id: UserId,
    /// The workspace's slug.
    pub workspace: Slug,
    /// A fresh key.
    pub api_key: SecretString,
}

impl Platform {
    /// Who holds this API key.
    ///
    /// # Errors
    /// `Unauthenticated`, the same for a key that is malformed, unknown, expired or of a former member.
    pub(crate) async fn authenticate(&self, key: &str) -> Result<Caller> {
        const REFUSED: Error = Error::Unauthenticated(
            "the API key is not valid; send a current one in the header X-API-Key",
        );
        if !secrets::is_api_key_shaped(key) {
            return Err(REFUSED);
        }
        let hash = secrets::hash_api_key(key);
        let now = self.now();
        let found = self.store.find_caller(&hash, now).await?;
        let (caller, stored_hash, last_used_at) = found.ok_or(REFUSED)?;
        if !bool::from(stored_hash.ct_eq(hash.as_slice())) {
            return Err(REFUSED);
        }
        if last_used_at.is_none_or(|at| now.since(at) >= LAST_USED_RESOLUTION) {
            self.store.touch_api_key(caller.api_key_id, now).await?;
        }
        Ok(caller)
    }

    pub(crate) fn me(&self, caller: &Caller) -> MeView {
        MeView {
            user_id: caller.user_id,
            email: caller.email.clone(),
            workspace: caller.workspace.clone(),
            role: caller.role,
        }
    }
}

/// Makes sure that there are an account and a workspace that it owns, and makes one more key.
///
/// # Errors
/// When the address is none, or the workspace belongs to somebody else.
pub async fn bootstrap(
    store: &tose_store::Store,
    clock: &dyn tose_model::Clock,
    ids: &dyn tose_model::IdGen,
    email: &str,
    workspace: &Slug,
) -> Result<Bootstrapped> {
    let email = check_email(email)?;
    let now = clock.now();
    let key = secrets::fresh_api_key(ids);
    let new = Bootstrap {
        email,
        user_id: UserId::from_uuid(ids.uuid()),
        workspace: NewWorkspace {
            id: WorkspaceId::from_uuid(ids.uuid()),
            slug: workspace.clone(),
            name: workspace.to_string(),
            now,
        },
        api_key: NewApiKey {
            id: ApiKeyId::from_uuid(ids.uuid()),
            name: "bootstrap".to_owned(),
            hash: key.hash,
            prefix: key.prefix,
        },
        now,
    };
    let user_id = store.bootstrap(&new).await?;
    Ok(Bootstrapped {
        user_id,
        workspace: workspace.clone(),
        api_key: key.key,
    })
}

/// Checks an e-mail address for its form only, and puts it in lower case.
fn check_email(email: &str) -> Result<String> {
    let email = email.trim().to_lowercase();
    let is_plain = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    match email.split_once('@') {
        Some((local, host))
            if is_plain(local) && is_plain(host) && !host.contains('@') && email.len() <= 254 =>
        {
            Ok(email)
        }
        _ => Err(Error::invalid_field("email", "must be an e-mail address")),
    }
}
