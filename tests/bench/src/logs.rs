//! The log store against VictoriaLogs: taking lines, their size on the disk, memory, and queries.
//!
//! Both get the same JSON lines over HTTP in bodies of 4 MiB; the log store sits behind a server of this
//! bench for that (see `store`). What a download takes is measured at the product itself. The floors are the same texts
//! in a plain file, under zstd and ripgrep.
//!
//! Caveat: the product has no such entry of its own; its lines come from the engine. So the
//! comparison is of the stores, with the same work for HTTP and JSON in front of both.

mod download;
mod generator;
pub(crate) mod store;

use std::fs;
use std::io::{BufReader, BufWriter, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::generator::{Generator, NEEDLE, PROJECTS, SLOW, SLOW_PROJECT};
use crate::http::{exchange, is_success, read_answer};
use crate::process::{Running, free_addr, program, tosed_beside};
use crate::ratio::Quartiles;

/// How often each query is asked.
const ROUNDS: usize = 7;
/// The least size of a body.
const BODY_BYTES: usize = 4 << 20;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many lines both get.
    #[arg(long, default_value_t = 2_000_000)]
    lines: u64,
    /// VictoriaLogs, as `scripts/bench` installs it.
    #[arg(long, default_value = "victoria-logs")]
    victoria: PathBuf,
    /// Where the data goes; removed at the end.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The daemon whose download is measured; the one beside this program when absent.
    #[arg(long)]
    tosed: Option<PathBuf>,
    /// Leave out what needs the texts in a plain file as well: zstd and ripgrep.
    #[arg(long)]
    without_floors: bool,
}

/// A store that is measured.
struct Contender {
    name: &'static str,
    running: Option<Running>,
    command: Box<dyn Fn() -> Command>,
    addr: SocketAddr,
    data: PathBuf,
    insert: &'static str,
    /// What makes all of it lie on the disk as it stays.
    settle: &'static str,
    /// The path of each query.
    queries: Vec<(&'static str, String)>,
}

impl Contender {
    fn running(&self) -> Result<&Running> {
        self.running.as_ref().context("it does not run")
    }

    /// Ends it, which makes all of it lie on the disk, and starts it again.
    fn restart(&mut self) -> Result<()> {
        drop(self.running.take());
        self.running = Some(Running::start(self.name, (self.command)(), self.addr)?);
        Ok(())
    }
}

/// What taking the lines cost.
struct Taken {
    seconds: f64,
    cpu: Duration,
    memory: u64,
    bytes: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let dir = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let mut contenders = vec![start_store(dir.path())?];
    match start_victoria(&arguments.victoria, dir.path()) {
        Ok(victoria) => contenders.push(victoria),
        Err(error) => println!("VictoriaLogs is left out: {error:#}"),
    }
    println!(
        "logs: {} lines of {PROJECTS} projects over one day",
        arguments.lines
    );
    let mut taken = Vec::new();
    for contender in &mut contenders {
        let result = take(contender, arguments.lines)?;
        report_taken(contender, &result, arguments.lines);
        taken.push(result);
    }
    if let [ours, theirs] = &taken[..] {
        let rate = theirs.seconds / ours.seconds;
        let size = ours.bytes as f64 / theirs.bytes as f64;
        println!("  lines/s: {rate:.2} x VictoriaLogs      gate >= 2, target >= 5");
        println!("  bytes:   {size:.2} x VictoriaLogs      gate <= 1, target <= 0.75");
    }
    ask_all(&contenders)?;
    drop(contenders);
    let tosed = tosed_beside(arguments.tosed.as_deref())?;
    download::run(&tosed, dir.path(), arguments.lines)?;
    match arguments.without_floors {
        true => Ok(()),
        false => floors(dir.path(), arguments.lines),
    }
}

fn start_store(dir: &Path) -> Result<Contender> {
    let addr = free_addr()?;
    let data = dir.join("tose");
    let (own, folder) = (std::env::current_exe()?, data.clone());
    let command = move || {
        let mut command = program(&own);
        command.args(["serve-logs", "--addr", &addr.to_string(), "--dir"]);
        command.arg(&folder);
        command
    };
    Ok(Contender {
        name: "tose",
        running: Some(Running::start("tose", command(), addr)?),
        command: Box::new(command),
        addr,
        data,
        insert: "/insert",
        settle: "/settle",
        queries: vec![
            (
                "last 100 of a project",
                "/find?project=7&limit=100".to_owned(),
            ),
            ("rare word, all", format!("/find?search={NEEDLE}")),
            (
                "part of a word, all",
                format!("/find?search=*{}*", part_of_needle()),
            ),
            ("errors by project", "/errors".to_owned()),
            ("regex count, a project", "/slow".to_owned()),
        ],
    })
}

fn part_of_needle() -> &'static str {
    &NEEDLE[1..NEEDLE.len() - 1]
}

