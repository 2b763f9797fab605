//! The meter and the ledger: a look over many projects against bare SQLite, a year of a thousand projects,
//! debits by many writers at once, and prices worked out again.
//!
//! The floor is Python's own SQLite: one transaction with an upsert for each project and a debit for each, as
//! durable as ours. All totals are compared with those of an independent calculation.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tose_api::{ApiKeyId, ProjectId, Timestamp, TransactionId, UserId, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::ledger::Entry;
use tose_model::meter::{Hour, Mark, Span, Uptime, Usages};
use tose_model::money::{Currency, Money};
use tose_model::pricing::{Metered, PriceList, Remainder, WantedScale, WantedTariff, charge};
use tose_model::quota::Load;
use tose_store::{Bootstrap, MeterLook, MeterMemory, NewApiKey, NewEntry, NewWorkspace, Store};
use uuid::Uuid;

use crate::process::program;
use crate::ratio::Quartiles;

/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600_000_000_000;
const HOUR: Duration = Duration::from_secs(3600);
/// How many writers post at once.
const WRITERS: usize = 32;
/// What each of them posts.
const POSTS: usize = 500;

/// How the meter bench runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Projects of a look
    #[arg(long, default_value_t = 10_000)]
    projects: u64,
    /// Looks, each beside one of the floor
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Projects of the year
    #[arg(long, default_value_t = 1_000)]
    year_projects: u64,
    /// Hours of the year
    #[arg(long, default_value_t = 8_760)]
    hours: u32,
    /// Where the databases go; removed at the end
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
}

/// Runs the bench and prints what it found.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let dir = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        looks(arguments, dir.path()).await?;
        for look in [1, 24] {
            year(arguments, look, dir.path()).await?;
        }
        debits(dir.path()).await
    })?;
    rerate();
    Ok(())
}

fn prices() -> Result<PriceList> {
    let scale = |price: &str| -> Result<WantedScale> {
        Ok(WantedScale {
            price: price.parse()?,
            free_hours: 0,
            tiers: Vec::new(),
        })
    };
    let tariff = WantedTariff {
        from: None,
        cpu: scale("500")?,
        ram: scale("250")?,
        storage: scale("5")?,
    };
    Ok(PriceList::new(Currency::Vnd, &[tariff])?)
}

/// A store with workspaces, ten projects each.
struct Books {
    store: Store,
    projects: Vec<(ProjectId, WorkspaceId, Load)>,
    memory: MeterMemory,
    prices: PriceList,
    ids: std::sync::atomic::AtomicU64,
    now: Timestamp,
    elapsed: Duration,
}

impl Books {
    async fn open(path: &Path, projects: u64) -> Result<Self> {
        let store = Store::open(path).await?;
        let memory = store.read_meter_memory_for_task().await?;
        let mut books = Self {
            store,
            projects: Vec::new(),
            memory,
            prices: prices()?,
            ids: 1.into(),
            now: Timestamp::from_nanos(BEGIN),
            elapsed: Duration::from_secs(1),
        };
        let mut workspace = None;
        for index in 0..projects {
            let workspace_id = match (workspace, index % 10) {
                (Some(id), 1..) => id,
                _ => books.workspace(index).await?,
            };
            workspace = Some(workspace_id);
            let load = Load {
                cpu_milli: 100 + index % 17 * 50,
                ram_milli: 128 + index % 13 * 100,
            };
            books
                .projects
                .push((ProjectId::from_uuid(books.uuid()), workspace_id, load));
        }
        Ok(books)
    }

    fn uuid(&self) -> Uuid {
        uuid(&self.ids)
    }

