//! Java: one jar by Maven or Gradle.

use super::dockerfile::Dockerfile;
use super::start::{self, Start};
use super::tree::Tree;
use super::version::Choice;
use super::{Draft, Inputs};
use crate::error::Result;

const GRADLE: [&str; 4] = [
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
];

pub(super) fn detect(tree: &Tree) -> Option<&'static str> {
    if tree.has("pom.xml") {
        return Some("it has a pom.xml");
    }
    tree.first_of(&GRADLE)
        .map(|_| "it has a build.gradle or settings.gradle")
}

pub(super) fn write(inputs: &Inputs<'_>) -> Result<Draft> {
    let tree = inputs.tree;
    let images = inputs.images;
    let is_maven = tree.has("pom.xml");
    let wanted = wanted(tree);
    let choice = Choice::make(&images.java, wanted.as_deref(), 1);
    let mut out = Dockerfile::default();
    out.stage(
        &choice.apply(if is_maven {
            &images.maven
        } else {
            &images.gradle
        }),
        "build",
    );
    out.line("WORKDIR /src");
    let own = inputs.wishes.build()?;
    let is_one_module = !tree.text("pom.xml").contains("<modules>");
    if is_maven && own.is_none() && is_one_module {
        out.copy(&["pom.xml"]);
        out.line("RUN mvn --batch-mode --quiet dependency:go-offline");
    }
    out.line("COPY . .");
    match own {
        Some(command) => out.build(&command, inputs.variables),
        None if is_maven => out.line("RUN mvn --batch-mode --quiet -DskipTests package"),
        None => out.line("RUN gradle --no-daemon build -x test"),
    }
    let jars = match is_maven {
        true => {
            "RUN mkdir /out && cp \"$(ls -S target/*.jar | grep -v -e '-sources' -e '-javadoc' -e '/original-' | head -n 1)\" /out/app.jar"
        }
        false => {
            "RUN mkdir /out && cp \"$(ls -S build/libs/*.jar | grep -v -e '-sources' -e '-javadoc' -e '-plain' | head -n 1)\" /out/app.jar"
        }
    };
    out.line(jars);
    out.from(&choice.apply(&images.java));
    out.app_folder();
    out.line("COPY --from=build /out/app.jar ./app.jar");
    out.app_user();
    let start = start::stated(inputs)?;
    out.start(&start.unwrap_or_else(|| {
        Start::command("java -XX:MaxRAMPercentage=75 -Dserver.port=$PORT -jar app.jar")
    }));
    Ok(Draft {
        dockerfile: out,
        ignore: vec!["target", "build", ".gradle"],
        notes: Vec::new(),
    })
}

/// The version of Java that the source names.
fn wanted(tree: &Tree) -> Option<String> {
    let file = tree.text(".java-version").trim();
    if !file.is_empty() {
        return Some(file.to_owned());
    }
    let properties = tree.text("system.properties").lines();
    let stated = properties.filter_map(|line| line.split_once('='));
    if let Some((_, version)) = stated
        .into_iter()
        .find(|(name, _)| name.trim() == "java.runtime.version")
    {
        return Some(version.trim().to_owned());
    }
    let pom = tree.text("pom.xml");
    [
        "java.version",
        "maven.compiler.release",
        "maven.compiler.target",
    ]
    .into_iter()
    .find_map(|name| {
        let (_, after) = pom.split_once(&format!("<{name}>"))?;
        let (version, _) = after.split_once("</")?;
        // 1.8 is 8; a newer Java runs what is made for an older one.
        let version = version.trim();
        Some(format!(
            ">={}",
            version.strip_prefix("1.").unwrap_or(version)
        ))
    })
}
