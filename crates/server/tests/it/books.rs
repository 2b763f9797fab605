//! What `tosed admin` does to the books, beside a server that runs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tose_api::{TransactionId, WorkspaceId};
use tose_model::error::Result;
use tose_model::ledger::Entry;
use tose_model::money::{Currency, Money};
use tose_model::pricing::Charge;
use tose_model::{Clock, IdGen};
use tose_server::books::{BookFormat, export, give_credit};
use tose_store::{NewEntry, Store};

use crate::harness::{Client, Lab, eventually};

async fn store(lab: &Lab) -> Store {
    let data_dir = lab.data_dir().join("data");
    tose_server::open_store(&data_dir).await.expect("the store")
}

async fn credit(lab: &Lab, workspace: &str, amount: i64, reason: &str) -> Result<Money> {
    let store = store(lab).await;
    let (clock, ids) = (lab.clock.as_ref(), lab.ids.as_ref());
    let slug = workspace.parse().expect("a slug");
    let given = give_credit(&store, clock, ids, &slug, Money::of(amount), reason).await;
    store.close().await;
    given
}

async fn books(lab: &Lab, format: BookFormat) -> String {
    let store = store(lab).await;
    let mut out = Vec::new();
    export(&store, Currency::Vnd, format, &mut out)
        .await
        .expect("the books");
    store.close().await;
    String::from_utf8(out).expect("text")
}

/// Adds an entry to the wallet of `other`.
async fn post(lab: &Lab, entry: impl Fn(WorkspaceId) -> Entry) {
    let store = store(lab).await;
    let other = "other".parse().expect("a slug");
    let found = store.find_workspace_for_operator(&other).await;
    let id = TransactionId::from_uuid(lab.ids.uuid());
    let new = NewEntry {
        id,
        entry: entry(found.expect("an answer").expect("a workspace")),
        reference: format!("test/{id}"),
        reason: "a test".to_owned(),
        at: lab.clock.now(),
    };
    store.post(&new, None).await.expect("an entry");
    store.close().await;
}

/// How many entries [`lab_with_books`] has: both workspaces began with some credit.
const ENTRIES: usize = 2 + 600 + 3 + 1;

/// A server with two wallets, in which more happened than one page of the books has.
async fn lab_with_books() -> Lab {
    let lab = Lab::start_with(|config| config.billing.enabled = true).await;
    for workspace in ["demo", "other"] {
        lab.owner(workspace).await;
    }
    for number in 0..600 {
        let given = credit(&lab, "demo", 7, &format!("gift {number}")).await;
        given.expect("credit");
    }
    post(&lab, |id| Entry::top_up(id, "sepay", Money::of(90_000))).await;
    post(&lab, |id| Entry::refund(id, "sepay", Money::of(40_000))).await;
    let charge = Charge {
        net: Money::of(2_500),
        discount: Money::of(300),
    };
    post(&lab, |id| Entry::usage(id, charge).expect("it fits")).await;
    let odd = "a \"gift\", really; [2026-13-01]  Income:Usage  9 VND";
    credit(&lab, "other", 1_000, odd).await.expect("credit");
    lab
}

