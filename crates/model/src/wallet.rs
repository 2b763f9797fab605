//! The rules of a wallet: when it is low, when it is empty, and what follows.
//!
//! Guarantees: pure; each alert once for each crossing; what is suspended for want of money resumes by itself.

use std::time::Duration;

use tose_api::Timestamp;
use tose_api::wallet::{BudgetAction, WalletStatus};

use crate::money::Money;

/// A share of the budget at which a workspace is warned, in percent.
pub const BUDGET_WARNING: u64 = 80;

/// Why a workspace is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspension {
    /// Its wallet was empty for longer than the grace period.
    Empty,
    /// It has used its budget of the month.
    Budget,
}

impl Suspension {
    /// The reason as the store keeps it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Budget => "budget",
        }
    }

    /// The reason that the store keeps as this.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Empty, Self::Budget]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }

    /// Why nothing runs, as the rest of a sentence.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Empty => "the workspace's wallet is empty",
            Self::Budget => "the workspace has used its budget of this month",
        }
    }
}

/// What was noted of a wallet so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Whether its owners were told that it is low.
    pub told_low: bool,
    /// Since when it is empty.
    pub empty_since: Option<Timestamp>,
    /// Why its workspace is suspended, if it is.
    pub suspended: Option<Suspension>,
    /// Which share of the month's budget its owners were told of, in percent: 0, 80 or 100.
    pub told_budget: u64,
}

/// What a wallet is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funds {
    /// What there is, without what was used and is not charged yet.
    pub available: Money,
    /// Below which its owners want to be told.
    pub threshold: Money,
    /// What was used this month.
    pub spent: Money,
    /// What may be used in a month, and what happens then.
    pub budget: Option<(Money, BudgetAction)>,
    /// Whether nothing that costs is there: an empty wallet is no trouble then.
    pub is_idle: bool,
}

/// Something that a wallet's owners are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Less is left than they wanted to be told of.
    Low,
    /// Nothing is left; at this time everything is stopped.
    Empty(Timestamp),
    /// Everything is stopped, and kept.
    Suspended(Suspension),
    /// Everything starts again.
    Resumed,
    /// So many percent of the month's budget are used.
    Budget(u64),
}

/// What follows from `funds` for a wallet: its new standing, and what to tell.
pub fn judge(
    standing: Standing,
    funds: &Funds,
    now: Timestamp,
    grace: Duration,
) -> (Standing, Vec<Notice>) {
    let mut next = standing;
    let mut notices = Vec::new();
    let is_low = funds.available < funds.threshold;
    if is_low && !standing.told_low {
        notices.push(Notice::Low);
    }
    next.told_low = is_low;
    let is_empty = !funds.available.is_positive();
    let stays_empty = is_empty && (!funds.is_idle || standing.empty_since.is_some());
    next.empty_since = stays_empty.then(|| standing.empty_since.unwrap_or(now));
    let ends_at = next.empty_since.map(|since| since.saturating_add(grace));
    if let (None, Some(ends_at)) = (standing.empty_since, ends_at)
        && !grace.is_zero()
    {
        notices.push(Notice::Empty(ends_at));
    }
    let share = budget_share(funds);
    if share > standing.told_budget {
        notices.push(Notice::Budget(share));
    }
    next.told_budget = share;
    let is_over = ends_at.is_some_and(|ends_at| ends_at <= now);
    next.suspended = match (standing.suspended, funds.budget) {
        _ if is_over => Some(Suspension::Empty),
        // Once suspended, only money ends it: a clock that is set back does not.
        (Some(Suspension::Empty), _) if is_empty => Some(Suspension::Empty),
        (_, Some((_, BudgetAction::Stop))) if share >= 100 => Some(Suspension::Budget),
        _ => None,
    };
    match (standing.suspended, next.suspended) {
        (None, Some(reason)) => notices.push(Notice::Suspended(reason)),
        (Some(_), None) => notices.push(Notice::Resumed),
        _ => {}
    }
    (next, notices)
}

/// Which share of its budget a workspace has used: 0, [`BUDGET_WARNING`] or 100.
fn budget_share(funds: &Funds) -> u64 {
    let Some((limit, _)) = funds.budget else {
        return 0;
    };
    let percent = i128::from(funds.spent.minor()) * 100;
    let of_limit = |share: u64| i128::from(limit.minor()) * i128::from(share);
    [100, BUDGET_WARNING]
        .into_iter()
        .find(|share| percent >= of_limit(*share))
        .unwrap_or(0)
}

/// What a wallet's status is called.
pub fn status(standing: &Standing, funds: &Funds) -> WalletStatus {
    match standing.suspended {
        Some(_) => WalletStatus::Suspended,
        None if standing.empty_since.is_some() => WalletStatus::Grace,
        None if !funds.available.is_positive() => WalletStatus::Empty,
        None if funds.available < funds.threshold => WalletStatus::Low,
        None => WalletStatus::Active,
    }
}

#[cfg(test)]
mod tests;
