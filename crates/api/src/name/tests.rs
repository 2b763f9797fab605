//! Which texts are names, and which are refused.

use super::*;

fn check<T: FromStr>(good: &[&str], bad: &[&str]) {
    for text in good {
        assert!(text.parse::<T>().is_ok(), "refused: {text:?}");
    }
    for text in bad {
        assert!(text.parse::<T>().is_err(), "accepted: {text:?}");
    }
}

#[test]
fn slugs_are_short_lower_case_labels() {
    let longest = "a".repeat(40);
    let too_long = "a".repeat(41);
    check::<Slug>(
        &["a", "a-b", "0", "my-app-2", &longest],
        &["", "-a", "a-", "A", "a_b", "a b", "ứng", &too_long],
    );
}

#[test]
fn hostnames_are_dotted_labels() {
    check::<Hostname>(
        &["localhost", "a.example.com", "xn--bcher-kva.example"],
        &[
            "", ".a", "a.", "a..b", "-a.b", "a-.b", "A.b", "a b", "a/b", "a:80",
        ],
    );
}

#[test]
fn image_references_follow_the_registry_grammar() {
    let digest = format!("nginx@sha256:{}", "0".repeat(64));
    check::<ImageRef>(
        &[
            "nginx",
            "nginx:1.27",
            "ghcr.io/a/b:v1",
            "localhost:5000/x",
            "a/b_c",
            &digest,
        ],
        &[
            "",
            "Nginx",
            "-nginx",
            "nginx:",
            "a//b",
            "a b",
            "nginx@sha256:12",
            "a:b:c",
            "/a",
        ],
    );
}

#[test]
fn branches_follow_gits_rules_and_never_look_like_an_option() {
    check::<BranchName>(
        &["main", "feature/x", "v1.0", "Ünïcode"],
        &[
            "",
            "-x",
            "--upload-pack=x",
            "a..b",
            "a b",
            "a~1",
            "a:b",
            "x.lock",
            "a//b",
            "@{u}",
            "/a",
        ],
    );
}

#[test]
fn repository_addresses_carry_no_credentials_and_no_options() {
    check::<RepoUrl>(
        &[
            "https://example.com/a/b.git",
            "https://example.com:8443/a",
            "ssh://git@example.com:22/a/b",
            "git@example.com:a/b.git",
            "file:///srv/git/a",
        ],
        &[
            "",
            "http://example.com/a",
            "git://example.com/a",
            "https://user:secret@example.com/a",
            "https://token@example.com/a",
            "https://example.com",
            "https://-x/a",
            "ext::sh -c id",
            "--upload-pack=x",
            "git@example.com:-x",
            "-oProxyCommand=x@example.com:a",
            "ssh://-oProxyCommand=x/a",
            "file://relative",
            "https://example.com/a b",
            "https://example.com/a\n",
        ],
    );
}

#[test]
fn repository_paths_stay_inside() {
    check::<RepoPath>(
        &[".", "Dockerfile", "apps/web", "a..b"],
        &["", "/etc", "../x", "a/../../b", "-f", "a\\b", "a\0b"],
    );
}

#[test]
fn env_keys_are_identifiers() {
    check::<EnvKey>(
        &["A", "_x", "LOG_LEVEL2"],
        &["", "1A", "A-B", "A=B", "A B", "Ä"],
    );
}

#[test]
fn ports_are_numbers_or_texts_from_1_to_65535() {
    let port = |json: &str| serde_json::from_str::<Port>(json).ok().map(Port::get);
    assert_eq!(port("3000"), Some(3000));
    assert_eq!(port("\"8080\""), Some(8080));
    for bad in ["0", "65536", "-1", "\"x\"", "1.5", "null", "true"] {
        assert_eq!(port(bad), None, "{bad}");
    }
}

#[test]
fn an_image_reference_names_its_registry_and_repository() {
    for (image, registry, repository) in [
        ("nginx", "docker.io", "nginx"),
        ("team/app:1", "docker.io", "team/app"),
        (
            "index.docker.io/team/app",
            "docker.io",
            "index.docker.io/team/app",
        ),
        ("localhost/app", "localhost", "localhost/app"),
        ("r.example:5000/a/b", "r.example:5000", "r.example:5000/a/b"),
        ("ghcr.io/a/b:1", "ghcr.io", "ghcr.io/a/b"),
    ] {
        let parsed: ImageRef = image.parse().expect("an image");
        assert_eq!(parsed.registry().as_str(), registry, "{image}");
        assert_eq!(parsed.repository(), repository, "{image}");
    }
    let digest = format!("ghcr.io/a/b:1@sha256:{}", "0".repeat(64));
    let parsed: ImageRef = digest.parse().expect("an image");
    assert_eq!(parsed.repository(), "ghcr.io/a/b");
}

#[test]
fn a_registry_is_a_host_with_or_without_a_port() {
    for good in ["ghcr.io", "docker.io", "localhost:5000", "127.0.0.1:1"] {
        assert!(good.parse::<RegistryHost>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "Ghcr.io",
        "https://ghcr.io",
        "ghcr.io/team",
        ".io",
        "a:",
        "a:x",
        "a b",
    ] {
        assert!(bad.parse::<RegistryHost>().is_err(), "{bad}");
    }
}
