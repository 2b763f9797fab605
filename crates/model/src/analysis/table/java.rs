//! Java: programs, Spring, Maven and Gradle.

use super::{BASE, CERTAIN, HINT, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "java-class-missing",
        title: "The class {class} is not on the class path",
        texts: &[
            "java.lang.ClassNotFoundException: {class}",
            "Could not find or load main class {class}",
            "java.lang.NoClassDefFoundError: {class}",
            "Error: Could not find or load main class {class}",
        ],
        unless: &[
            "GradleWrapperMain",
            "MavenWrapperMain",
            "Could not initialize class",
        ],
        fix: "Pack the dependencies into the JAR (spring-boot:repackage, shade or shadowJar), and check the name {class} in the manifest or start command.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "java-class-version",
        title: "The class {class} was compiled for a newer Java than the one that runs it",
        texts: &["{class} has been compiled by a more recent version of the Java Runtime"],
        fix: "Run with a newer Java (class file version 61 is Java 17, 65 is Java 21), or set the release in the build lower.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "java-no-manifest",
        title: "{file} names no class to start",
        texts: &["no main manifest attribute, in {file}"],
        fix: "Add the Spring Boot plugin (or Main-Class in the manifest) to the build. Of two JARs in target start the one that is not named -plain or .original.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "java-jar-missing",
        title: "The JAR {file} is not in the image",
        texts: &["Unable to access jarfile {file}"],
        fix: "Check where the build puts it (target or build/libs) and that the start command names it; a pattern such as *.jar needs a shell.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "java-option",
        title: "Java does not know the option {option}",
        texts: &[
            "Unrecognized VM option '{option}'",
            "Unrecognized option: {option}",
            "Invalid maximum heap size: {option}",
        ],
        fix: "Take {option} out of the start command or JAVA_TOOL_OPTIONS: newer versions of Java have dropped it, or it is misspelled.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "java-method-missing",
        title: "Two libraries do not fit together: {method} is missing",
        texts: &[
            "java.lang.NoSuchMethodError: {method*}",
            "java.lang.NoSuchFieldError: {method*}",
            "java.lang.AbstractMethodError: {method*}",
        ],
        fix: "Look for two versions of one library with `mvn dependency:tree` or `gradle dependencies`, and let the framework's BOM choose.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "spring-bean-missing",
        title: "Spring has no bean of type {type}",
        texts: &[
            "required a bean of type '{type}' that could not be found",
            "No qualifying bean of type '{type}' available",
        ],
        fix: "Annotate the class with @Component or @Service below the package of the application class, or declare a @Bean for {type}.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "spring-bean",
        title: "Spring could not make the bean {bean}",
        texts: &["Error creating bean with name '{bean}'"],
        fix: "Look at the last \"Caused by\" below it: that is the reason.",
        confidence: POSSIBLE,
        ..BASE
    },
    Pattern {
        id: "spring-failed",
        title: "Spring Boot could not start the application",
        texts: &["APPLICATION FAILED TO START", "Application run failed"],
        fix: "Read the description and the action that it prints below.",
        confidence: HINT,
        more: 6,
        ..BASE
    },
    Pattern {
        id: "java-null",
        title: "The Java code used a value that is null",
        texts: &["java.lang.NullPointerException"],
        fix: "Look at the first line of the stack that is your own; since Java 17 the message says which value it was.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "java-exception",
        title: "Java ended with {exception}",
        texts: &["Exception in thread \"main\" {exception*}"],
        fix: "Look at the first line of the stack that is your own, and at the last \"Caused by\".",
        confidence: POSSIBLE,
        ..BASE
    },
    Pattern {
        id: "java-release",
        title: "The compiler does not know Java {version}",
        texts: &[
            "invalid target release: {version}",
            "release version {version} not supported",
            "invalid source release: {version}",
            "Source option {version} is no longer supported",
            "Cannot find a Java installation on your machine matching this tasks requirements: {{languageVersion={version}",
            "Unsupported class file major version {version}",
        ],
        fix: "Build with the version of the JDK that the build asks for: set it in the build file or as the image in the Dockerfile.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "maven-compile",
        title: "The Java source does not compile: {what}",
        texts: &[
            "[ERROR] {file}.java:[{line#},{column#}] {what*}",
            "[ERROR] {file}.kt:[{line#},{column#}] {what*}",
            "{file}.java:{line#}: error: {what*}",
            "e: file://{file}.kt:{line#}:{column#} {what*}",
        ],
        fix: "Correct line {line} of that file.",
        confidence: CERTAIN,
        is_first: true,
        more: 2,
        ..BASE
    },
    Pattern {
        id: "maven-dependency",
        title: "Maven or Gradle does not find {artifact}",
        texts: &[
            "Could not find artifact {artifact}",
            "Could not resolve dependencies for project {artifact}",
            "Could not resolve dependencies for project {project}: Could not find artifact {artifact} in",
            "> Could not find {artifact}",
            "Failure to find {artifact} in",
            "Non-resolvable parent POM for {artifact}",
            "Non-resolvable import POM: {artifact*}",
            "Plugin {artifact} or one of its dependencies could not be resolved",
        ],
        fix: "Check name, version and repository of {artifact}; a private one needs its repository and credentials, and a module of your own has to be in the build.",
        confidence: LIKELY,
        is_first: true,
        ..BASE
    },
    Pattern {
        id: "maven-no-pom",
        title: "There is no pom.xml where Maven looks",
        texts: &[
            "there is no POM in this directory",
            "does not contain a Gradle build",
        ],
        fix: "Commit the build file, or set the project's folder to the one that has it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "maven-failed",
        title: "The goal {goal|or task} of the build failed",
        texts: &[
            "[ERROR] Failed to execute goal {goal}",
            "Execution failed for task '{goal}'",
        ],
        fix: "Look at the first error above it. Tests that need a database can be left out with -DskipTests or -x test.",
        confidence: HINT,
        ..BASE
    },
    Pattern {
        id: "maven-tests",
        title: "Tests failed, and the build with them",
        texts: &[
            "There are test failures.",
            "There were failing tests. See the report at",
            "[ERROR] Tests run: {count#}, Failures: {failures#}",
        ],
        fix: "Leave the tests out of the image's build with -DskipTests or -x test, or correct them: a database is not there in a build.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "gradle-wrapper",
        title: "The wrapper's JAR is not committed",
        texts: &[
            "Could not find or load main class org.gradle.wrapper.GradleWrapperMain",
            "Could not find or load main class org.apache.maven.wrapper.MavenWrapperMain",
            "Unable to access jarfile /app/gradle/wrapper/gradle-wrapper.jar",
        ],
        fix: "Commit gradle/wrapper/gradle-wrapper.jar (or .mvn/wrapper): .gitignore often leaves *.jar out, so add it with `git add -f`.",
        confidence: CERTAIN,
        ..BASE
    },
];
