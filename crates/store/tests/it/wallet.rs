//! The suite's cases for money: the ledger, what is metered and charged, holds, and payments.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tose_api::envelope::Paging;
use tose_api::wallet::{PaymentStatus, TopupProvider, TopupStatus, TransactionKind};
use tose_api::{PaymentId, ProjectId, TopupId, TransactionId, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::driver::ReplicaName;
use tose_model::ledger::Entry;
use tose_model::meter::{Hour, Mark, Span, Usages};
use tose_model::money::{Currency, Money};
use tose_model::pricing::{Metered, PriceList, Remainder, WantedScale, WantedTariff};
use tose_model::quota::Load;
use tose_model::wallet::{Standing, Suspension};
use tose_model::{Clock, IdGen};
use tose_store::{
    Error, Lack, MeterLook, MeterMemory, MeteredEnd, NewEntry, NewHold, NewPayment, Settled, Store,
    Topup, TopupKey,
};

use crate::harness::Lab;

const HOUR: Duration = Duration::from_secs(3600);

fn prices(free_cpu_hours: u32) -> PriceList {
    let scale = |price: &str, free_hours| WantedScale {
        price: price.parse().expect("a price"),
        free_hours,
        tiers: Vec::new(),
    };
    let tariff = WantedTariff {
        from: None,
        cpu: scale("500", free_cpu_hours),
        ram: scale("250", 0),
        storage: scale("5", 0),
    };
    PriceList::new(Currency::Vnd, &[tariff]).expect("prices")
}

/// A project of a workspace, which need not be there to be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Resource {
    project_id: ProjectId,
    workspace_id: WorkspaceId,
}

struct Meter {
    prices: PriceList,
    memory: Option<MeterMemory>,
}

impl Meter {
    fn new(prices: PriceList) -> Self {
        Self {
            prices,
            memory: None,
        }
    }

    async fn look(&mut self, lab: &Lab, usages: &Usages) -> Result<(), Error> {
        let mark = mark(lab);
        let ids = || TransactionId::from_uuid(lab.ids.uuid());
        // As the server does: what a look that failed had in hand is forgotten.
        let mut memory = self.memory(lab).await?;
        let look = MeterLook {
            mark: &mark,
            usages,
            ended: &[],
            prices: &self.prices,
            ids: &ids,
        };
        lab.store.meter_for_task(&look, &mut memory).await?;
        self.memory = Some(memory);
        Ok(())
    }

    async fn memory(&mut self, lab: &Lab) -> Result<MeterMemory, Error> {
        match self.memory.take() {
            Some(memory) => Ok(memory),
            None => lab.store.read_meter_memory_for_task().await,
        }
    }
}

fn mark(lab: &Lab) -> Mark {
    Mark {
        uptime: lab.clock.uptime(),
        at: lab.now(),
    }
}

/// What one core and two GB use from `from` ago until now.
fn used(lab: &Lab, resource: Resource, from: Duration) -> Usages {
    let load = Load {
        cpu_milli: 1000,
        ram_milli: 2000,
    };
    let mut usages = Usages::default();
    let span = Span::ago(lab.now(), from, Duration::ZERO);
    let Resource {
        project_id,
        workspace_id,
    } = resource;
    usages.add(project_id, workspace_id, span, |millis| {
        Metered::of(load, millis)
    });
    usages
}

fn resource(lab: &Lab) -> Resource {
    Resource {
        project_id: ProjectId::from_uuid(lab.ids.uuid()),
        workspace_id: lab.scope.id(),
    }
}

fn entry(lab: &Lab, entry: Entry, reference: &str) -> NewEntry {
    NewEntry {
        id: TransactionId::from_uuid(lab.ids.uuid()),
        entry,
        reference: reference.to_owned(),
        reason: "a test".to_owned(),
        at: lab.now(),
    }
}

