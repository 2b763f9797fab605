//! The wallet: what there is and was used, and how money comes in.

use reqwest::{Method, Url};

use super::transport::{Download, json};
use super::{Client, Page, Paging, Result};
use crate::wallet::{
    CreateTopup, CreateUsdTopup, EstimateRequest, EstimateView, InvoiceView, PricingView,
    SetBudget, SetThreshold, TopupView, TransactionView, UsageView, WalletView,
};
use crate::{Slug, Timestamp, TopupId};

/// Which hours are asked about: this month's, where neither end is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct UsageQuery {
    /// From this hour on.
    pub start: Option<Timestamp>,
    /// Before this hour.
    pub end: Option<Timestamp>,
}

impl UsageQuery {
    fn add_to(self, url: &mut Url) {
        for (name, time) in [("start", self.start), ("end", self.end)] {
            if let Some(time) = time {
                url.query_pairs_mut().append_pair(name, &time.to_string());
            }
        }
    }
}

impl Client {
    /// `GET W/wallet`.
    pub async fn get_wallet(&self, workspace: &Slug) -> Result<WalletView> {
        self.transport.get(self.wallet_url(workspace, &[])).await
    }

    /// `GET W/wallet/transactions`: newest first.
    pub async fn list_transactions(
        &self,
        workspace: &Slug,
        paging: Paging,
    ) -> Result<Page<TransactionView>> {
        let url = self.wallet_url(workspace, &["transactions"]);
        self.transport.get_page(url, paging).await
    }

    /// `GET W/wallet/usage`.
    pub async fn get_usage(&self, workspace: &Slug, query: UsageQuery) -> Result<UsageView> {
        let mut url = self.wallet_url(workspace, &["usage"]);
        query.add_to(&mut url);
        self.transport.get(url).await
    }

    /// The same as CSV.
    pub async fn download_usage(&self, workspace: &Slug, query: UsageQuery) -> Result<Download> {
        let mut url = self.wallet_url(workspace, &["usage"]);
        query.add_to(&mut url);
        url.query_pairs_mut().append_pair("format", "csv");
        self.transport.download(url).await
    }

    /// `PUT W/wallet/threshold`.
    pub async fn set_threshold(&self, workspace: &Slug, body: &SetThreshold) -> Result<WalletView> {
        let url = self.wallet_url(workspace, &["threshold"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `PUT W/wallet/budget`.
    pub async fn set_budget(&self, workspace: &Slug, body: &SetBudget) -> Result<WalletView> {
        let url = self.wallet_url(workspace, &["budget"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `POST W/wallet/topup`: asks for a payment in đồng.
    pub async fn create_topup(&self, workspace: &Slug, body: &CreateTopup) -> Result<TopupView> {
        let url = self.wallet_url(workspace, &["topup"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `POST W/wallet/topup/usd`: asks for a payment in dollars.
    pub async fn create_usd_topup(
        &self,
        workspace: &Slug,
        body: &CreateUsdTopup,
    ) -> Result<TopupView> {
        let url = self.wallet_url(workspace, &["topup", "usd"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET W/wallet/topups`: newest first.
    pub async fn list_topups(&self, workspace: &Slug, paging: Paging) -> Result<Page<TopupView>> {
        let url = self.wallet_url(workspace, &["topups"]);
        self.transport.get_page(url, paging).await
    }

    /// `GET W/wallet/topups/:id`.
    pub async fn get_topup(&self, workspace: &Slug, id: TopupId) -> Result<TopupView> {
        let url = self.wallet_url(workspace, &["topups", &id.to_string()]);
        self.transport.get(url).await
    }

    /// `GET W/wallet/invoices`: newest first.
    pub async fn list_invoices(&self, workspace: &Slug) -> Result<Vec<InvoiceView>> {
        let url = self.wallet_url(workspace, &["invoices"]);
        self.transport.get(url).await
    }

    /// `GET W/wallet/invoices/:month`: a PDF; a month is written like `2026-01`.
    pub async fn download_invoice(&self, workspace: &Slug, month: &str) -> Result<Download> {
        let url = self.wallet_url(workspace, &["invoices", month]);
        self.transport.download(url).await
    }

    /// `POST W/estimate`: what something would cost.
    pub async fn estimate(&self, workspace: &Slug, body: &EstimateRequest) -> Result<EstimateView> {
        let url = self.workspace_url(workspace, &["estimate"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET /api/pricing`.
    pub async fn get_pricing(&self) -> Result<PricingView> {
        self.transport.get(self.transport.url(&["pricing"])).await
    }

    fn wallet_url(&self, workspace: &Slug, rest: &[&str]) -> Url {
        let path = [&["wallet"], rest].concat();
        self.workspace_url(workspace, &path)
    }
}
