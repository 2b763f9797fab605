//! `tose.json` and `tose.toml`: what a source says itself about how it is built and run.
//!
//! `tose.json` may also link a folder to a project (`workspace`, `project`), which is only read by the
//! command line tool. What the project says over the API goes before all of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Table;
use tose_api::{EnvKey, Port, RepoPath, Slug};

use super::dockerfile::{Word, check_command};
use super::tree::Tree;
use crate::command;
use crate::error::{Error, Result};
use crate::process::{MAX_PROCESSES, MAX_REPLICAS, Processes, is_process_name};
use crate::project::{DEFAULT_PORT, RunSpec, is_health_path};

/// The names of the file.
pub const NAMES: [&str; 2] = ["tose.json", "tose.toml"];
/// The most arguments of a build.
const MAX_ARGS: usize = 50;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifest {
    workspace: Option<Slug>,
    project: Option<Slug>,
    /// How the image is built.
    pub build: BuildWishes,
    /// How it is run.
    pub run: RunWishes,
}

/// The section `build`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuildWishes {
    /// The Dockerfile.
    pub dockerfile: Option<RepoPath>,
    /// Its stage that becomes the image.
    pub target: Option<Slug>,
    /// Values for its `ARG`s.
    pub args: BTreeMap<EnvKey, String>,
    /// The secret variables that every step of a recipe gets.
    pub secrets: BTreeSet<EnvKey>,
    /// The recipe, where its detection is to be skipped.
    pub recipe: Option<String>,
    /// Installs what the app needs, in place of the recipe's own command.
    pub install: Option<String>,
    /// Builds the app, in place of the recipe's own command.
    pub build: Option<String>,
    /// Starts the app, in place of the recipe's own command.
    pub start: Option<String>,
    /// The folder whose files are served.
    pub static_dir: Option<RepoPath>,
}

/// The section `run`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunWishes {
    /// The port that the app listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// The path that tells whether a replica is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_path: Option<String>,
    /// What runs in place of the image's own entrypoint and command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_command: Option<String>,
    /// What runs once, to its end, before a version takes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_command: Option<String>,
    /// What runs beside the process that answers visitors.
    #[serde(skip_serializing_if = "Processes::is_empty")]
    pub processes: Processes,
}

impl Manifest {
    /// Reads the file, with its name; `None` where a tree has none, or only a link to a project.
    ///
    /// # Errors
    /// `Invalid` for a file that cannot be read, has a key that is not known or a value that cannot be
    /// used, and for two files that both say something.
    pub fn read(tree: &Tree) -> Result<Option<(&'static str, Self)>> {
        let mut found = None;
        for name in NAMES {
            let text = tree.text(name);
            if text.trim().is_empty() {
                continue;
            }
            let manifest = Self::parse(name, text)?;
            if manifest.says_nothing() {
                continue;
            }
            if found.is_some() {
                return Err(Error::invalid(
                    "both tose.json and tose.toml say how to build and run: keep one of them",
                ));
            }
            found = Some((name, manifest));
        }
        Ok(found)
    }

    /// Reads the text of the file that is called `name`.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let refuse = |problem: String| Error::invalid(format!("{name}: {problem}"));
        let value: Value = if name == "tose.toml" {
            let table: Table = text
                .parse()
                .map_err(|error| refuse(format!("it cannot be read as TOML: {error}")))?;
            serde_json::to_value(table).map_err(|error| refuse(error.to_string()))?
        } else {
            serde_json::from_str(text)
                .map_err(|error| refuse(format!("it cannot be read as JSON: {error}")))?
        };
        let manifest: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            match path.as_str() {
                "." => refuse(error.inner().to_string()),
                path => refuse(format!("{path}: {}", error.inner())),
            }
        })?;
        manifest
            .check()
            .map_err(|error| refuse(error.to_string()))?;
        Ok(manifest)
    }

    fn says_nothing(&self) -> bool {
        self.build == BuildWishes::default() && self.run == RunWishes::default()
    }

    fn check(&self) -> Result<()> {
        self.build.install()?;
        self.build.build()?;
        self.build.static_folder()?;
        if let Some(command) = &self.build.start {
            check_command(command, "build.start")?;
        }
        if self.build.args.len() > MAX_ARGS {
            return Err(Error::invalid(format!("build.args has at most {MAX_ARGS}")));
        }
        if self.build.secrets.len() > MAX_ARGS {
            return Err(Error::invalid(format!(
                "build.secrets has at most {MAX_ARGS}"
            )));
        }
        if self.build.dockerfile.is_some()
            && let Some(key) = self.build.recipe_key()
        {
            return Err(Error::invalid(format!(
                "build.dockerfile and build.{key} exclude each other: the second is for recipes"
            )));
        }
        let path = self.run.health_check_path.as_deref();
        if path.is_some_and(|path| !is_health_path(path)) {
            return Err(Error::invalid(
                "run.health_check_path must begin with / and hold no spaces, 200 characters at most",
            ));
        }
        if let Some(command) = &self.run.start_command {
            command::split(command).map_err(|error| Error::invalid(format!("run.{error}")))?;
        }
        let release = self.run.release_command.as_deref().map(command::split);
        if let Some(Err(_)) = release {
            return Err(Error::invalid(
                "run.release_command must be one command line of at most 1000 characters that names a program, its quotes in pairs",
            ));
        }
        self.run.check_processes()
    }
}

