//! The catalogue of templates: those that come with the program, and an operator's own.
//!
//! Invariant: every template in it has passed [`Template::problems`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use include_dir::{Dir, include_dir};
use tose_model::template::Template;

/// The templates that come with the program: a folder each.
static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../templates");
/// The file that says what a template is.
const FILE: &str = "template.toml";
/// The most bytes that the files of a template's build have together.
const MAX_BUILD: usize = 4 << 20;

/// What is wrong with a template.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogueError {
    /// A file or folder could not be read.
    #[error("{path} could not be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A template cannot be used.
    #[error("the template {key}: {problem}")]
    Template { key: String, problem: String },
}

/// A template with the files that it is built from.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// What it is made by.
    pub(crate) key: String,
    /// What it is.
    pub(crate) template: Template,
    /// The files of its build, by their paths.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// All templates, by their keys.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    own: BTreeMap<String, Entry>,
    /// Read when somebody asks: a start does not wait for it.
    all: OnceLock<BTreeMap<String, Entry>>,
}

impl Catalogue {
    /// Reads the templates of `own`, which win over those of the program where both have a key.
    ///
    /// # Errors
    /// When one cannot be read or used.
    pub(crate) fn open(own: Option<&Path>) -> Result<Self, CatalogueError> {
        let mut catalogue = Self::default();
        for folder in own.map(folders).transpose()?.unwrap_or_default() {
            let entry = read(&folder)?;
            catalogue.own.insert(entry.key.clone(), entry);
        }
        Ok(catalogue)
    }

    /// All of them, in the order of their keys.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.all().values()
    }

    /// The template with this key, or with this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        let has_name = |entry: &&Entry| entry.template.name.eq_ignore_ascii_case(name);
        let by_key = self.all().get(name);
        by_key.or_else(|| self.entries().find(has_name))
    }

    fn all(&self) -> &BTreeMap<String, Entry> {
        self.all.get_or_init(|| {
            let built_in = BUILT_IN.dirs().map(|folder| {
                let entry = built_in(folder).expect("a test has read every one of them");
                (entry.key.clone(), entry)
            });
            built_in.chain(self.own.clone()).collect()
        })
    }
}

fn built_in(folder: &Dir<'_>) -> Result<Entry, CatalogueError> {
    let key = name_of(folder.path());
    let text = folder
        .get_file(folder.path().join(FILE))
        .and_then(|file| file.contents_utf8())
        .ok_or_else(|| problem(&key, "it has no template.toml"))?;
    let template = parse(&key, text)?;
    let mut files = BTreeMap::new();
    if let Some(directory) = directory(&template) {
        let build = folder
            .get_dir(folder.path().join(directory))
            .ok_or_else(|| problem(&key, "its build's directory is not there"))?;
        add_built_in(build, build.path(), &mut files);
    }
    finish(key, template, files)
}

fn add_built_in(folder: &Dir<'_>, root: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for file in folder.files() {
        let path = file.path().strip_prefix(root).unwrap_or(file.path());
        let path = path.to_string_lossy().into_owned();
        files.insert(path, file.contents().to_vec());
    }
    for inner in folder.dirs() {
        add_built_in(inner, root, files);
    }
}

fn read(folder: &Path) -> Result<Entry, CatalogueError> {
    let key = name_of(folder);
    let path = folder.join(FILE);
    let text = fs::read_to_string(&path).map_err(cannot_read(&path))?;
    let template = parse(&key, &text)?;
    let mut files = BTreeMap::new();
    if let Some(directory) = directory(&template) {
        let build = folder.join(directory);
        add_files(&build, &build, &mut files)?;
    }
    finish(key, template, files)
}

fn add_files(
    folder: &Path,
    root: &Path,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), CatalogueError> {
    for entry in fs::read_dir(folder).map_err(cannot_read(folder))? {
        let path = entry.map_err(cannot_read(folder))?.path();
        // A link would lead anywhere on the machine.
        let kind = fs::symlink_metadata(&path).map_err(cannot_read(&path))?;
        if kind.is_dir() {
            add_files(&path, root, files)?;
        } else if kind.is_file() {
            let inner = path.strip_prefix(root).unwrap_or(&path);
            let inner = inner.to_string_lossy().into_owned();
            files.insert(inner, fs::read(&path).map_err(cannot_read(&path))?);
        }
    }
    Ok(())
}

