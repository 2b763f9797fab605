//! How wallets stand, and what follows: mails, everything of a workspace stopped, and started again.
//!
//! Guarantee: of two that judge a wallet at once, one lets follow what follows.
//! Not here: when they are judged (`meter.rs`), and the rules (`tose_model::wallet`).

use std::collections::HashMap;
use std::sync::Arc;

use tose_api::event::Via;
use tose_api::notification::NoticeEvent;
use tose_api::{EventId, Timestamp, WorkspaceId};
use tose_model::access::{Actor, WorkspaceScope};
use tose_model::error::Result;
use tose_model::meter::Hour;
use tose_model::money::Money;
use tose_model::wallet::{Funds, Notice, judge};
use tose_store::{NewEvent, OpenUsage, Wallet};

use crate::app::Platform;
use crate::app::notice::NewNotice;

/// Finds out for every wallet how it stands, and lets follow what follows.
pub(super) async fn judge_all(platform: &Arc<Platform>) -> Result<()> {
    if !platform.is_prepaid() {
        return Ok(());
    }
    let Some(active) = platform.active_workspaces().await else {
        return Ok(());
    };
    let now = platform.now();
    let wallets = platform.store.list_wallets_for_task(now).await?;
    let mut open: HashMap<WorkspaceId, Vec<OpenUsage>> = HashMap::new();
    for usage in platform.store.list_open_usage_for_task().await? {
        open.entry(usage.workspace_id).or_default().push(usage);
    }
    let spent = platform
        .store
        .list_spent_for_task(Hour::of(now).month())
        .await?;
    for wallet in wallets {
        let id = wallet.workspace_id;
        let open = open.get(&id).map_or(&[][..], Vec::as_slice);
        let charged = spent.get(&id).copied().unwrap_or(Money::ZERO);
        let funds = platform.funds(
            &wallet,
            platform.cost(open).net(),
            charged,
            !active.contains(&id),
        );
        if let Err(error) = judge_one(platform, &wallet, &funds, now).await {
            tracing::warn!(
                workspace = wallet.workspace,
                error = &error as &dyn std::error::Error,
                "a wallet could not be judged; it is tried again"
            );
        }
    }
    Ok(())
}

async fn judge_one(
    platform: &Arc<Platform>,
    wallet: &Wallet,
    funds: &Funds,
    now: Timestamp,
) -> Result<()> {
    let (after, notices) = judge(wallet.standing, funds, now, platform.config.billing.grace);
    if after == wallet.standing {
        return Ok(());
    }
    let id = wallet.workspace_id;
    platform
        .store
        .set_wallet_standing_for_task(id, &wallet.standing, &after)
        .await?;
    let scope = WorkspaceScope::for_task(id);
    if after.suspended != wallet.standing.suspended {
        tell_of_suspension(platform, &scope, wallet, after.suspended.is_some()).await?;
    }
    let owned = Arc::clone(platform);
    let (workspace, funds) = (wallet.workspace.clone(), *funds);
    for notice in &notices {
        let (title, text) = in_words(platform, &workspace, &funds, *notice);
        let event = match notice {
            Notice::Low | Notice::Empty(_) | Notice::Budget(_) => NoticeEvent::WalletLow,
            Notice::Suspended(_) => NoticeEvent::WalletSuspended,
            Notice::Resumed => NoticeEvent::WalletResumed,
        };
        let notice = NewNotice {
            workspace_id: id,
            project_id: None,
            event,
            key: format!("{}/{}/{title}", event.as_str(), now.as_nanos()),
            title,
            text,
        };
        platform.notify(notice).await;
    }
    platform.background.spawn(async move {
        for notice in notices {
            let (subject, text) = in_words(&owned, &workspace, &funds, notice);
            // A mail that cannot be sent stops nothing: the wallet says it too.
            owned.mail_owners(&scope, &subject, &text).await;
        }
    });
    Ok(())
}

/// Lets everything of a workspace be looked at: it stops, or starts again.
async fn tell_of_suspension(
    platform: &Platform,
    scope: &WorkspaceScope,
    wallet: &Wallet,
    is_suspended: bool,
) -> Result<()> {
    let action = match is_suspended {
        true => "workspace.suspend",
        false => "workspace.resume",
    };
    tracing::info!(workspace = wallet.workspace, action, "a wallet decides");
    let event = NewEvent {
        id: EventId::from_uuid(platform.ids.uuid()),
        actor: Actor {
            user_id: None,
            name: "wallet".to_owned(),
            via: Via::System,
            ip: None,
            idempotency: None,
        },
        action,
        target: wallet.workspace.clone(),
        at: platform.now(),
    };
    platform.store.add_event(scope, &event).await?;
    for project in platform.store.list_projects_for_task().await? {
        if project.workspace_id == scope.id() {
            platform.signals.project(project.id);
        }
    }
    platform.signals.builder();
    Ok(())
}

/// What people are told: a line, and the rest.
fn in_words(
    platform: &Platform,
    workspace: &str,
    funds: &Funds,
    notice: Notice,
) -> (String, String) {
    let currency = platform.config.billing.prices.currency();
    let left = funds.available.display(currency);
    match notice {
        Notice::Low => (
            format!("The wallet of {workspace} is low"),
            format!(
                "{left} is left, which is less than the {} that you wanted to be told of. Top it up before everything is stopped.",
                funds.threshold.display(currency)
            ),
        ),
        Notice::Empty(at) => (
            format!("The wallet of {workspace} is empty"),
            format!(
                "{left} is left. What runs goes on until {at}; then everything is stopped, and kept. A top-up before that changes nothing for your visitors."
            ),
        ),
        Notice::Suspended(reason) => (
            format!("{workspace} is suspended"),
            format!(
                "Everything is stopped, because {}. All data is kept, and everything that ran starts again by itself when that changes.",
                reason.reason()
            ),
        ),
        Notice::Resumed => (
            format!("{workspace} runs again"),
            format!("Everything that ran before starts again. {left} is in the wallet."),
        ),
        Notice::Budget(percent) => (
            format!("{percent} % of the budget of {workspace} is used"),
            format!("{} was used this month.", funds.spent.display(currency)),
        ),
    }
}
