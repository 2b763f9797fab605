//! Rust: one program, with its dependencies in a layer of their own where that is possible.

use toml::{Table, Value};

use super::dockerfile::{Dockerfile, Word};
use super::start::{self, Start};
use super::tree::Tree;
use super::version::Choice;
use super::{Draft, Inputs};
use crate::error::{Error, Result};

pub(super) fn detect(tree: &Tree) -> Option<&'static str> {
    tree.has("Cargo.toml").then_some("it has a Cargo.toml")
}

pub(super) fn write(inputs: &Inputs<'_>) -> Result<Draft> {
    let tree = inputs.tree;
    let manifest: Table = tree
        .text("Cargo.toml")
        .parse()
        .map_err(|error| Error::invalid(format!("Cargo.toml cannot be read: {error}")))?;
    let mut out = Dockerfile::default();
    out.stage(&image(inputs), "build");
    out.line("WORKDIR /src");
    let locked = tree.has("Cargo.lock");
    match inputs.wishes.build()? {
        Some(command) => {
            out.line("COPY . .");
            out.build(&command, inputs.variables);
        }
        None => build(&mut out, tree, &manifest, locked)?,
    }
    out.from(&inputs.images.debian);
    out.app_folder();
    out.line("COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/");
    out.copy_all_owned();
    out.line("COPY --from=build /out/ /usr/local/bin/");
    out.app_user();
    out.start(&start::stated(inputs)?.unwrap_or_else(|| Start::program(&["app"])));
    let mut notes = Vec::new();
    if !locked {
        notes.push(
            "there is no Cargo.lock, so each build may get other versions: commit it".to_owned(),
        );
    }
    Ok(Draft {
        dockerfile: out,
        ignore: vec!["target"],
        notes,
    })
}

fn build(out: &mut Dockerfile, tree: &Tree, manifest: &Table, locked: bool) -> Result<()> {
    let program = program(manifest)?;
    if let Some(package) = dependencies_alone(tree, manifest).filter(|_| locked) {
        out.copy(&["Cargo.toml", "Cargo.lock"]);
        // Cargo goes by times, which a layer keeps in whole seconds: without its notes about the
        // empty program it could take that for the real one.
        out.run_with(
                "mkdir src && echo 'fn main() {}' > src/main.rs && cargo build --release --locked && rm -r src target/release/.fingerprint/",
                &package,
                "-*",
            );
    }
    out.line("COPY . .");
    match locked {
        true => out.run_with("cargo build --release --locked --bin ", &program, ""),
        false => out.run_with("cargo build --release --bin ", &program, ""),
    }
    out.run_with("mkdir /out && cp target/release/", &program, " /out/app");
    Ok(())
}

/// The package's name, if its dependencies can be built without it: it is one plain program.
fn dependencies_alone(tree: &Tree, manifest: &Table) -> Option<Word> {
    let is_plain = ["workspace", "lib", "bin"]
        .iter()
        .all(|key| !manifest.contains_key(*key))
        && manifest.contains_key("dependencies")
        && tree.has("src/main.rs")
        && tree
            .first_of(&["build.rs", "src/lib.rs", ".cargo/config.toml"])
            .is_none();
    let name = manifest.get("package")?.get("name")?.as_str()?;
    Word::parse_name(name).filter(|_| is_plain)
}

fn image(inputs: &Inputs<'_>) -> String {
    let tree = inputs.tree;
    let file: Table = tree.text("rust-toolchain.toml").parse().unwrap_or_default();
    let channel = file
        .get("toolchain")
        .and_then(|toolchain| toolchain.get("channel"))
        .and_then(Value::as_str)
        .unwrap_or_else(|| tree.text("rust-toolchain").trim());
    let wanted = (!channel.is_empty()).then_some(channel);
    Choice::make(&inputs.images.rust, wanted, 3).apply(&inputs.images.rust)
}

/// The name of the program: what `default-run` says, the only `[[bin]]`, or the package's.
fn program(manifest: &Table) -> Result<Word> {
    let package = manifest.get("package");
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let default_run = text(package.and_then(|package| package.get("default-run")));
    let programs: Vec<_> = manifest
        .get("bin")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|program| text(program.get("name")))
        .collect();
    let name = match (default_run, programs.as_slice()) {
        (Some(name), _) => Some(name),
        (None, [one]) => Some(one.clone()),
        (None, []) => text(package.and_then(|package| package.get("name"))),
        _ => None,
    };
    name.as_deref().and_then(Word::parse_name).ok_or_else(|| {
        Error::invalid(
            "it is not clear which Rust program to build: Cargo.toml names none, or several; set `default-run`, or build.build in tose.json, such as `cargo build --release --bin NAME && mkdir /out && cp target/release/NAME /out/app`",
        )
    })
}
