//! The help of each command, as it is written down in `tests/help`.

use insta::{assert_snapshot, with_settings};

use crate::harness::Sandbox;

/// Every command, as words.
const COMMANDS: &[&str] = &[
    "",
    "login",
    "logout",
    "whoami",
    "init",
    "up",
    "deploy",
    "deployments",
    "rollback",
    "status",
    "logs",
    "explain",
    "metrics",
    "uptime",
    "uptime show",
    "uptime on",
    "uptime off",
    "uptime heartbeat",
    "uptime checks",
    "drains",
    "drains list",
    "drains add",
    "drains remove",
    "drains test",
    "exec",
    "run",
    "jobs",
    "jobs list",
    "jobs logs",
    "jobs stop",
    "db",
    "db list",
    "db create",
    "db info",
    "db update",
    "db start",
    "db stop",
    "db restart",
    "db retry",
    "db reset-password",
    "db connect",
    "db expose",
    "db hide",
    "db prove",
    "db logs",
    "db backups",
    "db backup",
    "db restore",
    "db download",
    "db delete",
    "template",
    "template list",
    "template deploy",
    "template instances",
    "template delete",
    "env",
    "env list",
    "env set",
    "env unset",
    "env pull",
    "env push",
    "domains",
    "domains list",
    "domains add",
    "domains certificate",
    "domains settings",
    "domains verify",
    "domains remove",
    "git",
    "git show",
    "git set",
    "git webhook",
    "git deploy-key",
    "git url",
    "git deliveries",
    "github",
    "github list",
    "github connect",
    "github disconnect",
    "previews",
    "registry",
    "registry show",
    "registry set",
    "registry remove",
    "generate",
    "open",
    "down",
    "scale",
    "autoscale",
    "autoscale show",
    "autoscale on",
    "autoscale off",
    "schedules",
    "schedules list",
    "schedules set",
    "schedules remove",
    "restart",
    "start",
    "members",
    "members list",
    "members invite",
    "members role",
    "members remove",
    "keys",
    "keys list",
    "keys create",
    "keys revoke",
    "events",
    "alert",
    "alert list",
    "alert add",
    "alert show",
    "alert edit",
    "alert remove",
    "notify",
    "notify list",
    "notify add",
    "notify show",
    "notify edit",
    "notify test",
    "notify rm",
    "notify deliveries",
    "maintenance",
    "maintenance list",
    "maintenance add",
    "maintenance remove",
    "status-page",
    "status-page show",
    "status-page on",
    "status-page off",
    "status-page title",
    "status-page projects",
    "wallet",
    "wallet show",
    "wallet topup",
    "wallet transactions",
    "wallet threshold",
    "wallet budget",
    "wallet invoices",
    "wallet invoice",
    "wallet estimate",
    "wallet prices",
    "usage",
    "completions",
    "version",
];

#[test]
fn the_help_of_each_command_is_known() {
    let sandbox = Sandbox::new();
    for command in COMMANDS {
        let mut arguments: Vec<_> = command.split_whitespace().collect();
        arguments.push("--help");
        let help = sandbox.run(&arguments).ok().stdout;
        let name = ["tose", command].join(" ").trim().replace(' ', "-");
        with_settings!({ snapshot_path => "../help", prepend_module_to_snapshot => false }, {
            assert_snapshot!(name, help);
        });
    }
}

#[test]
fn no_command_is_missing_above() {
    let sandbox = Sandbox::new();
    for parent in [
        "",
        "alert",
        "autoscale",
        "db",
        "domains",
        "env",
        "keys",
        "maintenance",
        "members",
        "notify",
        "status-page",
        "template",
        "uptime",
        "wallet",
    ] {
        let mut arguments: Vec<_> = parent.split_whitespace().collect();
        arguments.push("--help");
        let help = sandbox.run(&arguments).ok().stdout;
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in listed.take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().expect("a name");
            let command = [parent, name].join(" ").trim().to_owned();
            assert!(
                name == "help" || COMMANDS.contains(&command.as_str()),
                "{command}"
            );
        }
    }
}
