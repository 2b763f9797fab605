//! People: accounts, logins, two-factor, and who the caller is.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::workspace::Role;
use crate::{Email, Slug, Timestamp, UserId};

/// The fewest and the most characters that a password has.
pub const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 10..=128;

/// Reads an address in upper or lower case, as people type it.
pub(crate) fn typed_email<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Email, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.to_ascii_lowercase()
        .parse()
        .map_err(serde::de::Error::custom)
}

/// The schema of an address in upper or lower case.
#[derive(JsonSchema)]
#[schemars(inline, extend("examples" = ["you@example.com"]))]
#[expect(dead_code, reason = "it stands for its schema only")]
pub(crate) struct TypedEmail(
    #[schemars(
        length(max = 254),
        regex(
            pattern = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$"
        )
    )]
    String,
);

/// Body of `POST /api/auth/register`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The address that the account is known by.
    #[serde(deserialize_with = "typed_email")]
    #[schemars(with = "TypedEmail")]
    pub email: Email,
    /// 10 to 128 characters.
    #[schemars(length(min = 10, max = 128))]
    pub password: String,
    /// What people call the person; 1 to 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = crate::name::DISPLAY_NAME_PATTERN))]
    pub name: Option<String>,
    /// The token of an invitation to this address; with it an account can be made although
    /// registration is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{40}$"))]
    pub invitation_token: Option<String>,
}

/// Body of `POST /api/auth/login`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The account's address.
    #[serde(deserialize_with = "typed_email")]
    #[schemars(with = "TypedEmail")]
    pub email: Email,
    /// Its password.
    #[schemars(length(max = 128))]
    pub password: String,
    /// The six digits of the authenticator app, or a recovery code, where two-factor is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub code: Option<String>,
}

/// Answer of a login: the cookie carries the session, this is the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// Who is logged in.
    pub user: UserView,
    /// To be sent as `X-CSRF-Token` with every call that changes something by cookie.
    pub csrf_token: String,
    /// When the login ends at the latest.
    pub expires_at: Timestamp,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserView {
    /// Its id.
    pub id: UserId,
    /// Its address.
    pub email: Email,
    /// What people call the person.
    pub name: Option<String>,
    /// Whether a login needs a code besides the password.
    pub two_factor: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Body of `PUT /api/me`: what is not sent keeps its value.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMe {
    /// What people call the person; 1 to 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = crate::name::DISPLAY_NAME_PATTERN))]
    pub name: Option<String>,
}

/// Body of `POST /api/me/password`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password that is valid now.
    #[schemars(length(max = 128))]
    pub current_password: String,
    /// 10 to 128 characters.
    #[schemars(length(min = 10, max = 128))]
    pub new_password: String,
}

/// Body of `POST /api/auth/password/forgot`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgotPassword {
    /// The account's address.
    #[serde(deserialize_with = "typed_email")]
    #[schemars(with = "TypedEmail")]
    pub email: Email,
}

/// Body of `POST /api/auth/password/reset`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// The token from the mail; it works once, for an hour.
    #[schemars(regex(pattern = "^[0-9a-f]{40}$"))]
    pub token: String,
    /// 10 to 128 characters.
    #[schemars(length(min = 10, max = 128))]
    pub new_password: String,
}

/// Answer of a call that only has to be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// What was done, for a person.
    pub message: String,
}

/// Answer of `POST /api/me/totp`: what an authenticator app has to know, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TotpSecret {
    /// The secret in base32.
    pub secret: String,
    /// The same as an address that apps read from a QR code.
    pub otpauth_url: String,
}

/// Body of `POST /api/me/totp/confirm`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmTotp {
    /// The six digits that the app shows.
    #[schemars(regex(pattern = "^[0-9]{6}$"))]
    pub code: String,
}

/// Answer of `POST /api/me/totp/confirm`: codes for when the app is lost, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryCodes {
    /// Each stands in for the six digits once.
    pub recovery_codes: Vec<String>,
}

/// Body of `DELETE /api/me/totp`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisableTotp {
    /// The account's password.
    #[schemars(length(max = 128))]
    pub password: String,
}

/// Answer of `GET /api/me`: who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeView {
    /// The account.
    pub user_id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// What people call the person.
    pub name: Option<String>,
    /// Whether a login needs a code besides the password.
    pub two_factor: bool,
    /// The workspace that the key belongs to; absent for a login, which opens every workspace that
    /// the account is a member of.
    pub workspace: Option<Slug>,
    /// The caller's role there.
    pub role: Option<Role>,
    /// To be sent as `X-CSRF-Token` with every call that changes something; for a login only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csrf_token: Option<String>,
}
