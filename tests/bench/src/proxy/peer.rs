//! The proxies to compare with, set up to do the same work: one worker, pooled connections to the
//! app, the same forwarding headers, no log, no answer on the disk.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Bench;
use super::contender::{Prepared, Site};

/// A proxy to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Debian's HAProxy.
    Haproxy,
    /// Debian's nginx.
    Nginx,
}

impl Peer {
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }

    /// Writes its configuration and certificates, and says how to start it in the foreground.
    pub(crate) fn prepare(self, bench: &Bench<'_>, sites: &[Site]) -> Result<Prepared> {
        let mut prepared = Prepared::new(bench, self.name(), sites.len())?;
        let dir = prepared.dir.to_str().context("a path is no text")?;
        for site in sites {
            write_certificate(&prepared.dir, site)?;
        }
        let (file, text) = match self {
            Self::Haproxy => ("haproxy.cfg", haproxy(&prepared, bench.app_addr, sites)?),
            Self::Nginx => ("nginx.conf", nginx(&prepared, bench.app_addr, sites)),
        };
        let file = format!("{dir}/{file}");
        fs::write(&file, text).with_context(|| format!("writing {file}"))?;
        let command = match self {
            Self::Haproxy => vec![self.name(), "-db", "-f", &file],
            Self::Nginx => vec![self.name(), "-e", "stderr", "-p", dir, "-c", &file],
        };
        prepared.command = command.into_iter().map(str::to_owned).collect();
        Ok(prepared)
    }
}

/// HAProxy's control socket.
pub(crate) fn control_socket(dir: &Path) -> PathBuf {
    dir.join("haproxy.sock")
}

/// HAProxy's file of hosts.
pub(crate) fn map_file(dir: &Path) -> PathBuf {
    dir.join("hosts.map")
}

/// HAProxy's list of certificates.
pub(crate) fn list_file(dir: &Path) -> PathBuf {
    dir.join("certificates.list")
}

/// Where a site's certificate lies, key and all.
pub(crate) fn certificate_file(dir: &Path, host: &str) -> PathBuf {
    dir.join(format!("{host}.pem"))
}

fn write_certificate(dir: &Path, site: &Site) -> Result<()> {
    let pem = format!("{}{}", site.certificate.chain, site.certificate.key);
    Ok(fs::write(certificate_file(dir, &site.host), pem)?)
}

fn nginx(prepared: &Prepared, app: SocketAddr, sites: &[Site]) -> String {
    let dir = prepared.dir.display();
    let mut servers = String::new();
    for Site { host, .. } in sites {
        let _ = write!(
            servers,
            "
    server {{
        listen {} backlog=4096;
        listen {} backlog=4096 ssl http2;
        server_name {host};
        ssl_certificate {dir}/{host}.pem;
        ssl_certificate_key {dir}/{host}.pem;
        location / {{
            proxy_pass http://app;
        }}
    }}",
            prepared.http, prepared.https
        );
    }
    format!(
        "worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    server_names_hash_max_size 65536;
    server_names_hash_bucket_size 128;
    ssl_protocols TLSv1.2 TLSv1.3;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    upstream app {{
        server {app};
        keepalive 128;
        keepalive_requests 100000000;
    }}
    proxy_max_temp_file_size 0;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Connection \"\";
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Request-Id $request_id;{servers}
}}
"
    )
}

fn haproxy(prepared: &Prepared, app: SocketAddr, sites: &[Site]) -> Result<String> {
    let dir = &prepared.dir;
    let (mut map, mut list) = (String::new(), String::new());
    for Site { host, .. } in sites {
        writeln!(map, "{host} app")?;
        writeln!(list, "{}", certificate_file(dir, host).display())?;
    }
    fs::write(map_file(dir), map)?;
    fs::write(list_file(dir), list)?;
    let route = match sites {
        [only] => format!("app if {{ req.hdr(host) -i {} }}", only.host),
        _ => format!(
            "%[req.hdr(host),lower,map_str({})]",
            map_file(dir).display()
        ),
    };
    Ok(format!(
        "global
    nbthread 1
    maxconn 8192
    stats socket {} level admin
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    timeout tunnel 1h
frontend bench
    bind {}
    bind {} ssl crt-list {} alpn h2,http/1.1
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Real-IP %[src]
    use_backend {route}
backend app
    http-reuse always
    server app {app} pool-max-conn 128
",
        control_socket(dir).display(),
        prepared.http,
        prepared.https,
        list_file(dir).display(),
    ))
}