async fn credit(lab: &Lab, amount: i64, reference: &str) {
    let credit = Entry::operator_credit(lab.scope.id(), Money::of(amount));
    let posted = lab.store.post(&entry(lab, credit, reference), None).await;
    posted.expect("posted").expect("it is new");
}

async fn balance(lab: &Lab, scope: &WorkspaceScope) -> i64 {
    let wallet = lab.store.get_wallet(scope, lab.now()).await;
    wallet.expect("a wallet").balance.minor()
}

async fn assert_clean(store: &Store) {
    assert_eq!(store.check().await.expect("checked"), []);
}

#[tokio::test]
async fn an_entry_is_made_once_however_often_it_is_asked_for() {
    let lab = Lab::new().await;
    let credit = Entry::operator_credit(lab.scope.id(), Money::of(700));
    let new = entry(&lab, credit, "credit/1");
    let posts = join_all((0..100).map(|_| lab.store.post(&new, None))).await;
    let posted: Vec<_> = posts
        .into_iter()
        .filter_map(|post| post.expect("posted"))
        .collect();
    assert_eq!(posted, [Money::of(700)]);
    let (entries, total) = lab
        .store
        .list_entries(&lab.scope, Paging::new(None, None).expect("a page"))
        .await
        .expect("a list");
    assert_eq!((entries.len(), total), (1, 1));
    assert_eq!(entries[0].balance_after, Money::of(700));
    assert_eq!(entries[0].kind, TransactionKind::OperatorCredit);
    assert_clean(&lab.store).await;
}

#[tokio::test]
async fn the_database_refuses_to_change_or_remove_what_was_written() {
    let lab = Lab::new().await;
    credit(&lab, 700, "credit/1").await;
    lab.store.close().await;
    let options = SqliteConnectOptions::new().filename(lab.path());
    let mut sqlite = SqliteConnection::connect_with(&options)
        .await
        .expect("a connection");
    for statement in [
        "UPDATE ledger_entries SET amount = 1",
        "DELETE FROM ledger_entries",
        "UPDATE ledger_postings SET amount = 1",
        "DELETE FROM ledger_postings",
    ] {
        let refused = sqlx::query(statement).execute(&mut sqlite).await;
        let error = refused.expect_err("refused").to_string();
        assert!(error.contains("append-only"), "{statement}: {error}");
    }
}

#[tokio::test]
async fn an_hour_is_charged_once_it_is_over_and_what_is_late_counts_in_the_next() {
    let lab = Lab::new().await;
    let mut meter = Meter::new(prices(0));
    credit(&lab, 10_000, "credit/1").await;
    let app = resource(&lab);
    meter.look(&lab, &Usages::default()).await.expect("a look");
    lab.clock.advance(HOUR / 2);
    meter
        .look(&lab, &used(&lab, app, HOUR / 2))
        .await
        .expect("a look");
    assert_eq!(balance(&lab, &lab.scope).await, 10_000);
    let open = lab.store.list_open_usage(&lab.scope).await.expect("a list");
    assert_eq!(open.len(), 1);
    assert_eq!(
        meter
            .prices
            .at(open[0].hour)
            .cost(open[0].metered, open[0].month)
            .net(),
        Money::of(500)
    );
    lab.clock.advance(HOUR / 2);
    meter
        .look(&lab, &used(&lab, app, HOUR / 2))
        .await
        .expect("a look");
    assert_eq!(balance(&lab, &lab.scope).await, 9_000);
    // The clock is set back by two hours: the hours there were charged.
    lab.clock.set(lab.now().saturating_sub(2 * HOUR));
    meter
        .look(&lab, &used(&lab, app, HOUR / 4))
        .await
        .expect("a look");
    assert_eq!(balance(&lab, &lab.scope).await, 9_000);
    lab.clock.set(lab.now().saturating_add(3 * HOUR));
    meter.look(&lab, &Usages::default()).await.expect("a look");
    assert_eq!(balance(&lab, &lab.scope).await, 8_750);
    let hours = (Hour::FIRST, Hour::of(lab.now()).next());
    let usage = lab
        .store
        .list_usage(&lab.scope, hours.0, hours.1)
        .await
        .expect("a list");
    assert_eq!(usage[0].charge.net, Money::of(1_250));
    assert_clean(&lab.store).await;
}

