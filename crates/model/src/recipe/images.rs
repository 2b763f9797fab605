//! The base images that recipes build on. An operator may name others: with a registry of their own
//! before them, say.

/// An image for each part of each recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Node.js with npm, yarn and a shell.
    pub node: String,
    /// Bun.
    pub bun: String,
    /// Deno.
    pub deno: String,
    /// Python with pip.
    pub python: String,
    /// Go's tools.
    pub go: String,
    /// Rust's tools.
    pub rust: String,
    /// Runs what Go and Rust programs are built to.
    pub debian: String,
    /// PHP in Apache.
    pub php: String,
    /// Composer, of which one file is taken.
    pub composer: String,
    /// Ruby with Bundler.
    pub ruby: String,
    /// Maven with a Java of the version that `java` has.
    pub maven: String,
    /// Gradle with a Java of the version that `java` has.
    pub gradle: String,
    /// Runs what Java programs are built to.
    pub java: String,
    /// nginx, for static files.
    pub static_server: String,
}

impl Default for Images {
    fn default() -> Self {
        let image = str::to_owned;
        Self {
            node: image("node:22-slim"),
            bun: image("oven/bun:1"),
            deno: image("denoland/deno:debian"),
            python: image("python:3.12-slim"),
            go: image("golang:1-bookworm"),
            rust: image("rust:1-slim-bookworm"),
            debian: image("debian:bookworm-slim"),
            php: image("php:8-apache"),
            composer: image("composer:2"),
            ruby: image("ruby:3.3-slim"),
            maven: image("maven:3-eclipse-temurin-21"),
            gradle: image("gradle:8-jdk21"),
            java: image("eclipse-temurin:21-jre"),
            static_server: image("nginx:1"),
        }
    }
}
