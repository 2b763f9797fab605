//! Builds of the fake: a Dockerfile is read as far as tests need it.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt, future};
use tose_model::driver::{BuildRequest, DriverError, DriverResult, InstallationId};

use super::world::{Built, World};
use crate::context::Context;
use crate::program::{PROGRAM_FILE, Program};

/// What a `RUN` that contains `text` does.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) text: String,
    pub(super) lines: Vec<String>,
    pub(super) code: i32,
}

/// What a build will do.
#[derive(Debug, Default)]
struct Plan {
    lines: Vec<String>,
    end: End,
}

#[derive(Debug, Default)]
enum End {
    #[default]
    Image,
    Failure(String),
    Never,
}

/// A build that counts as running until it ends or is dropped.
struct Running(Arc<Mutex<World>>);

impl Running {
    fn new(world: Arc<Mutex<World>>) -> Self {
        world
            .lock()
            .expect("no test panics while it is held")
            .running_builds += 1;
        Self(world)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0
            .lock()
            .expect("no test panics while it is held")
            .running_builds -= 1;
    }
}

/// Builds `image` while the stream is read.
pub(super) fn run(
    world: Arc<Mutex<World>>,
    installation: InstallationId,
    image: String,
    request: BuildRequest,
) -> BoxStream<'static, DriverResult<String>> {
    let running = Running::new(Arc::clone(&world));
    let work = async move {
        let files = match read(request.context).await {
            Ok(files) => files,
            Err(error) => {
                let failure = DriverError::Failed {
                    operation: "be sent the build context".to_owned(),
                    source: Box::new(error),
                };
                return stream::once(future::ready(Err(failure))).boxed();
            }
        };
        let rules = world
            .lock()
            .expect("no test panics while it is held")
            .rules
            .clone();
        let target = request.target.as_deref();
        let Plan { lines, end } = plan(&files, &request.dockerfile, target, &rules);
        let finish = async move {
            let result = match end {
                End::Never => future::pending().await,
                End::Failure(message) => Some(Err(DriverError::BuildFailed(message))),
                End::Image => {
                    let built = Built {
                        installation: installation.as_str().to_owned(),
                        project_id: request.project_id,
                        deployment_id: request.deployment_id,
                    };
                    let program = files.get(PROGRAM_FILE).map(String::as_str);
                    keep(&world, image, built, program);
                    None
                }
            };
            drop(running);
            result
        };
        let lines = stream::iter(lines.into_iter().map(Ok));
        lines
            .chain(stream::once(finish).filter_map(future::ready))
            .boxed()
    };
    stream::once(work).flatten().boxed()
}

fn keep(world: &Mutex<World>, image: String, built: Built, program: Option<&str>) {
    let mut world = world.lock().expect("no test panics while it is held");
    let program = match program {
        Some(text) => text
            .parse::<Program>()
            .expect("the context's program file is a program"),
        None => world.default_program.clone(),
    };
    world.images.insert(image, program);
    world.built.insert(built);
}

/// The texts in a context, by path.
async fn read(context: Context) -> std::io::Result<HashMap<String, String>> {
    let pieces: Vec<bytes::Bytes> = context.try_collect().await?;
    let bytes = pieces.concat();
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut files = HashMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry
            .path()?
            .to_string_lossy()
            .trim_start_matches("./")
            .to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.insert(path, String::from_utf8_lossy(&content).into_owned());
    }
    Ok(files)
}

fn plan(
    files: &HashMap<String, String>,
    dockerfile: &str,
    target: Option<&str>,
    rules: &[Rule],
) -> Plan {
    let mut plan = Plan::default();
    let Some(text) = files.get(dockerfile) else {
        plan.end = End::Failure(format!("there is no Dockerfile at `{dockerfile}`"));
        return plan;
    };
    let mut instructions = instructions(text);
    if let Some(target) = target {
        let Some(end) = end_of_stage(&instructions, target) else {
            plan.end = End::Failure(format!("there is no stage `{target}` in `{dockerfile}`"));
            return plan;
        };
        instructions.truncate(end);
    }
    for (at, instruction) in instructions.iter().enumerate() {
        plan.lines.push(format!(
            "Step {}/{} : {instruction}",
            at + 1,
            instructions.len()
        ));
        let Some(command) = instruction.strip_prefix("RUN ") else {
            continue;
        };
        match run_command(command, rules, &mut plan.lines) {
            Some(0) => {}
            Some(code) => {
                plan.end =
                    End::Failure(format!("step `{instruction}` failed with exit code {code}"));
                return plan;
            }
            None => {
                plan.end = End::Never;
                return plan;
            }
        }
    }
    plan
}

/// The instructions of a Dockerfile, each on one line.
fn instructions(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", "");
    let lines = joined.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// Where the stage called `target` ends, if there is one.
fn end_of_stage(instructions: &[String], target: &str) -> Option<usize> {
    let is_named = |instruction: &String| {
        let words: Vec<_> = instruction.split_whitespace().collect();
        matches!(words[..], ["FROM", _, _, name] if name.eq_ignore_ascii_case(target))
    };
    let begin = instructions.iter().position(is_named)?;
    let mut rest = instructions[begin + 1..].iter();
    let length = rest.position(|instruction| instruction.starts_with("FROM "));
    Some(length.map_or(instructions.len(), |length| begin + 1 + length))
}

/// Does a command's parts; the exit code, or `None` when it never ends.
fn run_command(command: &str, rules: &[Rule], lines: &mut Vec<String>) -> Option<i32> {
    if let Some(rule) = rules.iter().find(|rule| command.contains(&rule.text)) {
        lines.extend(rule.lines.iter().cloned());
        return Some(rule.code);
    }
    for part in command.split("&&").map(str::trim) {
        let (program, rest) = part.split_once(' ').unwrap_or((part, ""));
        match program {
            "echo" => lines.push(rest.to_owned()),
            "sleep" => return None,
            "exit" => return Some(rest.parse().expect("exit has a code")),
            _ => {}
        }
    }
    Some(0)
}