#[tokio::test]
async fn what_is_free_is_a_discount_of_its_own() {
    let lab = Lab::new().await;
    let mut meter = Meter::new(prices(1));
    let app = resource(&lab);
    for _ in 0..3 {
        lab.clock.advance(HOUR);
        meter
            .look(&lab, &used(&lab, app, HOUR))
            .await
            .expect("a look");
    }
    lab.clock.advance(HOUR);
    meter.look(&lab, &Usages::default()).await.expect("a look");
    // Three hours of a core and two GB, of which one core-hour is free.
    assert_eq!(balance(&lab, &lab.scope).await, -2_500);
    let (lines, next) = lab
        .store
        .list_book_lines_for_task(None, 100)
        .await
        .expect("lines");
    let sum = |account: &str| -> i64 {
        let of = lines
            .iter()
            .filter(|line| line.account.to_string() == account);
        of.map(|line| line.amount.minor()).sum()
    };
    assert_eq!((sum("usage"), sum("discounts")), (3_000, -500));
    let more = lab.store.list_book_lines_for_task(next.as_ref(), 100).await;
    assert_eq!(more.expect("lines").0, []);
    assert_clean(&lab.store).await;
}

#[tokio::test]
async fn a_replica_that_is_removed_is_metered_to_its_end_once() {
    let lab = Lab::new().await;
    let mut meter = Meter::new(prices(0));
    let app = resource(&lab);
    meter.look(&lab, &Usages::default()).await.expect("a look");
    lab.clock.advance(HOUR / 4);
    let end = MeteredEnd {
        replica: ReplicaName::from_label("web-1"),
        started_at: Some(lab.now()),
    };
    let usages = used(&lab, app, HOUR / 4);
    let mut memory = meter.memory(&lab).await.expect("read");
    for _ in 0..3 {
        lab.store
            .meter_end_for_task(&end, &usages, &mut memory)
            .await
            .expect("metered");
    }
    meter.memory = Some(memory);
    let ends = lab
        .store
        .list_metered_ends_for_task()
        .await
        .expect("a list");
    assert_eq!(ends, [end]);
    lab.clock.advance(HOUR);
    meter.look(&lab, &Usages::default()).await.expect("a look");
    assert_eq!(balance(&lab, &lab.scope).await, -250);
    assert_eq!(
        lab.store
            .list_metered_ends_for_task()
            .await
            .expect("a list"),
        []
    );
}

#[tokio::test]
async fn what_ended_before_the_first_look_is_charged_by_it() {
    let lab = Lab::new().await;
    let mut meter = Meter::new(prices(0));
    let app = resource(&lab);
    let end = MeteredEnd {
        replica: ReplicaName::from_label("web-1"),
        started_at: Some(lab.now()),
    };
    lab.clock.advance(HOUR / 4);
    let usages = used(&lab, app, HOUR / 4);
    let mut memory = meter.memory(&lab).await.expect("read");
    let ended = lab.store.meter_end_for_task(&end, &usages, &mut memory);
    ended.await.expect("metered");
    meter.memory = Some(memory);
    lab.clock.advance(HOUR * 2);
    meter.look(&lab, &Usages::default()).await.expect("a look");
    assert_eq!(balance(&lab, &lab.scope).await, -250);
    assert_clean(&lab.store).await;
}

