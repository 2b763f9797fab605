//! Accounts: passwords, two-factor, and resets. Not of any workspace, so no scope here.

use tose_api::{Email, Timestamp, UserId};
use tose_model::secret::Sealed;

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::row;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its address.
    pub email: Email,
    /// What people call the person.
    pub name: Option<String>,
    /// Argon2id in PHC form; absent for an account that only has keys.
    pub password_hash: Option<String>,
    /// The authenticator's secret.
    pub totp_secret: Option<Sealed>,
    /// Whether that was confirmed: a login needs a code then.
    pub two_factor: bool,
    /// Whether it may do what concerns the whole installation.
    pub is_operator: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// A fresh id.
    pub id: UserId,
    /// Its address.
    pub email: Email,
    /// What people call the person.
    pub name: Option<String>,
    /// Argon2id in PHC form.
    pub password_hash: String,
    /// When.
    pub now: Timestamp,
}

#[derive(sqlx::FromRow)]
struct UserRow {
    id: String,
    email: String,
    name: Option<String>,
    password_hash: Option<String>,
    totp_secret: Option<Vec<u8>>,
    totp_confirmed_at: Option<i64>,
    is_operator: i64,
    created_at: i64,
}

macro_rules! select_user {
    ($rest:literal) => {
        concat!(
            "SELECT id, email, name, password_hash, totp_secret, totp_confirmed_at, is_operator,
                    created_at FROM users ",
            $rest
        )
    };
}

impl UserRow {
    fn into_user(self) -> Result<User> {
        Ok(User {
            id: row::parse("users.id", &self.id)?,
            email: row::parse("users.email", &self.email)?,
            name: self.name,
            password_hash: self.password_hash,
            two_factor: self.totp_secret.is_some() && self.totp_confirmed_at.is_some(),
            totp_secret: self.totp_secret.map(Sealed::from_bytes),
            is_operator: self.is_operator != 0,
            created_at: row::to_time(self.created_at),
        })
    }
}

impl Store {
    /// Makes an account.
    ///
    /// # Errors
    /// `Taken` when the address has one.
    pub async fn create_user(&self, new: &NewUser) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO users (id, email, name, password_hash, created_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(new.id.to_string())
        .bind(new.email.as_str())
        .bind(&new.name)
        .bind(&new.password_hash)
        .bind(new.now.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::insert("write a user", "the e-mail address"))?;
        commit(tx).await
    }

    /// The account with this id.
    pub async fn get_user(&self, id: UserId) -> Result<User> {
        let found: Option<UserRow> = sqlx::query_as(select_user!("WHERE id = $1"))
            .bind(id.to_string())
            .fetch_optional(self.readers())
            .await
            .map_err(Error::query("read a user"))?;
        found.ok_or(Error::NotFound("user"))?.into_user()
    }

    /// The account with this address.
    pub async fn find_user_by_email(&self, email: &Email) -> Result<Option<User>> {
        let found: Option<UserRow> = sqlx::query_as(select_user!("WHERE email = $1"))
            .bind(email.as_str())
            .fetch_optional(self.readers())
            .await
            .map_err(Error::query("find a user"))?;
        found.map(UserRow::into_user).transpose()
    }

    /// Gives the person another name.
    pub async fn rename_user(&self, id: UserId, name: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE users SET name = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(Error::query("rename a user"))?;
        commit(tx).await
    }

    /// Sets a password. Every login but `keep` ends, and so do resets that were asked for.
    pub async fn set_password(
        &self,
        id: UserId,
        password_hash: &str,
        keep: Option<tose_api::SessionId>,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        write_password(&mut tx, id, password_hash, keep).await?;
        tx.changes_credentials();
        commit(tx).await
    }

