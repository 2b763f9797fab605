//! Ruby: Rails, and whatever else has a `config.ru`.

use super::dockerfile::Dockerfile;
use super::start::{self, Start};
use super::tree::Tree;
use super::version::Choice;
use super::{Draft, Inputs};
use crate::error::Result;

const IGNORE: [&str; 4] = ["vendor/bundle", "log", "tmp", "node_modules"];

pub(super) fn detect(tree: &Tree) -> Option<&'static str> {
    tree.has("Gemfile").then_some("it has a Gemfile")
}

pub(super) fn write(inputs: &Inputs<'_>) -> Result<Draft> {
    let tree = inputs.tree;
    let locked = tree.has("Gemfile.lock");
    let is_rails = tree.has("bin/rails");
    let image = image(inputs);
    let mut out = Dockerfile::default();
    out.stage(&image, "build");
    out.line("RUN apt-get update && apt-get install -y --no-install-recommends build-essential git libpq-dev libyaml-dev pkg-config && rm -rf /var/lib/apt/lists/*");
    out.line("WORKDIR /app");
    environment(&mut out, locked);
    match inputs.wishes.install()? {
        Some(command) => {
            out.line("COPY . .");
            out.run(&command);
        }
        None => {
            let mut early = vec!["Gemfile"];
            early.extend(
                ["Gemfile.lock", ".ruby-version"]
                    .into_iter()
                    .filter(|file| tree.has(file)),
            );
            out.copy(&early);
            out.line("RUN bundle install");
            out.line("COPY . .");
        }
    }
    match inputs.wishes.build()? {
        Some(command) => out.build(&command, inputs.variables),
        None if is_rails && makes_assets(tree.text("Gemfile.lock")) => {
            out.line("RUN SECRET_KEY_BASE_DUMMY=1 bundle exec rails assets:precompile");
        }
        None => {}
    }
    out.from(&image);
    if tree.text("Gemfile.lock").contains(" pg ") || tree.text("Gemfile").contains("\"pg\"") {
        out.line("RUN apt-get update && apt-get install -y --no-install-recommends libpq5 && rm -rf /var/lib/apt/lists/*");
    }
    environment(&mut out, locked);
    out.app_folder();
    out.line("COPY --from=build /usr/local/bundle /usr/local/bundle");
    out.copy_stage_owned("build", "/app");
    out.app_user();
    out.start(&start(inputs, is_rails)?);
    Ok(Draft {
        dockerfile: out,
        ignore: IGNORE.to_vec(),
        notes: Vec::new(),
    })
}

fn makes_assets(lock: &str) -> bool {
    [" sprockets-rails ", " propshaft "]
        .iter()
        .any(|gem| lock.contains(gem))
}

fn environment(out: &mut Dockerfile, locked: bool) {
    out.line("ENV RAILS_ENV=production RACK_ENV=production RAILS_LOG_TO_STDOUT=1 RAILS_SERVE_STATIC_FILES=1");
    out.line("ENV BUNDLE_PATH=/usr/local/bundle BUNDLE_WITHOUT=development:test");
    if locked {
        out.line("ENV BUNDLE_DEPLOYMENT=1");
    }
}

fn image(inputs: &Inputs<'_>) -> String {
    let file = inputs.tree.text(".ruby-version").trim();
    let line = inputs
        .tree
        .text("Gemfile")
        .lines()
        .find_map(|line| line.trim().strip_prefix("ruby "));
    let line = line.and_then(|rest| rest.split(['"', '\'']).nth(1));
    let wanted = Some(file).filter(|text| !text.is_empty()).or(line);
    Choice::make(&inputs.images.ruby, wanted, 2).apply(&inputs.images.ruby)
}

fn start(inputs: &Inputs<'_>, is_rails: bool) -> Result<Start> {
    if let Some(start) = start::stated(inputs)? {
        return Ok(start);
    }
    let tree = inputs.tree;
    if is_rails {
        return Ok(Start::command(
            "bundle exec rails server --binding 0.0.0.0 --port $PORT",
        ));
    }
    if tree.has("config.ru") {
        let has_puma = tree.text("Gemfile.lock").contains(" puma ");
        let command = match has_puma {
            true => "bundle exec puma --bind tcp://0.0.0.0:$PORT",
            false => "bundle exec rackup --host 0.0.0.0 --port $PORT",
        };
        return Ok(Start::command(command));
    }
    match tree.first_of(&["app.rb", "main.rb", "server.rb"]) {
        Some(program) => Ok(Start::program(&["bundle", "exec", "ruby", program])),
        None => Err(start::unknown("there is no bin/rails, config.ru or app.rb")),
    }
}