    async fn workspace(&self, index: u64) -> Result<WorkspaceId> {
        let id = WorkspaceId::from_uuid(self.uuid());
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&index.to_be_bytes());
        let new = Bootstrap {
            email: format!("owner-{index}@example.com"),
            user_id: UserId::from_uuid(self.uuid()),
            workspace: NewWorkspace {
                id,
                slug: format!("workspace-{index}").parse()?,
                name: "bench".to_owned(),
                now: self.now,
                credit: None,
            },
            api_key: NewApiKey {
                id: ApiKeyId::from_uuid(self.uuid()),
                name: "bench".to_owned(),
                hash,
                prefix: "tose_sk_".to_owned(),
                expires_at: None,
            },
            now: self.now,
        };
        self.store.bootstrap(&new).await?;
        Ok(id)
    }

    /// Lets time pass while all projects run, and looks.
    async fn look(&mut self, passed: Duration) -> Result<()> {
        self.now = self.now.saturating_add(passed);
        self.elapsed += passed;
        let mut usages = Usages::default();
        for (project_id, workspace_id, load) in &self.projects {
            let span = Span::ago(self.now, passed, Duration::ZERO);
            usages.add(*project_id, *workspace_id, span, |millis| {
                Metered::of(*load, millis)
            });
        }
        let mark = Mark {
            uptime: Uptime {
                boot: "bench".into(),
                elapsed: self.elapsed,
            },
            at: self.now,
        };
        let counter = &self.ids;
        let ids = || TransactionId::from_uuid(uuid(counter));
        let look = MeterLook {
            mark: &mark,
            usages: &usages,
            ended: &[],
            prices: &self.prices,
            ids: &ids,
        };
        self.store.meter_for_task(&look, &mut self.memory).await?;
        Ok(())
    }

    /// What all wallets have paid.
    async fn paid(&self) -> Result<i64> {
        let wallets = self.store.list_wallets_for_task(self.now).await?;
        Ok(-wallets
            .iter()
            .map(|wallet| wallet.balance.minor())
            .sum::<i64>())
    }

    /// What they should have: each project its time, rounded down once.
    fn owed(&self, ran: Duration) -> i64 {
        let millis = ran.as_millis();
        let one = |load: &Load| {
            let parts = u128::from(load.cpu_milli) * 500 + u128::from(load.ram_milli) * 250;
            i64::try_from(parts * millis / 3_600_000_000).unwrap_or(i64::MAX)
        };
        self.projects.iter().map(|(_, _, load)| one(load)).sum()
    }
}

fn uuid(counter: &std::sync::atomic::AtomicU64) -> Uuid {
    let number = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Uuid::from_u128((7 << 76) | u128::from(number))
}

/// The floor: Python's SQLite, one transaction a line that it reads.
const FLOOR: &str = r#"
import sqlite3, sys, time
path, count = sys.argv[1], int(sys.argv[2])
db = sqlite3.connect(path, isolation_level=None)
db.execute("PRAGMA journal_mode=WAL"); db.execute("PRAGMA synchronous=FULL")
db.execute("CREATE TABLE usage (project TEXT, hour INTEGER, cpu INTEGER, ram INTEGER, PRIMARY KEY (project, hour))")
db.execute("CREATE TABLE wallets (id TEXT PRIMARY KEY, balance INTEGER)")
names = ["%036d" % n for n in range(count)]
db.execute("BEGIN"); db.executemany("INSERT INTO wallets VALUES (?, 0)", [(n,) for n in names]); db.execute("COMMIT")
print("ready", flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT INTO usage VALUES (?, 1, 7, 7) ON CONFLICT (project, hour) DO UPDATE SET cpu = cpu + 7, ram = ram + 7", [(n,) for n in names])
    db.executemany("UPDATE wallets SET balance = balance - 1 WHERE id = ?", [(n,) for n in names])
    db.execute("COMMIT")
    print(time.perf_counter() - began, flush=True)
"#;

async fn looks(arguments: &Arguments, dir: &Path) -> Result<()> {
    let mut books = Books::open(&dir.join("looks.db"), arguments.projects).await?;
    let mut command = program("python3");
    command.args(["-c", FLOOR]);
    command.arg(dir.join("floor.db"));
    command.arg(arguments.projects.to_string());
    let mut floor = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("python3 is needed for the floor")?;
    let mut asked = floor.stdin.take().context("no input")?;
    let mut answers = BufReader::new(floor.stdout.take().context("no output")?).lines();
    let mut answer = || -> Result<String> { Ok(answers.next().context("the floor ended")??) };
    answer()?;
    // The first look of a project writes who it is.
    books.look(Duration::from_secs(60)).await?;
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        writeln!(asked)?;
        let bare: f64 = answer()?.parse()?;
        let began = Instant::now();
        books.look(Duration::from_secs(60)).await?;
        let taken = began.elapsed().as_secs_f64();
        ratios.push(taken / bare);
        ours.push(taken * 1000.0);
        theirs.push(bare * 1000.0);
    }
    drop(asked);
    floor.wait()?;
    // The hour's end charges all of it.
    let ran = Duration::from_secs(60) * (arguments.rounds + 1);
    let began = Instant::now();
    books.look(HOUR).await?;
    let closing = began.elapsed();
    let whole = ran + HOUR;
    let (paid, owed) = (books.paid().await?, books.owed(charged(whole)));
    println!("meter: a look over {} projects", arguments.projects);
    let show = |series| Quartiles::of(series).context("no rounds");
    println!("  ours, ms:          {}", show(ours)?);
    println!("  bare SQLite, ms:   {}", show(theirs)?);
    println!(
        "  ratio:             {}      gate <= 2, target <= 0.5",
        show(ratios)?
    );
    println!("  closing an hour:   {} ms", closing.as_millis());
    println!("  charged:           {paid} of {owed} that are owed      gate: equal");
    ensure!(paid == owed, "the ledger is wrong");
    ensure!(
        books.store.check().await?.is_empty(),
        "fsck finds something"
    );
    Ok(())
}

