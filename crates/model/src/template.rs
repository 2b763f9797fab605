//! Templates: well-known applications that need no set-up, as data.
//!
//! A template says which image an application runs (or how it is built), what it needs beside it, and which
//! variables it gets. An instance of one is a project underneath.
//!
//! Not here: reading the files (`tose-server`, `catalogue.rs`).

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tose_api::database::DatabaseType;
use tose_api::project::Volume;
use tose_api::{BranchName, Cpu, EnvKey, ImageRef, Port, Ram, RepoUrl, Slug};

use crate::IdGen;
use crate::command;
use crate::project::is_health_path;
use crate::reference::{self, Piece, SELF};

/// The most characters that a description has.
const MAX_DESCRIPTION: usize = 120;
/// The most random bytes or characters of a generated secret.
const MAX_GENERATED: usize = 128;

/// A template.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// What people call it.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// What kind of application.
    pub category: Category,
    /// Where its own documentation is.
    pub documentation: String,
    /// Its name in the set of icons called Simple Icons, if it has one there.
    pub icon: Option<String>,
    /// The port that it listens on.
    pub port: Port,
    /// Cores that it runs well with.
    pub cpu: Cpu,
    /// GB of memory that it runs well with.
    pub ram: Ram,
    /// The path that answers once it is ready.
    pub health_check_path: Option<String>,
    /// The image that it runs.
    pub image: Option<ImageRef>,
    /// What runs in place of the image's own command.
    pub start_command: Option<String>,
    /// How it is built.
    pub build: Option<TemplateBuild>,
    /// Folders that outlive its replicas.
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// Databases that it needs.
    #[serde(default)]
    pub databases: Vec<TemplateDatabase>,
    /// Variables that it gets.
    #[serde(default)]
    pub env: Vec<TemplateEnv>,
}

/// What kind of application a template is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Ai,
    Analytics,
    Automation,
    Cms,
    Communication,
    Database,
    Developer,
    Files,
    Media,
    Monitoring,
    Productivity,
    Security,
    Storage,
    Wiki,
}

impl Category {
    /// The category as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ai => "ai",
            Self::Analytics => "analytics",
            Self::Automation => "automation",
            Self::Cms => "cms",
            Self::Communication => "communication",
            Self::Database => "database",
            Self::Developer => "developer",
            Self::Files => "files",
            Self::Media => "media",
            Self::Monitoring => "monitoring",
            Self::Productivity => "productivity",
            Self::Security => "security",
            Self::Storage => "storage",
            Self::Wiki => "wiki",
        }
    }
}

/// How a template is built: from a folder beside it, or from a repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateBuild {
    /// The folder with the Dockerfile, beside the template's file.
    pub directory: Option<String>,
    /// The repository.
    pub repository: Option<RepoUrl>,
    /// Its branch.
    pub branch: Option<BranchName>,
}

/// A database that a template needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateDatabase {
    /// What the template calls it. An instance's has the slug of the instance before that.
    pub name: Slug,
    /// What kind of database.
    #[serde(rename = "type")]
    pub kind: DatabaseType,
    /// Which version; the server's default when absent.
    pub version: Option<String>,
}

/// A variable that a template gets: it has a value, one that is made up, or one that somebody has to give.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateEnv {
    /// Its name.
    pub key: EnvKey,
    /// Its value, with references to `self` and to the template's databases.
    pub value: Option<String>,
    /// How a secret is made up for each instance: `hex:32`, `base64:32`, `alphanumeric:24` or `uuid`.
    pub generate: Option<String>,
    /// Whether somebody has to give it a value before the first deployment.
    #[serde(default)]
    pub required: bool,
    /// What a value looks like.
    pub placeholder: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether its value is a secret.
    #[serde(default)]
    pub secret: bool,
}

/// A secret to be made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generate {
    Hex(usize),
    Base64(usize),
    Alphanumeric(usize),
    Uuid,
}

