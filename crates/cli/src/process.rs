//! The two other programs that this one starts. Each gets its arguments one by one; no shell is
//! involved.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// How long a browser opener may run before it counts as a browser.
const OPENER_TIMEOUT: Duration = Duration::from_secs(3);

/// The address of the remote `origin` of the repository that `directory` is in.
pub(crate) async fn git_origin(directory: &Path) -> Option<String> {
    let output = command("git")
        .args(["remote", "get-url", "origin"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .await
        .ok()?;
    let address = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| address.trim().to_owned())
}

/// Opens `url`, which has been checked to be an http address, in a browser; tells whether that went
/// well.
pub(crate) async fn open_in_browser(url: &str) -> bool {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let started = command(opener)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else { return false };
    match tokio::time::timeout(OPENER_TIMEOUT, child.wait()).await {
        Ok(ended) => ended.is_ok_and(|status| status.success()),
        Err(_) => true,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
fn command(program: &'static str) -> Command {
    Command::new(program)
}
