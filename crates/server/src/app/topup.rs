//! Top-ups: payments that a workspace is asked for.
//!
//! Guarantee: a top-up is in the store before anybody is asked to pay it, so whatever arrives finds it.
//! Not here: what arrives (`payment.rs`).

use std::time::Duration;

use tose_api::envelope::{Meta, Paging};
use tose_api::wallet::{
    BankAccount, CreateTopup, CreateUsdTopup, TopupProvider, TopupStatus, TopupView,
};
use tose_api::{Timestamp, TopupId};
use tose_model::access::Access;
use tose_model::error::{Error, Result};
use tose_model::money::{Currency, Money};
use tose_model::payment::memo::Memo;
use tose_model::payment::payos::{MAX_ORDER_CODE, NewLink};
use tose_model::payment::stripe::NewSession;
use tose_model::payment::vietqr::Transfer;
use tose_model::payment::vnpay::NewPayment;
use tose_store::Topup;

use crate::app::Platform;
use crate::app::wallet::amount;
use crate::qr::qr_svg;

/// How long a transfer is waited for, or a page can be paid.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// The same of pages of VNPay and PayOS, which are for somebody who sits in front of them.
const PAGE_LIFETIME: Duration = Duration::from_secs(3600);

impl Platform {
    pub(crate) async fn create_topup(
        &self,
        access: &Access,
        input: CreateTopup,
    ) -> Result<TopupView> {
        let wanted = amount("amount", input.amount, 1)?;
        self.require_billing()?;
        if self.config.billing.prices.currency() != Currency::Vnd {
            return Err(Error::conflict(
                "wrong_currency",
                "wallets here are kept in USD; use …/wallet/topup/usd",
            ));
        }
        let provider = self.pick_provider(input.provider)?;
        if provider == TopupProvider::Stripe {
            return Err(Error::invalid_field(
                "provider",
                "Stripe takes dollars; use …/wallet/topup/usd",
            ));
        }
        self.ask_for_payment(access, provider, wanted, Currency::Vnd)
            .await
    }

    pub(crate) async fn create_usd_topup(
        &self,
        access: &Access,
        input: CreateUsdTopup,
    ) -> Result<TopupView> {
        if !(1..=100_000).contains(&input.amount) {
            let problem = "must be a whole number of dollars between 1 and 100000";
            return Err(Error::invalid_field("amount", problem));
        }
        self.require_billing()?;
        let provider = self.pick_provider(Some(TopupProvider::Stripe))?;
        let cents = Money::of(input.amount * 100);
        self.ask_for_payment(access, provider, cents, Currency::Usd)
            .await
    }

    fn require_billing(&self) -> Result<()> {
        if self.is_prepaid() {
            return Ok(());
        }
        Err(Error::conflict(
            "billing_off",
            "this server charges nothing, so there is nothing to pay",
        ))
    }

    /// The provider that is asked for, or the first one in đồng.
    fn pick_provider(&self, wanted: Option<TopupProvider>) -> Result<TopupProvider> {
        let in_dong = [
            TopupProvider::Sepay,
            TopupProvider::Payos,
            TopupProvider::Vnpay,
        ];
        let picked = match wanted {
            Some(provider) => Some(provider).filter(|provider| self.takes(*provider)),
            None => in_dong.into_iter().find(|provider| self.takes(*provider)),
        };
        picked.ok_or_else(|| {
            let on: Vec<_> = TopupProvider::ALL
                .into_iter()
                .filter(|provider| self.takes(*provider))
                .map(TopupProvider::as_str)
                .collect();
            let message = match on.as_slice() {
                [] => "this server takes no payments; ask its operator for credit".to_owned(),
                on => format!("this server takes payments through {}", on.join(", ")),
            };
            Error::conflict("no_payments", message)
        })
    }

    /// Whether payments come in through this provider.
    fn takes(&self, provider: TopupProvider) -> bool {
        let payments = &self.config.payments;
        match provider {
            TopupProvider::Sepay => payments.sepay.is_some(),
            TopupProvider::Payos => payments.payos.is_some(),
            TopupProvider::Vnpay => payments.vnpay.is_some(),
            TopupProvider::Stripe => payments.stripe.is_some(),
        }
    }