#[tokio::test]
async fn of_many_that_want_the_same_money_as_many_get_it_as_there_is_enough_for() {
    let lab = Lab::new().await;
    credit(&lab, 1_000, "credit/1").await;
    let prices = prices(0);
    let hold = |project_id, amount| NewHold {
        project_id,
        amount: Money::of(amount),
        expires_at: lab.in_seconds(3600),
        now: lab.now(),
    };
    let holds: Vec<_> = (0..50)
        .map(|_| hold(ProjectId::from_uuid(lab.ids.uuid()), 300))
        .collect();
    let tried = holds
        .iter()
        .map(|hold| lab.store.hold(&lab.scope, hold, &prices));
    let outcomes = join_all(tried).await;
    let granted = outcomes
        .iter()
        .filter(|lack| matches!(lack, Ok(None)))
        .count();
    assert_eq!(granted, 3);
    let lack = Lack::Funds(Money::of(100));
    assert!(
        outcomes
            .iter()
            .any(|outcome| matches!(outcome, Ok(Some(found)) if *found == lack))
    );
    let wallet = lab
        .store
        .get_wallet(&lab.scope, lab.now())
        .await
        .expect("a wallet");
    assert_eq!(wallet.held, Money::of(900));
    // The same project again lets go of what it had.
    let again = hold(holds[0].project_id, 400);
    let lack = lab.store.hold(&lab.scope, &again, &prices).await;
    assert_eq!(lack.expect("asked"), None);
    lab.store
        .release_hold(&lab.scope, holds[0].project_id)
        .await
        .expect("released");
    lab.clock.advance(2 * HOUR);
    let wallet = lab
        .store
        .get_wallet(&lab.scope, lab.now())
        .await
        .expect("a wallet");
    assert_eq!(wallet.held, Money::ZERO);
}

#[tokio::test]
async fn nothing_is_set_aside_in_a_suspended_workspace() {
    let lab = Lab::new().await;
    credit(&lab, 1_000, "credit/1").await;
    let before = Standing::default();
    let after = Standing {
        suspended: Some(Suspension::Budget),
        ..before
    };
    let id = lab.scope.id();
    let set = lab.store.set_wallet_standing_for_task(id, &before, &after);
    set.await.expect("noted");
    let set = lab.store.set_wallet_standing_for_task(id, &before, &after);
    assert!(matches!(set.await, Err(Error::Conflict(_))));
    let hold = NewHold {
        project_id: ProjectId::from_uuid(lab.ids.uuid()),
        amount: Money::of(1),
        expires_at: lab.in_seconds(60),
        now: lab.now(),
    };
    let lack = lab.store.hold(&lab.scope, &hold, &prices(0)).await;
    assert_eq!(
        lack.expect("asked"),
        Some(Lack::Suspended(Suspension::Budget))
    );
}

fn topup(lab: &Lab, memo: &str, order_number: i64) -> Topup {
    Topup {
        id: TopupId::from_uuid(lab.ids.uuid()),
        workspace_id: lab.scope.id(),
        provider: TopupProvider::Sepay,
        status: TopupStatus::Pending,
        amount: Money::of(100_000),
        currency: Currency::Vnd,
        memo: memo.to_owned(),
        order_number,
        provider_id: None,
        checkout_url: None,
        credited: None,
        created_at: lab.now(),
        expires_at: lab.in_seconds(900),
    }
}

fn payment(lab: &Lab, external_id: &str, topup: Option<&Topup>) -> NewPayment {
    let amount = Money::of(100_000);
    let credit = topup.map(|topup| {
        let top_up = Entry::top_up(topup.workspace_id, "sepay", amount);
        entry(lab, top_up, &format!("payment/sepay/{external_id}"))
    });
    NewPayment {
        id: PaymentId::from_uuid(lab.ids.uuid()),
        provider: TopupProvider::Sepay,
        external_id: external_id.to_owned(),
        amount,
        currency: Currency::Vnd,
        text: "TSABC nap tien".to_owned(),
        topup: topup.map(|topup| topup.id),
        problem: topup
            .is_none()
            .then(|| "no top-up has this memo".to_owned()),
        credit,
        at: lab.now(),
    }
}

