//! Old log lines in a bucket: there, encrypted, and read as if they were here.

use std::fs;
use std::io::Read;
use std::path::Path;

use http::Method;
use serde_json::Value;
use tose_e2e::{Installation, Project, S3, Source, eventually, run, when};

/// How many lines the app writes at its start, of about a hundred bytes that cannot be compressed much.
const LINES: usize = 60_000;
const MAIN: &str = "import app, hashlib\n\
    for n in range(60000):\n\
    \x20   print('row', n, hashlib.sha256(str(n).encode()).hexdigest(), 'was written by the app')\n\
    print('all is written', flush=True)\n\
    app.serve()\n";
const SETTINGS: &str = "[limits]\nlog_kb_per_second = 0\n[logs]\nkeep_local = \"0s\"\n";

/// The extensions of the files of the only project's log.
fn files(site: &Installation) -> Vec<String> {
    let logs = fs::read_dir(site.data_dir().join("logs")).expect("a folder");
    let streams = logs.map(|entry| entry.expect("an entry").path());
    let is_project = |path: &Path| path.to_string_lossy().contains("/project-");
    let mut found = Vec::new();
    for stream in streams.filter(|path| is_project(path)) {
        for entry in fs::read_dir(stream).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            found.extend(path.extension().map(|e| e.to_string_lossy().into_owned()));
        }
    }
    found.sort();
    found
}

/// All lines that a query finds, the oldest first, page by page.
async fn find_all(project: &Project, query: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/logs?limit=5000&direction=forward&{query}{cursor}");
        let mut page = project.get(&path).await;
        lines.append(page["lines"].as_array_mut().expect("a list"));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return lines,
        }
    }
}

/// The numbers of the rows among these lines, or of a text's.
fn rows<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let row = |text: &str| {
        let (_, row) = text.split_once("row ")?;
        row.split(' ').next()?.parse().ok()
    };
    lines.filter_map(row).collect()
}

fn messages(lines: &[Value]) -> impl Iterator<Item = &str> {
    lines
        .iter()
        .map(|line| line["message"].as_str().expect("a text"))
}

/// Everything but the newest segment is in the bucket, and nowhere else.
async fn has_moved(site: &Installation, s3: &S3) -> Vec<(String, Vec<u8>)> {
    eventually("what is full has gone to the bucket", async || {
        let files = files(site);
        let markers = files.iter().filter(|kind| *kind == "tfar").count();
        let is_moved = markers >= 4 && files.len() == markers + 1;
        when(is_moved, format!("{files:?}"))?;
        let objects = s3.objects().await;
        when(
            objects.len() == markers,
            format!("{} objects", objects.len()),
        )?;
        Ok(objects)
    })
    .await
}

