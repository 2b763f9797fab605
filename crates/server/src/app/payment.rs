//! Payments: what providers tell of, or say when they are asked, becomes money in a wallet.
//!
//! Guarantees: a payment is credited once, however often and by whichever way it is told of; what was received
//! is credited, whatever was asked for; what fits no top-up waits for an operator.
//! Not here: signatures and forms of providers (`tose_model::payment`).

use std::sync::Arc;
use std::time::Duration;

use tose_api::envelope::{Meta, Paging};
use tose_api::wallet::{
    GrantCredit, NoteRefund, PaymentStatus, PaymentView, ResolvePayment, TopupProvider,
    TransactionView,
};
use tose_api::{PaymentId, Slug, TransactionId, WorkspaceId};
use tose_model::access::{Caller, WorkspaceScope};
use tose_model::error::{Error, Result};
use tose_model::ledger::Entry;
use tose_model::money::{Currency, MAX_AMOUNT, Money};
use tose_model::payment::memo::find_memos;
use tose_model::payment::vnpay::Query;
use tose_model::payment::{Notice, PaidReference, Received};
use tose_store::{NewEntry, NewPayment, Payment, Settled, Topup, TopupKey};

use crate::app::Platform;
use crate::app::wallet::amount;

/// The longest text of a payment that is kept, in characters.
const MAX_TEXT: usize = 500;
/// How many memos of a text are looked up.
const MAX_MEMOS: usize = 8;
/// How soon a top-up is asked after again.
const POLL_AFTER: Duration = Duration::from_secs(60);
/// How many are asked after at once.
const POLLED: u32 = 20;
/// How many transfers one question to SePay answers.
const TRANSFERS: u32 = 100;
/// Where the newest transfer that SePay was asked about is kept.
const SEPAY_SEEN: &str = "sepay_seen";

/// What became of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was credited.
    Credited,
    /// It was told of before.
    Known,
    /// No top-up is meant by it.
    Unmatched,
    /// It is another amount than was asked for, and waits for an operator.
    WrongAmount,
    /// There is nothing to credit.
    Nothing,
}

impl Platform {
    /// Lets follow what a genuine notice says.
    pub(crate) async fn settle_notice(
        self: &Arc<Self>,
        provider: TopupProvider,
        received: Received,
    ) -> Result<Outcome> {
        match received {
            Received::Paid(notice) => self.settle_paid(provider, notice).await,
            Received::Ignored(reason) => {
                tracing::debug!(provider = provider.as_str(), ?reason, "nothing to credit");
                Ok(Outcome::Nothing)
            }
        }
    }

    async fn settle_paid(
        self: &Arc<Self>,
        provider: TopupProvider,
        notice: Notice,
    ) -> Result<Outcome> {
        let topup = self.find_topup(provider, &notice.reference).await?;
        let currency = notice.currency;
        let received = Money::of(notice.amount);
        let credit = self.convert(received, currency);
        let is_asked = |topup: &Topup| (topup.amount, topup.currency) == (received, currency);
        let is_wrong = topup.as_ref().is_some_and(|topup| !is_asked(topup));
        let problem = match (&topup, credit) {
            (None, _) => Some("no top-up is meant by it".to_owned()),
            (Some(_), None) => Some(format!(
                "an amount in {currency} cannot be credited to a wallet in {}",
                self.config.billing.prices.currency()
            )),
            (Some(topup), Some(_)) if is_wrong => Some(format!(
                "{} was asked for",
                topup.amount.display(topup.currency)
            )),
            _ => None,
        };
        // A page of VNPay cannot be paid with another amount: something is wrong then.
        let is_held_back = is_wrong && provider == TopupProvider::Vnpay;
        let credit = credit.filter(|_| !is_held_back);
        let text = match &notice.reference {
            PaidReference::ByMemo(text) | PaidReference::ByOrder(text) => text,
        };
        let reference = reference(provider, &notice.external_id);
        let entry = topup.as_ref().zip(credit).map(|(topup, credit)| NewEntry {
            id: TransactionId::from_uuid(self.ids.uuid()),
            entry: Entry::top_up(topup.workspace_id, provider.as_str(), credit),
            reference: reference.clone(),
            reason: format!("top-up {} through {}", topup.memo, provider.as_str()),
            at: self.now(),
        });
        let new = NewPayment {
            id: PaymentId::from_uuid(self.ids.uuid()),
            provider,
            external_id: notice.external_id,
            amount: received,
            currency,
            text: text.chars().take(MAX_TEXT).collect(),
            topup: topup.as_ref().map(|topup| topup.id),
            credit: entry,
            problem,
            at: self.now(),
        };
        let settled = self.store.settle_payment_for_task(&new).await?;
        tracing::info!(
            provider = provider.as_str(),
            external_id = new.external_id,
            ?settled,
            "a payment"
        );
        Ok(match (settled, &topup) {
            (Settled::Known, _) => Outcome::Known,
            (Settled::Credited(balance), Some(topup)) => {
                self.signals.wallets();
                self.send_receipt(topup, &new, balance);
                Outcome::Credited
            }
            _ if is_held_back => Outcome::WrongAmount,
            _ => Outcome::Unmatched,
        })
    }

