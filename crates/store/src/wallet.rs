//! Wallets: what their owners want of them, how they stand, and what is set aside.
//!
//! Guarantee: money that is set aside for one project is not there for another one; of many that ask at
//! once, as many get it as there is enough for.

use tose_api::wallet::BudgetAction;
use tose_api::{ProjectId, Slug, Timestamp, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::meter::Hour;
use tose_model::money::Money;
use tose_model::pricing::{Cost, PriceList};
use tose_model::wallet::{Standing, Suspension};

use crate::database::{Store, Tx, commit};
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::row;

/// A wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its slug.
    pub workspace: String,
    /// What its entries have come to.
    pub balance: Money,
    /// Below which owners want to be told, if they said so.
    pub threshold: Option<Money>,
    /// What may be used in a month.
    pub budget: Option<Money>,
    /// What happens then.
    pub budget_action: BudgetAction,
    /// What its owners were told, and what followed.
    pub standing: Standing,
    /// What is set aside.
    pub held: Money,
}

/// Something to be set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewHold {
    /// For which project; what was set aside for it before is let go.
    pub project_id: ProjectId,
    /// How much.
    pub amount: Money,
    /// Until when, at most.
    pub expires_at: Timestamp,
    /// When.
    pub now: Timestamp,
}

/// Why nothing was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// The workspace is suspended.
    Suspended(Suspension),
    /// So much is available.
    Funds(Money),
}

#[derive(sqlx::FromRow)]
struct WalletRow {
    workspace_id: String,
    workspace: String,
    balance: i64,
    threshold: Option<i64>,
    budget: Option<i64>,
    budget_action: String,
    told_low: i64,
    told_budget: i64,
    empty_since: Option<i64>,
    suspended: Option<String>,
    held: i64,
}

macro_rules! select_wallet {
    ($rest:literal) => {
        concat!(
            "SELECT w.workspace_id, w.workspace, w.balance, w.threshold, w.budget, w.budget_action,
                    w.told_low, w.told_budget, w.empty_since, w.suspended,
                    COALESCE((SELECT SUM(h.amount) FROM wallet_holds h
                              WHERE h.workspace_id = w.workspace_id AND h.expires_at > $1), 0) AS held
             FROM wallets w ",
            $rest
        )
    };
}

impl WalletRow {
    fn into_wallet(self) -> Result<Wallet> {
        let suspended = parse_suspension("wallets.suspended", self.suspended.as_deref())?;
        Ok(Wallet {
            workspace_id: row::parse("wallets.workspace_id", &self.workspace_id)?,
            workspace: self.workspace,
            balance: Money::of(self.balance),
            threshold: self.threshold.map(Money::of),
            budget: self.budget.map(Money::of),
            budget_action: row::parse_enum("wallets.budget_action", self.budget_action)?,
            standing: Standing {
                told_low: self.told_low != 0,
                empty_since: self.empty_since.map(row::to_time),
                suspended,
                told_budget: row::to_u64("wallets.told_budget", self.told_budget)?,
            },
            held: Money::of(self.held),
        })
    }
}

pub(crate) fn parse_suspension(
    column: &'static str,
    text: Option<&str>,
) -> Result<Option<Suspension>> {
    let parse = |text| Suspension::parse(text).ok_or(Error::Corrupt { column });
    text.map(parse).transpose()
}

impl Store {
    /// The workspace's wallet.
    pub async fn get_wallet(&self, scope: &WorkspaceScope, now: Timestamp) -> Result<Wallet> {
        let found: Option<WalletRow> = sqlx::query_as(select_wallet!("WHERE w.workspace_id = $2"))
            .bind(now.as_nanos())
            .bind(scope.id().to_string())
            .fetch_optional(self.readers())
            .await
            .map_err(Error::query("read a wallet"))?;
        found.ok_or(Error::NotFound("wallet"))?.into_wallet()
    }

    /// All wallets of workspaces that are there.
    pub async fn list_wallets_for_task(&self, now: Timestamp) -> Result<Vec<Wallet>> {
        let rows: Vec<WalletRow> = sqlx::query_as(select_wallet!(
            "JOIN workspaces x ON x.id = w.workspace_id AND x.deleted_at IS NULL ORDER BY w.workspace_id"
        ))
        .bind(now.as_nanos())
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list wallets"))?;
        rows.into_iter().map(WalletRow::into_wallet).collect()
    }