impl Generate {
    fn parse(text: &str) -> Option<Self> {
        if text == "uuid" {
            return Some(Self::Uuid);
        }
        let (kind, count) = text.split_once(':')?;
        let count = count.parse().ok()?;
        if !(1..=MAX_GENERATED).contains(&count) {
            return None;
        }
        match kind {
            "hex" => Some(Self::Hex(count)),
            "base64" => Some(Self::Base64(count)),
            "alphanumeric" => Some(Self::Alphanumeric(count)),
            _ => None,
        }
    }

    fn make(self, ids: &dyn IdGen) -> String {
        let random = |count| {
            let mut bytes = vec![0; count];
            ids.fill(&mut bytes);
            bytes
        };
        match self {
            Self::Hex(count) => random(count)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            Self::Base64(count) => STANDARD.encode(random(count)),
            Self::Alphanumeric(count) => {
                let mut made = String::with_capacity(count);
                while made.len() < count {
                    // What is left out keeps each character as likely as any other.
                    let fits = random(count).into_iter().filter(|byte| *byte < 248);
                    made.extend(fits.map(|byte| char::from(LETTERS[usize::from(byte) % 62])));
                }
                made.truncate(count);
                made
            }
            Self::Uuid => {
                let mut bytes = [0; 16];
                ids.fill(&mut bytes);
                uuid::Builder::from_random_bytes(bytes)
                    .into_uuid()
                    .to_string()
            }
        }
    }
}

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A variable of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceEnv {
    /// Its name.
    pub key: EnvKey,
    /// Its value, with references to what the instance has.
    pub value: String,
    /// Whether that is a secret.
    pub is_secret: bool,
}

impl Template {
    /// What is wrong with it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut note = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        let length = self.description.chars().count();
        note(
            (1..=MAX_DESCRIPTION).contains(&length),
            format!("description has {length} characters, and {MAX_DESCRIPTION} are the most"),
        );
        note(
            self.documentation.starts_with("https://"),
            "documentation is no https address".to_owned(),
        );
        note(
            self.health_check_path.as_deref().is_none_or(is_health_path),
            "health_check_path is no path".to_owned(),
        );
        let command = self.start_command.as_deref().map(command::split);
        note(
            !matches!(command, Some(Err(_))),
            "start_command is no command".to_owned(),
        );
        note(
            self.image.is_some() || self.build.is_some(),
            "it has neither image nor build".to_owned(),
        );
        let ways = |build: &TemplateBuild| {
            usize::from(build.directory.is_some()) + usize::from(build.repository.is_some())
        };
        note(
            self.build.as_ref().is_none_or(|build| ways(build) == 1),
            "build needs either directory or repository".to_owned(),
        );
        let names: BTreeSet<_> = self.databases.iter().map(|one| one.name.as_str()).collect();
        note(
            names.len() == self.databases.len() && !names.contains(SELF),
            "databases have names of their own".to_owned(),
        );
        let keys: BTreeSet<_> = self.env.iter().map(|env| &env.key).collect();
        note(
            keys.len() == self.env.len(),
            "a variable comes twice".to_owned(),
        );
        for env in &self.env {
            problems.extend(env_problems(env, &names));
        }
        problems
    }

    /// The variables of an instance with this slug, but those that somebody has to give.
    pub fn instance_env(&self, slug: &Slug, ids: &dyn IdGen) -> Vec<InstanceEnv> {
        let of_instance = |env: &TemplateEnv| {
            let generate = env.generate.as_deref().and_then(Generate::parse);
            let value = match (&env.value, generate) {
                (Some(value), _) => self.renamed(value, slug),
                (None, Some(generate)) => generate.make(ids),
                (None, None) => return None,
            };
            Some(InstanceEnv {
                key: env.key.clone(),
                value,
                is_secret: env.secret || generate.is_some(),
            })
        };
        self.env.iter().filter_map(of_instance).collect()
    }

    /// The slug of a database of an instance.
    pub fn database_slug(instance: &Slug, name: &Slug) -> Option<Slug> {
        format!("{instance}-{name}").parse().ok()
    }

    /// A value with its databases called as those of the instance are.
    fn renamed(&self, value: &str, slug: &Slug) -> String {
        let rename = |piece: Piece<'_>| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Reference(reference) if reference.name == SELF => {
                format!("${{{{ {SELF}.{} }}}}", reference.field)
            }
            Piece::Reference(reference) => {
                format!("${{{{ {slug}-{}.{} }}}}", reference.name, reference.field)
            }
        };
        reference::pieces(value).into_iter().map(rename).collect()
    }
}