    /// The top-up that a payment is for.
    async fn find_topup(
        &self,
        provider: TopupProvider,
        reference: &PaidReference,
    ) -> Result<Option<Topup>> {
        let keys: Vec<TopupKey> = match (provider, reference) {
            (_, PaidReference::ByMemo(text)) => find_memos(text)
                .iter()
                .take(MAX_MEMOS)
                .map(|memo| TopupKey::Memo(memo.as_str().to_owned()))
                .collect(),
            (TopupProvider::Payos, PaidReference::ByOrder(code)) => {
                code.parse().map(TopupKey::Order).into_iter().collect()
            }
            (_, PaidReference::ByOrder(code)) => vec![TopupKey::Memo(code.clone())],
        };
        for key in keys {
            if let Some(topup) = self.store.find_topup_for_task(&key).await? {
                return Ok(Some(topup));
            }
        }
        Ok(None)
    }

    /// What an amount is credited as; `None` if it cannot be.
    fn convert(&self, received: Money, currency: Currency) -> Option<Money> {
        let billing = &self.config.billing;
        let credit = match (currency, billing.prices.currency()) {
            (Currency::Vnd, Currency::Vnd) | (Currency::Usd, Currency::Usd) => Some(received),
            (Currency::Usd, Currency::Vnd) => {
                let parts = i128::from(received.minor()) * i128::from(billing.usd_rate.minor());
                tose_model::money::divide_down(parts, 100).map(Money::of)
            }
            (Currency::Vnd, Currency::Usd) => None,
        };
        credit.filter(|credit| credit.is_positive() && *credit <= MAX_AMOUNT)
    }

    /// Mails the owners what has arrived.
    fn send_receipt(self: &Arc<Self>, topup: &Topup, payment: &NewPayment, balance: Money) {
        let currency = self.config.billing.prices.currency();
        let credited = payment
            .credit
            .as_ref()
            .map_or(Money::ZERO, |credit| credit.entry.amount());
        let subject = format!("Receipt: {} has arrived", credited.display(currency));
        let text = format!(
            "Top-up {}\nReceived: {} through {}\nCredited: {}\nThe wallet has {} now.\n\nInvoices of what was used: GET …/wallet/invoices, or `tose wallet invoices`.",
            topup.memo,
            payment.amount.display(payment.currency),
            payment.provider.as_str(),
            credited.display(currency),
            balance.display(currency),
        );
        let (platform, scope) = (
            Arc::clone(self),
            WorkspaceScope::for_task(topup.workspace_id),
        );
        self.background.spawn(async move {
            platform.mail_owners(&scope, &subject, &text).await;
        });
    }

