//! People who log in: accounts with passwords, sessions, two-factor, resets.
//!
//! Guarantees: an answer does not tell whether an address has an account, except to who registers
//! it; a code of an authenticator is taken once; a new password ends every other login.

use std::time::Duration;

use tose_api::account::{
    ChangePassword, ConfirmTotp, DisableTotp, Done, ForgotPassword, Login, PASSWORD_LENGTH,
    RecoveryCodes, Register, ResetPassword, SessionView, TotpSecret, UserView,
};
use tose_api::{Email, SessionId, Timestamp, UserId};
use tose_model::access::{Caller, Credential};
use tose_model::error::{Error, Result};
use tose_model::secret::{ExposeSecret, SecretString};
use tose_store::{NewSession, NewUser, User};
use totp_rs::{Builder, Secret, Totp};

use crate::app::{Platform, check_name, vault_error};
use crate::mail::Mail;
use crate::secrets::{self, Place};

/// How long a login lasts at most.
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a reset can be used.
const RESET_LIFETIME: Duration = Duration::from_secs(3600);
/// Bytes of an authenticator's secret, and how many codes replace it when it is lost.
const TOTP_SECRET_BYTES: usize = 20;
const RECOVERY_CODES: usize = 10;
/// Hex digits of a recovery code: 64 bits.
const RECOVERY_CODE_BYTES: usize = 8;

/// A login that was just made: its token goes into the cookie.
pub(crate) struct LoggedIn {
    pub(crate) token: SecretString,
    pub(crate) view: SessionView,
}

const WRONG: Error = Error::Unauthenticated {
    code: "wrong_credentials",
    message: "e-mail address or password is wrong",
};
const CODE_NEEDED: Error = Error::Unauthenticated {
    code: "two_factor_required",
    message: "this account has two-factor on; send the code of your authenticator app, or a recovery code, as code",
};
const WRONG_CODE: Error = Error::Unauthenticated {
    code: "wrong_code",
    message: "the code is wrong or was used already; wait for the next one",
};

impl Platform {
    /// Makes an account and logs it in.
    pub(crate) async fn register(&self, input: Register) -> Result<LoggedIn> {
        let password = check_password("password", input.password)?;
        let name = input.name.as_deref().map(check_name).transpose()?;
        let is_invited = match &input.invitation_token {
            Some(token) if !secrets::is_token_shaped(token) => {
                return Err(Error::invalid_field(
                    "invitation_token",
                    "is not the token of an invitation",
                ));
            }
            Some(token) => {
                let hash = secrets::hash_api_key(token);
                self.store
                    .is_invited(&hash, &input.email, self.now())
                    .await?
            }
            None => false,
        };
        if !self.config.open_registration && !is_invited {
            return Err(Error::Forbidden(
                "registration is closed on this server; ask somebody to invite you".to_owned(),
            ));
        }
        let new = NewUser {
            id: UserId::from_uuid(self.ids.uuid()),
            email: input.email,
            name,
            password_hash: self.passwords.hash(password, self.ids.as_ref()).await?,
            now: self.now(),
        };
        self.store.create_user(&new).await?;
        let user = self.store.get_user(new.id).await?;
        self.start_session(user).await
    }

    pub(crate) async fn login(&self, input: Login) -> Result<LoggedIn> {
        self.limits.logins.count(&input.email.to_string())?;
        let user = self.store.find_user_by_email(&input.email).await?;
        let stored = user.as_ref().and_then(|user| user.password_hash.clone());
        let password = SecretString::from(input.password);
        if !self.passwords.is_right(password, stored).await? {
            return Err(WRONG);
        }
        let user = user.ok_or(WRONG)?;
        if user.two_factor {
            let code = input.code.ok_or(CODE_NEEDED)?;
            self.take_code(&user, code.trim()).await?;
        }
        self.start_session(user).await
    }

    /// Ends the login that the caller came by.
    pub(crate) async fn logout(&self, caller: &Caller) -> Result<Done> {
        self.store.delete_session(session_of(caller)?).await?;
        Ok(done("logged out"))
    }

    pub(crate) async fn change_password(
        &self,
        caller: &Caller,
        input: ChangePassword,
    ) -> Result<Done> {
        let session = session_of(caller)?;
        let password = check_password("new_password", input.new_password)?;
        self.check_own_password(caller, "current_password", input.current_password)
            .await?;
        let hash = self.passwords.hash(password, self.ids.as_ref()).await?;
        self.store
            .set_password(caller.user_id, &hash, Some(session))
            .await?;
        Ok(done("the password is changed; every other login has ended"))
    }

