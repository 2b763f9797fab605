//! Builds: a context goes in, lines come out, and an image is there in the end.
//!
//! Guarantees: dropping the stream closes the connection, on which the engine ends the build and
//! removes its container; a failure says which step failed.
//! Not here: what is in the context, and how long a build may take.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tose_model::build_secret::{CHANNEL, as_written};
use tose_model::driver::{BuildRequest, DriverError, DriverResult};
use tose_model::secret::ExposeSecret;

use crate::DockerDriver;
use crate::cache::{StageKeeper, Stages};
use crate::engine::NO_LIMIT;
use crate::error::{answer, failed, refused};
use crate::image::{Progress, registry_reason};
use crate::step_containers::StepContainers;

/// How processor time is shared out: a quota per this many microseconds.
const CPU_PERIOD_US: i32 = 100_000;
/// The least quota that the engine takes.
const MIN_CPU_QUOTA_US: u32 = 1_000;
/// The least memory that the engine takes.
const MIN_MEMORY_BYTES: u64 = 6 << 20;
/// A longer line goes out in parts.
const MAX_LINE_BYTES: usize = 1 << 20;
/// How much of a step is quoted in an error.
const MAX_QUOTED: usize = 200;
/// How often it is looked how much a step has written.
const LOOK_PERIOD: std::time::Duration = std::time::Duration::from_secs(3);
/// How many lines wait for the reader before the build's output is read no further.
const WAITING_LINES: usize = 64;

/// What the engine says when a layer that it had found in its cache is removed under its hands. The
/// Dockerfile is not to blame, and the next attempt does without the layer.
const LOST_LAYER: [&str; 4] = [
    "failed to get digest sha256:",
    "No such image: sha256:",
    "unknown parent image ID",
    "layer does not exist",
];

/// What the engine says when the Dockerfile has no such stage: 20.10, and newer ones.
const NO_STAGE: [&str; 2] = ["failed to reach build target", "target stage"];

type Lines = mpsc::Sender<DriverResult<String>>;

impl DockerDriver {
    pub(crate) async fn build_image(
        &self,
        request: BuildRequest,
    ) -> DriverResult<BoxStream<'static, DriverResult<String>>> {
        let memory = request.memory_bytes.max(MIN_MEMORY_BYTES);
        // The client's own parameters for memory end at 2 GiB.
        let query = format!("memory={memory}&memswap={memory}");
        let sources = self
            .cache_sources(request.project_id, request.cache)
            .await?;
        let session = self.engine.session().await?;
        let docker = session.docker_with(query).with_timeout(NO_LIMIT);
        let keeper = match &sources {
            Some(sources) => Some(StageKeeper {
                docker: self.engine.docker().await?,
                before: sources.clone(),
                repository: self.labels.repository(request.project_id),
                tag: request.deployment_id.as_uuid().simple().to_string(),
                known: Arc::clone(&self.image_names),
                project_id: request.project_id,
            }),
            None => None,
        };
        let build = Build {
            options: self.build_options(&request, sources),
            stages: Stages::default(),
            keeper,
            observer: self.engine.docker().await?,
            containers: StepContainers::default(),
            disk_bytes: request.disk_bytes,
            steps: Steps {
                current: None,
                dockerfile: request.dockerfile,
                target: request.target,
                memory_bytes: memory,
            },
        };
        let (lines, received) = mpsc::channel(WAITING_LINES);
        Ok(alongside(
            build.run(docker, request.context, lines),
            received,
        ))
    }

    fn build_options(
        &self,
        request: &BuildRequest,
        cache_sources: Option<Vec<String>>,
    ) -> BuildImageOptions {
        let quota = request
            .cpu
            .milli()
            .saturating_mul(100)
            .max(MIN_CPU_QUOTA_US);
        let mut args: HashMap<_, _> = request.args.clone().into_iter().collect();
        if let Some(secrets) = &request.secrets {
            // The engine keeps it out of the image, its history and the keys of its cache.
            args.insert(CHANNEL.to_owned(), secrets.expose_secret().to_owned());
        }
        let mut options = BuildImageOptionsBuilder::default();
        if let Some(sources) = &cache_sources {
            options = options.cachefrom(sources);
        }
        options
            .target(request.target.as_deref().unwrap_or_default())
            .dockerfile(&request.dockerfile)
            .t(&self.labels.image(request.project_id, request.deployment_id))
            .buildargs(&args)
            .nocache(request.no_cache)
            .rm(true)
            .forcerm(true)
            .cpuperiod(CPU_PERIOD_US)
            .cpuquota(i32::try_from(quota).unwrap_or(i32::MAX))
            .build()
    }
}

