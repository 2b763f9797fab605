//! API keys of a workspace.

use std::time::Duration;

use tose_api::ApiKeyId;
use tose_api::member::{ApiKeyView, CreateApiKey};
use tose_api::workspace::Deleted;
use tose_model::access::Access;
use tose_model::error::{Error, Result};
use tose_model::secret::ExposeSecret;
use tose_store::{ApiKey, NewApiKey};

use crate::app::{Platform, check_name};
use crate::secrets;

/// The most days that a key lasts, if it ends at all.
const MAX_DAYS: u32 = 3650;
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Platform {
    /// Makes a key that carries the caller's role. The whole key is in this answer only.
    pub(crate) async fn create_api_key(
        &self,
        access: &Access,
        input: CreateApiKey,
    ) -> Result<ApiKeyView> {
        let name = check_name(&input.name)?;
        if input
            .expires_in_days
            .is_some_and(|days| !(1..=MAX_DAYS).contains(&days))
        {
            let problem = format!("must be between 1 and {MAX_DAYS}");
            return Err(Error::invalid_field("expires_in_days", problem));
        }
        let user_id = access.actor().user_id.ok_or(Error::NotFound("user"))?;
        let now = self.now();
        let fresh = secrets::fresh_api_key(self.ids.as_ref());
        let new = NewApiKey {
            id: ApiKeyId::from_uuid(self.ids.uuid()),
            name,
            hash: fresh.hash,
            prefix: fresh.prefix,
            expires_at: input
                .expires_in_days
                .map(|days| now.saturating_add(DAY * days)),
        };
        let event = self.event(access, "api_key.create", new.id);
        self.store
            .create_api_key(access.scope(), user_id, &new, &event)
            .await?;
        Ok(ApiKeyView {
            id: new.id,
            name: new.name,
            key: Some(fresh.key.expose_secret().to_owned()),
            key_prefix: new.prefix,
            user_id,
            email: access.actor().name.clone(),
            created_at: event.at,
            expires_at: new.expires_at,
            last_used_at: None,
        })
    }

    pub(crate) async fn list_api_keys(&self, access: &Access) -> Result<Vec<ApiKeyView>> {
        let keys = self.store.list_api_keys(access.scope()).await?;
        Ok(keys.into_iter().map(view).collect())
    }

    pub(crate) async fn delete_api_key(&self, access: &Access, id: &str) -> Result<Deleted> {
        let id: ApiKeyId = id.parse().map_err(|_| Error::NotFound("API key"))?;
        let event = self.event(access, "api_key.delete", id);
        self.store
            .delete_api_key(access.scope(), id, &event)
            .await?;
        Ok(Deleted {
            deleted: id.to_string(),
        })
    }
}

fn view(key: ApiKey) -> ApiKeyView {
    ApiKeyView {
        id: key.id,
        name: key.name,
        key: None,
        key_prefix: key.prefix,
        user_id: key.user_id,
        email: key.email,
        created_at: key.created_at,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
    }
}