#[tokio::test]
async fn a_payment_is_credited_once_however_often_it_is_told_of() {
    let lab = Lab::new().await;
    let topup = topup(&lab, "TSABC", 1);
    lab.store
        .create_topup(&lab.scope, &topup, &lab.event())
        .await
        .expect("a top-up");
    let payments: Vec<_> = (0..100)
        .map(|_| payment(&lab, "92704", Some(&topup)))
        .collect();
    let settled = join_all(
        payments
            .iter()
            .map(|new| lab.store.settle_payment_for_task(new)),
    )
    .await;
    let settled: Vec<_> = settled
        .into_iter()
        .map(|settled| settled.expect("settled"))
        .collect();
    let credited = settled
        .iter()
        .filter(|one| **one == Settled::Credited(Money::of(100_000)));
    assert_eq!(credited.count(), 1);
    assert_eq!(
        settled.iter().filter(|one| **one == Settled::Known).count(),
        99
    );
    assert_eq!(balance(&lab, &lab.scope).await, 100_000);
    let paid = lab
        .store
        .find_topup_for_task(&TopupKey::Memo("TSABC".to_owned()))
        .await;
    let paid = paid.expect("asked").expect("a top-up");
    assert_eq!(
        (paid.status, paid.credited),
        (TopupStatus::Paid, Some(Money::of(100_000)))
    );
    // Another transfer for the same top-up is money too, and somebody looks at it.
    let again = payment(&lab, "92705", Some(&topup));
    let settled = lab
        .store
        .settle_payment_for_task(&again)
        .await
        .expect("settled");
    assert_eq!(settled, Settled::Credited(Money::of(200_000)));
    let page = Paging::new(None, None).expect("a page");
    let list = async || {
        let review = Some(PaymentStatus::Review);
        lab.store
            .list_payments_for_operator(review, page)
            .await
            .expect("a list")
    };
    let (review, _) = list().await;
    assert_eq!(
        review[0].problem.as_deref(),
        Some("the top-up was paid before")
    );
    assert_clean(&lab.store).await;
}

#[tokio::test]
async fn a_payment_without_a_match_waits_for_an_operator_who_credits_it_once() {
    let lab = Lab::new().await;
    let new = payment(&lab, "77", None);
    let settled = lab
        .store
        .settle_payment_for_task(&new)
        .await
        .expect("settled");
    assert_eq!(settled, Settled::Kept);
    let credit = Entry::top_up(lab.scope.id(), "sepay", new.amount);
    let credit = entry(&lab, credit, "payment/sepay/77");
    let resolve = || {
        lab.store
            .resolve_payment_for_operator(new.id, "found by phone", Some(&credit))
    };
    let outcomes = join_all((0..20).map(|_| resolve())).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(balance(&lab, &lab.scope).await, 100_000);
    let found = lab
        .store
        .get_payment_for_operator(new.id)
        .await
        .expect("a payment");
    assert_eq!(found.status, PaymentStatus::Resolved);
    assert_eq!(found.credited, Some(new.amount));
    assert_clean(&lab.store).await;
}

#[tokio::test]
async fn money_outlives_its_workspace() {
    let lab = Lab::new().await;
    credit(&lab, 500, "credit/1").await;
    lab.store
        .delete_workspace(&lab.scope, lab.now(), &lab.event())
        .await
        .expect("deleted");
    lab.store
        .purge_workspace_for_task(lab.scope.id())
        .await
        .expect("purged");
    let (lines, _) = lab
        .store
        .list_book_lines_for_task(None, 10)
        .await
        .expect("lines");
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].workspace, "demo");
    assert_clean(&lab.store).await;
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What should be: credits as they were given, and usage of each resource to the millisecond.
#[derive(Default)]
struct Books {
    credits: BTreeMap<WorkspaceId, i64>,
    usage: BTreeMap<Resource, (u128, u128)>,
    references: HashSet<String>,
}

