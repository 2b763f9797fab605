//! How a source is built: by its own Dockerfile or by a recipe, as the project and the source's own file
//! say. No engine, no store.
//!
//! Invariant: what the project says goes before the file, and the log says what was chosen and why.

use std::collections::{BTreeMap, BTreeSet};

use tose_api::{EnvKey, RepoPath};
use tose_model::build_secret::translate;
use tose_model::recipe::manifest::{BuildWishes, Manifest, RunWishes};
use tose_model::recipe::{self, Images, Inputs, MARKS, Recipe};

use super::context::{Context, ContextError};
use super::source::{DOCKERFILE, SourceTree};

/// How an image is built: what the connection says, then what the project says.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The folder that is built.
    pub(crate) root_directory: Option<RepoPath>,
    /// The Dockerfile, relative to it.
    pub(crate) dockerfile_path: Option<RepoPath>,
    /// Its stage that becomes the image.
    pub(crate) target: Option<String>,
    /// Values for its `ARG`s.
    pub(crate) args: BTreeMap<EnvKey, String>,
}

impl Options {
    /// The folder that is built.
    pub(crate) fn root(&self) -> Option<&str> {
        self.root_directory.as_ref().map(RepoPath::as_str)
    }
}

/// What is built.
#[derive(Debug)]
pub(crate) struct Choice {
    /// The files with their Dockerfile.
    pub(crate) context: Context,
    /// The stage that becomes the image.
    pub(crate) target: Option<String>,
    /// Values for `ARG`s.
    pub(crate) args: BTreeMap<EnvKey, String>,
    /// What the source's own file says about running it.
    pub(crate) run: RunWishes,
    /// The secrets that its steps ask for, and whether they cannot do without.
    pub(crate) secrets: BTreeMap<EnvKey, bool>,
    /// Lines for the log.
    pub(crate) lines: Vec<String>,
}

/// Chooses for `source`. `variables` are the names of the project's variables that are not secret.
///
/// # Errors
/// `Refused` in words for the author: there is nothing to build by, or the source's own file is wrong.
pub(crate) fn choose(
    source: SourceTree,
    options: &Options,
    mut variables: BTreeSet<EnvKey>,
    images: &Images,
) -> Result<Choice, ContextError> {
    let refused = |error: tose_model::Error| ContextError::Refused(error.to_string());
    let mut lines = Vec::new();
    let (file, manifest) = match Manifest::read(&source.tree).map_err(refused)? {
        Some((name, manifest)) => {
            lines.push(format!("reading {name}"));
            (name, manifest)
        }
        None => ("", Manifest::default()),
    };
    let wishes = &manifest.build;
    let mut run = manifest.run;
    let mut args = wishes.args.clone();
    args.extend(options.args.clone());
    let own = own_dockerfile(&source, options, wishes)?;
    let mut context = match own {
        Some((name, text)) => {
            if let Some(key) = wishes.recipe_key() {
                let text = format!(
                    "{file}: build.{key} is for recipes, and the source is built by its {name}: take one of them away"
                );
                return Err(ContextError::Refused(text));
            }
            lines.push(format!("building by {name}"));
            source.with_dockerfile(&name, text)
        }
        None => {
            variables.extend(args.keys().cloned());
            let inputs = Inputs {
                tree: &source.tree,
                wishes,
                variables: &variables,
                images,
            };
            let found = recipe::find(&inputs).map_err(|error| {
                ContextError::Refused(format!("the source cannot be built: {error}"))
            })?;
            let recipe = found.ok_or_else(|| nothing_fits(&source))?;
            lines.extend(describe(&recipe));
            run.release_command = run.release_command.or_else(|| recipe.release.clone());
            for (name, process) in &recipe.processes {
                let process = process.clone();
                run.processes.entry(name.clone()).or_insert(process);
            }
            source.with_recipe(&recipe)
        }
    };
    let mut secrets = BTreeMap::new();
    if let Some(translated) = translate(&context.dockerfile_text).map_err(refused)? {
        if translated.has_caches {
            lines.push("note: RUN --mount=type=cache keeps nothing here; a build finds the layers of its project's builds".to_owned());
        }
        secrets = translated.secrets;
        context = context.with_text(translated.text);
    }
    let target = wishes.target.as_ref().map(ToString::to_string);
    Ok(Choice {
        context,
        target: options.target.clone().or(target),
        args,
        run,
        secrets,
        lines,
    })
}

/// The Dockerfile that the source brings along: the one that is named, or the one that everybody expects,
/// unless the source's file asks for a recipe.
fn own_dockerfile(
    source: &SourceTree,
    options: &Options,
    wishes: &BuildWishes,
) -> Result<Option<(String, String)>, ContextError> {
    let named = options
        .dockerfile_path
        .as_ref()
        .or(wishes.dockerfile.as_ref());
    if let Some(name) = named {
        let text = source.read_dockerfile(name.as_str())?;
        let text = text.ok_or_else(|| no_dockerfile(name.as_str(), source))?;
        return Ok(Some((name.to_string(), text)));
    }
    if wishes.recipe.is_some() {
        return Ok(None);
    }
    let text = source.read_dockerfile(DOCKERFILE)?;
    Ok(text.map(|text| (DOCKERFILE.to_owned(), text)))
}

