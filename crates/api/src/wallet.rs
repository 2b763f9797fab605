//! The wallet: what a workspace has paid in advance, what it uses, and how money comes in.
//!
//! Amounts are whole numbers in the smallest unit of the wallet's currency: đồng for VND, cents for USD.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::number::amount;
use crate::{Cpu, PaymentId, ProjectId, Ram, Slug, Timestamp, TopupId, TransactionId};

/// The largest amount that can be asked for.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000;

/// Answer of `GET W/wallet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WalletView {
    /// What the ledger has: everything that came in, less everything that was charged.
    pub balance: i64,
    /// The code of ISO 4217.
    #[schemars(extend("examples" = ["VND"]))]
    pub currency: String,
    /// How it stands.
    pub status: WalletStatus,
    /// Below this, owners get a mail, once.
    pub threshold: i64,
    /// What was used and is not charged yet; it is charged after the end of the hour.
    pub accrued: i64,
    /// What is set aside for what is being deployed.
    pub held: i64,
    /// What can be spent: the balance, less what is accrued and held.
    pub available: i64,
    /// What everything that runs costs an hour.
    pub burn_per_hour: i64,
    /// For how many hours that is enough; null when nothing costs anything.
    pub hours_left: Option<u64>,
    /// When everything is stopped unless money comes in; null unless the wallet is empty.
    pub suspends_at: Option<Timestamp>,
    /// Why everything is stopped, if it is.
    pub suspended_reason: Option<String>,
    /// What may be used in a month.
    pub budget: BudgetView,
}

/// How a wallet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WalletStatus {
    /// There is enough.
    Active,
    /// Less is left than the threshold.
    Low,
    /// Nothing is left, and nothing runs: nothing that costs can be started.
    Empty,
    /// Nothing is left; what runs goes on until `suspends_at`.
    Grace,
    /// Everything is stopped and kept, and starts again by itself after a top-up.
    Suspended,
    /// This server charges nothing.
    Off,
}

impl WalletStatus {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Low => "low",
            Self::Empty => "empty",
            Self::Grace => "grace",
            Self::Suspended => "suspended",
            Self::Off => "off",
        }
    }
}

/// What may be used in a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetView {
    /// The most; null without a budget.
    pub monthly_limit: Option<i64>,
    /// What happens when it is used.
    pub action: BudgetAction,
    /// What was used this month (in UTC), with what is accrued.
    pub spent: i64,
}

/// What happens when a budget is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetAction {
    /// Owners get a mail, at 80 % and at 100 %.
    #[default]
    Warn,
    /// That, and everything is stopped until the month ends or the budget grows.
    Stop,
}

impl BudgetAction {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Stop => "stop",
        }
    }
}

/// Body of `PUT W/wallet/threshold`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetThreshold {
    /// Below this, owners get a mail.
    #[serde(deserialize_with = "amount")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64), extend("examples" = [10_000]))]
    pub threshold: i64,
}

/// Body of `PUT W/wallet/budget`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetBudget {
    /// What may be used in a month; null: as much as there is.
    #[serde(default, deserialize_with = "crate::number::optional_amount")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub monthly_limit: Option<i64>,
    /// What happens when it is used; `warn` when absent.
    #[serde(default)]
    pub action: BudgetAction,
}

/// A line of a wallet's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransactionView {
    /// Its id.
    pub id: TransactionId,
    /// What it is.
    pub kind: TransactionKind,
    /// What came in, or negative, what went out.
    pub amount: i64,
    /// What the wallet had afterwards.
    pub balance_after: i64,
    /// The code of ISO 4217.
    pub currency: String,
    /// What for, in words.
    pub reason: String,
    /// When.
    pub created_at: Timestamp,
}

/// What a line of a ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransactionKind {
    /// A payment that has arrived.
    Topup,
    /// What was used in an hour.
    Usage,
    /// Credit for a new customer.
    SignupCredit,
    /// Credit that an operator gave.
    OperatorCredit,
    /// Money that went back.
    Refund,
}

impl TransactionKind {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Topup => "topup",
            Self::Usage => "usage",
            Self::SignupCredit => "signup_credit",
            Self::OperatorCredit => "operator_credit",
            Self::Refund => "refund",
        }
    }
}