    /// Asks providers after payments that are waited for: a notice may never come.
    pub(crate) async fn poll_payments(self: &Arc<Self>) -> Result<()> {
        let now = self.now();
        let before = now.saturating_sub(POLL_AFTER);
        let waiting = self
            .store
            .list_topups_to_poll_for_task(before, POLLED)
            .await?;
        let is_by_transfer = |topup: &Topup| topup.provider == TopupProvider::Sepay;
        if waiting.iter().any(is_by_transfer) {
            self.poll_transfers().await?;
        }
        for topup in waiting {
            if !is_by_transfer(&topup) {
                match self.ask_after(&topup).await {
                    Ok(received) => {
                        for one in received {
                            self.settle_notice(topup.provider, one).await?;
                        }
                    }
                    Err(error) => tracing::debug!(
                        topup = %topup.id,
                        error = &error as &dyn std::error::Error,
                        "a top-up could not be asked after"
                    ),
                }
            }
            self.store.note_topup_polled_for_task(topup.id, now).await?;
        }
        Ok(())
    }

    /// What a provider says of a top-up.
    async fn ask_after(&self, topup: &Topup) -> Result<Vec<Received>> {
        let api = &self.payment_api;
        match topup.provider {
            TopupProvider::Sepay => Ok(Vec::new()),
            TopupProvider::Payos => {
                let order = topup.order_number.unsigned_abs();
                let transfers = api.list_payos_transfers(order).await?;
                Ok(transfers.into_iter().map(Received::Paid).collect())
            }
            TopupProvider::Vnpay => {
                let request_id = self.ids.uuid().simple().to_string();
                let query = Query {
                    request_id: &request_id,
                    order_code: &topup.memo,
                    created_at: topup.created_at,
                    ip_addr: "127.0.0.1",
                    now: self.now(),
                };
                Ok(vec![api.get_vnpay_payment(&query).await?])
            }
            TopupProvider::Stripe => match &topup.provider_id {
                Some(id) => Ok(vec![api.get_stripe_session(id).await?]),
                None => Ok(Vec::new()),
            },
        }
    }

    /// What arrived on the bank account since it was asked last.
    async fn poll_transfers(self: &Arc<Self>) -> Result<()> {
        let has_token = |sepay: &crate::config::SepayConfig| sepay.api_token.is_some();
        if !self.config.payments.sepay.as_ref().is_some_and(has_token) {
            return Ok(());
        }
        let seen = self.store.find_setting(SEPAY_SEEN).await?;
        let seen: u64 = seen.and_then(|seen| seen.parse().ok()).unwrap_or(0);
        let transfers = self
            .payment_api
            .list_sepay_transfers(seen, TRANSFERS)
            .await?;
        let mut newest = seen;
        for notice in transfers {
            newest = newest.max(notice.external_id.parse().unwrap_or(0));
            self.settle_notice(TopupProvider::Sepay, Received::Paid(notice))
                .await?;
        }
        if newest > seen {
            let newest = newest.to_string();
            self.store.set_setting(SEPAY_SEEN, &newest).await?;
        }
        Ok(())
    }

    /// Adds credit that an operator gives.
    pub(crate) async fn grant_credit(
        &self,
        caller: &Caller,
        slug: &str,
        input: GrantCredit,
    ) -> Result<TransactionView> {
        let given = amount("amount", input.amount, 1)?;
        let id = self.workspace_of(slug).await?;
        let entry = Entry::operator_credit(id, given);
        self.post_for_operator(caller, entry, input.reason, "wallet.credit", slug)
            .await
    }

    /// Notes money that an operator has sent back.
    pub(crate) async fn note_refund(
        &self,
        caller: &Caller,
        slug: &str,
        input: NoteRefund,
    ) -> Result<TransactionView> {
        let given = amount("amount", input.amount, 1)?;
        let id = self.workspace_of(slug).await?;
        let scope = WorkspaceScope::for_task(id);
        let wallet = self.store.get_wallet(&scope, self.now()).await?;
        if wallet.balance < given {
            return Err(Error::conflict(
                "not_enough",
                "the wallet has less than that; only what is there can go back",
            ));
        }
        let entry = Entry::refund(id, input.provider.as_str(), given);
        self.post_for_operator(caller, entry, input.reason, "wallet.refund", slug)
            .await
    }