fn start_victoria(victoria: &Path, dir: &Path) -> Result<Contender> {
    let addr = free_addr()?;
    let data = dir.join("victoria");
    let (victoria, folder) = (victoria.to_owned(), data.clone());
    let command = move || {
        let mut command = program(&victoria);
        command
            .arg(format!("-httpListenAddr={addr}"))
            .arg(format!("-storageDataPath={}", folder.display()))
            .arg("-retentionPeriod=100y")
            .arg("-loggerLevel=ERROR");
        command
    };
    let query = |query: &str| format!("/select/logsql/query?query={}", escape(query));
    Ok(Contender {
        name: "victoria",
        running: Some(Running::start("victoria", command(), addr)?),
        command: Box::new(command),
        addr,
        data,
        insert: "/insert/jsonline?_stream_fields=project&_time_field=_time&_msg_field=_msg",
        settle: "/internal/force_flush",
        queries: vec![
            (
                "last 100 of a project",
                query("{project=\"7\"} | sort by (_time desc) limit 100"),
            ),
            ("rare word, all", query(NEEDLE)),
            (
                "part of a word, all",
                query(&format!("_msg:~\"{}\"", part_of_needle())),
            ),
            (
                "errors by project",
                query("\"level=error\" | stats by (project) count() rows"),
            ),
            (
                "regex count, a project",
                query(&format!(
                    "{{project=\"{SLOW_PROJECT}\"}} _msg:~\"{SLOW}\" | stats count() rows"
                )),
            ),
        ],
    })
}

fn escape(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

/// Sends all lines, one body after the other on one connection.
fn take(contender: &mut Contender, lines: u64) -> Result<Taken> {
    let mut generator = Generator::new(lines);
    let mut connection = BufReader::new(TcpStream::connect(contender.addr)?);
    let cpu = contender.running()?.cpu()?;
    let mut spent = Duration::ZERO;
    loop {
        let body = generator.next_body(BODY_BYTES);
        if body.is_empty() {
            break;
        }
        let started = Instant::now();
        post(&mut connection, contender.insert, &body)?;
        spent += started.elapsed();
    }
    let started = Instant::now();
    ask(contender, contender.settle)?;
    spent += started.elapsed();
    let running = contender.running()?;
    let mut taken = Taken {
        seconds: spent.as_secs_f64(),
        cpu: running.cpu()?.saturating_sub(cpu),
        memory: running.proportional_bytes()?,
        bytes: 0,
    };
    contender.restart()?;
    taken.bytes = size_of(&contender.data)?;
    Ok(taken)
}

/// One request on a kept connection, whose answer has a length.
fn post(connection: &mut BufReader<TcpStream>, path: &str, body: &[u8]) -> Result<()> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/stream+json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let stream = connection.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let status = read_answer(connection)?;
    ensure!(is_success(&status), "{path}: {status}");
    Ok(())
}

