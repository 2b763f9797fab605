//! Static files, served by nginx without root, and sites that are nothing else.

use super::dockerfile::{Dockerfile, Word};
use super::images::Images;
use super::start::Start;
use super::tree::Tree;
use super::{Draft, Inputs};
use crate::error::{Error, Result};

/// What is nobody's page.
pub(super) const IGNORE: [&str; 5] = [
    ".dockerignore",
    ".gitignore",
    "Procfile",
    "tose.json",
    "tose.toml",
];
/// Where pages lie when they are not at the root.
const FOLDERS: [&str; 4] = ["public", "dist", "site", "www"];

/// nginx's configuration, line by line. `PORT` is put in at the start, which works with any nginx image
/// and needs no right to write but to `/tmp`.
const CONFIG: &str = "\
RUN printf '%s\\n' \\
    'pid /tmp/nginx.pid;' \\
    'error_log /dev/stderr warn;' \\
    'worker_processes 1;' \\
    'events { worker_connections 1024; }' \\
    'http {' \\
    '  include /etc/nginx/mime.types;' \\
    '  default_type application/octet-stream;' \\
    '  access_log off;' \\
    '  server_tokens off;' \\
    '  absolute_redirect off;' \\
    '  sendfile on;' \\
    '  tcp_nopush on;' \\
    '  gzip on;' \\
    '  gzip_vary on;' \\
    '  gzip_types text/css text/plain application/javascript text/javascript application/json application/manifest+json application/xml image/svg+xml;' \\
    '  client_body_temp_path /tmp/body;' \\
    '  proxy_temp_path /tmp/proxy;' \\
    '  fastcgi_temp_path /tmp/fastcgi;' \\
    '  uwsgi_temp_path /tmp/uwsgi;' \\
    '  scgi_temp_path /tmp/scgi;' \\
    '  server {' \\
    '    listen @PORT@;' \\
    '    root /srv;' \\
    '    index index.html;' \\
    '    location ~ /\\.(?!well-known/) { return 404; }' \\";
/// For a site of many pages.
const MANY_PAGES: &str = "    \
    '    location / { try_files $uri $uri.html $uri/ =404; }' \\
    '    error_page 404 /404.html;' \\";
/// For an app whose one page answers every path.
const SINGLE_PAGE: &str = "    \
    '    location / { try_files $uri $uri.html $uri/ /index.html; }' \\";
const CONFIG_END: &str = "    \
    '  }' \\
    '}' > /etc/nginx/tose.conf";
const START: &str = "sed \"s/@PORT@/$PORT/\" /etc/nginx/tose.conf > /tmp/nginx.conf && exec nginx -c /tmp/nginx.conf -g 'daemon off;'";

pub(super) fn detect(tree: &Tree) -> Option<&'static str> {
    tree.has("index.html").then_some("it has an index.html")
}

pub(super) fn write(inputs: &Inputs<'_>) -> Result<Draft> {
    let mut out = Dockerfile::default();
    // The context's files all have one time, by which browsers would take a change for none.
    out.stage(&inputs.images.static_server, "files");
    out.line("WORKDIR /source");
    out.line("COPY . .");
    if let Some(command) = inputs.wishes.build()? {
        out.build(&command, inputs.variables);
    }
    out.line("RUN find . -type f -exec touch {} +");
    let folder = match inputs.wishes.static_folder()? {
        Some(folder) => folder,
        None if inputs.tree.has("index.html") => Word::parse(".").expect("a word"),
        None => FOLDERS
            .iter()
            .find(|folder| inputs.tree.has(&format!("{folder}/index.html")))
            .and_then(|folder| Word::parse(folder))
            .ok_or_else(|| {
                Error::invalid("there is no index.html; set build.static_dir in tose.json to the folder that has it")
            })?,
    };
    serve(
        &mut out,
        inputs.images,
        ("files", ("/source/", &folder, "/")),
        false,
    );
    Ok(Draft {
        dockerfile: out,
        ignore: IGNORE.to_vec(),
        notes: Vec::new(),
    })
}

/// The last stage: nginx with a folder of an earlier one.
pub(super) fn serve(
    out: &mut Dockerfile,
    images: &Images,
    (stage, folder): (&'static str, (&'static str, &Word, &'static str)),
    is_single_page: bool,
) {
    out.from(&images.static_server);
    out.line("ENV PORT=3000");
    out.line(CONFIG);
    out.line(if is_single_page {
        SINGLE_PAGE
    } else {
        MANY_PAGES
    });
    out.line(CONFIG_END);
    out.copy_from(stage, folder, "/srv/");
    out.user();
    out.line("ENTRYPOINT []");
    out.start(&Start::Shell(START.to_owned()));
}