    async fn post_for_operator(
        &self,
        caller: &Caller,
        entry: Entry,
        reason: String,
        action: &'static str,
        slug: &str,
    ) -> Result<TransactionView> {
        let id = TransactionId::from_uuid(self.ids.uuid());
        let new = NewEntry {
            id,
            entry,
            reference: format!("operator/{id}"),
            reason: check_reason(&reason)?,
            at: self.now(),
        };
        let event = self.event_by(caller.clone().into(), action, slug);
        let posted = self.store.post(&new, Some(&event)).await?;
        let balance = posted
            .ok_or_else(|| Error::conflict("conflict", "an entry with this id is there already"))?;
        self.signals.wallets();
        Ok(TransactionView {
            id,
            kind: new.entry.kind(),
            amount: new.entry.amount().minor(),
            balance_after: balance.minor(),
            currency: self.currency(),
            reason: new.reason,
            created_at: new.at,
        })
    }

    async fn workspace_of(&self, slug: &str) -> Result<WorkspaceId> {
        let slug: Slug = slug.parse().map_err(|_| Error::NotFound("workspace"))?;
        let found = self.store.find_workspace_for_operator(&slug).await?;
        found.ok_or(Error::NotFound("workspace"))
    }

    pub(crate) async fn list_payments(
        &self,
        status: Option<PaymentStatus>,
        paging: Paging,
    ) -> Result<(Vec<PaymentView>, Meta)> {
        let (payments, total) = self
            .store
            .list_payments_for_operator(status, paging)
            .await?;
        Ok((payments.into_iter().map(view).collect(), paging.meta(total)))
    }

    /// Takes down what an operator found out about a payment, and credits it if they say to whom.
    pub(crate) async fn resolve_payment(
        &self,
        caller: &Caller,
        id: &str,
        input: ResolvePayment,
    ) -> Result<PaymentView> {
        let id = id.parse().map_err(|_| Error::NotFound("payment"))?;
        let reason = check_reason(&input.reason)?;
        let payment = self.store.get_payment_for_operator(id).await?;
        let credit = match &input.workspace {
            None => None,
            Some(slug) => {
                let workspace_id = self.workspace_of(slug.as_str()).await?;
                let amount = self.convert(payment.amount, payment.currency);
                let amount = amount.ok_or_else(|| {
                    Error::conflict(
                        "wrong_currency",
                        "this amount cannot be credited; grant credit by hand and resolve it without a workspace",
                    )
                })?;
                let provider = payment.provider;
                Some(NewEntry {
                    id: TransactionId::from_uuid(self.ids.uuid()),
                    entry: Entry::top_up(workspace_id, provider.as_str(), amount),
                    reference: reference(provider, &payment.external_id),
                    reason: format!("payment through {}, found by hand", provider.as_str()),
                    at: self.now(),
                })
            }
        };
        let by = format!("{}: {reason}", caller.email);
        self.store
            .resolve_payment_for_operator(id, &by, credit.as_ref())
            .await?;
        self.signals.wallets();
        Ok(view(self.store.get_payment_for_operator(id).await?))
    }
}

/// What a payment's entry in the ledger is for.
fn reference(provider: TopupProvider, external_id: &str) -> String {
    format!("payment/{}/{external_id}", provider.as_str())
}

/// Checks what an operator says of money; the workspace sees it.
pub(crate) fn check_reason(reason: &str) -> Result<String> {
    let reason = reason.trim();
    let length = reason.chars().count();
    if !(1..=200).contains(&length) || reason.chars().any(char::is_control) {
        return Err(Error::invalid_field(
            "reason",
            "must have 1 to 200 characters, none of them a control character",
        ));
    }
    Ok(reason.to_owned())
}

fn view(payment: Payment) -> PaymentView {
    PaymentView {
        id: payment.id,
        provider: payment.provider,
        external_id: payment.external_id,
        status: payment.status,
        problem: payment.problem,
        amount: payment.amount.minor(),
        currency: payment.currency.code().to_owned(),
        text: payment.text,
        workspace: payment.workspace,
        credited: payment.credited.map(Money::minor),
        resolution: payment.resolution,
        created_at: payment.created_at,
    }
}
