//! Migrations and the tools that do them.

use super::{BASE, CERTAIN, HINT, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "prisma-unreachable",
        title: "Prisma does not reach the database at {host}",
        texts: &[
            "Can't reach database server at `{host}`",
            "P1001: Can't reach database server at {host*}",
        ],
        fix: "Check that the database runs and that DATABASE_URL names it: a database of the workspace is reached by the address on its page, not by {host} if that is another platform's name.",
        confidence: LIKELY,
        passes: true,
        ..BASE
    },
    Pattern {
        id: "prisma-variable",
        title: "The variable {variable} that Prisma's schema names is missing",
        texts: &[
            "Environment variable not found: {variable}",
            "Cannot resolve environment variable: {variable}",
        ],
        fix: "Set {variable} on the project. If the build needs it too, make it available there.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "prisma-failed-migration",
        title: "An earlier migration of Prisma failed and blocks the next ones",
        texts: &[
            "migrate found failed migrations in the target database",
            "Error: P3009",
        ],
        fix: "Repair the database by hand, then tell Prisma with `prisma migrate resolve --rolled-back NAME` (or `--applied NAME`).",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "prisma-migration",
        title: "A migration of Prisma failed",
        texts: &[
            "A migration failed to apply",
            "Error: P3018",
            "Error: P3006",
        ],
        fix: "Look at the database error below it, correct the migration, and run `prisma migrate resolve --rolled-back NAME` before the next try.",
        confidence: LIKELY,
        more: 6,
        ..BASE
    },
    Pattern {
        id: "prisma-not-empty",
        title: "The database has tables that Prisma's migrations do not know",
        texts: &["The database schema is not empty", "Error: P3005"],
        fix: "Mark the first migration as done with `prisma migrate resolve --applied NAME` (a baseline), or use an empty database.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "prisma-not-generated",
        title: "The Prisma client was not generated",
        texts: &[
            "@prisma/client did not initialize yet",
            "Cannot find module '.prisma/client/default'",
            "Cannot find module '.prisma/client/{file}'",
            "has no exported member 'PrismaClient'",
        ],
        fix: "Run `prisma generate` in the build: put it before the build command, or into the script `postinstall`.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "prisma-engine",
        title: "The Prisma engine for this image is missing",
        texts: &[
            "could not locate the Query Engine for runtime \"{runtime}\"",
            "Query engine library for current platform \"{runtime}\" could not be found",
            "Unable to require(`{runtime}`)",
            "Prisma failed to detect the libssl/openssl version",
            "libssl.so.1.1: cannot open shared object file",
        ],
        near: &["risma"],
        fix: "Install `openssl` in the image and run `prisma generate` there; to run it elsewhere than it is built, add the platform to `binaryTargets`.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "django-migrations-waiting",
        title: "Django has {count} migrations that were not applied",
        texts: &["You have {count#} unapplied migration(s)"],
        fix: "Run `python manage.py migrate`: put it into the release command, so that it runs before each new version.",
        confidence: HINT,
        ..BASE
    },
    Pattern {
        id: "django-migration",
        title: "Django's migrations do not fit together: {what}",
        texts: &[
            "django.db.migrations.exceptions.{what*}",
            "CommandError: Conflicting migrations detected; {what*}",
        ],
        fix: "Commit all files of migrations; merge two branches of them with `makemigrations --merge`, and never rename one that was applied.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "alembic-revision",
        title: "Alembic does not know the revision {revision}",
        texts: &["Can't locate revision identified by '{revision}'"],
        fix: "Commit the file of {revision}: the database was migrated by it, and it is not in this version of the source.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "alembic-heads",
        title: "Alembic's migrations have more than one end",
        texts: &[
            "Multiple head revisions are present",
            "Target database is not up to date",
        ],
        fix: "Merge them with `alembic merge heads` and commit the file; then run `alembic upgrade head`.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "rails-migrations-waiting",
        title: "Rails has migrations that were not applied",
        texts: &[
            "ActiveRecord::PendingMigrationError",
            "Migrations are pending. To resolve this issue",
        ],
        fix: "Run `bin/rails db:migrate`: put it into the release command, so that it runs before each new version.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rails-migration",
        title: "A migration of Rails failed",
        texts: &[
            "StandardError: An error has occurred, this and all later migrations canceled",
            "An error has occurred, all later migrations canceled",
        ],
        fix: "Look at the error below it, correct the migration, and deploy again.",
        confidence: LIKELY,
        more: 4,
        ..BASE
    },
    Pattern {
        id: "flyway-validation",
        title: "Flyway found a migration that was changed after it ran",
        texts: &[
            "Migration checksum mismatch for migration version {version}",
            "Migrations have failed validation",
            "Detected failed migration to version {version}",
            "Detected applied migration not resolved locally: {version}",
        ],
        fix: "Bring the file back as it was and write a new migration for the change; `flyway repair` only if the database fits already.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "flyway-migration",
        title: "The Flyway migration {file|of this version} failed",
        texts: &[
            "Migration {file} failed",
            "Script {file} failed",
            "Unsupported Database: {file*}",
        ],
        near: &["lyway"],
        fix: "Look at the database error below it, correct the script, and remove the failed entry with `flyway repair`.",
        confidence: LIKELY,
        more: 4,
        ..BASE
    },
    Pattern {
        id: "liquibase-lock",
        title: "Liquibase waits for a lock that an ended run has left",
        texts: &[
            "Could not acquire change log lock",
            "Waiting for changelog lock",
        ],
        fix: "Make sure that no other run is under way, then free it with `liquibase release-locks`.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "liquibase-migration",
        title: "A change set of Liquibase failed",
        texts: &[
            "liquibase.exception.{what*}",
            "Migration failed for changeset {what*}",
            "Migration failed for change set {what*}",
        ],
        unless: &["LockException"],
        fix: "Look at its reason; a change set that ran already may not be changed: write a new one.",
        confidence: LIKELY,
        more: 3,
        ..BASE
    },
    Pattern {
        id: "knex-files",
        title: "Migrations that the database knows are missing in the source: {files}",
        texts: &["The migration directory is corrupt, the following files are missing: {files*}"],
        fix: "Commit the files {files}: they ran on this database and may not be renamed or removed.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "knex-migration",
        title: "The migration {file} of Knex failed",
        texts: &[
            "migration file \"{file}\" failed",
            "Can't take lock to run migrations: {file*}",
        ],
        fix: "Look at the error below it and correct it. After a run that was killed, free the lock with `knex migrate:unlock`.",
        confidence: LIKELY,
        more: 3,
        ..BASE
    },
    Pattern {
        id: "sequelize-error",
        title: "The database refused a statement of Sequelize: {what}",
        texts: &["SequelizeDatabaseError: {what*}"],
        fix: "Compare the model with the tables, and run `sequelize db:migrate` in the release command.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "sequelize-driver",
        title: "The driver {package} that Sequelize needs is not installed",
        texts: &["Please install {package} package manually"],
        fix: "Add {package} to the dependencies in package.json and commit the lock file.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "typeorm-entity",
        title: "TypeORM does not know the entity {entity}",
        texts: &["No metadata for \"{entity}\" was found"],
        fix: "List {entity} among the entities of the data source by its class: a path such as src/**/*.ts is not there after the build.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "table-exists",
        title: "A migration creates {object}, which exists already",
        texts: &[
            "relation \"{object}\" already exists",
            "Table '{object}' already exists",
            "table {object} already exists",
            "table \"{object}\" already exists",
            "column \"{object}\" of relation \"{table}\" already exists",
            "type \"{object}\" already exists",
            "Duplicate column name '{object}'",
        ],
        fix: "Mark the migration as applied if the database is as it wants it, or write `IF NOT EXISTS`. Two replicas must not migrate at once: use the release command.",
        confidence: POSSIBLE,
        ..BASE
    },
];
