//! Ruby: programs, Bundler and Rails.

use super::{BASE, CERTAIN, LIKELY, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "ruby-load",
        title: "Ruby does not find {file}",
        texts: &["cannot load such file -- {file}"],
        fix: "Add the gem that has {file} to the Gemfile, run `bundle install` and commit Gemfile.lock; start the app with `bundle exec`.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "bundler-gem",
        title: "The gem {gem} is not installed",
        texts: &[
            "Could not find {gem} in locally installed gems",
            "Could not find {gem} in any of the sources",
            "Could not find gem '{gem*}' in",
            "can't find gem {gem}",
            "Could not find '{gem}' ({version}) required by your",
            "Could not find gem '{gem*}' with platform",
        ],
        fix: "Run `bundle install` for {gem} in the image that runs the app, add the platform with `bundle lock --add-platform x86_64-linux`, and commit Gemfile.lock.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "bundler-command",
        title: "The program {command} is in none of the gems",
        texts: &[
            "bundler: command not found: {command}",
            "can't find executable {command} for gem",
        ],
        fix: "Add the gem that has {command} to the Gemfile, outside of the groups development and test.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "bundler-version",
        title: "The Gemfile wants Ruby {wanted}, and the image has {version}",
        texts: &["Your Ruby version is {version}, but your Gemfile specified {wanted}"],
        fix: "Write the version in .ruby-version and the Gemfile as one, or change the image in the Dockerfile to {wanted}.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "bundler-platform",
        title: "Gemfile.lock was made for another platform",
        texts: &["Your bundle only supports platforms"],
        fix: "Run `bundle lock --add-platform x86_64-linux` and commit Gemfile.lock.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "bundler-frozen",
        title: "Gemfile.lock does not fit the Gemfile",
        texts: &[
            "You are trying to install in deployment mode after changing",
            "The dependencies in your gemfile changed, but the lockfile can't be updated because frozen mode is set",
            "because frozen mode is set",
        ],
        fix: "Run `bundle install` and commit Gemfile.lock.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "bundler-no-gemfile",
        title: "There is no Gemfile where Bundler looks",
        texts: &["Could not locate Gemfile"],
        fix: "Commit the Gemfile, or set the project's folder to the one that has it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "bundler-native",
        title: "A gem could not be compiled",
        texts: &[
            "Gem::Ext::BuildError: ERROR: Failed to build gem native extension",
            "ERROR: Failed to build gem native extension",
            "An error occurred while installing {gem} ({version})",
        ],
        fix: "Install build-essential and the development packages that it names (libpq-dev for pg, libyaml-dev for psych) in the image that builds.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "ruby-constant",
        title: "Ruby does not know {constant}",
        texts: &["uninitialized constant {constant}"],
        fix: "Require the gem or the file that defines {constant}; Rails finds a class only in a file that is named like it.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "ruby-nil",
        title: "The code calls {method} on nil",
        texts: &[
            "undefined method '{method}' for nil",
            "undefined method `{method}' for nil",
        ],
        fix: "Look at the shown line: what comes before .{method} is nil there, often a variable or an answer that is missing.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "rails-server-file",
        title: "Rails thinks that it runs already",
        texts: &["A server is already running"],
        fix: "Remove tmp/pids/server.pid before the start: `rm -f tmp/pids/server.pid && bin/rails server`, and keep tmp out of the image.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rails-javascript",
        title: "Rails needs a JavaScript runtime to build its assets",
        texts: &[
            "Could not find a JavaScript runtime",
            "ExecJS::RuntimeUnavailable",
        ],
        fix: "Install nodejs in the image that builds, or add the gem mini_racer.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rails-asset",
        title: "The asset {asset} was not built",
        texts: &[
            "The asset '{asset}' was not found in the load path",
            "Asset `{asset}` was not declared to be precompiled in production",
            "The asset \"{asset}\" is not present in the asset pipeline",
            "Asset `{asset}` was not found in the load path",
        ],
        fix: "Run `bin/rails assets:precompile` in the build, and list {asset} in app/assets/config/manifest.js if there is one.",
        confidence: CERTAIN,
        ..BASE
    },
];
