//! The machine's firewall follows the workspaces' networks.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use tose_api::WorkspaceId;
use tose_model::IdGen;
use tose_model::driver::{Driver, EngineStep};
use tose_testkit::SeededIds;

use crate::engine::{Site, nonce, on_site};

/// How many networks this installation's rules name; none without rules.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel is asked, not the driver"
)]
fn count_guarded(site: &Site) -> Option<usize> {
    let table = format!("tose-{}", site.installation);
    let listed = Command::new("nft")
        .args(["list", "set", "inet", &table, "bridges"])
        .output()
        .expect("nft runs");
    let text = String::from_utf8(listed.stdout).expect("text");
    listed
        .status
        .success()
        .then(|| text.matches("\"br-").count())
}

#[tokio::test]
async fn the_rules_name_the_networks_that_are_there() {
    // Who may not change them has none.
    if !fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        return;
    }
    on_site(async |site| {
        assert_eq!(count_guarded(site), Some(1));
        let workspace_id = WorkspaceId::from_uuid(SeededIds::new(nonce()).uuid());
        let workspace = "other".parse().expect("a slug");
        let ensure = EngineStep::EnsureNetwork {
            workspace_id,
            workspace,
        };
        site.driver.apply(&ensure).await.expect("a network");
        assert_eq!(count_guarded(site), Some(2));
        site.driver.guard_networks().await.expect("guarded");
        assert_eq!(count_guarded(site), Some(2));

        for (workspace_id, left) in [(workspace_id, Some(1)), (site.workspace_id, None)] {
            let remove = EngineStep::RemoveNetwork { workspace_id };
            site.driver.apply(&remove).await.expect("removed");
            assert_eq!(count_guarded(site), left);
        }
    })
    .await;
}
