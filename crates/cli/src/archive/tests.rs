//! What is packed, and what stays out.

use std::io::Read;

use flate2::read::GzDecoder;

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, text).expect("a file");
    }
    folder
}

/// The names of what is packed, and how each entry is packed.
fn entries(archive: &Archive) -> Vec<(String, tar::EntryType)> {
    let mut plain = Vec::new();
    let mut gzip = GzDecoder::new(archive.bytes.as_slice());
    gzip.read_to_end(&mut plain).expect("gzip");
    let mut archive = tar::Archive::new(plain.as_slice());
    let entries = archive.entries().expect("entries").map(|entry| {
        let entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        (path, entry.header().entry_type())
    });
    entries.collect()
}

fn names(folder: &Path, dockerfile: Option<&str>) -> Vec<String> {
    let archive = pack(folder, dockerfile).expect("an archive");
    entries(&archive)
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn what_git_ignores_stays_out_in_every_folder() {
    let folder = folder(&[
        (".git/config", ""),
        (".gitignore", "*.log\n"),
        (".env.example", "A=1"),
        ("Dockerfile", "FROM x"),
        ("a.log", ""),
        ("node_modules/b.js", ""),
        ("web/.gitignore", "dist\n"),
        ("web/c.js", ""),
        ("web/dist/d.js", ""),
    ]);
    let expected = [
        ".env.example",
        ".gitignore",
        "Dockerfile",
        "web",
        "web/.gitignore",
        "web/c.js",
    ];
    assert_eq!(names(folder.path(), None), expected);
    fs::remove_dir_all(folder.path().join(".git")).expect("a folder");
    assert_eq!(names(folder.path(), None), expected, "without a repository");
}

#[test]
fn the_rules_of_a_folder_above_count_within_a_repository_only() {
    let folder = folder(&[(".gitignore", "*\n"), ("app/Dockerfile", "FROM x")]);
    let app = folder.path().join("app");
    assert_eq!(names(&app, None), ["Dockerfile"]);
    fs::create_dir(folder.path().join(".git")).expect("a folder");
    assert!(names(&app, None).is_empty());
}

#[test]
fn dockerignore_counts_where_the_folder_is_what_the_dockerfile_sees() {
    let folder = folder(&[
        (".dockerignore", "# all but\ndocs\nbuild\n!build/keep\n"),
        ("build/drop", ""),
        ("build/keep", ""),
        ("docs/Dockerfile", "FROM x"),
        ("docs/page", ""),
    ]);
    let expected = [
        ".dockerignore",
        "build",
        "build/keep",
        "docs",
        "docs/Dockerfile",
    ];
    assert_eq!(names(folder.path(), Some("./docs/Dockerfile")), expected);
    assert_eq!(names(folder.path(), None).len(), 7);
}

#[test]
fn a_dockerfile_is_packed_whatever_the_rules_say() {
    let folder = folder(&[
        (".dockerignore", "docker\nDockerfile\n"),
        ("Dockerfile", "FROM x"),
        ("docker/web", "FROM x"),
        ("docker/db", "FROM x"),
    ]);
    let with_root_file = [".dockerignore", "Dockerfile"];
    assert_eq!(names(folder.path(), Some("Dockerfile")), with_root_file);
    let with_other_file = [".dockerignore", "docker", "docker/web"];
    assert_eq!(names(folder.path(), Some("docker/web")), with_other_file);
}

#[test]
fn links_are_packed_as_links_and_sockets_not_at_all() {
    let folder = folder(&[("a", "1")]);
    std::os::unix::fs::symlink("/etc", folder.path().join("b")).expect("a link");
    let socket = folder.path().join("c");
    let _listener = std::os::unix::net::UnixListener::bind(socket).expect("a socket");
    let archive = pack(folder.path(), None).expect("an archive");
    let expected = [
        ("a".to_owned(), tar::EntryType::Regular),
        ("b".to_owned(), tar::EntryType::Symlink),
    ];
    assert_eq!(entries(&archive), expected);
    assert_eq!(archive.file_count, 2);
}

#[test]
fn the_same_folder_makes_the_same_archive() {
    let files = [("Dockerfile", "FROM x"), ("a/b", "1"), ("c", "2")];
    let (first, second) = (folder(&files), folder(&files));
    let bytes = |folder: &Path| pack(folder, None).expect("an archive").bytes;
    assert_eq!(bytes(first.path()), bytes(second.path()));
}
