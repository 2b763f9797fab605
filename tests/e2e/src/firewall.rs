//! The machine's firewall, as far as tests have to see or bend it.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::engine::docker;
use crate::program::{program, run};

/// Whether this process may change the firewall: then so may the server.
pub fn may_change_rules() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Takes the server's own rules away, as somebody does who loads the machine's firewall anew.
pub async fn remove_own_rules(installation: &str) {
    let mut nft = program("nft");
    nft.args(["delete", "table", "inet", &format!("tose-{installation}")]);
    // It may have gone with the last network.
    run(nft).await;
}

/// The engine lets two networks reach each other for as long as this lives: as it does, for moments,
/// whenever it makes or removes a network.
#[derive(Debug)]
pub struct Opening {
    bridges: [String; 2],
}

impl Opening {
    /// Between two networks, by their ids.
    pub async fn between(one: &str, other: &str) -> Self {
        let opening = Self {
            bridges: [one, other].map(|id| format!("br-{}", &id[..12])),
        };
        for rule in opening.rules("-I") {
            let mut iptables = program("iptables");
            iptables.args(&rule);
            run(iptables).await.ok();
        }
        opening
    }

    /// The user's own chain comes before the engine's.
    fn rules(&self, action: &str) -> [Vec<String>; 2] {
        let [one, other] = &self.bridges;
        [(one, other), (other, one)].map(|(from, to)| {
            let words = [
                "-w",
                action,
                "DOCKER-USER",
                "-i",
                from,
                "-o",
                to,
                "-j",
                "ACCEPT",
            ];
            words.map(str::to_owned).to_vec()
        })
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        for rule in self.rules("-D") {
            let mut iptables = program("iptables");
            // Nobody is left who could be told.
            let _ = iptables.args(&rule).as_std_mut().status();
        }
    }
}

/// The id of the network that a container is in.
pub async fn network_of(container: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.NetworkID}}{{end}}";
    docker(&["inspect", "--format", format, container]).await
}

/// The installation that a container belongs to.
pub async fn installation_of(container: &str) -> String {
    let format = "{{index .Config.Labels \"tose.installation\"}}";
    docker(&["inspect", "--format", format, container]).await
}
