//! PHP: programs and Composer.

use super::{BASE, CERTAIN, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "php-class-missing",
        title: "PHP does not find the class {class}",
        texts: &[
            "Class \"{class*}\" not found",
            "Class '{class*}' not found",
            "Target class [{class*}] does not exist",
        ],
        fix: "Add the package that has {class} with Composer, or correct its namespace; a file's name has to match it, upper and lower case included.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "php-driver",
        title: "PHP has no driver for the database",
        texts: &[
            "could not find driver",
            "Undefined constant PDO::MYSQL_ATTR",
        ],
        fix: "Install the extension in the image: pdo_pgsql for PostgreSQL, pdo_mysql for MySQL, pdo_sqlite for SQLite (`docker-php-ext-install`), or require ext-pdo_… in composer.json.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "php-function-missing",
        title: "PHP does not know the function {function}",
        texts: &["Call to undefined function {function}()"],
        fix: "Install the extension that has {function} (mb_… is mbstring, curl_… curl, image… gd, mysqli_… mysqli, bc… bcmath, simplexml_… xml), or include the file that defines it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "php-extension",
        title: "The PHP extension {extension} is missing",
        texts: &[
            "requires ext-{extension} * -> it is missing from your system",
            "requires ext-{extension} ",
            "requires PHP extension ext-{extension} ",
            "The requested PHP extension {extension} ",
            "Unable to load dynamic library '{extension}'",
        ],
        near: &["missing", "Unable to load dynamic library"],
        fix: "Install it in the image (`docker-php-ext-install {extension}`), or require ext-{extension} in composer.json.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "php-no-vendor",
        title: "The packages of Composer are not installed",
        texts: &[
            "vendor/autoload.php): Failed to open stream",
            "vendor/autoload.php): failed to open stream",
            "Failed opening required '{path}vendor/autoload.php'",
        ],
        fix: "Run `composer install --no-dev` in the build, and commit composer.lock.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "php-syntax",
        title: "A file is no valid PHP: {what}",
        texts: &[
            "PHP Parse error:  {what*}",
            "Parse error: {what*}",
            "ParseError: {what*}",
        ],
        fix: "Correct the line that it names. If it is new syntax, require a newer PHP in composer.json.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "php-version",
        title: "The packages need another version of PHP",
        texts: &[
            "Your Composer dependencies require a PHP version \"{version*}\"",
            "your php version ({version}) does not satisfy that requirement",
        ],
        fix: "Require the version in composer.json (\"php\": \"^8.3\"), which chooses the image, or set it in the Dockerfile.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "composer-lock",
        title: "composer.lock does not fit composer.json",
        texts: &[
            "The lock file is not up to date with the latest changes in composer.json",
            "is not present in the lock file",
            "Your lock file does not contain a compatible set of packages",
        ],
        fix: "Run `composer update --lock` and commit composer.lock.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "composer-resolve",
        title: "Composer finds no set of packages that fit together",
        texts: &["Your requirements could not be resolved to an installable set of packages"],
        fix: "Look at the problems below it: a version in composer.json has to change, or PHP or an extension in the image.",
        confidence: LIKELY,
        more: 5,
        ..BASE
    },
    Pattern {
        id: "composer-missing",
        title: "There is no composer.json where Composer looks",
        texts: &["Composer could not find a composer.json file in {path}"],
        fix: "Commit composer.json, or set the project's folder to the one that has it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "php-time-limit",
        title: "A PHP script ran longer than {seconds} s",
        texts: &[
            "Maximum execution time of {seconds#} seconds exceeded",
            "Maximum execution time of {seconds#} second exceeded",
        ],
        fix: "Do the work in a queue's worker, or raise max_execution_time.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "php-fpm-children",
        title: "All processes of PHP are busy",
        texts: &["server reached pm.max_children setting ({count#}), consider raising it"],
        fix: "Raise pm.max_children if there is memory for it, or look for slow requests.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "php-fatal",
        title: "PHP ended with {what}",
        texts: &[
            "PHP Fatal error:  Uncaught {what*}",
            "PHP Fatal error:  {what*}",
            "Fatal error: Uncaught {what*}",
            "production.ERROR: {what*}",
        ],
        fix: "Look at the file and line that the message names.",
        confidence: POSSIBLE,
        ..BASE
    },
];