fn describe(recipe: &Recipe) -> Vec<String> {
    let mut lines = vec![format!(
        "no Dockerfile is used: building by the recipe `{}`, because {}",
        recipe.name, recipe.reason
    )];
    lines.extend(recipe.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(recipe.dockerfile.lines().map(|line| format!("  {line}")));
    lines
}

fn no_dockerfile(name: &str, source: &SourceTree) -> ContextError {
    ContextError::Refused(format!(
        "the source has no {name} in {}; add one, or set the project's dockerfile_path",
        source.place()
    ))
}

fn nothing_fits(source: &SourceTree) -> ContextError {
    ContextError::Refused(format!(
        "the source has no {DOCKERFILE} in {}, and no recipe fits it; add one, or set the project's dockerfile_path or root_directory. Recipes look for {MARKS}",
        source.place()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(files: &[(&str, &str)], options: &Options) -> Result<Choice, String> {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("a file");
        }
        let source = SourceTree::open(dir.path(), None).expect("a source");
        let variables = BTreeSet::from(["API_URL".parse().expect("a name")]);
        choose(source, options, variables, &Images::default()).map_err(|error| error.to_string())
    }

    const HTML: (&str, &str) = ("index.html", "");

    #[test]
    fn a_dockerfile_goes_before_recipes_and_a_named_recipe_before_that() {
        let choice = chosen(&[HTML, ("Dockerfile", "FROM x")], &Options::default());
        let choice = choice.expect("a choice");
        assert_eq!(choice.context.dockerfile_text, "FROM x");
        assert_eq!(choice.lines, ["building by Dockerfile"]);
        let wish = ("tose.json", r#"{"build": {"recipe": "static"}}"#);
        let choice = chosen(&[HTML, ("Dockerfile", "FROM x"), wish], &Options::default());
        let choice = choice.expect("a choice");
        assert!(choice.context.dockerfile_text.contains("recipe `static`"));
        assert_eq!(choice.lines[0], "reading tose.json");
        let reason = "no Dockerfile is used: building by the recipe `static`, because build.recipe says `static`";
        assert_eq!(choice.lines[1], reason);
        assert!(
            choice
                .lines
                .iter()
                .any(|line| line == "  FROM nginx:1 AS files")
        );
    }

    #[test]
    fn the_project_goes_before_the_file() {
        let options = Options {
            dockerfile_path: Some("One".parse().expect("a path")),
            target: Some("web".to_owned()),
            args: BTreeMap::from([("A".parse().expect("a name"), "project".to_owned())]),
            ..Options::default()
        };
        let file = r#"{"build": {"dockerfile": "Two", "target": "api", "args": {"A": "file", "B": "file"}}}"#;
        let files = [
            ("One", "FROM one"),
            ("Two", "FROM two"),
            ("tose.json", file),
        ];
        let choice = chosen(&files, &options).expect("a choice");
        assert_eq!(choice.context.dockerfile, "One");
        assert_eq!(choice.target.as_deref(), Some("web"));
        let args: Vec<_> = choice
            .args
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(args, ["A=project", "B=file"]);
        let choice = chosen(&files, &Options::default()).expect("a choice");
        assert_eq!(
            (choice.context.dockerfile.as_str(), choice.target.as_deref()),
            ("Two", Some("api"))
        );
    }

    #[test]
    fn variables_reach_the_step_that_builds_and_no_other() {
        let package = (
            "package.json",
            r#"{"scripts": {"build": "x"}, "devDependencies": {"vite": "6"}}"#,
        );
        let text = chosen(&[package], &Options::default())
            .expect("a choice")
            .context
            .dockerfile_text;
        let (before, after) = text.split_once("ARG API_URL\n").expect("it is declared");
        assert!(before.contains("RUN npm install"));
        assert!(after.starts_with("RUN [\"/bin/sh\",\"-c\",\"npm run build\"]"));
    }

    #[test]
    fn what_cannot_be_built_is_explained() {
        for (files, options, words) in [
            (
                &[("README", "")][..],
                Options::default(),
                "no Dockerfile in its root folder, and no recipe fits",
            ),
            (
                &[("package.json", "{}")],
                Options::default(),
                "the source cannot be built: nothing says how to start it",
            ),
            (
                &[
                    ("Dockerfile", "FROM x"),
                    ("tose.json", r#"{"build": {"start": "x"}}"#),
                ],
                Options::default(),
                "tose.json: build.start is for recipes",
            ),
            (
                &[("tose.toml", "[build]\nx = 1\n")],
                Options::default(),
                "tose.toml: build.x: unknown field `x`",
            ),
            (
                &[HTML],
                Options {
                    dockerfile_path: Some("Other".parse().expect("a path")),
                    ..Options::default()
                },
                "the source has no Other in its root folder",
            ),
        ] {
            let problem = chosen(files, &options).map(|_| ()).expect_err("refused");
            assert!(problem.contains(words), "{problem}");
        }
    }
}
