//! `tose wallet` and `tose usage`.

use std::fs;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::json;
use tose_api::wallet::{
    BankAccount, BudgetAction, BudgetView, EstimateView, InvoiceView, PriceTierView, PricesView,
    PricingView, ResourceKind, ResourceUsage, TopupProvider, TopupStatus, TopupView,
    TransactionKind, TransactionView, UnitPriceView, UsageView, WalletStatus, WalletView,
};

use crate::harness::Sandbox;
use crate::stand_in::{Answer, StandIn, failure, page, success};
use crate::terminal::{read_until, terminal};
use crate::views::time;

const ID: &str = "0198c0de-0000-7000-8000-0000000000a1";
const PAYLOAD: &str = "00020101021238570010A00000072701270006970403011300110123456780208QRIBFTTA530370454061800005802VN62340107NPS68690819thanh toan don hang63042E2E";

fn wallet(status: WalletStatus) -> WalletView {
    let is_empty = matches!(
        status,
        WalletStatus::Empty | WalletStatus::Grace | WalletStatus::Suspended
    );
    WalletView {
        balance: if is_empty { 0 } else { 1_250_000 },
        currency: "VND".to_owned(),
        status,
        threshold: 10_000,
        accrued: 1_234,
        held: 0,
        available: if is_empty { -1_234 } else { 1_248_766 },
        burn_per_hour: 2_500,
        hours_left: Some(if is_empty { 0 } else { 499 }),
        suspends_at: (status == WalletStatus::Grace).then(|| time(0)),
        suspended_reason: (status == WalletStatus::Suspended)
            .then(|| "the workspace's wallet is empty".to_owned()),
        budget: BudgetView {
            monthly_limit: None,
            action: BudgetAction::Warn,
            spent: 51_234,
        },
    }
}

fn topup(provider: TopupProvider, status: TopupStatus) -> TopupView {
    let is_transfer = provider == TopupProvider::Sepay;
    let is_usd = provider == TopupProvider::Stripe;
    TopupView {
        id: ID.parse().expect("an id"),
        provider,
        status,
        amount: if is_usd { 1_000 } else { 250_000 },
        currency: if is_usd { "USD" } else { "VND" }.to_owned(),
        credited: (status == TopupStatus::Paid).then_some(250_000),
        memo: "TOSE4K7QX2MB".to_owned(),
        qr_payload: is_transfer.then(|| PAYLOAD.to_owned()),
        qr_svg: is_transfer.then(|| "<svg/>".to_owned()),
        account: is_transfer.then(|| BankAccount {
            bank_bin: "970403".to_owned(),
            number: "0011012345678".to_owned(),
            name: Some("TOSE JSC".to_owned()),
        }),
        checkout_url: (!is_transfer).then(|| "https://pay.example.com/1".to_owned()),
        expires_at: time(86_400_000),
        created_at: time(0),
    }
}

fn server(status: WalletStatus) -> StandIn {
    StandIn::start(move |_, _, _| success(wallet(status)))
}

/// Asks for a payment; `status` is how it stands at the second look.
fn payments(provider: TopupProvider, status: TopupStatus) -> StandIn {
    StandIn::start(move |method, path, count| match (method, count) {
        ("POST", _) => success(topup(provider, TopupStatus::Pending)),
        ("GET", 1) => success(topup(provider, TopupStatus::Pending)),
        ("GET", _) if path.ends_with("/wallet") => success(wallet(WalletStatus::Active)),
        _ => success(topup(provider, status)),
    })
}

#[test]
fn a_wallet_says_for_how_long_it_is_enough() {
    let server = server(WalletStatus::Active);
    assert_snapshot!(Sandbox::linked(&server).run(&["wallet"]));
    assert_eq!(server.transcript(), "GET /api/workspaces/demo/wallet");
    let shown = Sandbox::linked(&server).run(&["wallet", "show", "--json"]);
    let shown = serde_json::from_str::<WalletView>(&shown.ok().stdout);
    assert_eq!(shown.expect("a wallet"), wallet(WalletStatus::Active));
}

#[test]
fn a_wallet_that_needs_money_says_what_to_do() {
    let all = [
        WalletStatus::Low,
        WalletStatus::Empty,
        WalletStatus::Grace,
        WalletStatus::Suspended,
        WalletStatus::Off,
    ];
    let told: Vec<_> = all
        .map(|status| {
            let server = server(status);
            Sandbox::linked(&server).run(&["wallet"]).ok().stderr
        })
        .into();
    assert_snapshot!(told.concat());
}