fn ask(contender: &Contender, path: &str) -> Result<String> {
    let answer = exchange(contender.addr, "GET", path, "localhost", "", "")?;
    ensure!(is_success(&answer), "{} {path}: {answer}", contender.name);
    let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
    Ok(body.to_owned())
}

fn size_of(path: &Path) -> Result<u64> {
    if !path.is_dir() {
        return Ok(fs::metadata(path)?.len());
    }
    fs::read_dir(path)?
        .map(|entry| size_of(&entry?.path()))
        .sum()
}

fn report_taken(contender: &Contender, taken: &Taken, lines: u64) {
    let lines = lines as f64;
    println!(
        "  {:<9} {:>9.0} lines/s   {:>5.2} us of CPU a line   {:>5.1} bytes a line   {:>4} MiB",
        contender.name,
        lines / taken.seconds,
        taken.cpu.as_secs_f64() * 1e6 / lines,
        taken.bytes as f64 / lines,
        taken.memory >> 20,
    );
}

/// Asks each query of both in turn, and compares how many lines the answers have.
fn ask_all(contenders: &[Contender]) -> Result<()> {
    let count = contenders[0].queries.len();
    for query in 0..count {
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
        let mut answers = vec![0; contenders.len()];
        for _ in 0..ROUNDS {
            for (index, contender) in contenders.iter().enumerate() {
                let started = Instant::now();
                let answer = ask(contender, &contender.queries[query].1)?;
                times[index].push(started.elapsed().as_secs_f64() * 1e3);
                answers[index] = answer.lines().count();
            }
        }
        let name = contenders[0].queries[query].0;
        let report =
            contenders
                .iter()
                .zip(&times)
                .zip(&answers)
                .map(|((contender, times), lines)| {
                    let median =
                        Quartiles::of(times.clone()).map_or(0.0, |quartiles| quartiles.median);
                    format!("{} {median:.1} ms ({lines} lines)", contender.name)
                });
        println!("  {name:<22} {}", report.collect::<Vec<_>>().join("   "));
        if let [ours, theirs] = &times[..] {
            let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs);
            if let Some(ratios) = Quartiles::of(ratios.collect()) {
                println!("  {:<22} {ratios} x VictoriaLogs", "");
            }
        }
    }
    Ok(())
}

/// The texts alone in a file: its size under zstd, and how long ripgrep looks.
fn floors(dir: &Path, lines: u64) -> Result<()> {
    let path = dir.join("plain.txt");
    let mut file = BufWriter::new(fs::File::create(&path)?);
    let mut generator = Generator::new(lines);
    while let Some(line) = generator.next_line() {
        writeln!(file, "{} {} {}", line.time_ms, line.project, line.text)?;
    }
    file.flush()?;
    let plain = fs::metadata(&path)?.len();
    for level in ["-3", "-9"] {
        let packed = dir.join("plain.zst");
        let started = Instant::now();
        let status = program("zstd")
            .args(["-q", "-f", level, "-o"])
            .args([&packed, &path])
            .status();
        let Ok(status) = status else {
            println!("  zstd is not installed: no floor of the size");
            break;
        };
        ensure!(status.success(), "zstd failed");
        println!(
            "  zstd {level}: {:.1} of {:.1} bytes a line, {:.0} lines/s",
            fs::metadata(&packed)?.len() as f64 / lines as f64,
            plain as f64 / lines as f64,
            lines as f64 / started.elapsed().as_secs_f64()
        );
    }
    let started = Instant::now();
    match program("rg").args(["-c", NEEDLE]).arg(&path).output() {
        Ok(output) => println!(
            "  ripgrep: {:.1} ms for the rare word in plain text ({} lines)",
            started.elapsed().as_secs_f64() * 1e3,
            String::from_utf8_lossy(&output.stdout).trim()
        ),
        Err(_) => println!("  ripgrep is not installed: no floor of the search"),
    }
    Ok(())
}