    /// The workspaces whose wallets nothing has ever changed.
    pub async fn list_wallets_without_entries_for_task(&self) -> Result<Vec<WorkspaceId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT w.workspace_id FROM wallets w
             JOIN workspaces x ON x.id = w.workspace_id AND x.deleted_at IS NULL WHERE w.entries = 0",
        )
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list fresh wallets"))?;
        ids.iter()
            .map(|id| row::parse("wallets.workspace_id", id))
            .collect()
    }

    /// Lets nothing be suspended any more.
    pub async fn end_suspensions_for_task(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE wallets SET suspended = NULL, empty_since = NULL WHERE suspended IS NOT NULL",
        )
        .execute(&mut *tx)
        .await
        .map_err(Error::query("end suspensions"))?;
        commit(tx).await
    }

    /// The workspace of a slug, for an operator.
    pub async fn find_workspace_for_operator(&self, slug: &Slug) -> Result<Option<WorkspaceId>> {
        let id: Option<String> =
            sqlx::query_scalar("SELECT id FROM workspaces WHERE slug = $1 AND deleted_at IS NULL")
                .bind(slug.as_str())
                .fetch_optional(self.readers())
                .await
                .map_err(Error::query("find a workspace"))?;
        row::parse_optional("workspaces.id", id.as_deref())
    }

    /// Changes below which its owners want to be told. What they were told before is forgotten.
    pub async fn set_wallet_threshold(
        &self,
        scope: &WorkspaceScope,
        threshold: Money,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query("UPDATE wallets SET threshold = $2, told_low = 0 WHERE workspace_id = $1")
            .bind(scope.id().to_string())
            .bind(threshold.minor())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("set a threshold"))?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Changes what may be used in a month. What its owners were told before is forgotten.
    pub async fn set_wallet_budget(
        &self,
        scope: &WorkspaceScope,
        budget: Option<Money>,
        action: BudgetAction,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE wallets SET budget = $2, budget_action = $3, told_budget = 0 WHERE workspace_id = $1",
        )
        .bind(scope.id().to_string())
        .bind(budget.map(Money::minor))
        .bind(action.as_str())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("set a budget"))?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Notes how a wallet stands, if it still stands as it was read.
    ///
    /// # Errors
    /// `Conflict` if it does not.
    pub async fn set_wallet_standing_for_task(
        &self,
        workspace_id: WorkspaceId,
        before: &Standing,
        after: &Standing,
    ) -> Result<()> {
        let mut tx = self.begin_of(workspace_id).await?;
        let done = sqlx::query(
            "UPDATE wallets SET told_low = $2, told_budget = $3, empty_since = $4, suspended = $5
             WHERE workspace_id = $1 AND told_low = $6 AND told_budget = $7 AND empty_since IS $8
               AND suspended IS $9",
        )
        .bind(workspace_id.to_string())
        .bind(i64::from(after.told_low))
        .bind(i64::try_from(after.told_budget).unwrap_or(0))
        .bind(after.empty_since.map(Timestamp::as_nanos))
        .bind(after.suspended.map(Suspension::as_str))
        .bind(i64::from(before.told_low))
        .bind(i64::try_from(before.told_budget).unwrap_or(0))
        .bind(before.empty_since.map(Timestamp::as_nanos))
        .bind(before.suspended.map(Suspension::as_str))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note how a wallet stands"))?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("the wallet has changed"));
        }
        commit(tx).await
    }

    /// Sets money aside for a project, if there is enough of it.
    pub async fn hold(
        &self,
        scope: &WorkspaceScope,
        hold: &NewHold,
        prices: &PriceList,
    ) -> Result<Option<Lack>> {
        let mut tx = self.begin_in(scope).await?;
        if let Some(lack) = find_lack(&mut tx, scope, hold, prices).await? {
            return Ok(Some(lack));
        }
        sqlx::query("DELETE FROM wallet_holds WHERE expires_at <= $1")
            .bind(hold.now.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("let go of old holds"))?;
        sqlx::query(
            "INSERT INTO wallet_holds (project_id, workspace_id, amount, expires_at)
             VALUES ($2, $1, $3, $4)
             ON CONFLICT (project_id) DO UPDATE SET amount = $3, expires_at = $4",
        )
        .bind(scope.id().to_string())
        .bind(hold.project_id.to_string())
        .bind(hold.amount.minor())
        .bind(hold.expires_at.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("set money aside"))?;
        commit(tx).await?;
        Ok(None)
    }

    /// Lets go of what was set aside for a project.
    pub async fn release_hold(&self, scope: &WorkspaceScope, project_id: ProjectId) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query("DELETE FROM wallet_holds WHERE workspace_id = $1 AND project_id = $2")
            .bind(scope.id().to_string())
            .bind(project_id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::query("let go of a hold"))?;
        commit(tx).await
    }

    /// Whether there is money set aside for a project.
    pub async fn has_hold(&self, scope: &WorkspaceScope, project_id: ProjectId) -> Result<bool> {
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM wallet_holds WHERE workspace_id = $1 AND project_id = $2",
        )
        .bind(scope.id().to_string())
        .bind(project_id.to_string())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("look for a hold"))?;
        Ok(count > 0)
    }

    /// How many GB of storage all databases of a workspace have.
    pub async fn sum_storage_gb(&self, scope: &WorkspaceScope) -> Result<u64> {
        let sum: i64 = sqlx::query_scalar(
            "SELECT COALESCE(SUM(d.storage_gb), 0) FROM databases d JOIN projects p ON p.id = d.project_id
             WHERE d.workspace_id = $1 AND p.deleted_at IS NULL",
        )
        .bind(scope.id().to_string())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("add up storage"))?;
        row::to_u64("databases.storage_gb", sum)
    }
}