#[test]
fn a_budget_that_was_used_is_to_be_raised() {
    let server = StandIn::start(|_, _, _| {
        let mut wallet = wallet(WalletStatus::Suspended);
        wallet.available = 5_000;
        wallet.suspended_reason =
            Some("the workspace has used its budget of this month".to_owned());
        wallet.budget = BudgetView {
            monthly_limit: Some(50_000),
            action: BudgetAction::Stop,
            spent: 51_234,
        };
        success(wallet)
    });
    assert_snapshot!(Sandbox::linked(&server).run(&["wallet"]));
}

#[test]
fn a_transfer_is_described_in_words_where_there_is_no_terminal() {
    let server = payments(TopupProvider::Sepay, TopupStatus::Paid);
    assert_snapshot!(Sandbox::linked(&server).run(&["wallet", "topup", "250000"]));
    assert_eq!(
        server.transcript(),
        r#"POST /api/workspaces/demo/wallet/topup {"amount":250000}"#
    );
}

#[test]
fn a_page_is_named_for_those_who_pay_on_one() {
    let server = payments(TopupProvider::Stripe, TopupStatus::Paid);
    assert_snapshot!(Sandbox::linked(&server).run(&["wallet", "topup", "10", "--usd"]));
    assert_eq!(
        server.transcript(),
        r#"POST /api/workspaces/demo/wallet/topup/usd {"amount":10}"#
    );
    let server = payments(TopupProvider::Payos, TopupStatus::Paid);
    let sandbox = Sandbox::linked(&server);
    let arguments = ["wallet", "topup", "250000", "--provider", "payos"];
    let shown = sandbox.run(&[&arguments[..], &["--json"]].concat()).ok();
    let shown: TopupView = serde_json::from_str(&shown.stdout).expect("a top-up");
    assert_eq!(shown, topup(TopupProvider::Payos, TopupStatus::Pending));
    assert_eq!(
        server.transcript(),
        r#"POST /api/workspaces/demo/wallet/topup {"amount":250000,"provider":"payos"}"#
    );
}

/// What a terminal gets from `tose wallet topup`, up to the words under the code.
fn code_in_terminal(arguments: &[&str]) -> String {
    let server = payments(TopupProvider::Sepay, TopupStatus::Paid);
    let sandbox = Sandbox::linked(&server);
    let (mut person, program) = terminal();
    let arguments = [&["wallet", "topup", "250000"], arguments].concat();
    let mut command = sandbox.command(&arguments);
    let child = command.stdout(Stdio::from(program)).spawn();
    let child = child.expect("the binary starts");
    let shown = read_until(&mut person, "until ");
    sandbox.wait(child).ok();
    shown.replace("\r\n", "\n")
}

#[test]
fn a_terminal_gets_the_code_in_black_on_white() {
    let shown = code_in_terminal(&[]);
    let lines: Vec<_> = shown.lines().collect();
    let paper = "\x1b[38;5;16;48;5;231m";
    let code: Vec<_> = lines
        .iter()
        .take_while(|line| line.starts_with(paper) && line.ends_with("\x1b[0m"))
        .collect();
    assert!(code.len() > 20, "{shown}");
    let inked = code[2].trim_start_matches(paper);
    assert!(inked.starts_with("    █▀▀▀▀▀█ "), "{inked}");
    assert!(lines[code.len() + 1].starts_with("amount   250,000 VND"));
}

#[test]
fn a_terminal_without_colours_gets_the_light_parts_of_the_code() {
    let shown = code_in_terminal(&["--no-color"]);
    let line = shown.lines().nth(2).expect("a line");
    assert!(line.starts_with("████ ▄▄▄▄▄ █"), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown}");
}

#[test]
fn a_payment_is_waited_for_until_it_is_credited() {
    let server = payments(TopupProvider::Sepay, TopupStatus::Paid);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["wallet", "topup", "250000", "--wait"]));
    let asked = server.requests();
    let paths: Vec<_> = asked.iter().map(|request| request.path.as_str()).collect();
    let topup = format!("/api/workspaces/demo/wallet/topups/{ID}");
    let expected = [
        "/api/workspaces/demo/wallet/topup",
        &topup,
        &topup,
        "/api/workspaces/demo/wallet",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn a_payment_that_does_not_come_is_a_failure() {
    let server = payments(TopupProvider::Sepay, TopupStatus::Expired);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["wallet", "topup", "250000", "--wait", "--json"]));
}

