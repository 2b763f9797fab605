//! Web servers in front of apps: nginx, Apache, Caddy.

use super::{BASE, CERTAIN, HINT, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "nginx-upstream-host",
        title: "nginx does not know the upstream host {host}",
        texts: &["host not found in upstream \"{host}\""],
        fix: "Write the address where {host} is reached here: a name of a compose file is not known, and nginx looks it up at its start.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "nginx-folder",
        title: "nginx may not write to {path}",
        texts: &[
            "mkdir() \"{path}\" failed (13: Permission denied)",
            "open() \"{path}\" failed (13: Permission denied)",
            "mkdir() \"{path}\" failed (30: Read-only file system)",
            "open() \"{path}\" failed (30: Read-only file system)",
        ],
        near: &["[emerg]", "[alert]"],
        fix: "Put its temporary paths and its pid file below /tmp (`client_body_temp_path`, `pid`), or use the image nginxinc/nginx-unprivileged.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "nginx-configuration",
        title: "nginx's configuration is wrong: {what}",
        texts: &["[emerg] {id#}#{thread#}: {what*}", "nginx: [emerg] {what*}"],
        fix: "Correct the file and line that it names; `nginx -t` tests it.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "nginx-upstream",
        title: "The app behind nginx does not answer",
        texts: &[
            "connect() failed (111: Connection refused) while connecting to upstream",
            "upstream timed out (110: Connection timed out)",
            "no live upstreams while connecting to upstream",
            "upstream prematurely closed connection while reading response header",
        ],
        fix: "Look at the app's own log, and check that it listens on the address in `proxy_pass` or `fastcgi_pass`.",
        confidence: POSSIBLE,
        passes: true,
        ..BASE
    },
    Pattern {
        id: "apache-modules",
        title: "Apache has more than one module for its processes",
        texts: &["AH00534: apache2: Configuration error: More than one MPM loaded"],
        fix: "Enable one only: run `a2dismod mpm_event mpm_worker` and `a2enmod mpm_prefork` in the Dockerfile.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "apache-configuration",
        title: "Apache's configuration is wrong",
        texts: &[
            "AH00526: Syntax error on line {line#} of {file}",
            "Syntax error on line {line#} of {file}",
            "Invalid command '{command}', perhaps misspelled or defined by a module not included",
        ],
        fix: "Correct the line that it names. A directive that it does not know needs its module: `a2enmod rewrite`, for example.",
        confidence: LIKELY,
        is_first: true,
        more: 1,
        ..BASE
    },
    Pattern {
        id: "caddy-configuration",
        title: "Caddy's configuration is wrong: {what}",
        texts: &[
            "Error: adapting config using caddyfile: {what*}",
            "Error: loading initial config: {what*}",
        ],
        fix: "Correct the Caddyfile. Use `:{$PORT}` as its address and `auto_https off`: the platform has the certificates.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "proxy-redirects",
        title: "The app and the proxy in front send visitors in circles",
        texts: &[
            "ERR_TOO_MANY_REDIRECTS",
            "Exceeded 30 redirects",
            "stopped after 10 redirects",
            "TooManyRedirects",
        ],
        fix: "Trust the header X-Forwarded-Proto in the app, or do not redirect to https there: the platform does it.",
        confidence: HINT,
        ..BASE
    },
];
