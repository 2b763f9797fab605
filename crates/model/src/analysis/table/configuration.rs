//! Variables and settings that are missing or wrong.

use super::{BASE, CERTAIN, LIKELY, POSSIBLE, Pattern};

const FIX_VARIABLE: &str = "Set the variable {variable|that the message names} on the project and deploy again. If the build reads it, make it available there too.";

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "variable-missing",
        title: "The variable {variable} is not set",
        texts: &[
            "Missing required environment variable {variable}",
            "Missing required environment variable: {variable}",
            "issing environment variable {variable}",
            "issing environment variable: {variable}",
            "nvironment variable {variable} is not set",
            "nvironment variable {variable} not set",
            "nvironment variable \"{variable}\" is not set",
            "nvironment variable '{variable}' is not set",
            "nvironment variable `{variable}` is not set",
            "nvironment variable {variable} is required",
            "nvironment variable {variable} must be set",
            "{variable} environment variable is required",
            "{variable} environment variable is not set",
            "{variable} environment variable not set",
            "{variable} environment variable must be set",
            "{variable} is not set in environment",
            "The {variable} environment variable is missing or empty",
            "or set the `{variable}` or",
            "or set the `{variable}` environment variable",
            "by setting the {variable} environment variable",
            "required key {variable} missing value",
            "nvironment variable \"{variable}\" should not be empty",
            "nvironment variable {variable} is missing",
            "{variable}: parameter not set",
            "{variable}: unbound variable",
            "Config validation error: \"{variable}\" is required",
            "decouple.UndefinedValueError: {variable} not found",
            "nvironment variable \"{variable}\" not set",
            "Set the {variable} environment variable",
        ],
        fix: FIX_VARIABLE,
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "python-variable-missing",
        title: "The variable {variable} is not set",
        texts: &["KeyError: '{variable}'"],
        near: &["os.environ", "<frozen os>", "/os.py\"", "environ["],
        fix: FIX_VARIABLE,
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "python-settings",
        title: "Settings of the class {class} are missing or wrong",
        texts: &[
            "validation error for {class}",
            "validation errors for {class}",
        ],
        near: &[
            "Field required",
            "field required",
            "type=missing",
            "ettings",
        ],
        fix: "Set the variables named below it on the project: pydantic reads them by the names of the fields of {class}.",
        confidence: LIKELY,
        more: 6,
        ..BASE
    },
    Pattern {
        id: "node-environment-check",
        title: "The app's own check of its variables failed",
        texts: &[
            "Invalid environment variables",
            "nvironment validation failed",
            "nvironment variables validation failed",
            "Missing environment variables:",
            "Invalid environment variables:",
            "issing required environment variables:",
            "issing required environment variables",
        ],
        fix: "Set the variables that it lists on the project, with values of the form that it asks for.",
        confidence: LIKELY,
        more: 8,
        ..BASE
    },
    Pattern {
        id: "rust-variable-missing",
        title: "The variable {variable|that the program reads} is not set",
        texts: &[
            "{variable} must be set: NotPresent",
            "{variable} not set: NotPresent",
            "{variable} is not set: NotPresent",
            "value: NotPresent",
            ": NotPresent",
            "environment variable not found",
            "missing value for field {variable}",
        ],
        fix: FIX_VARIABLE,
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "ruby-variable-missing",
        title: "The variable {variable} is not set",
        texts: &["key not found: \"{variable}\""],
        near: &["KeyError", "ENV.fetch", "fetch'"],
        fix: FIX_VARIABLE,
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "env-file-missing",
        title: "The program wants a file of variables that is not there: {file}",
        texts: &[
            "node: {file}: not found",
            "env file {file} not found",
            "Couldn't find env file: {file}",
        ],
        fix: "Set the variables on the project instead, and leave `--env-file` out of the start command (or use `--env-file-if-exists`).",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "spring-placeholder",
        title: "Spring finds no value for {variable}",
        texts: &["Could not resolve placeholder '{variable}' in value"],
        fix: "Set the variable {variable} on the project (Spring reads app.my-key from APP_MYKEY), or give it a default: ${NAME:default}.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "spring-datasource",
        title: "Spring has no address of a database",
        texts: &[
            "Failed to configure a DataSource: 'url' attribute is not specified",
            "Failed to determine a suitable driver class",
            "Failed to determine suitable jdbc url",
        ],
        fix: "Set SPRING_DATASOURCE_URL (jdbc:postgresql://HOST:5432/NAME), SPRING_DATASOURCE_USERNAME and SPRING_DATASOURCE_PASSWORD on the project.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rails-secret-key",
        title: "Rails has no secret_key_base",
        texts: &[
            "Missing `secret_key_base` for",
            "`secret_key_base` for production must be a type of String",
        ],
        fix: "Set SECRET_KEY_BASE on the project (made by `bin/rails secret`), or RAILS_MASTER_KEY. For the build alone SECRET_KEY_BASE_DUMMY=1 is enough.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rails-master-key",
        title: "Rails cannot decrypt its credentials",
        texts: &[
            "Missing encryption key to decrypt file with",
            "ActiveSupport::MessageEncryptor::InvalidMessage",
            "ActiveSupport::EncryptedFile::MissingKeyError",
        ],
        fix: "Set RAILS_MASTER_KEY on the project to the content of config/master.key that fits the committed credentials.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rails-host",
        title: "Rails refuses visitors of {host}",
        texts: &["Blocked hosts: {host}", "Blocked host: {host}"],
        fix: "Add {host} to `config.hosts` in config/environments/production.rb.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "django-secret-key",
        title: "Django has no SECRET_KEY",
        texts: &["The SECRET_KEY setting must not be empty"],
        fix: "Set the variable SECRET_KEY (or the one that settings.py reads) on the project, and for `collectstatic` in the build too.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "django-host",
        title: "Django refuses visitors of {host}",
        texts: &["Invalid HTTP_HOST header: '{host}'"],
        fix: "Add {host} to ALLOWED_HOSTS in the settings.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "django-hosts-unset",
        title: "Django's ALLOWED_HOSTS is empty",
        texts: &["You must set settings.ALLOWED_HOSTS if DEBUG is False"],
        fix: "Set ALLOWED_HOSTS in the settings to the app's host names.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "django-settings",
        title: "Django does not know which settings to use",
        texts: &["You must either define the environment variable DJANGO_SETTINGS_MODULE"],
        fix: "Set the variable DJANGO_SETTINGS_MODULE to the module of the settings, such as mysite.settings.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "django-static-root",
        title: "Django has no folder for static files",
        texts: &["without having set the STATIC_ROOT setting to a filesystem path"],
        fix: "Set STATIC_ROOT in the settings, such as BASE_DIR / \"staticfiles\", and serve it with WhiteNoise.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "django-csrf",
        title: "Django does not trust forms from {origin}",
        texts: &["Origin checking failed - {origin} does not match any trusted origins"],
        fix: "Add {origin} to CSRF_TRUSTED_ORIGINS, and set SECURE_PROXY_SSL_HEADER to (\"HTTP_X_FORWARDED_PROTO\", \"https\").",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "django-configuration",
        title: "Django's settings are wrong: {what}",
        texts: &["django.core.exceptions.ImproperlyConfigured: {what*}"],
        fix: "Correct the setting that it names, or set the variable that it is read from.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "laravel-key",
        title: "Laravel has no APP_KEY",
        texts: &[
            "No application encryption key has been specified",
            "Unsupported cipher or incorrect key length",
        ],
        fix: "Set APP_KEY on the project to what `php artisan key:generate --show` prints, base64: included.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "laravel-storage",
        title: "Laravel cannot write to its folder storage",
        texts: &[
            "could not be opened in append mode",
            "Please provide a valid cache path",
            "directory must be present and writable",
        ],
        fix: "Make storage and bootstrap/cache writable for the user that PHP runs as, and set LOG_CHANNEL=stderr.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "laravel-manifest",
        title: "The assets of the front end were not built",
        texts: &[
            "Vite manifest not found at: {path}",
            "The Mix manifest does not exist",
            "Mix manifest not found at: {path}",
        ],
        fix: "Run `npm ci && npm run build` in the build, so that public/build is in the image.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "auth-secret",
        title: "The secret of the sign-in library is not set",
        texts: &[
            "[next-auth][error][NO_SECRET]",
            "[auth][error] MissingSecret",
            "MissingSecret: Please define a `secret`",
            "Please define a `secret` in production",
            "secretOrPrivateKey must have a value",
            "secret option required for sessions",
            "JwtStrategy requires a secret or key",
            "Clerk: Missing publishableKey",
            "Missing publishableKey",
            "BETTER_AUTH_SECRET",
        ],
        fix: "Set its variable on the project: AUTH_SECRET for Auth.js, NEXTAUTH_SECRET for NextAuth, JWT_SECRET, SESSION_SECRET or what the code reads, to a long random text.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "auth-host",
        title: "Auth.js does not trust the host that visitors come to",
        texts: &[
            "UntrustedHost: Host must be trusted",
            "[auth][error] UntrustedHost",
        ],
        fix: "Set AUTH_TRUST_HOST=true on the project, or AUTH_URL to its public address.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "supabase-variables",
        title: "The address or the key of Supabase is not set",
        texts: &[
            "supabaseUrl is required",
            "supabaseKey is required",
            "Your project's URL and Key are required to create a Supabase client",
        ],
        fix: "Set the variables that the code reads for them on the project; those that begin with NEXT_PUBLIC_ or VITE_ are needed in the build.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "address-invalid",
        title: "An address is no URL",
        texts: &[
            "TypeError: Invalid URL",
            "TypeError [ERR_INVALID_URL]: Invalid URL",
            "Failed to parse URL from {url}",
            "Invalid URL '{url}': No scheme supplied",
            "unsupported protocol scheme \"",
            "requests.exceptions.MissingSchema",
            "relative URL without a base",
        ],
        fix: "Set the variable that the address comes from, with https:// before it: it is empty, undefined or incomplete.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "json-invalid",
        title: "A text that should be JSON is not",
        texts: &[
            "in JSON at position {position#}",
            "is not valid JSON",
            "Unexpected end of JSON input",
            "json.decoder.JSONDecodeError: {what*}",
            "invalid character '{character}' looking for beginning of value",
            "com.fasterxml.jackson.core.JsonParseException",
        ],
        unless: &["package.json"],
        fix: "Look at where it comes from: a variable whose quotes were lost, a file, or an answer that is an error page.",
        confidence: POSSIBLE,
        ..BASE
    },
    Pattern {
        id: "yaml-invalid",
        title: "A YAML file cannot be read",
        texts: &[
            "YAMLException: {what*}",
            "yaml.scanner.ScannerError: {what*}",
            "yaml.parser.ParserError: {what*}",
            "yaml: line {line#}: {what*}",
            "Psych::SyntaxError",
            "yaml: unmarshal errors:",
        ],
        fix: "Correct the place that it names: indentation is spaces only, and a text with a colon needs quotes.",
        confidence: LIKELY,
        more: 2,
        ..BASE
    },
];
