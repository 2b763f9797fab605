//! Recipes: a Dockerfile for a source tree that has none.
//!
//! Pure: a [`Tree`] that somebody else read goes in, a [`Recipe`] comes out, and the same tree makes the
//! same text. Invariant: no text of a repository becomes an instruction of the Dockerfile. Commands stand
//! in it as JSON, names and paths are [`dockerfile::Word`]s, and everything else is a constant of ours.
//!
//! Not here: which Dockerfile a source brings along, and who reads files (`server/src/build/context.rs`,
//! `cli/src/commands/generate.rs`). One file for each family of languages.

mod deno;
mod dockerfile;
mod go;
mod html;
mod images;
mod java;
pub mod manifest;
mod node;
mod php;
mod procfile;
mod python;
mod ruby;
mod rust;
mod start;
mod tree;
mod version;

use std::collections::BTreeSet;

use tose_api::EnvKey;

use crate::build_secret::ask_for;
use crate::error::{Error, Result};
use crate::process::{MAX_PROCESSES, Processes};
use dockerfile::Dockerfile;
use manifest::BuildWishes;

pub use images::Images;
pub use tree::{MAX_DEPTH, MAX_PATHS, Tree};

/// What a recipe makes of a source tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Its name, as `build.recipe` of `tose.json` has it.
    pub name: &'static str,
    /// Why it was chosen.
    pub reason: String,
    /// The Dockerfile.
    pub dockerfile: String,
    /// Lines for `.dockerignore`.
    pub ignore: Vec<&'static str>,
    /// What its author should know.
    pub notes: Vec<String>,
    /// What the Procfile says is to run beside the process that answers visitors.
    pub processes: Processes,
    /// What the Procfile says is to run before a version takes over.
    pub release: Option<String>,
}

/// What a recipe is made from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The source.
    pub tree: &'a Tree,
    /// What the source's own file says.
    pub wishes: &'a BuildWishes,
    /// Variables whose values the step that builds the app gets as arguments. They stay in the image.
    pub variables: &'a BTreeSet<EnvKey>,
    /// What it is built on.
    pub images: &'a Images,
}

/// What one family of languages makes of a tree.
struct Draft {
    dockerfile: Dockerfile,
    ignore: Vec<&'static str>,
    notes: Vec<String>,
}

/// One family of languages.
struct Family {
    name: &'static str,
    /// Why the tree is one of this family; `None` when it is not.
    detect: fn(&Tree) -> Option<&'static str>,
    write: fn(&Inputs<'_>) -> Result<Draft>,
}

/// In the order in which they are looked for.
const FAMILIES: [Family; 9] = [
    Family {
        name: "node",
        detect: node::detect,
        write: node::write,
    },
    Family {
        name: "deno",
        detect: deno::detect,
        write: deno::write,
    },
    Family {
        name: "python",
        detect: python::detect,
        write: python::write,
    },
    Family {
        name: "go",
        detect: go::detect,
        write: go::write,
    },
    Family {
        name: "rust",
        detect: rust::detect,
        write: rust::write,
    },
    Family {
        name: "php",
        detect: php::detect,
        write: php::write,
    },
    Family {
        name: "ruby",
        detect: ruby::detect,
        write: ruby::write,
    },
    Family {
        name: "java",
        detect: java::detect,
        write: java::write,
    },
    Family {
        name: "static",
        detect: html::detect,
        write: html::write,
    },
];

/// What a source has to have for a recipe to fit, in words.
pub const MARKS: &str = "package.json, deno.json, requirements.txt, pyproject.toml, Pipfile, main.py, go.mod, Cargo.toml, composer.json, index.php, Gemfile, pom.xml, build.gradle or index.html";

/// Finds the recipe for a tree that has no Dockerfile, or takes the one that is wished for.
///
/// `None` where nothing fits; [`MARKS`] says what is looked for.
///
/// # Errors
/// `Invalid` in words for the source's author: the named recipe does not exist, or the tree lacks what its
/// recipe needs.
pub fn find(inputs: &Inputs<'_>) -> Result<Option<Recipe>> {
    let chosen = match &inputs.wishes.recipe {
        Some(name) => Some((named(name)?, format!("build.recipe says `{name}`"))),
        None => detected(inputs.tree),
    };
    let Some((family, reason)) = chosen else {
        return Ok(None);
    };
    let draft = (family.write)(inputs)?;
    let mut notes = draft.notes;
    let (processes, refused) = procfile::others(inputs.tree.text("Procfile"));
    if !refused.is_empty() {
        notes.push(format!(
            "of the Procfile {} cannot run: a process has a name of small letters, digits and hyphens that is not `job`, a command of 1000 characters at most, and {MAX_PROCESSES} are the most",
            refused.join(", ")
        ));
    }
    for name in processes.keys() {
        notes.push(format!(
            "the process {name} of the Procfile runs once it has replicas: `tose scale {name}=1`"
        ));
    }
    Ok(Some(Recipe {
        name: family.name,
        reason,
        dockerfile: ask_for(
            &draft.dockerfile.into_text(family.name),
            &inputs.wishes.secrets,
        ),
        ignore: draft.ignore,
        notes,
        release: procfile::release(inputs.tree.text("Procfile")),
        processes,
    }))
}

fn named(name: &str) -> Result<&'static Family> {
    let found = FAMILIES.iter().find(|family| family.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        Error::invalid(format!(
            "there is no recipe `{}`; build.recipe is one of {}",
            name.escape_default(),
            names.join(", ")
        ))
    })
}

fn detected(tree: &Tree) -> Option<(&'static Family, String)> {
    FAMILIES
        .iter()
        .find_map(|family| Some((family, (family.detect)(tree)?.to_owned())))
}
