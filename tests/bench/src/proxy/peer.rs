//! The proxies to compare with, set up to do the same work: one worker, pooled connections to the
//! app, the same forwarding headers, no log.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::PROXY_CORE;
use crate::process::pinned;

/// A proxy to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// Debian's nginx.
    Nginx,
    /// Debian's HAProxy.
    Haproxy,
}

impl Peer {
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    /// What has to hold, and what is aimed at. Pingora took 1.63 times nginx's CPU and 1.80 times
    /// HAProxy's where all were measured side by side, and HAProxy served 1.10 times nginx's rate.
    pub(crate) const fn bars(self) -> &'static str {
        match self {
            Self::Nginx => {
                "gate:   CPU per request <= 1.30 (0.8 of Pingora)\ntarget: requests per second >= 1.21 (1.10 of HAProxy), p99 <= 1.00"
            }
            Self::Haproxy => {
                "gate:   CPU per request <= 1.44 (0.8 of Pingora)\ntarget: requests per second >= 1.10, p99 <= 1.00"
            }
        }
    }

    /// Starts it in the foreground, with its configuration in `dir`.
    pub(crate) fn command(self, dir: &Path, addr: SocketAddr, app: SocketAddr) -> Result<Command> {
        let (file, text) = match self {
            Self::Nginx => ("nginx.conf", nginx(dir, addr, app)),
            Self::Haproxy => ("haproxy.cfg", haproxy(addr, app)),
        };
        let file = dir.join(file);
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        let mut command = pinned(PROXY_CORE, self.name());
        match self {
            Self::Nginx => command
                .arg("-e")
                .arg("stderr")
                .arg("-p")
                .arg(dir)
                .arg("-c")
                .arg(file),
            Self::Haproxy => command.arg("-db").arg("-f").arg(file),
        };
        Ok(command)
    }
}

fn nginx(dir: &Path, addr: SocketAddr, app: SocketAddr) -> String {
    let dir = dir.display();
    format!(
        "worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 100000000;
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
    server {{
        listen {addr} backlog=4096;
        server_name bench.localhost;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection \"\";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Request-Id $request_id;
        }}
    }}
}}
"
    )
}

fn haproxy(addr: SocketAddr, app: SocketAddr) -> String {
    format!(
        "global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
frontend bench
    bind {addr}
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Real-IP %[src]
    use_backend app if {{ req.hdr(host) -i bench.localhost }}
backend app
    http-reuse always
    server app {app} pool-max-conn 128
"
    )
}