    /// Sends a mail with a reset token, if the address has an account. The answer is the same either
    /// way, and comes before anybody has looked: how long it takes tells nothing, too.
    pub(crate) async fn forgot_password(
        self: &std::sync::Arc<Self>,
        input: ForgotPassword,
    ) -> Result<Done> {
        if !self.mailer.is_on() {
            return Err(Error::conflict(
                "no_mail",
                "this server sends no mail; ask its operator to run: tosed admin reset-password",
            ));
        }
        self.limits.logins.count(&input.email.to_string())?;
        let platform = std::sync::Arc::clone(self);
        self.background.spawn(async move {
            if let Err(error) = platform.send_reset(&input.email).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a reset mail was not sent"
                );
            }
        });
        Ok(done(
            "if the address has an account, a mail is on its way to it",
        ))
    }

    async fn send_reset(&self, email: &Email) -> Result<()> {
        let Some(user) = self.store.find_user_by_email(email).await? else {
            return Ok(());
        };
        let token = secrets::fresh_token(self.ids.as_ref());
        let expires_at = self.now().saturating_add(RESET_LIFETIME);
        let hash = secrets::hash_api_key(token.expose_secret());
        self.store
            .create_password_reset(&hash, user.id, expires_at)
            .await?;
        let text = format!(
            "Somebody asked for a new password for your account at {url}.\n\n\
             To set one, send this token to POST {reset} within an hour:\n\n{token}\n\n\
             If it was not you, do nothing.\n",
            url = self.config.public_url,
            reset = self.config.public_address("/api/auth/password/reset"),
            token = token.expose_secret(),
        );
        let mail = Mail {
            to: user.email.as_str(),
            subject: "A new password for TOSE",
            text,
        };
        self.mailer.send(mail).await
    }

    pub(crate) async fn use_password_reset(&self, input: ResetPassword) -> Result<Done> {
        let password = check_password("new_password", input.new_password)?;
        let hash = self.passwords.hash(password, self.ids.as_ref()).await?;
        let token = secrets::hash_api_key(&input.token);
        if !self
            .store
            .use_password_reset(&token, &hash, self.now())
            .await?
        {
            return Err(Error::Unauthenticated {
                code: "wrong_token",
                message: "the token is wrong, used or older than an hour; ask for another one",
            });
        }
        Ok(done("the password is set; log in with it"))
    }

    /// A fresh authenticator secret, which counts once it was confirmed.
    pub(crate) async fn start_totp(&self, caller: &Caller) -> Result<TotpSecret> {
        let mut bytes = [0; TOTP_SECRET_BYTES];
        self.ids.fill(&mut bytes);
        let secret = Secret::from(&bytes[..]).to_base32();
        let place = Place::TotpSecret {
            user_id: caller.user_id,
        };
        let sealed = self.vault.seal(place, &secret, self.ids.as_ref());
        self.store.set_totp_secret(caller.user_id, &sealed).await?;
        let otpauth_url = totp(&secret, &caller.email)?.to_url().map_err(|error| {
            Error::internal(
                "an authenticator's address cannot be made",
                error.to_string(),
            )
        })?;
        Ok(TotpSecret {
            secret,
            otpauth_url,
        })
    }

    pub(crate) async fn confirm_totp(
        &self,
        caller: &Caller,
        input: ConfirmTotp,
    ) -> Result<RecoveryCodes> {
        let user = self.store.get_user(caller.user_id).await?;
        if user.two_factor {
            return Err(Error::conflict("conflict", "two-factor is on already"));
        }
        if user.totp_secret.is_none() {
            return Err(Error::conflict(
                "not_started",
                "ask for a secret first, with POST /api/me/totp",
            ));
        }
        let step = self.find_totp_step(&user, &input.code)?.ok_or_else(|| {
            Error::invalid_field("code", "is not what the app shows now; check its clock")
        })?;
        let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| self.recovery_code()).collect();
        let hashes: Vec<_> = codes
            .iter()
            .map(|code| secrets::hash_api_key(code))
            .collect();
        self.store
            .confirm_totp(user.id, step, &hashes, self.now())
            .await?;
        Ok(RecoveryCodes {
            recovery_codes: codes,
        })
    }

    pub(crate) async fn disable_totp(&self, caller: &Caller, input: DisableTotp) -> Result<Done> {
        self.check_own_password(caller, "password", input.password)
            .await?;
        self.store.disable_totp(caller.user_id).await?;
        Ok(done("two-factor is off"))
    }

    fn recovery_code(&self) -> String {
        let mut bytes = [0; RECOVERY_CODE_BYTES];
        self.ids.fill(&mut bytes);
        hex::encode(bytes)
    }

    async fn check_own_password(
        &self,
        caller: &Caller,
        field: &str,
        password: String,
    ) -> Result<()> {
        self.limits.logins.count(&caller.email)?;
        let user = self.store.get_user(caller.user_id).await?;
        let password = SecretString::from(password);
        if self
            .passwords
            .is_right(password, user.password_hash)
            .await?
        {
            return Ok(());
        }
        Err(Error::invalid_field(field, "is not the account's password"))
    }

    async fn take_code(&self, user: &User, code: &str) -> Result<()> {
        let is_taken = match self.find_totp_step(user, code)? {
            Some(step) => self.store.use_totp_step(user.id, step).await?,
            None => {
                let hash = secrets::hash_api_key(code);
                self.store.use_recovery_code(user.id, &hash).await?
            }
        };
        if is_taken { Ok(()) } else { Err(WRONG_CODE) }
    }

    /// The time step whose code this is; now, or one step before or after.
    fn find_totp_step(&self, user: &User, code: &str) -> Result<Option<i64>> {
        let Some(sealed) = &user.totp_secret else {
            return Ok(None);
        };
        let place = Place::TotpSecret { user_id: user.id };
        let secret = self.vault.open(place, sealed).map_err(vault_error)?;
        let totp = totp(secret.expose_secret(), user.email.as_str())?;
        let seconds = u64::try_from(self.now().as_nanos() / 1_000_000_000).unwrap_or(0);
        Ok(totp
            .check(code, seconds)
            .map(|step| i64::try_from(step).unwrap_or(i64::MAX)))
    }

    async fn start_session(&self, user: User) -> Result<LoggedIn> {
        let token = secrets::fresh_token(self.ids.as_ref());
        let now = self.now();
        let new = NewSession {
            id: SessionId::from_uuid(self.ids.uuid()),
            user_id: user.id,
            token_hash: secrets::hash_api_key(token.expose_secret()),
            expires_at: now.saturating_add(SESSION_LIFETIME),
            now,
        };
        self.store.create_session(&new).await?;
        Ok(LoggedIn {
            view: session_view(user, token.expose_secret(), new.expires_at),
            token,
        })
    }
}

