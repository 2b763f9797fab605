//! Images: building, pulling, listing, removing.

use futures_util::{FutureExt, StreamExt};
use tose_model::driver::{DriverError, EngineStep};

use super::lab::{chain, remove, start};
use super::{App, Case, Lab, case};
use crate::context::{Context, context};
use crate::program::{Act, Program};

/// A name that no registry has: the top-level domain is reserved for that.
const NOWHERE: &str = "registry.invalid/nothing:1";

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("a build tells its lines and leaves an image", |lab| {
            builds(lab).boxed()
        }),
        case("a failed build names the step and leaves no image", |lab| {
            fails(lab).boxed()
        }),
        case("a build without a Dockerfile says so", |lab| {
            no_dockerfile(lab).boxed()
        }),
        case("a build ends with the stage that is asked for", |lab| {
            stage(lab).boxed()
        }),
        case("a context that breaks off fails the build", |lab| {
            broken_context(lab).boxed()
        }),
        case("a dropped build ends and can be done again", |lab| {
            dropped(lab).boxed()
        }),
        case("an image in use stays until it is not", |lab| {
            in_use(lab).boxed()
        }),
        case("equal images of two deployments go one by one", |lab| {
            equal(lab).boxed()
        }),
        case("an image that is here is not pulled", |lab| {
            present(lab).boxed()
        }),
        case("an image that nobody has is unavailable", |lab| {
            nowhere(lab).boxed()
        }),
    ]
}

fn dockerfile(lab: &Lab, steps: &str) -> Context {
    context(&[("Dockerfile", &format!("FROM {}\n{steps}\n", lab.base_image))])
}

async fn images(lab: &Lab, app: &App) -> Vec<String> {
    let images = lab
        .driver
        .list_images(app.project_id)
        .await
        .expect("list images");
    images.into_iter().map(|image| image.image).collect()
}

async fn has_image(lab: &Lab, image: &str) -> bool {
    let found = lab.driver.has_image(image).await;
    found.expect("look at an image")
}

async fn builds(lab: &Lab) {
    let (app, other) = (lab.app("web").await, lab.app("other").await);
    let steps = "RUN echo one && echo two\nRUN echo three";
    let request = lab.build_request(&app, dockerfile(lab, steps));
    let deployment_id = request.deployment_id;
    let (lines, outcome) = lab.build_on(lab.driver.as_ref(), request).await;
    outcome.unwrap_or_else(|error| panic!("{}", chain(&error)));
    let said: Vec<_> = lines
        .iter()
        .filter(|line| ["one", "two", "three"].contains(&line.as_str()))
        .collect();
    assert_eq!(said, ["one", "two", "three"], "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|line| line.contains("RUN echo one && echo two")),
        "{lines:?}"
    );

    let built = lab
        .driver
        .list_images(app.project_id)
        .await
        .expect("list images");
    assert_eq!(built.len(), 1);
    assert_eq!(built[0].deployment_id, deployment_id);
    assert_eq!(
        built[0].image,
        lab.driver.built_image(app.project_id, deployment_id)
    );
    assert!(images(lab, &other).await.is_empty());
    assert!(has_image(lab, &built[0].image).await);

    let gone = EngineStep::RemoveImage {
        project_id: app.project_id,
        deployment_id,
    };
    lab.apply(&gone).await;
    assert!(images(lab, &app).await.is_empty());
    assert!(!has_image(lab, &built[0].image).await);
    lab.apply(&gone).await;
}

async fn fails(lab: &Lab) {
    let app = lab.app("web").await;
    // The first step fails, so that no layers are left.
    let steps = "RUN echo before && exit 3\nRUN echo after";
    let request = lab.build_request(&app, dockerfile(lab, steps));
    let (lines, outcome) = lab.build_on(lab.driver.as_ref(), request).await;
    let error = outcome.expect_err("a step fails");
    assert!(
        matches!(error, DriverError::BuildFailed(_)),
        "{}",
        chain(&error)
    );
    let expected = "step `RUN echo before && exit 3` failed with exit code 3";
    assert_eq!(error.to_string(), expected);
    assert!(lines.iter().any(|line| line == "before"), "{lines:?}");
    assert!(!lines.iter().any(|line| line == "after"), "{lines:?}");
    assert!(images(lab, &app).await.is_empty());
}

async fn no_dockerfile(lab: &Lab) {
    let app = lab.app("web").await;
    let mut request = lab.build_request(&app, context(&[("index.html", "hello")]));
    request.dockerfile = "deploy/Dockerfile".to_owned();
    let (_, outcome) = lab.build_on(lab.driver.as_ref(), request).await;
    let error = outcome.expect_err("there is no Dockerfile");
    assert!(
        matches!(error, DriverError::BuildFailed(_)),
        "{}",
        chain(&error)
    );
    assert_eq!(
        error.to_string(),
        "there is no Dockerfile at `deploy/Dockerfile`"
    );
}