#[test]
fn a_server_without_payments_says_so() {
    let server = StandIn::start(|_, _, _| {
        let why = "this server takes no payments; ask its operator for credit";
        failure(409, "no_payments", why)
    });
    assert_snapshot!(Sandbox::linked(&server).run(&["wallet", "topup", "250000"]));
    assert_snapshot!(Sandbox::linked(&server).run(&["wallet", "topup", "0"]));
}

#[test]
fn a_wallet_that_is_too_low_ends_with_9() {
    let server = StandIn::start(|_, _, _| failure(402, "wallet_empty", "the wallet is empty"));
    let sandbox = Sandbox::linked(&server);
    assert_eq!(sandbox.run(&["deploy"]).code, Some(9));
}

fn transaction(kind: TransactionKind, amount: i64, reason: &str) -> TransactionView {
    TransactionView {
        id: ID.parse().expect("an id"),
        kind,
        amount,
        balance_after: 1_250_000,
        currency: "VND".to_owned(),
        reason: reason.to_owned(),
        created_at: time(0),
    }
}

#[test]
fn transactions_are_listed() {
    let server = StandIn::start(|_, _, _| {
        page(vec![
            transaction(TransactionKind::Usage, -2_500, "2026-01-01 00:00 to 01:00"),
            transaction(
                TransactionKind::Topup,
                250_000,
                "top-up TOSE4K7QX2MB through sepay",
            ),
        ])
    });
    let sandbox = Sandbox::linked(&server);
    let arguments = ["wallet", "transactions", "--limit", "2", "--page", "3"];
    assert_snapshot!(sandbox.run(&arguments));
    assert_eq!(
        server.transcript(),
        "GET /api/workspaces/demo/wallet/transactions?page=3&limit=2"
    );
    let too_many = sandbox.run(&["wallet", "transactions", "--limit", "51"]);
    assert_eq!(too_many.code, Some(2));
}

#[test]
fn a_threshold_and_a_budget_are_set_and_taken_away() {
    let server = server(WalletStatus::Active);
    let sandbox = Sandbox::linked(&server);
    for arguments in [
        &["wallet", "threshold", "20000"][..],
        &["wallet", "budget", "500000"],
        &["wallet", "budget", "500000", "--stop"],
        &["wallet", "budget", "off"],
    ] {
        sandbox.run(arguments).ok();
    }
    assert_snapshot!(server.transcript());
    for arguments in [
        &["wallet", "budget", "off", "--stop"][..],
        &["wallet", "budget", "0"],
        &["wallet", "budget", "12.50"],
        &["wallet", "threshold", "much"],
    ] {
        assert_eq!(sandbox.run(arguments).code, Some(2), "{arguments:?}");
    }
    assert_eq!(server.requests().len(), 4);
}

fn invoice(month: &str, is_final: bool) -> InvoiceView {
    InvoiceView {
        month: month.to_owned(),
        number: format!("demo-{month}"),
        currency: "VND".to_owned(),
        subtotal: 1_800_000,
        discount: 300_000,
        total: 1_500_000,
        is_final,
    }
}

#[test]
fn invoices_are_listed_and_written_to_files() {
    let server = StandIn::start(|_, path, _| match path.ends_with("/invoices") {
        true => success(vec![invoice("2026-02", false), invoice("2026-01", true)]),
        false => {
            let headers = "content-disposition: attachment; filename=\"demo-2026-01.pdf\"\r\n";
            Answer::Http(200, headers, "%PDF-1.7".to_owned())
        }
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["wallet", "invoices"]));
    let written = sandbox.run(&["wallet", "invoice", "2026-01"]).ok().stdout;
    assert_eq!(written, "demo-2026-01.pdf\n");
    sandbox
        .run(&["wallet", "invoice", "2026-01", "-o", "own.pdf"])
        .ok();
    for name in ["demo-2026-01.pdf", "own.pdf"] {
        let file = fs::read_to_string(sandbox.file(name)).expect("a file");
        assert_eq!(file, "%PDF-1.7");
    }
    let printed = sandbox.run(&["wallet", "invoice", "2026-01", "-o", "-"]);
    assert_eq!(printed.ok().stdout, "%PDF-1.7");
    assert_eq!(sandbox.run(&["wallet", "invoice", "May"]).code, Some(2));
}

#[test]
fn an_invoice_that_is_not_there_leaves_no_file() {
    let server = StandIn::start(|_, _, _| failure(404, "invoice_not_found", "no such invoice"));
    let sandbox = Sandbox::linked(&server);
    let missing = sandbox.run(&["wallet", "invoice", "2026-01", "-o", "own.pdf"]);
    assert_eq!(missing.code, Some(5));
    assert!(!sandbox.file("own.pdf").exists());
}