fn session_view(user: User, token: &str, expires_at: Timestamp) -> SessionView {
    SessionView {
        user: UserView {
            id: user.id,
            email: user.email,
            name: user.name,
            two_factor: user.two_factor,
            created_at: user.created_at,
        },
        csrf_token: secrets::csrf_token(token),
        expires_at,
    }
}

/// The login that the caller came by: a key that leaked must not be able to take the account.
fn session_of(caller: &Caller) -> Result<SessionId> {
    match caller.credential {
        Credential::Session { id } => Ok(id),
        Credential::ApiKey { .. } => Err(Error::Forbidden(
            "an API key cannot do this; log in with POST /api/auth/login".to_owned(),
        )),
    }
}

fn check_password(field: &str, password: String) -> Result<SecretString> {
    if PASSWORD_LENGTH.contains(&password.chars().count()) {
        return Ok(SecretString::from(password));
    }
    Err(Error::invalid_field(
        field,
        "must have 10 to 128 characters",
    ))
}

fn totp(secret: &str, account: &str) -> Result<Totp> {
    let failed = |error: String| Error::internal("an authenticator's secret cannot be used", error);
    let secret = Secret::try_from_base32(secret).map_err(|error| failed(error.to_string()))?;
    Builder::new()
        .with_secret(secret)
        // A colon divides issuer and account in the address that apps read.
        .with_account_name(account.replace(':', "_"))
        .with_issuer(Some("TOSE"))
        .build()
        .map_err(|error| failed(error.to_string()))
}

fn done(message: &str) -> Done {
    Done {
        message: message.to_owned(),
    }
}
