//! Top-ups that are waited for, and payments that providers have told of.
//!
//! Guarantees: a payment is kept once, by what its provider calls it, and credited in the same transaction;
//! telling of it again changes nothing. What could not be matched is kept for an operator, never dropped.

use tose_api::envelope::Paging;
use tose_api::wallet::{PaymentStatus, TopupProvider, TopupStatus};
use tose_api::{PaymentId, Slug, Timestamp, TopupId, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::money::{Currency, Money};

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::ledger::{self, NewEntry};
use crate::row;

/// A top-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topup {
    /// Its id.
    pub id: TopupId,
    /// Whose wallet it is for.
    pub workspace_id: WorkspaceId,
    /// Through whom it comes.
    pub provider: TopupProvider,
    /// How it stands.
    pub status: TopupStatus,
    /// What was asked for.
    pub amount: Money,
    /// In which currency.
    pub currency: Currency,
    /// The text by which a transfer finds it.
    pub memo: String,
    /// The number by which a provider's notice finds it.
    pub order_number: i64,
    /// What the provider calls it.
    pub provider_id: Option<String>,
    /// Where it is paid.
    pub checkout_url: Option<String>,
    /// What was credited.
    pub credited: Option<Money>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Until when it is waited for.
    pub expires_at: Timestamp,
}

/// How a payment finds its top-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopupKey {
    /// By a text in a transfer.
    Memo(String),
    /// By a number.
    Order(i64),
}

/// A payment to be kept.
#[derive(Debug, Clone)]
pub struct NewPayment {
    /// A fresh id.
    pub id: PaymentId,
    /// Who told of it.
    pub provider: TopupProvider,
    /// What that one calls it.
    pub external_id: String,
    /// What was received.
    pub amount: Money,
    /// In which currency.
    pub currency: Currency,
    /// The text that came with it.
    pub text: String,
    /// The top-up that it belongs to.
    pub topup: Option<TopupId>,
    /// What is added to the wallet.
    pub credit: Option<NewEntry>,
    /// Why an operator has to look at it.
    pub problem: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The wallet has this now.
    Credited(Money),
    /// It is kept, and nothing was credited.
    Kept,
    /// It was told of before.
    Known,
}

/// A payment, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// Who told of it.
    pub provider: TopupProvider,
    /// What that one calls it.
    pub external_id: String,
    /// How it stands.
    pub status: PaymentStatus,
    /// Why an operator has to look at it.
    pub problem: Option<String>,
    /// What was received.
    pub amount: Money,
    /// In which currency.
    pub currency: Currency,
    /// The text that came with it.
    pub text: String,
    /// The slug of the workspace that it was credited to.
    pub workspace: Option<Slug>,
    /// What was credited.
    pub credited: Option<Money>,
    /// What an operator said of it.
    pub resolution: Option<String>,
    /// When it was told of.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct TopupRow {
    id: String,
    workspace_id: String,
    provider: String,
    status: String,
    amount: i64,
    currency: String,
    memo: String,
    order_number: i64,
    provider_id: Option<String>,
    checkout_url: Option<String>,
    credited: Option<i64>,
    created_at: i64,
    expires_at: i64,
}

macro_rules! select_topup {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, provider, status, amount, currency, memo, order_number,
                    provider_id, checkout_url, credited, created_at, expires_at FROM topups ",
            $rest
        )
    };
}

macro_rules! select_payment {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.provider, p.external_id, p.status, p.problem, p.amount, p.currency, p.text,
                    w.workspace, p.credited, p.resolution, p.created_at
             FROM payments p LEFT JOIN wallets w ON w.workspace_id = p.workspace_id ",
            $rest
        )
    };
}

