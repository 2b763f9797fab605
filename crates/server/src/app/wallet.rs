//! The wallet: what is there, what is set aside, and what follows when nothing is left.
//!
//! Guarantees: nothing that costs is made or started while nothing is left; what is suspended stays as it
//! is wanted, so it starts again by itself.
//! Not here: how money comes in (`payment.rs`), and what is measured (`meter.rs`).

use std::time::Duration;

use tose_api::envelope::{Meta, Paging};
use tose_api::wallet::{
    BudgetView, EstimateRequest, EstimateView, PriceTierView, PricesView, PricingView, SetBudget,
    SetThreshold, TransactionView, UnitPriceView, WalletStatus, WalletView,
};
use tose_api::workspace::Role;
use tose_api::{ProjectId, TransactionId};
use tose_model::IdGen;
use tose_model::access::{Access, WorkspaceScope};
use tose_model::error::{Error, Result};
use tose_model::ledger::Entry;
use tose_model::meter::Hour;
use tose_model::money::{MAX_AMOUNT, Money};
use tose_model::pricing::{Cost, Scale, Tariff};
use tose_model::quota::Load;
use tose_model::wallet::{Funds, status};
use tose_store::{Lack, LedgerEntry, NewEntry, NewHold, OpenUsage, Wallet};

use crate::app::Platform;
use crate::app::quota::settled_load;
use crate::mail::Mail;

/// How long money is set aside for something that is made or deployed.
const HOLD: Duration = Duration::from_secs(3600);
/// Hours of a month, as prices are usually quoted.
const MONTH_HOURS: i64 = 730;

impl Platform {
    pub(crate) fn is_prepaid(&self) -> bool {
        self.config.billing.enabled
    }

    /// Checks that the books are in this currency, and lets workspaces that are older than billing begin with
    /// some credit. Without billing, nothing stays suspended.
    ///
    /// # Errors
    /// When the books are in another currency.
    pub(crate) async fn open_books(&self) -> Result<()> {
        if !self.is_prepaid() {
            return Ok(self.store.end_suspensions_for_task().await?);
        }
        let currency = self.currency();
        let kept = self
            .store
            .get_or_set_setting("billing_currency", &currency)
            .await?;
        if kept != currency {
            return Err(Error::invalid(format!(
                "the wallets are kept in {kept}: billing.currency cannot become {currency}"
            )));
        }
        if self.store.find_setting("billing_since").await?.is_some() {
            return Ok(());
        }
        let credit = self.config.billing.first_credit();
        for id in self.store.list_wallets_without_entries_for_task().await? {
            if !credit.is_positive() {
                break;
            }
            let entry = NewEntry {
                id: TransactionId::from_uuid(self.ids.uuid()),
                entry: Entry::signup_credit(id, credit),
                reference: format!("signup/workspace/{id}"),
                reason: "credit to begin with".to_owned(),
                at: self.now(),
            };
            self.store.post(&entry, None).await?;
        }
        let now = self.now().to_string();
        Ok(self.store.set_setting("billing_since", &now).await?)
    }

    /// The prices of this moment.
    fn tariff(&self) -> &Tariff {
        self.config.billing.prices.at(Hour::of(self.now()))
    }

    pub(crate) async fn get_wallet(&self, access: &Access) -> Result<WalletView> {
        let scope = access.scope();
        let wallet = self.store.get_wallet(scope, self.now()).await?;
        let open = self.store.list_open_usage(scope).await?;
        let accrued = self.cost(&open).net();
        let month = Hour::of(self.now()).month();
        let months = self.store.list_months(scope).await?;
        let charged = months.iter().find(|totals| totals.month == month);
        let spent = charged.map_or(Money::ZERO, |totals| totals.charge.net);
        let funds = self.funds(&wallet, accrued, spent, open.is_empty());
        let burn = match wallet.standing.suspended {
            Some(_) => Money::ZERO,
            None => self.burn(scope, None).await?,
        };
        let available = funds.available.saturating_sub(wallet.held);
        let is_prepaid = self.is_prepaid();
        let ends_at = wallet.standing.empty_since.filter(|_| is_prepaid);
        Ok(WalletView {
            balance: wallet.balance.minor(),
            currency: self.currency(),
            status: match is_prepaid {
                true => status(&wallet.standing, &funds),
                false => WalletStatus::Off,
            },
            threshold: funds.threshold.minor(),
            accrued: accrued.minor(),
            held: wallet.held.minor(),
            available: available.minor(),
            burn_per_hour: burn.minor(),
            hours_left: hours_left(available, burn),
            suspends_at: ends_at
                .filter(|_| wallet.standing.suspended.is_none())
                .map(|since| since.saturating_add(self.config.billing.grace)),
            suspended_reason: wallet
                .standing
                .suspended
                .filter(|_| is_prepaid)
                .map(|reason| reason.reason().to_owned()),
            budget: BudgetView {
                monthly_limit: wallet.budget.map(Money::minor),
                action: wallet.budget_action,
                spent: funds.spent.minor(),
            },
        })
    }

    pub(crate) fn currency(&self) -> String {
        self.config.billing.prices.currency().code().to_owned()
    }