/// Of a stretch from the full hour on, the part in hours that are over.
fn charged(ran: Duration) -> Duration {
    HOUR * u32::try_from(ran.as_secs() / 3600).unwrap_or(u32::MAX)
}

/// A year with a look each so many hours. Whatever they are, each hour of each project is charged by itself.
async fn year(arguments: &Arguments, look: u32, dir: &Path) -> Result<()> {
    let path = dir.join(format!("year-{look}.db"));
    let mut books = Books::open(&path, arguments.year_projects).await?;
    let began = Instant::now();
    for _ in 0..arguments.hours / look {
        books.look(HOUR * look).await?;
    }
    books.look(HOUR * (arguments.hours % look)).await?;
    let taken = began.elapsed();
    let (paid, owed) = (books.paid().await?, books.owed(HOUR * arguments.hours));
    println!(
        "meter: {} hours of {} projects, a look each {look} h",
        arguments.hours, arguments.year_projects
    );
    println!(
        "  taken:             {:.1} s      gate <= 60 s",
        taken.as_secs_f64()
    );
    println!("  charged:           {paid} of {owed} that are owed      gate: equal");
    ensure!(paid == owed, "the ledger is wrong");
    ensure!(
        books.store.check().await?.is_empty(),
        "fsck finds something"
    );
    Ok(())
}

async fn debits(dir: &Path) -> Result<()> {
    let books = std::sync::Arc::new(Books::open(&dir.join("debits.db"), 10).await?);
    let workspace_id = books.projects[0].1;
    let writers = (0..WRITERS).map(|writer| {
        let books = std::sync::Arc::clone(&books);
        async move {
            let mut taken = Vec::with_capacity(POSTS);
            for post in 0..POSTS {
                let new = NewEntry {
                    id: TransactionId::from_uuid(books.uuid()),
                    entry: Entry::refund(workspace_id, "bench", Money::of(1)),
                    reference: format!("bench/{writer}/{post}"),
                    reason: "a debit".to_owned(),
                    at: books.now,
                };
                let began = Instant::now();
                books.store.post(&new, None).await?;
                taken.push(began.elapsed());
            }
            Ok::<_, anyhow::Error>(taken)
        }
    });
    let began = Instant::now();
    let mut taken = Vec::new();
    let mut running = tokio::task::JoinSet::new();
    for writer in writers {
        running.spawn(writer);
    }
    while let Some(done) = running.join_next().await {
        taken.extend(done??);
    }
    let seconds = began.elapsed().as_secs_f64();
    taken.sort_unstable();
    let at = |share: usize| taken[(taken.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    println!("ledger: {WRITERS} writers on one wallet, each debit durable before it is answered");
    println!("  debits/s:          {:.0}", taken.len() as f64 / seconds);
    println!("  p50, p99, ms:      {:.2}, {:.2}", at(50), at(99));
    let scope = WorkspaceScope::for_task(workspace_id);
    let wallet = books.store.get_wallet(&scope, books.now).await?;
    let expected = -i64::try_from(taken.len())?;
    ensure!(wallet.balance.minor() == expected, "a debit is lost");
    Ok(())
}

/// How quickly prices are worked out again, without a database.
fn rerate() {
    let Ok(prices) = prices() else { return };
    let tariff = prices.at(Hour::FIRST);
    let (mut month, mut rest, mut sum) = (Metered::default(), Remainder::default(), 0_i64);
    let rows: u64 = 10_000_000;
    let began = Instant::now();
    for row in 0..rows {
        let load = Load {
            cpu_milli: 100 + row % 1000,
            ram_milli: 128 + row % 2000,
        };
        let used = Metered::of(load, 3_600_000);
        if let Some((charged, after)) = charge(tariff.cost(used, month), rest) {
            sum += charged.net.minor();
            rest = after;
        }
        month = if row % 730 == 0 {
            Metered::default()
        } else {
            month + used
        };
    }
    let rate = rows as f64 / began.elapsed().as_secs_f64();
    println!(
        "prices: {:.1} M hours of a resource a second ({sum} in all)      target >= 1 M",
        rate / 1e6
    );
}