impl Books {
    /// What a wallet has: each resource pays its whole usage, rounded down once.
    fn balance(&self, workspace_id: WorkspaceId) -> i64 {
        let of = self
            .usage
            .iter()
            .filter(|(resource, _)| resource.workspace_id == workspace_id);
        let parts = |cpu: u128, ram: u128| (cpu * 500 + ram * 250) / 3_600_000_000;
        let spent: u128 = of.map(|(_, (cpu, ram))| parts(*cpu, *ram)).sum();
        self.credits.get(&workspace_id).copied().unwrap_or(0) - i64::try_from(spent).expect("fits")
    }
}

/// 10,000 operations: looks, credits, refunds and payments (some told of twice), clocks that jump,
/// callers that go away in the middle, and servers that are killed and come back.
#[tokio::test]
async fn ten_thousand_operations_are_exact_to_the_dong() {
    let mut lab = Lab::new().await;
    let scopes = [
        lab.scope.clone(),
        lab.workspace("second").await,
        lab.workspace("third").await,
    ];
    let resources: Vec<Resource> = (0..9)
        .map(|index| Resource {
            project_id: ProjectId::from_uuid(lab.ids.uuid()),
            workspace_id: scopes[index % 3].id(),
        })
        .collect();
    let (mut dice, mut books, mut meter) =
        (Dice(0x9e37_79b9), Books::default(), Meter::new(prices(0)));
    meter.look(&lab, &Usages::default()).await.expect("a look");
    for step in 0..10_000 {
        match dice.roll(10) {
            0..=4 => look(&mut lab, &mut dice, &mut books, &mut meter, &resources).await,
            5..=7 => post(&lab, &mut dice, &mut books, &scopes).await,
            8 => jump(&lab, &mut dice),
            _ => crash(&mut lab, &mut meter).await,
        }
        if step % 2_500 == 0 {
            assert_clean(&lab.store).await;
        }
    }
    // The last hour is over as well, whatever the clock says.
    lab.clock
        .set("2031-01-01T00:00:00Z".parse().expect("a time"));
    meter.look(&lab, &Usages::default()).await.expect("a look");
    for scope in &scopes {
        assert_eq!(balance(&lab, scope).await, books.balance(scope.id()));
    }
    assert_clean(&lab.store).await;
    let ran = books.usage.values().map(|(cpu, _)| cpu).sum::<u128>();
    assert!(ran > 1_000 * 3_600_000_000, "{ran} is little");
    assert!(Remainder::LIMIT > 0 && books.references.len() > 1_000);
}

async fn look(
    lab: &mut Lab,
    dice: &mut Dice,
    books: &mut Books,
    meter: &mut Meter,
    all: &[Resource],
) {
    let passed = Duration::from_millis(dice.roll(5_400_000));
    lab.clock.advance(passed);
    let mut usages = Usages::default();
    let mut fresh = Vec::new();
    for resource in all {
        if dice.roll(2) == 0 {
            continue;
        }
        let load = Load {
            cpu_milli: 1 + dice.roll(4_000),
            ram_milli: 1 + dice.roll(8_000),
        };
        let span = Span::ago(lab.now(), passed, Duration::ZERO);
        usages.add(resource.project_id, resource.workspace_id, span, |millis| {
            Metered::of(load, millis)
        });
        let millis = passed.as_millis();
        fresh.push((
            *resource,
            millis * u128::from(load.cpu_milli),
            millis * u128::from(load.ram_milli),
        ));
    }
    if dice.roll(20) == 0 {
        // The caller goes away while it waits: nothing may be noted, or all.
        let before = lab.store.find_meter_mark_for_task().await.expect("a mark");
        let _ = meter.look(lab, &usages).now_or_never();
        lab.store.wait_for_writes().await.expect("written");
        if lab.store.find_meter_mark_for_task().await.expect("a mark") == before {
            return;
        }
    } else {
        meter.look(lab, &usages).await.expect("a look");
    }
    for (resource, cpu, ram) in fresh {
        let sums = books.usage.entry(resource).or_default();
        *sums = (sums.0 + cpu, sums.1 + ram);
    }
}