    /// What usage that is not charged so far costs.
    pub(crate) fn cost(&self, open: &[OpenUsage]) -> Cost {
        let prices = &self.config.billing.prices;
        let cost = |usage: &OpenUsage| prices.at(usage.hour).cost(usage.metered, usage.month);
        open.iter()
            .map(cost)
            .fold(Cost::default(), |sum, one| sum + one)
    }

    pub(crate) fn funds(
        &self,
        wallet: &Wallet,
        accrued: Money,
        charged: Money,
        is_idle: bool,
    ) -> Funds {
        Funds {
            available: wallet.balance.saturating_sub(accrued),
            threshold: wallet.threshold.unwrap_or(self.config.billing.threshold),
            spent: charged.saturating_add(accrued),
            budget: wallet.budget.map(|limit| (limit, wallet.budget_action)),
            is_idle,
        }
    }

    /// What everything that is to run in a workspace costs an hour, with `more` besides.
    async fn burn(&self, scope: &WorkspaceScope, more: Option<(Load, u64)>) -> Result<Money> {
        if !self.is_prepaid() {
            return Ok(Money::ZERO);
        }
        let versions = self.store.list_running_versions(scope).await?;
        let storage_gb = self.store.sum_storage_gb(scope).await?;
        let (load, gb) = more.unwrap_or_default();
        let all = settled_load(&versions, None) + load;
        Ok(self.tariff().hourly(all, storage_gb.saturating_add(gb)))
    }

    pub(crate) async fn list_transactions(
        &self,
        access: &Access,
        paging: Paging,
    ) -> Result<(Vec<TransactionView>, Meta)> {
        let (entries, total) = self.store.list_entries(access.scope(), paging).await?;
        let currency = self.currency();
        let view = |entry: LedgerEntry| TransactionView {
            id: entry.id,
            kind: entry.kind,
            amount: entry.amount.minor(),
            balance_after: entry.balance_after.minor(),
            currency: currency.clone(),
            reason: entry.reason,
            created_at: entry.created_at,
        };
        Ok((entries.into_iter().map(view).collect(), paging.meta(total)))
    }

    pub(crate) async fn set_threshold(
        &self,
        access: &Access,
        input: SetThreshold,
    ) -> Result<WalletView> {
        let threshold = amount("threshold", input.threshold, 0)?;
        let event = self.event(access, "wallet.threshold", access.workspace());
        self.store
            .set_wallet_threshold(access.scope(), threshold, &event)
            .await?;
        self.signals.wallets();
        self.get_wallet(access).await
    }

    pub(crate) async fn set_budget(&self, access: &Access, input: SetBudget) -> Result<WalletView> {
        let limit = input
            .monthly_limit
            .map(|limit| amount("monthly_limit", limit, 1))
            .transpose()?;
        let event = self.event(access, "wallet.budget", access.workspace());
        self.store
            .set_wallet_budget(access.scope(), limit, input.action, &event)
            .await?;
        self.signals.wallets();
        self.get_wallet(access).await
    }

    /// What everybody may know of prices.
    pub(crate) fn pricing(&self) -> PricingView {
        let billing = &self.config.billing;
        let hour = Hour::of(self.now());
        PricingView {
            enabled: billing.enabled,
            currency: self.currency(),
            current: self.prices_view(billing.prices.at(hour)),
            next: billing
                .prices
                .after(hour)
                .map(|next| self.prices_view(next)),
            usd_rate: billing.usd_rate.minor(),
            signup_credit: billing.signup_credit.minor(),
            grace_hours: billing.grace.as_secs() / 3600,
        }
    }

    fn prices_view(&self, tariff: &Tariff) -> PricesView {
        let currency = self.config.billing.prices.currency();
        let unit = |scale: &Scale| UnitPriceView {
            price: scale.list_price().display(currency),
            free_hours: scale.free_hours(),
            tiers: scale
                .tiers()
                .map(|(above_hours, price)| PriceTierView {
                    above_hours,
                    price: price.display(currency),
                })
                .collect(),
        };
        PricesView {
            from: (tariff.from != Hour::FIRST).then(|| tariff.from.begin()),
            cpu_hour: unit(&tariff.cpu),
            gb_hour: unit(&tariff.ram),
            storage_gb_hour: unit(&tariff.storage),
        }
    }

    pub(crate) async fn estimate(
        &self,
        access: &Access,
        input: EstimateRequest,
    ) -> Result<EstimateView> {
        let replicas = u64::from(input.replicas.unwrap_or(1));
        if replicas > 1000 {
            return Err(Error::invalid_field("replicas", "must be at most 1000"));
        }
        let storage_gb = u64::from(input.storage_gb.unwrap_or(0));
        if storage_gb > 65_536 {
            return Err(Error::invalid_field("storage_gb", "must be at most 65536"));
        }
        let load = Load {
            cpu_milli: u64::from(input.cpu.milli()) * replicas,
            ram_milli: u64::from(input.ram.milli()) * replicas,
        };
        let per_hour = match self.is_prepaid() {
            true => self.tariff().hourly(load, storage_gb),
            false => Money::ZERO,
        };
        let wallet = self.get_wallet(access).await?;
        let burn = self.burn(access.scope(), Some((load, storage_gb))).await?;
        let times = |hours: i64| per_hour.minor().saturating_mul(hours);
        Ok(EstimateView {
            currency: self.currency(),
            per_hour: per_hour.minor(),
            per_day: times(24),
            per_month: times(MONTH_HOURS),
            hours_left: hours_left(Money::of(wallet.available), burn),
        })
    }

