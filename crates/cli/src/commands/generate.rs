//! `tose generate`: the Dockerfile that the server would build by, saved to be changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use ignore::WalkBuilder;
use serde::Serialize;
use tose_api::EnvKey;
use tose_model::recipe::manifest::Manifest;
use tose_model::recipe::{Images, Inputs, MARKS, MAX_DEPTH, Recipe, Tree, find};

use crate::context::Context;
use crate::error::Error;

const DOCKERFILE: &str = "Dockerfile";
const DOCKERIGNORE: &str = ".dockerignore";
/// The most bytes of a file that are looked at.
const MAX_TEXT: usize = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The app's folder; otherwise this one
    path: Option<PathBuf>,
    /// Print the Dockerfile instead of saving it
    #[arg(long)]
    print: bool,
    /// Overwrite a Dockerfile that is there
    #[arg(long, conflicts_with = "print")]
    force: bool,
    /// A variable of the project that the step that builds the app is to get; can be given again
    #[arg(long, value_name = "NAME")]
    variable: Vec<EnvKey>,
}

#[derive(Serialize)]
struct Generated<'a> {
    recipe: &'a str,
    reason: &'a str,
    dockerfile: &'a str,
    dockerignore: &'a [&'a str],
    notes: &'a [String],
    written: Vec<&'a str>,
}

pub(crate) fn run(ctx: &Context, args: GenerateArgs) -> Result<()> {
    let folder = match &args.path {
        Some(path) => ctx.directory.join(path),
        None => ctx.directory.clone(),
    };
    ensure!(folder.is_dir(), "there is no folder {}", folder.display());
    let recipe = make(&folder, &args)?;
    ctx.output.note(&format!(
        "recipe `{}`, because {}",
        recipe.name, recipe.reason
    ));
    for note in &recipe.notes {
        ctx.output.warn(note);
    }
    let written = if args.print {
        Vec::new()
    } else {
        save(&folder, &recipe, args.force)?
    };
    let result = Generated {
        recipe: recipe.name,
        reason: &recipe.reason,
        dockerfile: &recipe.dockerfile,
        dockerignore: &recipe.ignore,
        notes: &recipe.notes,
        written,
    };
    let text = match args.print {
        true => recipe.dockerfile.clone(),
        false => format!("wrote {}", result.written.join(" and ")),
    };
    ctx.output.result(&result, &text)
}

fn make(folder: &Path, args: &GenerateArgs) -> Result<Recipe> {
    let tree = look(folder)?;
    let manifest = Manifest::read(&tree)?.map(|(_, manifest)| manifest);
    let wishes = manifest.unwrap_or_default().build;
    let mut variables: BTreeSet<EnvKey> = args.variable.iter().cloned().collect();
    variables.extend(wishes.args.keys().cloned());
    let inputs = Inputs {
        tree: &tree,
        wishes: &wishes,
        variables: &variables,
        images: &Images::default(),
    };
    match find(&inputs)? {
        Some(recipe) => Ok(recipe),
        None => bail!(
            "no recipe fits {}: recipes look for {MARKS}",
            folder.display()
        ),
    }
}

/// What the server would see of a folder that is in a repository: what Git ignores is left out.
fn look(folder: &Path) -> Result<Tree> {
    let mut tree = Tree::default();
    let walk = WalkBuilder::new(folder)
        .hidden(false)
        .ignore(false)
        .require_git(false)
        .max_depth(Some(MAX_DEPTH))
        .sort_by_file_name(|a, b| a.cmp(b))
        .filter_entry(|entry| {
            let name = entry.file_name().to_str();
            entry.depth() == 0 || !name.is_none_or(Tree::is_skipped)
        })
        .build();
    for entry in walk {
        let entry = entry.with_context(|| format!("cannot look at {}", folder.display()))?;
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
        let path = entry.path().strip_prefix(folder).ok();
        let Some(path) = path.and_then(Path::to_str).filter(|_| is_file) else {
            continue;
        };
        if Tree::is_read(path) {
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
            let start = &bytes[..bytes.len().min(MAX_TEXT)];
            tree.add_text(path, String::from_utf8_lossy(start));
        } else {
            tree.add_file(path);
        }
    }
    Ok(tree)
}

/// Writes the Dockerfile, and what it must not copy where nothing says that so far.
fn save(folder: &Path, recipe: &Recipe, force: bool) -> Result<Vec<&'static str>> {
    let path = folder.join(DOCKERFILE);
    if path.exists() && !force {
        return Err(Error::FileExists { path }.into());
    }
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write(DOCKERFILE, &recipe.dockerfile)?;
    let mut written = vec![DOCKERFILE];
    if !recipe.ignore.is_empty() && !folder.join(DOCKERIGNORE).exists() {
        write(DOCKERIGNORE, &(recipe.ignore.join("\n") + "\n"))?;
        written.push(DOCKERIGNORE);
    }
    Ok(written)
}