/// The lines that `work` sends, while it is driven by the stream's reader and by nothing else:
/// with the stream, the work is dropped.
fn alongside(
    work: impl Future<Output = ()> + Send + 'static,
    received: mpsc::Receiver<DriverResult<String>>,
) -> BoxStream<'static, DriverResult<String>> {
    let work: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = Some(Box::pin(work));
    let lines = stream::unfold((work, received), |(mut work, mut received)| async move {
        loop {
            let Some(running) = work.as_mut() else {
                let line = received.recv().await?;
                return Some((line, (work, received)));
            };
            tokio::select! {
                Some(line) = received.recv() => return Some((line, (work, received))),
                () = running => work = None,
            }
        }
    });
    lines.boxed()
}

struct Build {
    options: BuildImageOptions,
    stages: Stages,
    keeper: Option<StageKeeper>,
    /// Asks for the sizes of containers beside the build's own connection.
    observer: Docker,
    containers: StepContainers,
    /// The most that a step may write.
    disk_bytes: u64,
    steps: Steps,
}

impl Build {
    async fn run(
        mut self,
        docker: Docker,
        context: BoxStream<'static, std::io::Result<bytes::Bytes>>,
        lines: Lines,
    ) {
        // The client only says that sending failed; what the context said is kept here.
        let broken = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&broken);
        let context = context.map_err(move |error| {
            let again = std::io::Error::new(error.kind(), "the build context broke off");
            *keep.lock().expect("nothing panics while it is held") = Some(error);
            again
        });
        let body = bollard::body_try_stream(context);
        let mut messages = docker.build_image(std::mem::take(&mut self.options), None, Some(body));
        let mut splitter = Splitter::default();
        let mut progress = Progress::default();
        let mut ticks = tokio::time::interval_at(Instant::now() + LOOK_PERIOD, LOOK_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                _ = ticks.tick(), if !self.containers.is_empty() => {
                    if self.has_written_too_much().await {
                        let _ = lines.send(Err(self.steps.too_much(self.disk_bytes))).await;
                        return;
                    }
                    continue;
                }
            };
            let Some(message) = message else { break };
            let news = match message {
                Ok(message) => {
                    if let Some(text) = &message.stream {
                        self.stages.read(text);
                        self.containers.read(text);
                    }
                    self.steps.lines(message, &mut splitter, &mut progress)
                }
                Err(error) => {
                    let cause = broken
                        .lock()
                        .expect("nothing panics while it is held")
                        .take();
                    let failure = match cause {
                        Some(source) => DriverError::Failed {
                            operation: "be sent the build context".to_owned(),
                            source: Box::new(source),
                        },
                        None => self.steps.failure(error),
                    };
                    send(&lines, splitter.rest().into_iter()).await;
                    if matches!(failure, DriverError::Unavailable(_)) {
                        // An engine that went away left what it ran for the build.
                        #[expect(
                            clippy::disallowed_methods,
                            reason = "it ends by itself in some minutes, and the build's reader is gone by then"
                        )]
                        tokio::spawn(self.containers.remove(self.observer));
                    }
                    // Without a reader there is nobody to tell.
                    let _ = lines.send(Err(failure)).await;
                    return;
                }
            };
            send(&lines, news.into_iter()).await;
        }
        send(&lines, splitter.rest().into_iter()).await;
        if let Some(keeper) = &self.keeper {
            keeper.keep(self.stages.found()).await;
        }
    }
}

