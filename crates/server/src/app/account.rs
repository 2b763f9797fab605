//! The caller themselves, and what an operator does to accounts from the command line.

use tose_api::account::{MeView, UpdateMe};
use tose_api::{ApiKeyId, Email, Slug, UserId, WorkspaceId};
use tose_model::access::{Caller, Credential};
use tose_model::error::{Error, Result};
use tose_model::money::Money;
use tose_model::secret::SecretString;
use tose_store::{Bootstrap, NewApiKey, NewWorkspace};

use crate::app::wallet::signup_credit;
use crate::app::{Platform, check_name};
use crate::password::Passwords;
use crate::secrets;

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
    /// Who calls; `csrf_token` is theirs to know if they came by a login.
    pub(crate) async fn me(&self, caller: &Caller, csrf_token: Option<String>) -> Result<MeView> {
        let user = self.store.get_user(caller.user_id).await?;
        let membership = match &caller.credential {
            Credential::ApiKey { membership, .. } => Some(membership.clone()),
            Credential::Session { .. } => None,
        };
        Ok(MeView {
            user_id: user.id,
            email: user.email.to_string(),
            name: user.name,
            two_factor: user.two_factor,
            role: membership.as_ref().map(|membership| membership.role),
            workspace: membership.map(|membership| membership.workspace),
            csrf_token,
        })
    }

    pub(crate) async fn update_me(
        &self,
        caller: &Caller,
        input: UpdateMe,
        csrf_token: Option<String>,
    ) -> Result<MeView> {
        if let Some(name) = input.name {
            let name = check_name(&name)?;
            self.store.rename_user(caller.user_id, &name).await?;
        }
        self.me(caller, csrf_token).await
    }
}

/// Makes sure that there are an account and a workspace that it owns, and makes one more key. A new account
/// is given `credit`.
///
/// # Errors
/// When the address is none, or the workspace belongs to somebody else.
pub async fn bootstrap(
    store: &tose_store::Store,
    clock: &dyn tose_model::Clock,
    ids: &dyn tose_model::IdGen,
    email: &str,
    workspace: &Slug,
    credit: Money,
) -> Result<Bootstrapped> {
    let email = parse_email(email)?;
    let now = clock.now();
    let key = secrets::fresh_api_key(ids);
    let new = Bootstrap {
        email: email.to_string(),
        user_id: UserId::from_uuid(ids.uuid()),
        workspace: NewWorkspace {
            id: WorkspaceId::from_uuid(ids.uuid()),
            credit: signup_credit(ids, credit),
            slug: workspace.clone(),
            name: workspace.to_string(),
            now,
        },
        api_key: NewApiKey {
            id: ApiKeyId::from_uuid(ids.uuid()),
            name: "bootstrap".to_owned(),
            hash: key.hash,
            prefix: key.prefix,
            expires_at: None,
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

/// Gives an account a fresh password and ends its logins; answers the password, shown once.
///
/// # Errors
/// When there is no account with this address.
pub async fn reset_password(
    store: &tose_store::Store,
    ids: &dyn tose_model::IdGen,
    email: &str,
) -> Result<SecretString> {
    let email = parse_email(email)?;
    let user = store.find_user_by_email(&email).await?;
    let user = user.ok_or(Error::NotFound("user"))?;
    let password = secrets::fresh_token(ids);
    let hash = Passwords::new(ids)?.hash(password.clone(), ids).await?;
    store.set_password(user.id, &hash, None).await?;
    Ok(password)
}

pub(crate) fn parse_email(email: &str) -> Result<Email> {
    Email::from_input(email).map_err(|_| Error::invalid_field("email", "must be an e-mail address"))
}
