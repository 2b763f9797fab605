//! `tose completions`.

use crate::harness::Sandbox;

#[test]
fn each_shell_gets_a_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Sandbox::new().run(&["completions", shell]).ok().stdout;
        assert!(
            script.contains("tose") && script.contains("deployments"),
            "{shell}"
        );
    }
}