impl Build {
    async fn has_written_too_much(&mut self) -> bool {
        let limit = self.disk_bytes;
        self.containers
            .have_written_more(&self.observer, limit)
            .await
    }
}

async fn send(lines: &Lines, news: impl Iterator<Item = String>) {
    for line in news {
        // Without a reader the stream is dropped, and this work with it.
        let _ = lines.send(Ok(line)).await;
    }
}

/// Where the build is.
struct Steps {
    /// The instruction that runs, as the Dockerfile has it.
    current: Option<String>,
    dockerfile: String,
    target: Option<String>,
    memory_bytes: u64,
}

impl Steps {
    fn lines(
        &mut self,
        message: BuildInfo,
        splitter: &mut Splitter,
        progress: &mut Progress,
    ) -> Vec<String> {
        if let Some(text) = message.stream {
            let Some(instruction) = instruction(&text) else {
                return splitter.push(&text);
            };
            let written = as_written(instruction);
            let shown = text.replace(instruction, &written);
            self.current = Some(written.into_owned());
            return splitter.push(&shown);
        }
        let status = message
            .status
            .and_then(|status| progress.line(message.id, status, message.progress_detail.as_ref()));
        status.into_iter().collect()
    }

    /// That a step wrote more than it may.
    fn too_much(&self, limit: u64) -> DriverError {
        let step = self.current.as_deref().map(quoted).unwrap_or_default();
        DriverError::BuildFailed(format!(
            "step `{step}` was ended because it wrote more than the {} MiB that a build step may; make it write less, or ask the operator for more",
            limit >> 20
        ))
    }

    fn failure(&self, error: Error) -> DriverError {
        if let Error::DockerStreamError { error } = &error
            && LOST_LAYER.iter().any(|words| error.contains(words))
        {
            return refused("build the image", error.as_str());
        }
        let message = match (&error, answer(&error)) {
            (Error::DockerStreamError { error }, _) => error.clone(),
            (_, Some((400, message))) => message.to_owned(),
            (_, Some((_, message)))
                if message.contains("Dockerfile")
                    || NO_STAGE.iter().any(|words| message.contains(words)) =>
            {
                message.to_owned()
            }
            _ => return failed("build the image", error),
        };
        DriverError::BuildFailed(self.plain(&message))
    }

    /// The engine's message in words for the person whose Dockerfile it is.
    fn plain(&self, message: &str) -> String {
        let message = message.trim();
        if message.starts_with("Cannot locate specified Dockerfile") {
            return format!("there is no Dockerfile at `{}`", self.dockerfile);
        }
        if let Some(target) = &self.target
            && NO_STAGE.iter().any(|words| message.contains(words))
        {
            return format!("there is no stage `{target}` in `{}`", self.dockerfile);
        }
        if let Some(rest) = message.strip_prefix("dockerfile parse error ") {
            return format!("{} cannot be read: {rest}", self.dockerfile);
        }
        let Some(step) = self.current.as_deref().map(quoted) else {
            return message.to_owned();
        };
        if step.starts_with("FROM ") {
            return format!("step `{step}` failed: {}", registry_reason(message));
        }
        let code = message
            .rsplit_once("returned a non-zero code: ")
            .map(|(_, code)| code);
        match code {
            // 128 + 9: killed, and the engine kills what needs too much memory.
            Some("137") => format!(
                "step `{step}` was killed, most likely because it needed more than the {} MiB of memory that a build has",
                self.memory_bytes >> 20
            ),
            Some(code) => format!("step `{step}` failed with exit code {code}"),
            None => format!("step `{step}` failed: {message}"),
        }
    }
}