    /// Sets an hour's price aside for what is to be made or to run, and refuses it while that is not there.
    pub(crate) async fn hold_funds(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
        load: Load,
        storage_gb: u64,
    ) -> Result<()> {
        if !self.is_prepaid() {
            return Ok(());
        }
        let now = self.now();
        let hold = NewHold {
            project_id,
            amount: self.tariff().hourly(load, storage_gb),
            expires_at: now.saturating_add(HOLD),
            now,
        };
        if hold.amount == Money::ZERO {
            return Ok(());
        }
        let prices = &self.config.billing.prices;
        match self.store.hold(scope, &hold, prices).await? {
            None => Ok(()),
            Some(lack) => Err(self.lack(lack, Some(hold.amount))),
        }
    }

    /// Lets go of what was set aside for a project.
    pub(crate) async fn release_funds(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<()> {
        if self.is_prepaid() && self.store.has_hold(scope, project_id).await? {
            self.store.release_hold(scope, project_id).await?;
        }
        Ok(())
    }

    /// Refuses what costs while nothing is left.
    pub(crate) async fn require_funds(&self, scope: &WorkspaceScope) -> Result<()> {
        if !self.is_prepaid() {
            return Ok(());
        }
        self.require_no_suspension(scope).await?;
        let wallet = self.store.get_wallet(scope, self.now()).await?;
        let open = self.store.list_open_usage(scope).await?;
        let available = wallet.balance.saturating_sub(self.cost(&open).net());
        if available.is_positive() {
            return Ok(());
        }
        Err(self.lack(Lack::Funds(available), None))
    }

    /// Refuses what would start something while the workspace is suspended.
    pub(crate) async fn require_no_suspension(&self, scope: &WorkspaceScope) -> Result<()> {
        let wallet = self.store.get_wallet(scope, self.now()).await?;
        let suspended = wallet.standing.suspended.filter(|_| self.is_prepaid());
        suspended.map_or(Ok(()), |reason| {
            Err(self.lack(Lack::Suspended(reason), None))
        })
    }

    fn lack(&self, lack: Lack, needed: Option<Money>) -> Error {
        let currency = self.config.billing.prices.currency();
        let message = match (lack, needed) {
            (Lack::Suspended(reason), _) => format!("{}, so nothing is started", reason.reason()),
            (Lack::Funds(available), Some(needed)) if available.is_positive() => format!(
                "an hour of this costs {}, and the wallet has {} left",
                needed.display(currency),
                available.display(currency)
            ),
            (Lack::Funds(_), _) => "the wallet is empty".to_owned(),
        };
        let code = match lack {
            Lack::Suspended(_) => "workspace_suspended",
            Lack::Funds(_) => "wallet_empty",
        };
        let advice = match lack {
            Lack::Suspended(tose_model::wallet::Suspension::Budget) => {
                "raise the budget, or wait for the next month"
            }
            _ => "top it up first, with POST …/wallet/topup or `tose wallet topup`",
        };
        Error::PaymentRequired {
            code,
            message: format!("{message}; {advice}"),
        }
    }

    /// Mails the workspace's owners, if mail can be sent.
    pub(crate) async fn mail_owners(&self, scope: &WorkspaceScope, subject: &str, text: &str) {
        if !self.mailer.is_on() {
            return;
        }
        let members = match self.store.list_members(scope).await {
            Ok(members) => members,
            Err(error) => {
                tracing::warn!(%error, "a workspace's owners could not be read");
                return;
            }
        };
        for owner in members.iter().filter(|member| member.role == Role::Owner) {
            let mail = Mail {
                to: &owner.email,
                subject,
                text: format!("{text}\n"),
            };
            if let Err(error) = self.mailer.send(mail).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a mail about a wallet could not be sent"
                );
            }
        }
    }
}

/// For how many hours `available` is enough.
fn hours_left(available: Money, burn: Money) -> Option<u64> {
    let hours = available.minor().max(0).checked_div(burn.minor())?;
    u64::try_from(hours).ok()
}

/// Takes an amount from outside.
pub(crate) fn amount(field: &'static str, given: i64, least: i64) -> Result<Money> {
    if given < least || given > MAX_AMOUNT.minor() {
        let most = MAX_AMOUNT.minor();
        let problem = format!("must be a whole number between {least} and {most}");
        return Err(Error::invalid_field(field, problem));
    }
    Ok(Money::of(given))
}

/// What a new workspace is given, once for each account.
pub(crate) fn signup_credit(ids: &dyn IdGen, credit: Money) -> Option<(TransactionId, Money)> {
    let id = || TransactionId::from_uuid(ids.uuid());
    credit.is_positive().then(|| (id(), credit))
}
