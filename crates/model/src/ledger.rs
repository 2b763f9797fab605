//! The ledger: every change of a wallet as an entry whose postings sum to zero.
//!
//! Guarantees: an [`Entry`] that exists is balanced. What customers have is positive in their wallet's
//! account; where it came from, or went to, is the opposite in another one.
//! Not here: keeping entries, which `tose-store` does, append-only.

use std::fmt;
use std::str::FromStr;

use tose_api::WorkspaceId;
use tose_api::wallet::TransactionKind;

use crate::money::Money;
use crate::pricing::Charge;

/// Who is paid, or pays.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// What a workspace has paid in advance, and not used so far.
    Wallet(WorkspaceId),
    /// What was earned, at list prices.
    Usage,
    /// What was taken off list prices.
    Discounts,
    /// Credit that was given away to new customers.
    Promotions,
    /// Credit that an operator gave.
    Adjustments,
    /// What lies at a payment provider, by its name.
    Provider(String),
}

/// A text that names no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no account of the ledger")]
pub struct UnknownAccount;

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wallet(id) => write!(f, "wallet/{id}"),
            Self::Usage => f.write_str("usage"),
            Self::Discounts => f.write_str("discounts"),
            Self::Promotions => f.write_str("promotions"),
            Self::Adjustments => f.write_str("adjustments"),
            Self::Provider(name) => write!(f, "provider/{name}"),
        }
    }
}

impl FromStr for Account {
    type Err = UnknownAccount;

    fn from_str(text: &str) -> Result<Self, UnknownAccount> {
        let account = match text.split_once('/') {
            Some(("wallet", id)) => Self::Wallet(id.parse().map_err(|_| UnknownAccount)?),
            Some(("provider", name)) if !name.is_empty() => Self::Provider(name.to_owned()),
            _ => match text {
                "usage" => Self::Usage,
                "discounts" => Self::Discounts,
                "promotions" => Self::Promotions,
                "adjustments" => Self::Adjustments,
                _ => return Err(UnknownAccount),
            },
        };
        Ok(account)
    }
}

/// A part of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Whose.
    pub account: Account,
    /// How much more it has; less, where that is negative.
    pub amount: Money,
}

/// Something that happened to a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    kind: TransactionKind,
    workspace_id: WorkspaceId,
    postings: Vec<Posting>,
}

impl Entry {
    /// What was used: less in the wallet, earned at list prices, with what was taken off. `None` if that
    /// does not fit.
    pub fn usage(workspace_id: WorkspaceId, charge: Charge) -> Option<Self> {
        let list = charge.net.checked_add(charge.discount)?;
        Some(Self::new(
            TransactionKind::Usage,
            workspace_id,
            -charge.net,
            vec![
                (Account::Usage, list),
                (Account::Discounts, -charge.discount),
            ],
        ))
    }

    /// A payment that has arrived.
    pub fn top_up(workspace_id: WorkspaceId, provider: &str, amount: Money) -> Self {
        let provider = Account::Provider(provider.to_owned());
        Self::new(
            TransactionKind::Topup,
            workspace_id,
            amount,
            vec![(provider, -amount)],
        )
    }

    /// Credit for a new customer.
    pub fn signup_credit(workspace_id: WorkspaceId, amount: Money) -> Self {
        Self::new(
            TransactionKind::SignupCredit,
            workspace_id,
            amount,
            vec![(Account::Promotions, -amount)],
        )
    }

    /// Credit that an operator gives.
    pub fn operator_credit(workspace_id: WorkspaceId, amount: Money) -> Self {
        Self::new(
            TransactionKind::OperatorCredit,
            workspace_id,
            amount,
            vec![(Account::Adjustments, -amount)],
        )
    }

    /// Money that goes back by the provider that it came by.
    pub fn refund(workspace_id: WorkspaceId, provider: &str, amount: Money) -> Self {
        let provider = Account::Provider(provider.to_owned());
        Self::new(
            TransactionKind::Refund,
            workspace_id,
            -amount,
            vec![(provider, amount)],
        )
    }

    fn new(
        kind: TransactionKind,
        workspace_id: WorkspaceId,
        amount: Money,
        others: Vec<(Account, Money)>,
    ) -> Self {
        let wallet = (Account::Wallet(workspace_id), amount);
        let postings = std::iter::once(wallet)
            .chain(others)
            .filter(|(_, amount)| *amount != Money::ZERO)
            .map(|(account, amount)| Posting { account, amount })
            .collect();
        Self {
            kind,
            workspace_id,
            postings,
        }
    }

    /// What kind of entry it is.
    pub const fn kind(&self) -> TransactionKind {
        self.kind
    }

    /// Whose wallet it changes.
    pub const fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    /// By how much it changes the wallet.
    pub fn amount(&self) -> Money {
        let wallet = Account::Wallet(self.workspace_id);
        let own = self
            .postings
            .iter()
            .filter(|posting| posting.account == wallet);
        own.map(|posting| posting.amount).sum()
    }

    /// Its parts, which sum to zero; none of them is nothing.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn workspace() -> WorkspaceId {
        WorkspaceId::from_uuid(Uuid::from_u128(7))
    }

    proptest! {
        #[test]
        fn every_entry_sums_to_zero(net in 0..1_i64 << 50, discount in 0..1_i64 << 50) {
            let charge = Charge { net: Money::of(net), discount: Money::of(discount) };
            let entries = [
                Entry::usage(workspace(), charge).expect("it fits"),
                Entry::top_up(workspace(), "sepay", charge.net),
                Entry::signup_credit(workspace(), charge.net),
                Entry::operator_credit(workspace(), charge.net),
                Entry::refund(workspace(), "stripe", charge.net),
            ];
            for entry in entries {
                let sum: Money = entry.postings().iter().map(|posting| posting.amount).sum();
                prop_assert_eq!(sum, Money::ZERO);
                prop_assert_eq!(entry.amount().minor().abs(), net);
                prop_assert!(entry.postings().iter().all(|posting| posting.amount != Money::ZERO));
            }
        }
    }

    #[test]
    fn accounts_are_read_as_they_are_written() {
        for account in [
            Account::Wallet(workspace()),
            Account::Usage,
            Account::Discounts,
            Account::Promotions,
            Account::Adjustments,
            Account::Provider("sepay".to_owned()),
        ] {
            assert_eq!(account.to_string().parse(), Ok(account));
        }
        for text in ["", "wallet/x", "provider/", "provider", "bank"] {
            assert_eq!(text.parse::<Account>(), Err(UnknownAccount), "{text}");
        }
    }
}
