//! Source trees that tests deploy.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

const APP: &str = include_str!("app.py");
const MAIN: &str = "import app\napp.serve()\n";
/// Waits in a build step until the file `/gate` is there.
const GATE: &str = "import os, time\n\
    print('waiting at the gate', flush=True)\n\
    while not os.path.exists('/gate'):\n\
    \x20   time.sleep(0.02)\n\
    print('through the gate', flush=True)\n";
const RECIPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/recipes");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

/// The files of a commit.
#[derive(Debug, Clone)]
pub struct Source {
    files: BTreeMap<String, String>,
}

impl Source {
    /// An app in Python that answers every path with `page`. On request (see `app.py`) it prints,
    /// fetches, crashes, and fails its health path.
    pub fn app(page: &str) -> Self {
        let files = BTreeMap::new();
        Self { files }
            .file("app.py", APP)
            .file("page", page)
            .main(MAIN)
            .dockerfile(&[])
    }

    /// An app of `examples/`.
    pub fn example(name: &str) -> Self {
        let folder = Path::new(EXAMPLES).join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        let mut source = Self {
            files: BTreeMap::new(),
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().expect("a name").to_string_lossy();
                let text = fs::read_to_string(&path).expect("the examples hold texts");
                source.files.insert(name.into_owned(), text);
            }
        }
        source
    }

    /// An app of `fixtures/recipes`: without a Dockerfile.
    pub fn recipe(name: &str) -> Self {
        let mut source = Self {
            files: BTreeMap::new(),
        };
        source.add_folder(&Path::new(RECIPES).join(name), "");
        source
    }

    fn add_folder(&mut self, folder: &Path, before: &str) {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        for entry in entries {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            let name = format!("{before}{name}");
            if path.is_dir() {
                self.add_folder(&path, &format!("{name}/"));
            } else {
                let text = fs::read_to_string(&path).expect("the fixtures hold texts");
                self.files.insert(name, text);
            }
        }
    }

    /// As a gzipped archive, as it is sent along.
    pub fn archive(&self) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, text) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(text.len() as u64);
            archive
                .append_data(&mut header, name, text.as_bytes())
                .expect("packed");
        }
        let packed = archive.into_inner().and_then(GzEncoder::finish);
        packed.expect("packed")
    }

    /// With this program in place of the one that only serves.
    pub fn main(self, code: &str) -> Self {
        self.file("main.py", code)
    }

    /// With these instructions before the Dockerfile's last one.
    pub fn dockerfile(self, steps: &[&str]) -> Self {
        let steps: String = steps.iter().map(|step| format!("{step}\n")).collect();
        let text = format!(
            "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\n{steps}CMD [\"python3\", \"-u\", \"main.py\"]\n"
        );
        self.file("Dockerfile", &text)
    }

    /// With a build step that takes until the test opens the gate.
    pub fn gated(self) -> Self {
        self.file("gate.py", GATE)
            .dockerfile(&["RUN python3 gate.py"])
    }

    /// With a file, or another text in it.
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    /// Without a file.
    pub fn without(mut self, path: &str) -> Self {
        self.files.remove(path);
        self
    }

    /// The files, with `mark` as a label in whatever the Dockerfile builds: images, and the
    /// containers of its steps.
    pub(crate) fn marked(&self, mark: &str) -> BTreeMap<String, String> {
        let mut files = self.files.clone();
        if let Some(text) = files.get_mut("Dockerfile")
            && let Some((from, rest)) = text.split_once('\n')
        {
            *text = format!("{from}\nLABEL {mark}\n{rest}");
        }
        files
    }
}
