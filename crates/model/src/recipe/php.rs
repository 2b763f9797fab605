//! PHP in Apache: plain files, Composer, Laravel and others with a `public` folder.

use serde_json::{Map, Value};

use super::dockerfile::{Dockerfile, Word};
use super::start::{self, Start};
use super::tree::Tree;
use super::version::Choice;
use super::{Draft, Inputs};
use crate::error::{Error, Result};

/// Extensions that the image's own script builds, without anything else.
const EXTENSIONS: [&str; 9] = [
    "bcmath",
    "calendar",
    "exif",
    "mysqli",
    "pcntl",
    "pdo_mysql",
    "shmop",
    "sockets",
    "sysvshm",
];
/// Extensions that are in the image already.
const BUILT_IN: [&str; 23] = [
    "ctype",
    "curl",
    "date",
    "dom",
    "fileinfo",
    "filter",
    "hash",
    "iconv",
    "json",
    "libxml",
    "mbstring",
    "openssl",
    "pcre",
    "pdo",
    "pdo_sqlite",
    "phar",
    "session",
    "simplexml",
    "sodium",
    "sqlite3",
    "tokenizer",
    "xml",
    "zlib",
];

pub(super) fn detect(tree: &Tree) -> Option<&'static str> {
    if tree.has("composer.json") {
        return Some("it has a composer.json");
    }
    tree.has("index.php").then_some("it has an index.php")
}

pub(super) fn write(inputs: &Inputs<'_>) -> Result<Draft> {
    let tree = inputs.tree;
    let manifest = read_manifest(tree)?;
    let requires = manifest.get("require").and_then(Value::as_object);
    let wanted = requires.and_then(|requires| requires.get("php")?.as_str());
    let mut notes = Vec::new();
    let mut out = Dockerfile::default();
    out.from(&Choice::make(&inputs.images.php, wanted, 1).apply(&inputs.images.php));
    out.line("ENV PORT=3000");
    let is_laravel = tree.has("artisan");
    for name in extensions(requires, is_laravel, &mut notes) {
        out.run_with(
            "docker-php-ext-install ",
            &Word::parse_name(name).expect("ours are words"),
            "",
        );
    }
    out.line("WORKDIR /var/www/html");
    // Apache puts `PORT` into its configuration at its start.
    out.line("RUN a2enmod rewrite && sed -i 's/^Listen 80$/Listen ${PORT}/' /etc/apache2/ports.conf && sed -i 's/:80>/:${PORT}>/' /etc/apache2/sites-available/000-default.conf");
    out.line("RUN printf '%s\\n' 'ServerName localhost' '<Directory /var/www/>' 'AllowOverride All' '</Directory>' '<FilesMatch \"^(\\.|tose\\.(json|toml)$|Procfile$|composer\\.)\">' 'Require all denied' '</FilesMatch>' > /etc/apache2/conf-available/tose.conf && a2enconf tose");
    let folder = public_folder(inputs)?;
    if folder.as_str() != "." {
        out.run_with(
            "sed -i 's#DocumentRoot .*#DocumentRoot /var/www/html/",
            &folder,
            "#' /etc/apache2/sites-available/000-default.conf",
        );
    }
    if tree.has("composer.json") {
        install(&mut out, inputs)?;
    }
    out.line("COPY --chown=www-data:www-data . .");
    if tree.has("composer.json") && inputs.wishes.install.is_none() {
        out.line("RUN composer dump-autoload --optimize --no-dev");
    }
    if let Some(command) = inputs.wishes.build()? {
        out.build(&command, inputs.variables);
    }
    if is_laravel {
        out.line("RUN mkdir -p storage/framework/cache storage/framework/sessions storage/framework/views storage/logs bootstrap/cache && chown -R www-data:www-data storage bootstrap/cache");
        if tree.has("package.json") {
            notes.push(
                "package.json is not used: build its assets before you push, or bring a Dockerfile"
                    .to_owned(),
            );
        }
    }
    out.line("USER www-data");
    match start::stated(inputs)? {
        Some(start) => out.start(&start),
        None => out.start(&Start::program(&["apache2-foreground"])),
    }
    Ok(Draft {
        dockerfile: out,
        ignore: vec!["vendor"],
        notes,
    })
}

fn read_manifest(tree: &Tree) -> Result<Map<String, Value>> {
    let text = tree.text("composer.json");
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text)
        .map_err(|error| Error::invalid(format!("composer.json cannot be read: {error}")))
}

fn extensions(
    requires: Option<&Map<String, Value>>,
    is_laravel: bool,
    notes: &mut Vec<String>,
) -> Vec<&'static str> {
    let mut found = Vec::new();
    let names = requires.into_iter().flat_map(|requires| requires.keys());
    for name in names.filter_map(|name| name.strip_prefix("ext-")) {
        match EXTENSIONS.iter().find(|known| **known == name) {
            Some(known) => found.push(*known),
            None if BUILT_IN.contains(&name) => {}
            None => notes.push(format!(
                "the extension `{}` needs libraries of the system: bring a Dockerfile that installs them",
                name.escape_default()
            )),
        }
    }
    if is_laravel && !found.contains(&"pdo_mysql") {
        found.push("pdo_mysql");
    }
    found
}

/// The folder that visitors see.
fn public_folder(inputs: &Inputs<'_>) -> Result<Word> {
    if let Some(folder) = inputs.wishes.static_folder()? {
        return Ok(folder);
    }
    let folders = ["public", "web", "htdocs"];
    let found = folders
        .into_iter()
        .find(|folder| inputs.tree.has(&format!("{folder}/index.php")));
    Ok(Word::parse(found.unwrap_or(".")).expect("ours are words"))
}

fn install(out: &mut Dockerfile, inputs: &Inputs<'_>) -> Result<()> {
    out.line("ENV COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_NO_INTERACTION=1");
    out.line("RUN apt-get update && apt-get install -y --no-install-recommends git unzip && rm -rf /var/lib/apt/lists/*");
    out.copy_composer(&inputs.images.composer);
    if let Some(command) = inputs.wishes.install()? {
        out.line("COPY . .");
        out.run(&command);
        return Ok(());
    }
    match inputs.tree.has("composer.lock") {
        true => out.copy(&["composer.json", "composer.lock"]),
        false => out.copy(&["composer.json"]),
    }
    out.line("RUN composer install --no-dev --no-scripts --no-autoloader --prefer-dist");
    Ok(())
}
