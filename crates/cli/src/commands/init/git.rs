//! Which repository a project is built from.

use std::path::Path;

use anyhow::Result;
use tose_api::RepoUrl;
use tose_api::git::{ConnectGit, GitConnectionView};

use super::{InitArgs, differing};
use crate::error::Error;
use crate::process;

/// What has to be said to the server about a project's repository.
#[derive(Debug)]
pub(super) enum Step {
    Nothing,
    /// There is no connection, and no repository to connect.
    Missing,
    Connect(ConnectGit),
    Update(ConnectGit),
}

/// The remote `origin` of the repository that `directory` is in, if a server can reach it.
pub(super) async fn origin(directory: &Path) -> Option<RepoUrl> {
    let address = process::git_origin(directory).await?;
    let url: RepoUrl = without_credentials(&address).parse().ok()?;
    (!url.is_local_file()).then_some(url)
}

/// The address without the `user:token@` that some tools write into https remotes.
fn without_credentials(address: &str) -> String {
    let Some(rest) = address.strip_prefix("https://") else {
        return address.to_owned();
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("https://{host}/{path}")
}

/// Compares what is given with the connection that there is.
pub(super) fn plan(
    args: &InitArgs,
    connected: Option<&GitConnectionView>,
    origin: Option<RepoUrl>,
    deploy_key: Option<String>,
) -> Result<Step> {
    let given = ConnectGit {
        repo_url: args.repo.clone(),
        branch: args.branch.clone(),
        root_directory: args.root_directory.clone(),
        dockerfile_path: args.dockerfile.clone(),
        deploy_key,
        installation_id: args.installation,
        ..ConnectGit::default()
    };
    let Some(there) = connected else {
        return connect(given, origin);
    };
    let update = ConnectGit {
        repo_url: differing(&given.repo_url, &there.repo_url),
        branch: differing(&given.branch, &there.branch),
        root_directory: differing(&given.root_directory.map(Some), &there.root_directory).flatten(),
        dockerfile_path: differing(&given.dockerfile_path.map(Some), &there.dockerfile_path)
            .flatten(),
        installation_id: differing(&given.installation_id.map(Some), &there.installation_id)
            .flatten(),
        // A key cannot be compared with the one that is kept.
        deploy_key: given.deploy_key,
        ..ConnectGit::default()
    };
    Ok(if is_empty(&update) {
        Step::Nothing
    } else {
        Step::Update(update)
    })
}

fn connect(given: ConnectGit, origin: Option<RepoUrl>) -> Result<Step> {
    match given.repo_url.clone().or(origin) {
        Some(repo_url) => Ok(Step::Connect(ConnectGit {
            repo_url: Some(repo_url),
            ..given
        })),
        None if is_empty(&given) => Ok(Step::Missing),
        None => Err(Error::Usage("name the repository with --repo".to_owned()).into()),
    }
}

fn is_empty(connection: &ConnectGit) -> bool {
    matches!(
        connection,
        ConnectGit {
            repo_full_name: None,
            repo_url: None,
            branch: None,
            installation_id: None,
            auto_deploy: None,
            root_directory: None,
            dockerfile_path: None,
            deploy_key: None,
            access_token: None,
            watch_paths: None,
            provider: None,
            previews: None,
            preview_limit: None,
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RepoUrl {
        text.parse().expect(text)
    }

    fn connection() -> GitConnectionView {
        GitConnectionView {
            repo_full_name: None,
            repo_url: url("https://git.example.com/a/b.git"),
            branch: "main".parse().expect("a branch"),
            auto_deploy: true,
            root_directory: None,
            dockerfile_path: None,
            has_deploy_key: false,
            deploy_key_public: None,
            has_access_token: false,
            installation_id: None,
            watch_paths: Vec::new(),
            provider: None,
            previews: false,
            preview_limit: 5,
            last_commit_status: None,
            created_at: tose_api::Timestamp::from_nanos(0),
        }
    }

    #[test]
    fn the_origin_is_connected_where_nothing_is() {
        let origin = url("https://git.example.com/a/b.git");
        let step = plan(&InitArgs::default(), None, Some(origin.clone()), None).expect("a plan");
        assert!(matches!(step, Step::Connect(body) if body.repo_url == Some(origin)));
        let step = plan(&InitArgs::default(), None, None, None).expect("a plan");
        assert!(matches!(step, Step::Missing));
    }

    #[test]
    fn what_is_given_comes_before_the_origin() {
        let repo = url("ssh://git@git.example.com/a/b.git");
        let args = InitArgs {
            repo: Some(repo.clone()),
            ..InitArgs::default()
        };
        let origin = url("https://git.example.com/other");
        let step = plan(&args, None, Some(origin), None).expect("a plan");
        assert!(matches!(step, Step::Connect(body) if body.repo_url == Some(repo)));
    }

    #[test]
    fn a_connection_that_is_as_wanted_stays() {
        let there = connection();
        let args = InitArgs {
            repo: Some(there.repo_url.clone()),
            branch: Some(there.branch.clone()),
            ..InitArgs::default()
        };
        let origin = Some(url("https://git.example.com/other"));
        let step = plan(&args, Some(&there), origin, None).expect("a plan");
        assert!(matches!(step, Step::Nothing));
    }

    #[test]
    fn only_differences_are_sent() {
        let there = connection();
        let branch = "next".parse().expect("a branch");
        let args = InitArgs {
            repo: Some(there.repo_url.clone()),
            branch: Some(branch),
            ..InitArgs::default()
        };
        match plan(&args, Some(&there), None, None).expect("a plan") {
            Step::Update(body) => {
                assert_eq!(body.branch, args.branch);
                assert_eq!(body.repo_url, None);
            }
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn settings_of_a_repository_need_a_repository() {
        let args = InitArgs {
            branch: Some("next".parse().expect("a branch")),
            ..InitArgs::default()
        };
        assert!(plan(&args, None, None, None).is_err());
    }

    #[test]
    fn credentials_do_not_leave_with_the_address() {
        for (address, without) in [
            (
                "https://u:t@git.example.com/a/b.git",
                "https://git.example.com/a/b.git",
            ),
            (
                "https://t@git.example.com/a/b@c",
                "https://git.example.com/a/b@c",
            ),
            ("https://git.example.com/a/b", "https://git.example.com/a/b"),
            ("git@git.example.com:a/b.git", "git@git.example.com:a/b.git"),
        ] {
            assert_eq!(without_credentials(address), without);
        }
    }
}