async fn post(lab: &Lab, dice: &mut Dice, books: &mut Books, scopes: &[WorkspaceScope]) {
    let workspace_id = scopes[usize::try_from(dice.roll(3)).expect("small")].id();
    let amount = Money::of(i64::try_from(dice.roll(50_000)).expect("small") + 1);
    let (what, change) = match dice.roll(3) {
        0 => (Entry::operator_credit(workspace_id, amount), amount.minor()),
        1 => (Entry::top_up(workspace_id, "sepay", amount), amount.minor()),
        _ => (
            Entry::refund(workspace_id, "stripe", amount),
            -amount.minor(),
        ),
    };
    let reference = format!("test/{}", dice.roll(8_000));
    let posted = lab
        .store
        .post(&entry(lab, what, &reference), None)
        .await
        .expect("posted");
    let is_new = books.references.insert(reference);
    assert_eq!(posted.is_some(), is_new);
    if is_new {
        *books.credits.entry(workspace_id).or_default() += change;
    }
}

fn jump(lab: &Lab, dice: &mut Dice) {
    let by = Duration::from_secs(dice.roll(86_400));
    let now = match dice.roll(2) {
        0 => lab.now().saturating_add(by),
        _ => lab.now().saturating_sub(by),
    };
    lab.clock.set(now);
}

/// The server is gone without a word, and comes back.
async fn crash(lab: &mut Lab, meter: &mut Meter) {
    lab.store = Store::open(&lab.path()).await.expect("a store");
    meter.memory = None;
}

#[tokio::test]
async fn hours_of_before_they_lay_by_time_are_kept_with_what_they_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("old.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .foreign_keys(false);
    let mut old = SqliteConnection::connect_with(&options)
        .await
        .expect("a database");
    let mut migrator = sqlx::migrate!("./migrations");
    let before = migrator.migrations.iter().filter(|one| one.version < 24);
    migrator.migrations = before.cloned().collect::<Vec<_>>().into();
    migrator.run(&mut old).await.expect("migrated");
    let id = "01890000-0000-7000-8000-000000000001";
    for statement in [
        format!(
            "INSERT INTO metered_resources (number, project_id, workspace_id, kind, slug)
             VALUES (5, '{id}', '{id}', 'app', 'web'), (6, '{id}x', '{id}', 'app', 'new')"
        ),
        "INSERT INTO usage_hours (resource, hour, cpu, ram, storage, amount, discount, net_rest, discount_rest)
         VALUES (5, 10, 1, 2, 3, 7, 0, 11, 12), (5, 12, 1, 2, 3, 8, 1, 13, 14),
                (5, 13, 4, 5, 6, NULL, NULL, NULL, NULL), (6, 13, 7, 8, 9, NULL, NULL, NULL, NULL)"
            .to_owned(),
    ] {
        let query = sqlx::query(sqlx::AssertSqlSafe(statement));
        query.execute(&mut old).await.expect("written");
    }
    old.close().await.expect("closed");
    let store = Store::open(&path).await.expect("migrated");
    store.close().await;
    let mut new = SqliteConnection::connect_with(&options)
        .await
        .expect("a database");
    let hours: Vec<(i64, i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT hour, resource, cpu, amount FROM usage_hours ORDER BY hour, resource",
    )
    .fetch_all(&mut new)
    .await
    .expect("hours");
    let expected = [
        (10, 5, 1, Some(7)),
        (12, 5, 1, Some(8)),
        (13, 5, 4, None),
        (13, 6, 7, None),
    ];
    assert_eq!(hours, expected);
    let rests: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT resource, first_hour, until_hour, net_rest, discount_rest FROM usage_rests",
    )
    .fetch_all(&mut new)
    .await
    .expect("rests");
    assert_eq!(rests, [(5, 10, 13, 13, 14)]);
}