fn used(slug: &str, kind: ResourceKind, hours: [&str; 3], amount: i64) -> ResourceUsage {
    let [cpu_hours, gb_hours, storage_gb_hours] = hours.map(str::to_owned);
    ResourceUsage {
        id: ID.parse().expect("an id"),
        kind,
        slug: slug.to_owned(),
        cpu_hours,
        gb_hours,
        storage_gb_hours,
        amount,
        discount: 1_000,
    }
}

fn usage() -> UsageView {
    UsageView {
        start: time(0),
        end: time(86_400_000),
        currency: "VND".to_owned(),
        resources: vec![
            used("hello", ResourceKind::App, ["12.5", "0.1", "0"], 6_300),
            used(
                "orders",
                ResourceKind::Database,
                ["7.75", "0.2", "240"],
                5_900,
            ),
        ],
        amount: 12_200,
        discount: 2_000,
    }
}

#[test]
fn usage_is_listed_with_its_totals() {
    let server = StandIn::start(|_, _, _| success(usage()));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["usage"]));
    let arguments = ["--since", "2026-01-31", "--until", "2026-02-01T08:00:00Z"];
    sandbox.run(&[&["usage"], &arguments[..]].concat()).ok();
    assert_eq!(
        server.requests()[1].path,
        "/api/workspaces/demo/wallet/usage?start=2026-01-31T00%3A00%3A00Z&end=2026-02-01T08%3A00%3A00Z"
    );
    let printed = sandbox.run(&["usage", "--json"]).ok().stdout;
    let printed: UsageView = serde_json::from_str(&printed).expect("usage");
    assert_eq!(printed, usage());
    assert_eq!(sandbox.run(&["usage", "--since", "May"]).code, Some(2));
}

#[test]
fn usage_for_a_spreadsheet_comes_as_the_server_writes_it() {
    let table = "kind,name\napp,hello\n";
    let server = StandIn::start(move |_, _, _| Answer::Http(200, "", table.to_owned()));
    let sandbox = Sandbox::linked(&server);
    let printed = sandbox.run(&["usage", "--csv", "--since", "2026-01-31"]);
    assert_eq!(printed.ok().stdout, table);
    assert_eq!(
        server.requests()[0].path,
        "/api/workspaces/demo/wallet/usage?start=2026-01-31T00%3A00%3A00Z&format=csv"
    );
    assert_eq!(sandbox.run(&["usage", "--csv", "--json"]).code, Some(2));
}

#[test]
fn an_estimate_says_what_something_would_cost() {
    let server = StandIn::start(|_, _, _| {
        success(EstimateView {
            currency: "USD".to_owned(),
            per_hour: 5,
            per_day: 120,
            per_month: 3_650,
            hours_left: Some(1_000),
        })
    });
    let sandbox = Sandbox::linked(&server);
    let size = ["--cpu", "0.5", "--ram", "1", "--replicas", "2"];
    assert_snapshot!(sandbox.run(&[&["wallet", "estimate"], &size[..]].concat()));
    let sent = server.requests().pop().expect("a request");
    let body: serde_json::Value = serde_json::from_str(&sent.body).expect("JSON");
    let expected = json!({"cpu": "0.5", "ram": "1", "replicas": 2, "storage_gb": null});
    assert_eq!(body, expected);
    assert_eq!(sandbox.run(&["wallet", "estimate"]).code, Some(2));
}

#[test]
fn prices_are_shown_with_those_that_follow() {
    let price = |price: &str, tiers| UnitPriceView {
        price: price.to_owned(),
        free_hours: 100,
        tiers,
    };
    let prices = move |from, cpu| PricesView {
        from,
        cpu_hour: price(
            cpu,
            vec![PriceTierView {
                above_hours: 1_000,
                price: "400".to_owned(),
            }],
        ),
        gb_hour: price("250", Vec::new()),
        storage_gb_hour: UnitPriceView {
            free_hours: 0,
            ..price("1.5", Vec::new())
        },
    };
    let server = StandIn::start(move |_, _, _| {
        success(PricingView {
            enabled: true,
            currency: "VND".to_owned(),
            current: prices(None, "500"),
            next: Some(prices(Some(time(0)), "550")),
            usd_rate: 26_000,
            signup_credit: 20_000,
            grace_hours: 72,
        })
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["wallet", "prices"]));
    assert_eq!(server.transcript(), "GET /api/pricing");
}