#[tokio::test]
async fn credit_is_in_the_wallet_at_once() {
    let lab = Lab::start_with(|config| config.billing.enabled = true).await;
    let owner = lab.owner("demo").await;
    let before = owner.get("wallet").await.data()["balance"].clone();
    let before = before.as_i64().expect("an amount");
    let given = credit(&lab, "demo", 50_000, " for the outage ").await;
    assert_eq!(given.expect("credit"), Money::of(before + 50_000));

    let wallet = owner.get("wallet").await;
    assert_eq!(wallet.data()["balance"], json!(before + 50_000));
    let newest = owner.get("wallet/transactions").await.data()[0].clone();
    assert_eq!(
        [&newest["kind"], &newest["amount"], &newest["reason"]],
        [
            &json!("operator_credit"),
            &json!(50_000),
            &json!("for the outage")
        ]
    );
    let event = owner.get("events").await.data()[0].clone();
    assert_eq!(
        [&event["action"], &event["actor"]],
        [&json!("wallet.credit"), &json!("tosed admin")]
    );
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn credit_that_cannot_be_given_changes_nothing() {
    let lab = Lab::start_with(|config| config.billing.enabled = true).await;
    let owner = lab.owner("demo").await;
    let before: Value = owner.get("wallet").await.data().clone();
    for (workspace, amount, reason, code) in [
        ("nobody", 1, "a gift", "not_found"),
        ("demo", 0, "a gift", "invalid_input"),
        ("demo", -5, "a gift", "invalid_input"),
        ("demo", 1_000_000_000_001, "a gift", "invalid_input"),
        ("demo", 1, " ", "invalid_input"),
        ("demo", 1, "two\nlines", "invalid_input"),
    ] {
        let error = credit(&lab, workspace, amount, reason).await;
        assert_eq!(error.expect_err("a refusal").code(), code, "{reason:?}");
    }
    assert_eq!(owner.get("wallet").await.data(), &before);
}

#[tokio::test]
async fn the_table_has_every_entry_and_sums_to_zero() {
    let lab = lab_with_books().await;
    let table = books(&lab, BookFormat::Csv).await;
    let mut rows = table.lines();
    let heading = rows.next().expect("a heading");
    let mut entries = BTreeMap::<_, i64>::new();
    for row in rows {
        let cells: Vec<_> = row.split(',').collect();
        assert!(cells.len() >= heading.split(',').count(), "{row}");
        assert_eq!(cells[6], "VND");
        let amount: i64 = cells[5].parse().expect("an amount");
        *entries.entry(cells[2].to_owned()).or_default() += amount;
    }
    assert!(entries.values().all(|sum| *sum == 0), "{entries:?}");
    assert_eq!(entries.len(), ENTRIES);
    assert!(table.contains(",\"a \"\"gift\"\", really; [2026-13-01]  Income:Usage  9 VND\"\n"));
}

#[tokio::test]
async fn the_journal_sums_to_zero_with_debits_as_positive_amounts() {
    let lab = lab_with_books().await;
    let journal = books(&lab, BookFormat::Ledger).await;
    let mut accounts = BTreeMap::<_, i64>::new();
    let (mut sum, mut transactions) = (0, 0);
    for line in journal.lines() {
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            assert_eq!(sum, 0, "before {line}");
            transactions += 1;
        }
        let posting = line.strip_suffix(" VND").and_then(|line| {
            let (account, amount) = line.strip_prefix("    ")?.split_once("  ")?;
            Some((account, amount.parse::<i64>().ok()?))
        });
        if let Some((account, amount)) = posting {
            *accounts.entry(account.to_owned()).or_default() += amount;
            sum += amount;
        }
    }
    assert_eq!((sum, transactions), (0, ENTRIES));
    let began = accounts["Expenses:Promotions"] / 2;
    assert!(began > 0, "{accounts:?}");
    let expected = [
        ("Assets:Payments:sepay", 50_000),
        ("Expenses:Discounts", 300),
        ("Income:Usage", -2_800),
        ("Expenses:Adjustments", 5_200),
        ("Expenses:Promotions", 2 * began),
        ("Liabilities:Wallets:demo", -began - 4_200),
        ("Liabilities:Wallets:other", -began - 48_500),
    ];
    let expected = expected.map(|(account, amount)| (account.to_owned(), amount));
    assert_eq!(accounts, BTreeMap::from(expected));
    assert!(journal.contains(") a \"gift\", really, (2026-13-01) Income:Usage 9 VND\n"));
}

/// Waits until the wallet stands like this, while the time goes on: not in whole hours, as nothing is used yet
/// when one begins.
async fn status_is(lab: &Lab, owner: &Client, status: &str) {
    eventually(&format!("the wallet is {status}"), async || {
        lab.clock.advance(Duration::from_secs(61 * 60));
        let wallet = owner.get("wallet").await;
        match wallet.data()["status"] == status {
            true => Ok(()),
            false => Err(wallet.data().to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_workspace_that_was_stopped_goes_on_after_credit() {
    let lab = Lab::start_with(|config| {
        config.billing.enabled = true;
        config.billing.signup_credit = Money::of(1_000);
    })
    .await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    status_is(&lab, &owner, "suspended").await;
    lab.has_replicas(0).await;
    let given = credit(&lab, "demo", 100_000_000, "a gift").await;
    given.expect("credit");
    status_is(&lab, &owner, "active").await;
    lab.has_replicas(1).await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}