    /// Keeps a fresh authenticator secret that has to be confirmed yet.
    ///
    /// # Errors
    /// `Conflict` when two-factor is on.
    pub async fn set_totp_secret(&self, id: UserId, secret: &Sealed) -> Result<()> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE users SET totp_secret = $2, totp_last_step = 0
             WHERE id = $1 AND totp_confirmed_at IS NULL",
        )
        .bind(id.to_string())
        .bind(secret.as_bytes())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write an authenticator's secret"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict(
                "two-factor is on already; switch it off first",
            ));
        }
        commit(tx).await
    }

    /// Switches two-factor on, with recovery codes by their hashes.
    pub async fn confirm_totp(
        &self,
        id: UserId,
        step: i64,
        recovery_codes: &[[u8; 32]],
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE users SET totp_confirmed_at = $2, totp_last_step = $3
             WHERE id = $1 AND totp_confirmed_at IS NULL AND totp_secret IS NOT NULL",
        )
        .bind(id.to_string())
        .bind(now.as_nanos())
        .bind(step)
        .execute(&mut *tx)
        .await
        .map_err(Error::query("confirm an authenticator"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("two-factor is on already"));
        }
        for hash in recovery_codes {
            sqlx::query("INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)")
                .bind(id.to_string())
                .bind(hash.as_slice())
                .execute(&mut *tx)
                .await
                .map_err(Error::query("write a recovery code"))?;
        }
        commit(tx).await
    }

    /// Switches two-factor off.
    pub async fn disable_totp(&self, id: UserId) -> Result<()> {
        let mut tx = self.begin().await?;
        for statement in [
            "UPDATE users SET totp_secret = NULL, totp_confirmed_at = NULL WHERE id = $1",
            "DELETE FROM recovery_codes WHERE user_id = $1",
        ] {
            sqlx::query(statement)
                .bind(id.to_string())
                .execute(&mut *tx)
                .await
                .map_err(Error::query("switch two-factor off"))?;
        }
        commit(tx).await
    }

    /// Takes the code of a time step; `false` if it or a later one was taken before.
    pub async fn use_totp_step(&self, id: UserId, step: i64) -> Result<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE users SET totp_last_step = $2 WHERE id = $1 AND totp_last_step < $2",
        )
        .bind(id.to_string())
        .bind(step)
        .execute(&mut *tx)
        .await
        .map_err(Error::query("take an authenticator's code"))?;
        commit(tx).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a recovery code; `false` if there is no such one (any more).
    pub async fn use_recovery_code(&self, id: UserId, hash: &[u8; 32]) -> Result<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2")
            .bind(id.to_string())
            .bind(hash.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("take a recovery code"))?;
        commit(tx).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps the hash of a reset token, in place of those that the account asked for before.
    pub async fn create_password_reset(
        &self,
        token_hash: &[u8; 32],
        user_id: UserId,
        expires_at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        delete_resets(&mut tx, user_id).await?;
        sqlx::query(
            "INSERT INTO password_resets (token_hash, user_id, expires_at) VALUES ($1, $2, $3)",
        )
        .bind(token_hash.as_slice())
        .bind(user_id.to_string())
        .bind(expires_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("write a password reset"))?;
        commit(tx).await
    }

    /// Takes a reset token and sets the password; `false` if the token is unknown, used or too old.
    pub async fn use_password_reset(
        &self,
        token_hash: &[u8; 32],
        password_hash: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let mut tx = self.begin().await?;
        let user_id: Option<String> = sqlx::query_scalar(
            "DELETE FROM password_resets WHERE token_hash = $1 AND expires_at > $2
             RETURNING user_id",
        )
        .bind(token_hash.as_slice())
        .bind(now.as_nanos())
        .fetch_optional(&mut *tx)
        .await
        .map_err(Error::query("take a password reset"))?;
        let Some(user_id) = user_id else {
            return Ok(false);
        };
        let user_id = row::parse("password_resets.user_id", &user_id)?;
        write_password(&mut tx, user_id, password_hash, None).await?;
        tx.changes_credentials();
        commit(tx).await?;
        Ok(true)
    }

    /// The addresses of those who see to the whole installation.
    pub async fn list_operator_emails_for_task(&self) -> Result<Vec<Email>> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT email FROM users WHERE is_operator = 1 ORDER BY email")
                .fetch_all(self.readers())
                .await
                .map_err(Error::query("list operators"))?;
        rows.iter()
            .map(|email| row::parse("users.email", email))
            .collect()
    }

    /// Says whether the account with this address is an operator.
    pub async fn set_operator(&self, email: &Email, is_operator: Operator) -> Result<()> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("UPDATE users SET is_operator = $2 WHERE email = $1")
            .bind(email.as_str())
            .bind(i64::from(is_operator == Operator::Yes))
            .execute(&mut *tx)
            .await
            .map_err(Error::query("change an operator"))?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("user"));
        }
        tx.changes_credentials();
        commit(tx).await
    }
}

/// Whether an account may do what concerns the whole installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// It may.
    Yes,
    /// It may not.
    No,
}

async fn write_password(
    tx: &mut Tx,
    id: UserId,
    password_hash: &str,
    keep: Option<tose_api::SessionId>,
) -> Result<()> {
    sqlx::query("UPDATE users SET password_hash = $2 WHERE id = $1")
        .bind(id.to_string())
        .bind(password_hash)
        .execute(&mut **tx)
        .await
        .map_err(Error::query("write a password"))?;
    sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND id <> $2")
        .bind(id.to_string())
        .bind(keep.map(|id| id.to_string()).unwrap_or_default())
        .execute(&mut **tx)
        .await
        .map_err(Error::query("end logins"))?;
    delete_resets(tx, id).await
}

async fn delete_resets(tx: &mut Tx, user_id: UserId) -> Result<()> {
    sqlx::query("DELETE FROM password_resets WHERE user_id = $1")
        .bind(user_id.to_string())
        .execute(&mut **tx)
        .await
        .map_err(Error::query("drop password resets"))?;
    Ok(())
}
