//! .NET: programs and builds.

use super::{BASE, CERTAIN, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "dotnet-framework",
        title: "The image does not have the version of .NET that the program needs",
        texts: &[
            "You must install or update .NET to run this application",
            "It was not possible to find any compatible framework version",
            "No frameworks were found",
        ],
        fix: "Use the image of the same version as `TargetFramework`, and aspnet in place of runtime for a web app.",
        confidence: CERTAIN,
        more: 5,
        ..BASE
    },
    Pattern {
        id: "dotnet-assembly",
        title: "The assembly {assembly} is not beside the program",
        texts: &["Could not load file or assembly '{assembly}"],
        fix: "Copy the whole output of `dotnet publish` into the image, and check the version of {assembly}.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dotnet-dll",
        title: "The program {file|of the start command} is not in the image",
        texts: &[
            "The application '{file}' does not exist",
            "The specified command or file was not found",
            "Could not execute because the application was not found",
        ],
        fix: "Name the DLL that `dotnet publish` has made in the start command; it is named like the project file.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dotnet-icu",
        title: ".NET finds no ICU library",
        texts: &["Couldn't find a valid ICU package installed on the system"],
        fix: "Install libicu (icu-libs on Alpine), or set DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dotnet-service",
        title: ".NET has no service of type {type}",
        texts: &[
            "Unable to resolve service for type '{type}'",
            "No service for type '{type}' has been registered",
        ],
        fix: "Register {type} in Program.cs with builder.Services before Build().",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dotnet-connection-string",
        title: "The connection string of the database is not set",
        texts: &[
            "The ConnectionString property has not been initialized",
            "Value cannot be null. (Parameter 'connectionString')",
            "Format of the initialization string does not conform to specification",
            "No connection string named '{name}'",
        ],
        fix: "Set the variable ConnectionStrings__NAME on the project (two underscores), in the form Host=…;Database=…;Username=…;Password=….",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dotnet-compile",
        title: "The .NET source does not build: {what}",
        texts: &[
            "error CS{code#}: {what*}",
            "error NU{code#}: {what*}",
            "error NETSDK{code#}: {what*}",
            "error MSB{code#}: {what*}",
            "error FS{code#}: {what*}",
        ],
        fix: "Correct the place that it names; `dotnet build` shows the same at home.",
        confidence: LIKELY,
        is_first: true,
        ..BASE
    },
    Pattern {
        id: "dotnet-exception",
        title: ".NET ended with {what}",
        texts: &["Unhandled exception. {what*}"],
        fix: "Look at the first line of the stack that is your own.",
        confidence: POSSIBLE,
        ..BASE
    },
];