impl BuildWishes {
    /// The first key that only a recipe heeds.
    pub fn recipe_key(&self) -> Option<&'static str> {
        let keys = [
            ("recipe", self.recipe.is_some()),
            ("install", self.install.is_some()),
            ("build", self.build.is_some()),
            ("start", self.start.is_some()),
            ("static_dir", self.static_dir.is_some()),
            ("secrets", !self.secrets.is_empty()),
        ];
        keys.into_iter()
            .find_map(|(key, is_set)| is_set.then_some(key))
    }

    /// The command that installs.
    pub(super) fn install(&self) -> Result<Option<String>> {
        let command = self.install.as_deref();
        command
            .map(|command| check_command(command, "build.install"))
            .transpose()
    }

    /// The command that builds.
    pub(super) fn build(&self) -> Result<Option<String>> {
        let command = self.build.as_deref();
        command
            .map(|command| check_command(command, "build.build"))
            .transpose()
    }

    /// The folder whose files are served.
    pub(super) fn static_folder(&self) -> Result<Option<Word>> {
        let Some(folder) = &self.static_dir else {
            return Ok(None);
        };
        let word = Word::parse(folder.as_str().trim_end_matches('/'));
        word.map(Some).ok_or_else(|| {
            Error::invalid(
                "build.static_dir must be a path of letters, digits and ._-/ inside the source",
            )
        })
    }
}

impl RunWishes {
    fn check_processes(&self) -> Result<()> {
        if self.processes.len() > MAX_PROCESSES {
            return Err(Error::invalid(format!(
                "run.processes has at most {MAX_PROCESSES}"
            )));
        }
        for (name, process) in &self.processes {
            let refuse =
                |problem: String| Err(Error::invalid(format!("run.processes.{name}{problem}")));
            if !is_process_name(name) {
                return refuse(": this name has a meaning of its own; choose another".to_owned());
            }
            if command::split(&process.command).is_err() {
                return refuse(
                    ".command must be one command line of at most 1000 characters that names a program, its quotes in pairs".to_owned(),
                );
            }
            if process.replicas > MAX_REPLICAS {
                return refuse(format!(".replicas must be between 0 and {MAX_REPLICAS}"));
            }
        }
        Ok(())
    }

    /// What a deployment runs with: what the project says, and where it says nothing, the file. A
    /// project always has a port, so one that was never changed counts as none.
    pub fn apply_to(&self, project: &RunSpec) -> RunSpec {
        let mut run = project.clone();
        if let Some(port) = self.port.filter(|_| run.port.get() == DEFAULT_PORT) {
            run.port = port;
        }
        if run.health_check_path.is_none() {
            run.health_check_path.clone_from(&self.health_check_path);
        }
        if run.start_command.is_none() {
            run.start_command.clone_from(&self.start_command);
        }
        run.release_command.clone_from(&self.release_command);
        run.processes.clone_from(&self.processes);
        run.file = (*self != Self::default()).then(|| self.clone());
        run
    }