/// Answer of `GET W/wallet/usage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageView {
    /// The beginning of the first hour.
    pub start: Timestamp,
    /// The end of the last hour.
    pub end: Timestamp,
    /// The code of ISO 4217.
    pub currency: String,
    /// What each project, template and database used, those that are gone included.
    pub resources: Vec<ResourceUsage>,
    /// What all of it was charged.
    pub amount: i64,
    /// By how much that is less than at list prices.
    pub discount: i64,
}

/// What a project, template or database used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceUsage {
    /// Its id.
    pub id: ProjectId,
    /// What it is.
    pub kind: ResourceKind,
    /// Its name in URLs, at the end.
    pub slug: String,
    /// Core-hours, with up to six decimals.
    #[schemars(extend("examples" = ["12.5"]))]
    pub cpu_hours: String,
    /// GB-hours of memory, with up to six decimals.
    pub gb_hours: String,
    /// GB-hours of storage, with up to six decimals; "0" for what is no database.
    pub storage_gb_hours: String,
    /// What was charged for it, in hours that are over.
    pub amount: i64,
    /// By how much that is less than at list prices.
    pub discount: i64,
}

/// What uses something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A project of the user's own.
    App,
    /// An instance of a template.
    Template,
    /// A database.
    Database,
}

/// Body of `POST W/wallet/topup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTopup {
    /// In đồng.
    #[serde(deserialize_with = "amount")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64), extend("examples" = [100_000]))]
    pub amount: i64,
    /// How it is to be paid; by bank transfer with a VietQR code when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<TopupProvider>,
}

/// Body of `POST W/wallet/topup/usd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUsdTopup {
    /// In whole dollars.
    #[serde(deserialize_with = "amount")]
    #[schemars(range(min = 1, max = 100_000), extend("examples" = [10]))]
    pub amount: i64,
}

/// Through whom money comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopupProvider {
    /// A bank transfer that SePay tells of.
    Sepay,
    /// A payment link of PayOS.
    Payos,
    /// A payment page of VNPay.
    Vnpay,
    /// A checkout page of Stripe, in dollars.
    Stripe,
}

impl TopupProvider {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sepay, Self::Payos, Self::Vnpay, Self::Stripe];

    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sepay => "sepay",
            Self::Payos => "payos",
            Self::Vnpay => "vnpay",
            Self::Stripe => "stripe",
        }
    }
}

/// A top-up: a payment that is waited for, or has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopupView {
    /// Its id.
    pub id: TopupId,
    /// Through whom it comes.
    pub provider: TopupProvider,
    /// How it stands.
    pub status: TopupStatus,
    /// What was asked for, in the smallest unit of `currency`.
    pub amount: i64,
    /// What it is paid in.
    pub currency: String,
    /// What was credited to the wallet, in its currency; null until then.
    pub credited: Option<i64>,
    /// What has to stand in the transfer's text, so that it finds this wallet.
    pub memo: String,
    /// The content of a VietQR code; null where it is paid on a page.
    pub qr_payload: Option<String>,
    /// The code as a picture in SVG.
    pub qr_svg: Option<String>,
    /// Where to pay by hand; null where it is paid on a page.
    pub account: Option<BankAccount>,
    /// The page on which it is paid; null for a bank transfer.
    pub checkout_url: Option<String>,
    /// Until when it is waited for. What comes later is credited as well, if the transfer names the memo.
    pub expires_at: Timestamp,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// How a top-up stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopupStatus {
    /// It is waited for.
    Pending,
    /// It has arrived and was credited.
    Paid,
    /// Its time is over.
    Expired,
}

impl TopupStatus {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Expired => "expired",
        }
    }
}

/// A bank account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BankAccount {
    /// The bank's number in VietQR.
    pub bank_bin: String,
    /// The account's number.
    pub number: String,
    /// Whose it is.
    pub name: Option<String>,
}

/// A month's invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceView {
    /// Its month, in UTC.
    #[schemars(extend("examples" = ["2026-01"]))]
    pub month: String,
    /// Its number.
    pub number: String,
    /// The code of ISO 4217.
    pub currency: String,
    /// What was used, at list prices.
    pub subtotal: i64,
    /// What was taken off.
    pub discount: i64,
    /// What was charged.
    pub total: i64,
    /// Whether the month is over, so that nothing is added any more.
    pub is_final: bool,
}

