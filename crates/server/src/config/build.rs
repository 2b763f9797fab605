//! `[build]`: what builds share, and what recipes build on.

use serde::Deserialize;
use tose_api::ImageRef;
use tose_model::recipe::Images;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BuildTable {
    pub(super) shared_cache: Option<bool>,
    pub(super) images: BuildImagesTable,
}

/// An image for each field of [`Images`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BuildImagesTable {
    node: Option<ImageRef>,
    bun: Option<ImageRef>,
    deno: Option<ImageRef>,
    python: Option<ImageRef>,
    go: Option<ImageRef>,
    rust: Option<ImageRef>,
    debian: Option<ImageRef>,
    php: Option<ImageRef>,
    composer: Option<ImageRef>,
    ruby: Option<ImageRef>,
    maven: Option<ImageRef>,
    gradle: Option<ImageRef>,
    java: Option<ImageRef>,
    static_server: Option<ImageRef>,
}

impl BuildImagesTable {
    pub(super) fn into_images(self) -> Images {
        let mut images = Images::default();
        let given = [
            (&mut images.node, self.node),
            (&mut images.bun, self.bun),
            (&mut images.deno, self.deno),
            (&mut images.python, self.python),
            (&mut images.go, self.go),
            (&mut images.rust, self.rust),
            (&mut images.debian, self.debian),
            (&mut images.php, self.php),
            (&mut images.composer, self.composer),
            (&mut images.ruby, self.ruby),
            (&mut images.maven, self.maven),
            (&mut images.gradle, self.gradle),
            (&mut images.java, self.java),
            (&mut images.static_server, self.static_server),
        ];
        for (image, given) in given {
            if let Some(given) = given {
                *image = given.to_string();
            }
        }
        images
    }
}