fn env_problems(env: &TemplateEnv, databases: &BTreeSet<&str>) -> Vec<String> {
    let mut problems = Vec::new();
    let ways = usize::from(env.value.is_some())
        + usize::from(env.generate.is_some())
        + usize::from(env.required);
    if ways != 1 {
        problems.push(format!(
            "{} needs one of value, generate and required",
            env.key
        ));
    }
    if let Some(generate) = &env.generate
        && Generate::parse(generate).is_none()
    {
        problems.push(format!("{} cannot be made up as {generate}", env.key));
    }
    for name in reference::names(env.value.as_deref()) {
        if name != SELF && !databases.contains(name) {
            problems.push(format!(
                "{} refers to {name}, which is none of its databases",
                env.key
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use uuid::Uuid;

    use super::*;

    /// Every byte once, then again.
    struct Bytes(AtomicU8);

    impl IdGen for Bytes {
        fn uuid(&self) -> Uuid {
            Uuid::nil()
        }

        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    const GOOD: &str = r#"
        name = "Wiki"
        description = "Pages that everybody may change."
        category = "wiki"
        documentation = "https://example.com/"
        port = 3000
        cpu = "0.5"
        ram = "0.5"
        image = "wiki:1"
        databases = [{ name = "db", type = "postgresql" }]
        env = [
            { key = "SITE", value = "${{ self.URL }}" },
            { key = "DSN", value = "${{ db.URL }}?sslmode=disable", secret = true },
            { key = "KEY", generate = "hex:4" },
            { key = "MAIL", required = true, placeholder = "you@example.com" },
        ]
    "#;

    fn template(text: &str) -> Template {
        toml::from_str(text).expect("a template")
    }

    #[test]
    fn an_instance_gets_values_secrets_and_references_to_its_own_databases() {
        let template = template(GOOD);
        assert_eq!(template.problems(), Vec::<String>::new());
        let slug = "my-wiki".parse().expect("a slug");
        let env = template.instance_env(&slug, &Bytes(AtomicU8::new(0)));
        let shown: Vec<_> = env
            .iter()
            .map(|env| (env.key.as_str(), env.value.as_str(), env.is_secret))
            .collect();
        assert_eq!(
            shown,
            [
                ("SITE", "${{ self.URL }}", false),
                ("DSN", "${{ my-wiki-db.URL }}?sslmode=disable", true),
                ("KEY", "00010203", true),
            ]
        );
    }

    #[test]
    fn secrets_are_made_up_as_they_are_asked_for() {
        let bytes = Bytes(AtomicU8::new(0));
        let make = |text: &str| Generate::parse(text).map(|generate| generate.make(&bytes));
        assert_eq!(make("hex:32").map(|made| made.len()), Some(64));
        assert_eq!(make("base64:32").map(|made| made.len()), Some(44));
        assert_eq!(make("uuid").map(|made| made.len()), Some(36));
        let letters = make("alphanumeric:100").expect("made");
        assert_eq!(letters.len(), 100);
        assert!(letters.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        for bad in ["hex", "hex:0", "hex:1000", "hex:x", "words:3", ""] {
            assert_eq!(make(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_template_is_named() {
        for (from, to, problem) in [
            (
                "https://example.com/",
                "http://example.com/",
                "documentation",
            ),
            ("image = \"wiki:1\"", "", "neither image nor build"),
            ("db.URL", "other.URL", "other"),
            ("generate = \"hex:4\"", "generate = \"dice\"", "dice"),
            ("required = true,", "", "MAIL needs one"),
            ("key = \"KEY\"", "key = \"DSN\"", "twice"),
            ("name = \"db\"", "name = \"self\"", "names of their own"),
            (
                "image = \"wiki:1\"",
                "image = \"wiki:1\"\nbuild = {}",
                "directory or repository",
            ),
        ] {
            let problems = template(&GOOD.replace(from, to)).problems().join("; ");
            assert!(problems.contains(problem), "{to}: {problems}");
        }
    }
}