/// Answer of `GET /api/pricing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PricingView {
    /// Whether this server charges anything.
    pub enabled: bool,
    /// The code of ISO 4217.
    pub currency: String,
    /// The prices that hold now.
    pub current: PricesView,
    /// Those that are known to follow.
    pub next: Option<PricesView>,
    /// How many đồng a dollar is credited as.
    pub usd_rate: i64,
    /// What a new customer is given.
    pub signup_credit: i64,
    /// How long everything goes on with an empty wallet, in hours.
    pub grace_hours: u64,
}

/// Prices from some time on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PricesView {
    /// From when on; null: ever since.
    pub from: Option<Timestamp>,
    /// A core for an hour.
    pub cpu_hour: UnitPriceView,
    /// A GB of memory for an hour.
    pub gb_hour: UnitPriceView,
    /// A GB of a database's storage for an hour.
    pub storage_gb_hour: UnitPriceView,
}

/// What a unit costs an hour, as decimal numbers in the currency's major unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnitPriceView {
    /// The list price.
    #[schemars(extend("examples" = ["500"]))]
    pub price: String,
    /// How many unit-hours of a month cost a workspace nothing.
    pub free_hours: u64,
    /// Lower prices from some use in a month on.
    pub tiers: Vec<PriceTierView>,
}

/// A lower price from some use in a month on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriceTierView {
    /// After how many unit-hours of the month.
    pub above_hours: u64,
    /// The price from there on.
    pub price: String,
}

/// Body of `POST W/estimate`: what is thought of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EstimateRequest {
    /// Replicas; one when absent.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<u32>,
    /// Cores a replica.
    pub cpu: Cpu,
    /// GB of memory a replica.
    pub ram: Ram,
    /// GB of a database's storage; none when absent.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schemars(range(min = 0, max = 65_536))]
    pub storage_gb: Option<u32>,
}

/// Answer of `POST W/estimate`, at today's list prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EstimateView {
    /// The code of ISO 4217.
    pub currency: String,
    /// For an hour, rounded up.
    pub per_hour: i64,
    /// For a day.
    pub per_day: i64,
    /// For 730 hours.
    pub per_month: i64,
    /// For how many hours the wallet is enough, with everything that runs already; null when nothing costs
    /// anything.
    pub hours_left: Option<u64>,
}

/// Body of `POST /api/operator/workspaces/:slug/credit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantCredit {
    /// In the smallest unit of the wallet's currency.
    #[serde(deserialize_with = "amount")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64), extend("examples" = [50_000]))]
    pub amount: i64,
    /// Why; the workspace sees it.
    #[schemars(length(min = 1, max = 200))]
    pub reason: String,
}

/// Body of `POST /api/operator/workspaces/:slug/refund`: notes money that an operator has sent back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteRefund {
    /// In the smallest unit of the wallet's currency.
    #[serde(deserialize_with = "amount")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64), extend("examples" = [50_000]))]
    pub amount: i64,
    /// Through whom it went back.
    pub provider: TopupProvider,
    /// Why; the workspace sees it.
    #[schemars(length(min = 1, max = 200))]
    pub reason: String,
}

/// A payment, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentView {
    /// Its id.
    pub id: PaymentId,
    /// Who told of it.
    pub provider: TopupProvider,
    /// What that one calls it.
    pub external_id: String,
    /// How it stands.
    pub status: PaymentStatus,
    /// Why somebody has to look at it, if so.
    pub problem: Option<String>,
    /// What was received, in the smallest unit of `currency`.
    pub amount: i64,
    /// What it was paid in.
    pub currency: String,
    /// The text that came with it.
    pub text: String,
    /// The workspace that it was credited to.
    pub workspace: Option<Slug>,
    /// What was credited.
    pub credited: Option<i64>,
    /// What an operator said of it.
    pub resolution: Option<String>,
    /// When it was told of.
    pub created_at: Timestamp,
}

/// How a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// It was credited, and nothing is to be done.
    Credited,
    /// An operator has to look at it; `problem` says why. What was received may be credited already.
    Review,
    /// An operator has looked at it.
    Resolved,
}

impl PaymentStatus {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credited => "credited",
            Self::Review => "review",
            Self::Resolved => "resolved",
        }
    }
}

/// Body of `POST /api/operator/payments/:id/resolve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolvePayment {
    /// The workspace whose wallet gets it, if it was not credited yet; absent: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Slug>,
    /// What was found.
    #[schemars(length(min = 1, max = 200))]
    pub reason: String,
}