fn folders(own: &Path) -> Result<Vec<PathBuf>, CatalogueError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(own).map_err(cannot_read(own))? {
        let path = entry.map_err(cannot_read(own))?.path();
        if path.join(FILE).is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn parse(key: &str, text: &str) -> Result<Template, CatalogueError> {
    let template: Template = toml::from_str(text).map_err(|error| problem(key, error.message()))?;
    let problems = template.problems();
    match problems.is_empty() {
        true => Ok(template),
        false => Err(problem(key, &problems.join("; "))),
    }
}

fn directory(template: &Template) -> Option<&str> {
    template.build.as_ref()?.directory.as_deref()
}

fn finish(
    key: String,
    template: Template,
    files: BTreeMap<String, Vec<u8>>,
) -> Result<Entry, CatalogueError> {
    let is_key = key.parse::<tose_api::Slug>().is_ok();
    let size: usize = files.values().map(Vec::len).sum();
    let is_built_from_files = directory(&template).is_some();
    let wrong = match () {
        () if !is_key => "its folder is no slug",
        () if is_built_from_files && !files.contains_key("Dockerfile") => {
            "its build has no Dockerfile"
        }
        () if size > MAX_BUILD => "the files of its build have more than 4 MiB",
        () => {
            return Ok(Entry {
                key,
                template,
                files,
            });
        }
    };
    Err(problem(&key, wrong))
}

fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn problem(key: &str, problem: &str) -> CatalogueError {
    CatalogueError::Template {
        key: key.to_owned(),
        problem: problem.to_owned(),
    }
}

fn cannot_read(path: &Path) -> impl FnOnce(io::Error) -> CatalogueError {
    let path = path.to_owned();
    move |source| CatalogueError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applications that people look for first.
    const EXPECTED: [&str; 20] = [
        "n8n",
        "node-red",
        "uptime-kuma",
        "ghost",
        "wordpress",
        "gitea",
        "metabase",
        "umami",
        "nocodb",
        "directus",
        "strapi",
        "grafana",
        "rustfs",
        "meilisearch",
        "vaultwarden",
        "wikijs",
        "goclaw",
        "verdaccio",
        "datasette",
        "pgadmin",
    ];

    #[test]
    fn every_template_of_the_program_can_be_used() {
        let catalogue = Catalogue::open(None).expect("a catalogue");
        assert!(catalogue.entries().count() >= 40);
        for key in EXPECTED {
            let entry = catalogue.find(key).unwrap_or_else(|| panic!("{key}"));
            assert_eq!(entry.key, key);
            let by_name = catalogue.find(&entry.template.name);
            assert_eq!(by_name.map(|entry| entry.key.as_str()), Some(key));
        }
        let slug = "x".parse().expect("a slug");
        for entry in catalogue.entries() {
            for database in &entry.template.databases {
                assert!(
                    Template::database_slug(&slug, &database.name).is_some(),
                    "{}",
                    entry.key
                );
            }
        }
    }

    #[test]
    fn an_operators_templates_are_added_and_win() {
        const MINE: &str = "name = \"Mine\"\ndescription = \"An app of ours.\"\ncategory = \"developer\"\n\
            documentation = \"https://example.com/\"\nport = 80\ncpu = \"1\"\nram = \"1\"\n";
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        write(
            "ghost/template.toml",
            &format!("{MINE}image = \"mine:1\"\n"),
        );
        write(
            "own/template.toml",
            &format!("{MINE}[build]\ndirectory = \"src\"\n"),
        );
        write("own/src/Dockerfile", "FROM mine:1\n");
        write("own/src/inner/page.html", "hello");
        write("notes/readme.txt", "no template");
        let catalogue = Catalogue::open(Some(folder.path())).expect("a catalogue");
        assert_eq!(catalogue.find("ghost").expect("mine").template.name, "Mine");
        let own = catalogue.find("own").expect("mine");
        let files: Vec<_> = own.files.keys().map(String::as_str).collect();
        assert_eq!(files, ["Dockerfile", "inner/page.html"]);
        assert!(catalogue.find("notes").is_none());

        write(
            "own/template.toml",
            &format!("{MINE}image = \"mine:1\"\nsurprise = 1\n"),
        );
        let error = Catalogue::open(Some(folder.path())).expect_err("refused");
        let text = error.to_string();
        assert!(text.contains("own") && text.contains("surprise"), "{text}");
    }
}