#[tokio::test]
async fn old_lines_go_to_a_bucket_and_are_read_as_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut s3 = S3::start(folder.path()).await;
    let settings = format!("{SETTINGS}{}", s3.settings_of("logs"));
    let Some(mut site) = Installation::start_with(&settings).await else {
        return;
    };
    let project = site.project("web", &Source::app("one").main(MAIN)).await;
    project.deploy_live().await;
    // Killed while it captures, packs and copies.
    eventually("something is in the bucket", async || {
        let objects = s3.objects().await;
        when(!objects.is_empty(), "nothing")
    })
    .await;
    site.kill_9();
    site.restart().await;
    eventually("all is stored", async || {
        let page = project
            .get("/logs?limit=5&search=%22all%20is%20written%22")
            .await;
        let lines = page["lines"].as_array().expect("a list").len();
        when(lines == 1, page)
    })
    .await;
    let objects = has_moved(&site, &s3).await;
    for (name, bytes) in &objects {
        assert!(name.starts_with("tose/logs/project-"), "{name}");
        let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
        assert!(bytes.starts_with(b"TOSEBAK1"), "{name}: {begin}");
    }
    let all: Vec<_> = (0..LINES).collect();
    let lines = find_all(&project, "").await;
    assert!(rows(messages(&lines)) == all, "{} lines", lines.len());
    let stats = project.get("/logs/stats").await;
    assert!(stats["lines"].as_u64() >= Some(LINES as u64), "{stats}");

    site.kill_9();
    site.restart().await;
    let time = |row: usize| {
        let found = lines
            .iter()
            .find(|line| rows(messages(std::slice::from_ref(line))) == [row]);
        found.expect("a row")["timestamp"]
            .as_str()
            .expect("a time")
            .to_owned()
    };
    let (start, end) = (time(1_000), time(30_000));
    let range = find_all(&project, &format!("start={start}&end={end}&search=row")).await;
    let expected: Vec<_> = lines
        .iter()
        .filter(|line| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.starts_with("row "))
        })
        .filter(|line| {
            let at = line["timestamp"].as_str().expect("a time");
            at >= start.as_str() && at < end.as_str()
        })
        .cloned()
        .collect();
    assert!(range == expected, "{} of {}", range.len(), expected.len());
    assert!(range.len() > 20_000, "{}", range.len());
    let one = find_all(&project, "search=%22row%2012345%20%22").await;
    assert_eq!(rows(messages(&one)), [12_345]);
    assert_eq!(rows(download(&site).await.lines()), all);

    is_away_and_comes_back(&mut site, &mut s3, &project, &objects).await;

    site.api().delete("/projects/web").await;
    eventually("nothing is left in the bucket", async || {
        let left = s3.objects().await;
        when(left.is_empty(), format!("{} objects", left.len()))
    })
    .await;
}

/// What the command line tool saves.
async fn download(site: &Installation) -> String {
    let folder = site.path("desk");
    fs::create_dir_all(&folder).expect("a folder");
    let words = ["logs", "--download", "all.log.gz", "--project", "web"];
    let mut command = site.tose(&folder, &words);
    command
        .env("TOSE_API_URL", &site.api().base_url)
        .env("TOSE_API_KEY", &site.api().key);
    run(command).await.ok();
    let file = fs::File::open(folder.join("all.log.gz")).expect("a file");
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(file);
    decoder.read_to_string(&mut text).expect("a whole file");
    text
}

async fn is_away_and_comes_back(
    site: &mut Installation,
    s3: &mut S3,
    project: &Project,
    objects: &[(String, Vec<u8>)],
) {
    s3.stop();
    // Without what it has kept of the bucket.
    site.kill_9();
    site.restart().await;
    for path in ["/logs?direction=forward", "/logs/download"] {
        let refused = site
            .api()
            .call(Method::GET, &project.path(path), None)
            .await;
        assert_eq!(refused.status, 503, "{path}: {refused:?}");
        assert_eq!(refused.body["code"], "log_tier_unavailable", "{refused:?}");
        let said = refused.body["error"].as_str().expect("a text");
        assert!(said.starts_with("the log lines from 20"), "{said}");
    }
    // What is here is read, and what comes is taken.
    site.visit(&project.host, "/print?meanwhile").await;
    eventually("a new line is stored and found", async || {
        // As long as it is not stored, it is sought in the bucket, too, which is away.
        let path = project.path("/logs?limit=1&search=meanwhile");
        let page = site.api().call(Method::GET, &path, None).await;
        let lines = page.body["data"]["lines"].as_array().map_or(0, Vec::len);
        when(lines == 1, format!("{page:?}"))
    })
    .await;
    let newest = project.get("/logs?limit=20").await;
    assert_eq!(newest["lines"].as_array().map(Vec::len), Some(20));

    let mut damaged = objects.to_vec();
    let bytes = &mut damaged[0].1;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    s3.start_again(&damaged).await;
    let path = project.path("/logs?direction=forward");
    let refused = site.api().call(Method::GET, &path, None).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let said = refused.body["error"].as_str().expect("a text");
    assert!(said.contains("damaged"), "{said}");
    s3.stop();
    s3.start_again(objects).await;
    let lines = find_all(project, "").await;
    assert!(rows(messages(&lines)).len() == LINES, "{}", lines.len());
}