/// What is missing for a hold, if anything is.
async fn find_lack(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    hold: &NewHold,
    prices: &PriceList,
) -> Result<Option<Lack>> {
    let found: Option<(i64, Option<String>, i64)> = sqlx::query_as(
        "SELECT w.balance, w.suspended, COALESCE((SELECT SUM(h.amount) FROM wallet_holds h
             WHERE h.workspace_id = $1 AND h.project_id <> $2 AND h.expires_at > $3), 0)
         FROM wallets w WHERE w.workspace_id = $1",
    )
    .bind(scope.id().to_string())
    .bind(hold.project_id.to_string())
    .bind(hold.now.as_nanos())
    .fetch_optional(&mut **tx)
    .await
    .map_err(Error::query("read a wallet"))?;
    let (balance, suspended, held) = found.ok_or(Error::NotFound("wallet"))?;
    if let Some(reason) = parse_suspension("wallets.suspended", suspended.as_deref())? {
        return Ok(Some(Lack::Suspended(reason)));
    }
    let accrued = accrued(tx, scope, prices).await?;
    let available = Money::of(balance)
        .saturating_sub(Money::of(held))
        .saturating_sub(accrued);
    let is_enough = available.is_positive() && available >= hold.amount;
    Ok((!is_enough).then_some(Lack::Funds(available)))
}

/// What was used and is not charged, at list prices: a hold is not to fail later for want of a coin.
async fn accrued(tx: &mut Tx, scope: &WorkspaceScope, prices: &PriceList) -> Result<Money> {
    let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
        "WITH RECURSIVE hours (hour) AS (
             SELECT open_hour FROM meter WHERE id = 1
             UNION ALL SELECT hour + 1 FROM hours WHERE hour < (SELECT MAX(hour) FROM usage_hours))
         SELECT u.hour, SUM(u.cpu), SUM(u.ram), SUM(u.storage)
         FROM metered_resources r CROSS JOIN hours h CROSS JOIN usage_hours u
         WHERE r.workspace_id = $1 AND u.hour = h.hour AND u.resource = r.number GROUP BY u.hour",
    )
    .bind(scope.id().to_string())
    .fetch_all(&mut **tx)
    .await
    .map_err(Error::query("add up what is used"))?;
    let mut cost = Cost::default();
    for (hour, cpu, ram, storage) in rows {
        let metered = crate::usage::to_metered(cpu, ram, storage)?;
        let tariff = prices.at(Hour::from_number(hour));
        cost = cost + tariff.cost(metered, tose_model::pricing::Metered::default());
    }
    Ok(cost.net())
}

/// Makes the wallet of a new workspace.
pub(crate) async fn insert(tx: &mut Tx, workspace_id: WorkspaceId, slug: &Slug) -> Result<()> {
    sqlx::query("INSERT INTO wallets (workspace_id, workspace) VALUES ($1, $2)")
        .bind(workspace_id.to_string())
        .bind(slug.as_str())
        .execute(&mut **tx)
        .await
        .map_err(Error::query("make a wallet"))?;
    Ok(())
}