/// The instruction in `Step 2/4 : RUN npm ci`.
fn instruction(text: &str) -> Option<&str> {
    let (number, instruction) = text.strip_prefix("Step ")?.split_once(" : ")?;
    let (index, count) = number.split_once('/')?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(index) && is_number(count)).then(|| instruction.trim_end())
}

fn quoted(instruction: &str) -> String {
    match instruction.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &instruction[..end]),
        None => instruction.to_owned(),
    }
}

/// Makes lines out of pieces.
#[derive(Debug, Default)]
struct Splitter {
    unfinished: String,
}

impl Splitter {
    /// The lines that `piece` finishes.
    fn push(&mut self, piece: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for part in piece.split_inclusive('\n') {
            self.unfinished.push_str(part);
            if part.ends_with('\n') || self.unfinished.len() > MAX_LINE_BYTES {
                lines.extend(self.rest());
            }
        }
        lines
    }

    /// The line that nothing finished.
    fn rest(&mut self) -> Option<String> {
        let mut line = std::mem::take(&mut self.unfinished);
        let is_blank_end = line.is_empty();
        let end = line.trim_end_matches('\n').trim_end_matches('\r').len();
        line.truncate(end);
        (!is_blank_end).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(step: Option<&str>, message: &str) -> String {
        let steps = Steps {
            current: step.map(str::to_owned),
            dockerfile: "Dockerfile".to_owned(),
            target: None,
            memory_bytes: 512 << 20,
        };
        steps.plain(message)
    }

    #[test]
    fn a_failure_names_its_step() {
        let returned =
            |code| format!("The command '/bin/sh -c npm ci' returned a non-zero code: {code}");
        let run = Some("RUN npm ci");
        assert_eq!(
            plain(run, &returned(1)),
            "step `RUN npm ci` failed with exit code 1"
        );
        assert!(plain(run, &returned(137)).contains("more than the 512 MiB of memory"));
        assert_eq!(
            plain(
                Some("COPY a /a"),
                "COPY failed: stat a: file does not exist"
            ),
            "step `COPY a /a` failed: COPY failed: stat a: file does not exist"
        );
        assert_eq!(
            plain(
                Some("FROM nosuch:1"),
                "Get \"https://r.example/v2/\": dial tcp: no such host"
            ),
            "step `FROM nosuch:1` failed: its registry cannot be reached"
        );
        assert_eq!(
            plain(
                None,
                "dockerfile parse error line 3: unknown instruction: FOO"
            ),
            "Dockerfile cannot be read: line 3: unknown instruction: FOO"
        );
    }

    #[test]
    fn a_layer_that_is_removed_meanwhile_is_not_the_dockerfiles_fault() {
        let steps = Steps {
            current: Some("CMD true".to_owned()),
            dockerfile: "Dockerfile".to_owned(),
            target: None,
            memory_bytes: 512 << 20,
        };
        let failure = |message: &str| {
            let error = message.to_owned();
            steps.failure(Error::DockerStreamError { error })
        };
        let lost = failure("failed to get digest sha256:00: open 00: no such file or directory");
        assert!(matches!(lost, DriverError::Failed { .. }), "{lost:?}");
        let broken = failure("COPY failed: no source files were specified");
        assert!(matches!(broken, DriverError::BuildFailed(_)), "{broken:?}");
    }

    #[test]
    fn an_instruction_is_recognized_and_quoted_in_part() {
        assert_eq!(
            instruction("Step 2/4 : RUN echo : one\n"),
            Some("RUN echo : one")
        );
        assert_eq!(instruction("Step by step : guide"), None);
        assert_eq!(quoted(&"é".repeat(300)).chars().count(), MAX_QUOTED + 1);
    }

    #[test]
    fn pieces_become_lines_with_their_colours() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push("one\ntw"), ["one"]);
        assert_eq!(splitter.push("o\u{1b}[0m\r\n\nthree"), ["two\u{1b}[0m", ""]);
        assert_eq!(splitter.rest().as_deref(), Some("three"));
        assert_eq!(splitter.rest(), None);
    }
}