async fn stage(lab: &Lab) {
    let app = lab.app("web").await;
    let base = &lab.base_image;
    let text = format!(
        "FROM {base} AS first\nRUN echo one\nFROM {base} AS second\nRUN echo two\nFROM {base}\nRUN echo three\n"
    );
    for (target, expected) in [
        ("first", &["one"][..]),
        ("SECOND", &["one", "two"]),
        ("third", &[]),
    ] {
        let mut request = lab.build_request(&app, context(&[("Dockerfile", &text)]));
        request.target = Some(target.to_owned());
        let (lines, outcome) = lab.build_on(lab.driver.as_ref(), request).await;
        let said: Vec<_> = lines
            .iter()
            .map(String::as_str)
            .filter(|line| ["one", "two", "three"].contains(line))
            .collect();
        assert_eq!(said, expected, "{target}: {lines:?}");
        match outcome {
            Ok(()) => assert!(!expected.is_empty(), "there is no {target}"),
            Err(error) => assert_eq!(
                chain(&error),
                format!("there is no stage `{target}` in `Dockerfile`")
            ),
        }
    }
    assert_eq!(images(lab, &app).await.len(), 2);
}

async fn broken_context(lab: &Lab) {
    let app = lab.app("web").await;
    let broken = std::io::Error::other("the disk is gone");
    let pieces = dockerfile(lab, "RUN echo one")
        .take(1)
        .chain(futures_util::stream::iter([Err(broken)]));
    let request = lab.build_request(&app, pieces.boxed());
    let (_, outcome) = lab.build_on(lab.driver.as_ref(), request).await;
    let error = outcome.expect_err("the context breaks off");
    assert!(
        chain(&error).contains("the disk is gone"),
        "{}",
        chain(&error)
    );
    assert!(images(lab, &app).await.is_empty());
}

async fn dropped(lab: &Lab) {
    let app = lab.app("web").await;
    let request = lab.build_request(&app, dockerfile(lab, "RUN echo begun && sleep 1000"));
    let deployment_id = request.deployment_id;
    let mut lines = lab.driver.build(request).await.expect("build");
    while lines.next().await.expect("it goes on").expect("no error") != "begun" {}
    drop(lines);
    assert!(images(lab, &app).await.is_empty());

    let mut request = lab.build_request(&app, dockerfile(lab, "RUN echo again"));
    request.deployment_id = deployment_id;
    let (_, outcome) = lab.build_on(lab.driver.as_ref(), request).await;
    outcome.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(images(lab, &app).await.len(), 1);
}

async fn in_use(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.start(&app, Program::new([])).await;
    let deployment_id = spec.key.deployment_id;
    let gone = EngineStep::RemoveImage {
        project_id: app.project_id,
        deployment_id,
    };
    lab.wait_running(&spec.name).await;
    lab.apply(&gone).await;
    assert_eq!(images(lab, &app).await, [spec.image.as_str()]);
    lab.apply(&start(&spec)).await;

    lab.apply(&remove(&spec.name)).await;
    lab.apply(&gone).await;
    assert!(images(lab, &app).await.is_empty());
}

async fn equal(lab: &Lab) {
    let app = lab.app("web").await;
    // What no other case builds, so that the second build finds the layers of the first.
    let program = Program::new([Act::print(&app.project_id.to_string())]);
    let build = async || {
        let mut request = lab.build_request(&app, program.context(&lab.base_image));
        request.no_cache = false;
        lab.built(lab.driver.as_ref(), request).await
    };
    let first = lab.spec(&app, build().await);
    let second = build().await;
    lab.apply(&start(&first)).await;
    lab.wait_running(&first.name).await;
    let gone = |deployment_id| EngineStep::RemoveImage {
        project_id: app.project_id,
        deployment_id,
    };
    lab.apply(&gone(first.key.deployment_id)).await;
    assert_eq!(images(lab, &app).await.len(), 2);
    lab.apply(&gone(second)).await;
    assert_eq!(images(lab, &app).await, [first.image.as_str()]);
}

async fn present(lab: &Lab) {
    let app = lab.app("web").await;
    let deployment_id = lab.image(&app, &Program::new([])).await;
    let image = lab.driver.built_image(app.project_id, deployment_id);
    let lines = lab.driver.ensure_image(&image).await.expect("it is here");
    assert_eq!(lines.count().await, 0);
}

async fn nowhere(lab: &Lab) {
    let app = lab.app("web").await;
    let never_built = lab.driver.built_image(app.project_id, lab.deployment_id());
    for image in [NOWHERE, &never_built] {
        let error = match lab.driver.ensure_image(image).await {
            Ok(lines) => {
                lines
                    .filter_map(|line| std::future::ready(line.err()))
                    .next()
                    .await
            }
            Err(error) => Some(error),
        };
        let error = error.expect("nobody has it");
        assert!(
            matches!(error, DriverError::ImageUnavailable { .. }),
            "{}",
            chain(&error)
        );
    }
}