    async fn ask_for_payment(
        &self,
        access: &Access,
        provider: TopupProvider,
        amount: Money,
        currency: Currency,
    ) -> Result<TopupView> {
        self.limits.topups.count(&access.scope().id())?;
        let now = self.now();
        let lifetime = match provider {
            TopupProvider::Sepay | TopupProvider::Stripe => LIFETIME,
            TopupProvider::Payos | TopupProvider::Vnpay => PAGE_LIFETIME,
        };
        let mut random = [0; 16];
        self.ids.fill(&mut random);
        let [memo, order] = [&random[..8], &random[8..]].map(|half| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(half);
            bytes
        });
        let order_number = (u64::from_be_bytes(order) % MAX_ORDER_CODE).max(1);
        let topup = Topup {
            id: TopupId::from_uuid(self.ids.uuid()),
            workspace_id: access.scope().id(),
            provider,
            status: TopupStatus::Pending,
            amount,
            currency,
            memo: Memo::from_random(memo).as_str().to_owned(),
            order_number: i64::try_from(order_number).unwrap_or(i64::MAX),
            provider_id: None,
            checkout_url: None,
            credited: None,
            created_at: now,
            expires_at: now.saturating_add(lifetime),
        };
        let event = self.event(access, "wallet.topup", topup.id);
        self.store
            .create_topup(access.scope(), &topup, &event)
            .await?;
        if let Some((provider_id, url)) = self.open_checkout(access, &topup).await? {
            self.store
                .set_topup_checkout(access.scope(), topup.id, &provider_id, &url)
                .await?;
        }
        self.get_topup(access, &topup.id.to_string()).await
    }

    /// Has a page made on which a top-up is paid: what the provider calls it, and its address.
    async fn open_checkout(
        &self,
        access: &Access,
        topup: &Topup,
    ) -> Result<Option<(String, String)>> {
        let back = self.config.public_address("/");
        let expires_at_seconds = topup.expires_at.as_nanos() / 1_000_000_000;
        match topup.provider {
            TopupProvider::Sepay => Ok(None),
            TopupProvider::Payos => {
                let link = NewLink {
                    order_code: topup.order_number.unsigned_abs(),
                    amount: topup.amount.minor(),
                    description: &topup.memo,
                    return_url: &back,
                    cancel_url: &back,
                    expires_at_seconds,
                };
                let made = self.payment_api.create_payos_link(&link).await?;
                Ok(Some((made.id, made.checkout_url)))
            }
            TopupProvider::Vnpay => {
                let ip = access.actor().ip.map(|ip| ip.to_string());
                let payment = NewPayment {
                    order_code: &topup.memo,
                    amount: topup.amount.minor(),
                    order_info: &format!("Nap tien vi {}", topup.memo),
                    return_url: &back,
                    ip_addr: ip.as_deref().unwrap_or("127.0.0.1"),
                    created_at: topup.created_at,
                    expires_at: topup.expires_at,
                };
                let url = self.payment_api.vnpay_page(&payment)?;
                Ok(Some((topup.memo.clone(), url)))
            }
            TopupProvider::Stripe => {
                let email = access.actor().user_id.map(|_| access.actor().name.as_str());
                let session = NewSession {
                    order_code: &topup.memo,
                    amount: topup.amount.minor(),
                    currency: Currency::Usd,
                    product_name: &format!("Credit for {}", access.workspace()),
                    customer_email: email,
                    success_url: &back,
                    cancel_url: &back,
                    // Stripe takes no more than a day from its own now.
                    expires_at_seconds: expires_at_seconds - 60,
                };
                let made = self.payment_api.create_stripe_session(&session).await?;
                Ok(Some((made.id, made.checkout_url)))
            }
        }
    }

    pub(crate) async fn get_topup(&self, access: &Access, id: &str) -> Result<TopupView> {
        let id = id.parse().map_err(|_| Error::NotFound("top-up"))?;
        let topup = self.store.get_topup(access.scope(), id).await?;
        self.topup_view(topup)
    }

    pub(crate) async fn list_topups(
        &self,
        access: &Access,
        paging: Paging,
    ) -> Result<(Vec<TopupView>, Meta)> {
        let (topups, total) = self.store.list_topups(access.scope(), paging).await?;
        let views = topups.into_iter().map(|topup| self.topup_view(topup));
        Ok((views.collect::<Result<_>>()?, paging.meta(total)))
    }

    fn topup_view(&self, topup: Topup) -> Result<TopupView> {
        let bank = self.config.payments.sepay.as_ref();
        let bank = bank.filter(|_| topup.provider == TopupProvider::Sepay);
        let qr_payload = bank
            .map(|bank| {
                let transfer = Transfer {
                    bank_bin: &bank.bank_bin,
                    account: &bank.account,
                    amount: Some(topup.amount.minor()),
                    memo: &topup.memo,
                    bill_number: None,
                };
                transfer
                    .payload()
                    .map_err(|error| Error::internal("a VietQR code could not be made", error))
            })
            .transpose()?;
        Ok(TopupView {
            id: topup.id,
            provider: topup.provider,
            status: current_status(&topup, self.now()),
            amount: topup.amount.minor(),
            currency: topup.currency.code().to_owned(),
            credited: topup.credited.map(Money::minor),
            memo: topup.memo,
            qr_svg: qr_payload.as_deref().map(qr_svg).transpose()?,
            qr_payload,
            account: bank.map(|bank| BankAccount {
                bank_bin: bank.bank_bin.clone(),
                number: bank.account.clone(),
                name: Some(bank.account_name.clone()),
            }),
            checkout_url: topup.checkout_url,
            expires_at: topup.expires_at,
            created_at: topup.created_at,
        })
    }
}

/// Its time may be over before anybody has noted it.
fn current_status(topup: &Topup, now: Timestamp) -> TopupStatus {
    match topup.status {
        TopupStatus::Pending if topup.expires_at <= now => TopupStatus::Expired,
        status => status,
    }
}