impl TopupRow {
    fn into_topup(self) -> Result<Topup> {
        Ok(Topup {
            id: row::parse("topups.id", &self.id)?,
            workspace_id: row::parse("topups.workspace_id", &self.workspace_id)?,
            provider: row::parse_enum("topups.provider", self.provider)?,
            status: row::parse_enum("topups.status", self.status)?,
            amount: Money::of(self.amount),
            currency: row::parse("topups.currency", &self.currency)?,
            memo: self.memo,
            order_number: self.order_number,
            provider_id: self.provider_id,
            checkout_url: self.checkout_url,
            credited: self.credited.map(Money::of),
            created_at: row::to_time(self.created_at),
            expires_at: row::to_time(self.expires_at),
        })
    }
}

impl Store {
    /// Notes that a payment is waited for.
    ///
    /// # Errors
    /// `Taken` when its memo or number is.
    pub async fn create_topup(
        &self,
        scope: &WorkspaceScope,
        new: &Topup,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "INSERT INTO topups (id, workspace_id, provider, status, amount, currency, memo,
                 order_number, provider_id, checkout_url, created_by, created_at, expires_at)
             VALUES ($2, $1, $3, 'pending', $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(scope.id().to_string())
        .bind(new.id.to_string())
        .bind(new.provider.as_str())
        .bind(new.amount.minor())
        .bind(new.currency.code())
        .bind(&new.memo)
        .bind(new.order_number)
        .bind(&new.provider_id)
        .bind(&new.checkout_url)
        .bind(&event.actor.name)
        .bind(new.created_at.as_nanos())
        .bind(new.expires_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::insert("write a top-up", "the top-up's memo"))?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Notes what the provider calls a top-up, and where it is paid.
    pub async fn set_topup_checkout(
        &self,
        scope: &WorkspaceScope,
        id: TopupId,
        provider_id: &str,
        checkout_url: &str,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE topups SET provider_id = $3, checkout_url = $4 WHERE workspace_id = $1 AND id = $2",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(provider_id)
        .bind(checkout_url)
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note where a top-up is paid"))?;
        commit(tx).await
    }

    /// A top-up of the workspace.
    pub async fn get_topup(&self, scope: &WorkspaceScope, id: TopupId) -> Result<Topup> {
        let found: Option<TopupRow> =
            sqlx::query_as(select_topup!("WHERE workspace_id = $1 AND id = $2"))
                .bind(scope.id().to_string())
                .bind(id.to_string())
                .fetch_optional(self.readers())
                .await
                .map_err(Error::query("read a top-up"))?;
        found.ok_or(Error::NotFound("top-up"))?.into_topup()
    }

    /// One page of the workspace's top-ups, newest first, and how many there are.
    pub async fn list_topups(
        &self,
        scope: &WorkspaceScope,
        paging: Paging,
    ) -> Result<(Vec<Topup>, u64)> {
        let rows: Vec<TopupRow> = sqlx::query_as(select_topup!(
            "WHERE workspace_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3"
        ))
        .bind(scope.id().to_string())
        .bind(i64::from(paging.limit()))
        .bind(i64::try_from(paging.offset()).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list top-ups"))?;
        let total: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM topups WHERE workspace_id = $1")
            .bind(scope.id().to_string())
            .fetch_one(self.readers())
            .await
            .map_err(Error::query("count top-ups"))?;
        let topups = rows
            .into_iter()
            .map(TopupRow::into_topup)
            .collect::<Result<_>>()?;
        Ok((topups, row::to_u64("count", total)?))
    }

    /// The top-up that a payment names, whosever it is: a provider's notice comes for no workspace.
    pub async fn find_topup_for_task(&self, key: &TopupKey) -> Result<Option<Topup>> {
        let found: Option<TopupRow> = match key {
            TopupKey::Memo(memo) => {
                let statement = sqlx::query_as(select_topup!("WHERE memo = $1"));
                statement.bind(memo).fetch_optional(self.readers()).await
            }
            TopupKey::Order(number) => {
                let statement = sqlx::query_as(select_topup!("WHERE order_number = $1"));
                statement.bind(number).fetch_optional(self.readers()).await
            }
        }
        .map_err(Error::query("find a top-up"))?;
        found.map(TopupRow::into_topup).transpose()
    }

    /// Top-ups that are waited for and were not asked after since `before`, longest ago first.
    pub async fn list_topups_to_poll_for_task(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Topup>> {
        let rows: Vec<TopupRow> = sqlx::query_as(select_topup!(
            "WHERE status = 'pending' AND COALESCE(polled_at, created_at) <= $1
             ORDER BY COALESCE(polled_at, created_at) LIMIT $2"
        ))
        .bind(before.as_nanos())
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list top-ups that are waited for"))?;
        rows.into_iter().map(TopupRow::into_topup).collect()
    }

    /// Notes that a top-up was asked after, and that its time is over if it is.
    pub async fn note_topup_polled_for_task(&self, id: TopupId, now: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE topups SET polled_at = $2,
                 status = CASE WHEN status = 'pending' AND expires_at <= $2 THEN 'expired' ELSE status END
             WHERE id = $1",
        )
        .bind(id.to_string())
        .bind(now.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note that a top-up was asked after"))?;
        commit(tx).await
    }

    /// Keeps a payment and credits it, once.
    pub async fn settle_payment_for_task(&self, new: &NewPayment) -> Result<Settled> {
        let mut tx = match &new.credit {
            Some(credit) => self.begin_of(credit.entry.workspace_id()).await?,
            None => self.begin().await?,
        };
        let problem = match (&new.problem, new.topup) {
            (None, Some(topup)) if is_paid(&mut tx, topup).await? => {
                Some("the top-up was paid before".to_owned())
            }
            (problem, _) => problem.clone(),
        };
        if !insert_payment(&mut tx, new, problem.as_deref()).await? {
            return Ok(Settled::Known);
        }
        let Some(credit) = &new.credit else {
            commit(tx).await?;
            return Ok(Settled::Kept);
        };
        let Some(balance) = ledger::post(&mut tx, credit).await? else {
            return Ok(Settled::Known);
        };
        if let Some(topup) = new.topup {
            sqlx::query(
                "UPDATE topups SET status = 'paid', credited = COALESCE(credited, 0) + $2 WHERE id = $1",
            )
            .bind(topup.to_string())
            .bind(credit.entry.amount().minor())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("note that a top-up was paid"))?;
        }
        commit(tx).await?;
        Ok(Settled::Credited(balance))
    }

    /// One page of payments, newest first, and how many there are; all, or those that stand like this.
    pub async fn list_payments_for_operator(
        &self,
        status: Option<PaymentStatus>,
        paging: Paging,
    ) -> Result<(Vec<Payment>, u64)> {
        let rows: Vec<PaymentRow> = sqlx::query_as(select_payment!(
            "WHERE ($1 IS NULL OR p.status = $1) ORDER BY p.created_at DESC, p.id DESC LIMIT $2 OFFSET $3"
        ))
        .bind(status.map(PaymentStatus::as_str))
        .bind(i64::from(paging.limit()))
        .bind(i64::try_from(paging.offset()).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list payments"))?;
        let total: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM payments WHERE ($1 IS NULL OR status = $1)")
                .bind(status.map(PaymentStatus::as_str))
                .fetch_one(self.readers())
                .await
                .map_err(Error::query("count payments"))?;
        let payments = rows
            .into_iter()
            .map(PaymentRow::into_payment)
            .collect::<Result<_>>()?;
        Ok((payments, row::to_u64("count", total)?))
    }

    /// A payment.
    pub async fn get_payment_for_operator(&self, id: PaymentId) -> Result<Payment> {
        let found: Option<PaymentRow> = sqlx::query_as(select_payment!("WHERE p.id = $1"))
            .bind(id.to_string())
            .fetch_optional(self.readers())
            .await
            .map_err(Error::query("read a payment"))?;
        found.ok_or(Error::NotFound("payment"))?.into_payment()
    }

    /// Notes what an operator says of a payment that waits for it, and credits it if it was not credited.
    ///
    /// # Errors
    /// `Conflict` when it waits for nobody, or is to be credited twice.
    pub async fn resolve_payment_for_operator(
        &self,
        id: PaymentId,
        resolution: &str,
        credit: Option<&NewEntry>,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let workspace_id = credit.map(|credit| credit.entry.workspace_id().to_string());
        let amount = credit.map(|credit| credit.entry.amount().minor());
        let done = sqlx::query(
            "UPDATE payments SET status = 'resolved', resolution = $2,
                 workspace_id = COALESCE($3, workspace_id), credited = COALESCE($4, credited)
             WHERE id = $1 AND status = 'review' AND ($4 IS NULL OR credited IS NULL)",
        )
        .bind(id.to_string())
        .bind(resolution)
        .bind(workspace_id)
        .bind(amount)
        .execute(&mut *tx)
        .await
        .map_err(Error::query("resolve a payment"))?;
        let over = Error::Conflict("nobody has to look at the payment, or it was credited already");
        if done.rows_affected() == 0 {
            return Err(over);
        }
        if let Some(credit) = credit
            && ledger::post(&mut tx, credit).await?.is_none()
        {
            return Err(over);
        }
        commit(tx).await
    }
}

async fn is_paid(tx: &mut Tx, topup: TopupId) -> Result<bool> {
    let status: Option<String> = sqlx::query_scalar("SELECT status FROM topups WHERE id = $1")
        .bind(topup.to_string())
        .fetch_optional(&mut **tx)
        .await
        .map_err(Error::query("read a top-up"))?;
    Ok(status.as_deref() == Some(TopupStatus::Paid.as_str()))
}

/// Whether it was not there before.
async fn insert_payment(tx: &mut Tx, new: &NewPayment, problem: Option<&str>) -> Result<bool> {
    let status = match problem {
        Some(_) => PaymentStatus::Review,
        None => PaymentStatus::Credited,
    };
    let credit = new.credit.as_ref().map(|credit| &credit.entry);
    let done = sqlx::query(
        "INSERT INTO payments (id, provider, external_id, status, problem, amount, currency, text,
             topup_id, workspace_id, credited, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (provider, external_id) DO NOTHING",
    )
    .bind(new.id.to_string())
    .bind(new.provider.as_str())
    .bind(&new.external_id)
    .bind(status.as_str())
    .bind(problem)
    .bind(new.amount.minor())
    .bind(new.currency.code())
    .bind(&new.text)
    .bind(new.topup.map(|id| id.to_string()))
    .bind(credit.map(|entry| entry.workspace_id().to_string()))
    .bind(credit.map(|entry| entry.amount().minor()))
    .bind(new.at.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::query("keep a payment"))?;
    Ok(done.rows_affected() > 0)
}

#[derive(sqlx::FromRow)]
struct PaymentRow {
    id: String,
    provider: String,
    external_id: String,
    status: String,
    problem: Option<String>,
    amount: i64,
    currency: String,
    text: String,
    workspace: Option<String>,
    credited: Option<i64>,
    resolution: Option<String>,
    created_at: i64,
}

impl PaymentRow {
    fn into_payment(self) -> Result<Payment> {
        Ok(Payment {
            id: row::parse("payments.id", &self.id)?,
            provider: row::parse_enum("payments.provider", self.provider)?,
            external_id: self.external_id,
            status: row::parse_enum("payments.status", self.status)?,
            problem: self.problem,
            amount: Money::of(self.amount),
            currency: row::parse("payments.currency", &self.currency)?,
            text: self.text,
            workspace: row::parse_optional("wallets.workspace", self.workspace.as_deref())?,
            credited: self.credited.map(Money::of),
            resolution: self.resolution,
            created_at: row::to_time(self.created_at),
        })
    }
}
