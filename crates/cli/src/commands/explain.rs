//! `tose explain`: why a deployment failed, or what is wrong by what was written.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use tose_api::DeploymentId;
use tose_api::analysis::{AnalyzeLogs, LogAnalysisView, MAX_ANALYZED};

use crate::context::Context;
use crate::output::{Output, Style};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;

#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// The deployment to look at; otherwise the newest if it failed, or what the replicas wrote last
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    deployment: Option<DeploymentId>,
    /// A file with output to look at instead; - for stdin
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(crate) async fn run(ctx: &Context, args: ExplainArgs) -> Result<()> {
    let logs = args.file.as_deref().map(read).transpose()?;
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    if logs.as_ref().is_some_and(|logs| logs.is_cut) {
        ctx.output.warn("only the last MiB of it is looked at");
    }
    let body = AnalyzeLogs {
        logs: logs.map(|logs| logs.text),
        deployment: args.deployment,
    };
    let analysis = client
        .analyze_logs(&target.workspace, &target.project, &body)
        .await?;
    if let Some(id) = analysis.deployment {
        ctx.output.note(&format!("deployment {id}"));
    }
    ctx.output.result(&analysis, &text(&ctx.output, &analysis))
}

fn text(output: &Output, analysis: &LogAnalysisView) -> String {
    let mut lines = vec![analysis.summary.clone()];
    for cause in &analysis.causes {
        let title = output.paint(Style::Bad, &cause.title);
        lines.push(format!("\n{title} ({} %)", cause.confidence));
        lines.extend(cause.evidence.iter().map(|line| format!("  | {line}")));
        lines.push(format!("  what to do: {}", cause.fix));
    }
    if let (Some(model), Some(answer)) = (&analysis.model, &analysis.answer) {
        lines.push(format!("\n{model} says (nobody has checked it):"));
        lines.extend(answer.lines().map(|line| format!("  {line}")));
    }
    lines.join("\n")
}

/// Output that a person has.
struct Logs {
    text: String,
    is_cut: bool,
}

fn read(path: &Path) -> Result<Logs> {
    if path == Path::new("-") {
        return last(io::stdin().lock()).context("cannot read stdin");
    }
    let name = path.display();
    let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    last(file).with_context(|| format!("cannot read {name}"))
}

/// The last lines, as much as the server looks at.
fn last(mut input: impl Read) -> io::Result<Logs> {
    let mut bytes = Vec::new();
    let mut is_cut = false;
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = input.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&chunk[..count]);
        if bytes.len() > 2 * MAX_ANALYZED {
            bytes.drain(..bytes.len() - MAX_ANALYZED);
            is_cut = true;
        }
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if text.len() > MAX_ANALYZED {
        let from = text.ceil_char_boundary(text.len() - MAX_ANALYZED);
        // The line that it begins with is no whole one.
        let begin = text[from..].find('\n').map_or(from, |end| from + end + 1);
        text.drain(..begin);
        is_cut = true;
    }
    Ok(Logs { text, is_cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_much_output_the_last_lines_are_read() {
        let line = "x".repeat(99) + "\n";
        let much = line.repeat(30_000);
        let logs = last(much.as_bytes()).expect("read");
        assert!(logs.is_cut && logs.text.len() <= MAX_ANALYZED);
        assert!(logs.text.len() > MAX_ANALYZED - 200);
        assert!(logs.text.starts_with("xxx") && logs.text.len().is_multiple_of(100));
        let binary = vec![0xff; MAX_ANALYZED];
        assert!(last(&binary[..]).expect("read").text.len() <= MAX_ANALYZED);
        let little = last("a\nb".as_bytes()).expect("read");
        assert_eq!((little.text.as_str(), little.is_cut), ("a\nb", false));
    }
}