    /// What of it counts in `run`, as lines of a log.
    pub fn say(&self, run: &RunSpec) -> Vec<String> {
        let mut lines = Vec::new();
        let mut note = |key: &str, wish: &dyn std::fmt::Display, counts: bool| {
            lines.push(match counts {
                true => format!("run.{key}: {wish}"),
                false => format!("run.{key}: {wish} is not used, the project's own goes before it"),
            });
        };
        if let Some(port) = &self.port {
            note("port", port, run.port == *port);
        }
        if let Some(path) = &self.health_check_path {
            note(
                "health_check_path",
                path,
                run.health_check_path.as_ref() == Some(path),
            );
        }
        if let Some(command) = &self.start_command {
            note(
                "start_command",
                command,
                run.start_command.as_ref() == Some(command),
            );
        }
        if let Some(command) = &self.release_command {
            note("release_command", command, true);
        }
        for (name, process) in &self.processes {
            note(&format!("processes.{name}"), &process.command, true);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;

    fn problem(name: &str, text: &str) -> String {
        Manifest::parse(name, text)
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn both_forms_say_the_same() {
        let json = r#"{"workspace": "demo", "project": "hello",
            "build": {"recipe": "node", "start": "node x.js", "args": {"A": "b"}},
            "run": {"port": 8080, "health_check_path": "/up"}}"#;
        let toml = "workspace = \"demo\"\nproject = \"hello\"\n[build]\nrecipe = \"node\"\nstart = \"node x.js\"\nargs = { A = \"b\" }\n[run]\nport = 8080\nhealth_check_path = \"/up\"\n";
        let (json, toml) = (
            Manifest::parse("tose.json", json),
            Manifest::parse("tose.toml", toml),
        );
        assert_eq!(json.expect("good"), toml.expect("good"));
    }

    #[test]
    fn what_is_not_known_is_named() {
        let text = problem("tose.json", r#"{"build": {"comand": "x"}}"#);
        assert!(
            text.starts_with("tose.json: build.comand: unknown field `comand`"),
            "{text}"
        );
        let text = problem("tose.toml", "[run]\nprot = 1\n");
        assert!(
            text.starts_with("tose.toml: run.prot: unknown field `prot`"),
            "{text}"
        );
        assert!(problem("tose.json", "{").contains("cannot be read as JSON"));
        assert!(problem("tose.toml", "a = ").contains("cannot be read as TOML"));
        assert!(problem("tose.json", r#"{"port": 1}"#).contains("unknown field `port`"));
    }

    #[test]
    fn bad_values_are_refused() {
        for text in [
            r#"{"build": {"start": "a\nb"}}"#,
            r#"{"build": {"install": ""}}"#,
            r#"{"build": {"static_dir": "a b"}}"#,
            r#"{"build": {"static_dir": "../x"}}"#,
            r#"{"build": {"dockerfile": "/etc/passwd"}}"#,
            r#"{"build": {"dockerfile": "D", "recipe": "node"}}"#,
            r#"{"build": {"args": {"A B": "x"}}}"#,
            r#"{"run": {"port": 0}}"#,
            r#"{"run": {"port": 70000}}"#,
            r#"{"run": {"health_check_path": "up"}}"#,
            r#"{"run": {"start_command": "a 'b"}}"#,
            r#"{"run": {"processes": {"web": {"command": "a"}}}}"#,
            r#"{"run": {"processes": {"Work er": {"command": "a"}}}}"#,
            r#"{"run": {"processes": {"w": {"command": ""}}}}"#,
            r#"{"run": {"processes": {"w": {"command": "a", "replicas": 101}}}}"#,
            r#"{"run": {"processes": {"w": {"cmd": "a"}}}}"#,
            r#"{"run": {"processes": {"a": {"command": "a"}, "b": {"command": "a"}, "c": {"command": "a"},
                "d": {"command": "a"}, "e": {"command": "a"}, "f": {"command": "a"}, "g": {"command": "a"},
                "h": {"command": "a"}, "i": {"command": "a"}}}}"#,
        ] {
            assert!(Manifest::parse("tose.json", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_link_alone_says_nothing_and_two_files_are_one_too_many() {
        let mut tree = Tree::default();
        tree.add_text("tose.json", r#"{"workspace": "demo", "project": "hello"}"#);
        assert_eq!(Manifest::read(&tree).expect("good"), None);
        tree.add_text("tose.toml", "[run]\nport = 80\n");
        let (name, manifest) = Manifest::read(&tree).expect("good").expect("a manifest");
        assert_eq!(
            (name, manifest.run.port.map(Port::get)),
            ("tose.toml", Some(80))
        );
        tree.add_text("tose.json", r#"{"run": {"port": 81}}"#);
        assert!(Manifest::read(&tree).is_err());
    }

    #[test]
    fn what_the_project_says_goes_before_the_file() {
        let project = RunSpec {
            port: "3000".parse().expect("a port"),
            cpu: "1".parse().expect("cores"),
            ram: "1".parse().expect("GB"),
            health_check_path: None,
            start_command: Some("own".to_owned()),
            release_command: None,
            processes: Processes::new(),
            volumes: Vec::new(),
            file: None,
        };
        let wishes = RunWishes {
            port: Some("8080".parse().expect("a port")),
            health_check_path: Some("/up".to_owned()),
            start_command: Some("theirs".to_owned()),
            release_command: Some("migrate".to_owned()),
            processes: Processes::from([(
                "worker".parse().expect("a slug"),
                Process {
                    command: "work".to_owned(),
                    replicas: 1,
                },
            )]),
        };
        let run = wishes.apply_to(&project);
        assert_eq!(
            (run.port.get(), run.health_check_path.as_deref()),
            (8080, Some("/up"))
        );
        assert_eq!(run.start_command.as_deref(), Some("own"));
        assert_eq!(
            wishes.say(&run),
            [
                "run.port: 8080",
                "run.health_check_path: /up",
                "run.start_command: theirs is not used, the project's own goes before it",
                "run.release_command: migrate",
                "run.processes.worker: work",
            ]
        );
        assert_eq!(run.file.as_ref(), Some(&wishes));
        let fixed = RunSpec {
            port: "5000".parse().expect("a port"),
            ..project
        };
        assert_eq!(wishes.apply_to(&fixed).port.get(), 5000);
    }
}
