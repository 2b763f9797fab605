//! What databases answer to a connection or a statement.

use super::{BASE, CERTAIN, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "database-password",
        title: "The database refused user {user|and password}",
        texts: &[
            "password authentication failed for user \"{user}\"",
            "Access denied for user '{user}'@",
            "ER_ACCESS_DENIED_ERROR",
            "Authentication failed against database server",
            "Login failed for user '{user}'",
            "Error: P1000",
        ],
        fix: "Set the variable with the address anew from the database's page, for user {user|there}. Characters such as @ : / # in a password have to be percent-encoded in a URL.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-no-password",
        title: "No password was sent to the database",
        texts: &[
            "client password must be a string",
            "fe_sendauth: no password supplied",
            "no password was provided",
            "The server requested password-based authentication, but no password was provided",
        ],
        fix: "Set the variable with the database's address or password: the app found none there.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-missing",
        title: "The database {database|that the app names} does not exist",
        texts: &[
            "database \"{database}\" does not exist",
            "Unknown database '{database}'",
            "Database `{database}` does not exist",
            "Database {database} does not exist",
            "Cannot open database \"{database}\" requested by the login",
            "ActiveRecord::NoDatabaseError",
        ],
        fix: "Name an existing database at the end of the address in the variable, or create {database|it}.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-role-missing",
        title: "The database has no user {role}",
        texts: &["role \"{role}\" does not exist"],
        fix: "Set the variable with the address anew from the database's page. Without a user in it, many drivers take the name of the system's user, {role}.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-table-missing",
        title: "The table {table} is missing in the database",
        texts: &[
            "relation \"{table}\" does not exist",
            "Table '{table}' doesn't exist",
            "no such table: {table}",
            "The table `{table}` does not exist in the current database",
            "Invalid object name '{table}'",
        ],
        fix: "Run the migrations that create {table}: put their command into the release command, so that it runs before each new version.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-column-missing",
        title: "The column {column} is missing in the database",
        texts: &[
            "column \"{column}\" does not exist",
            "column {column} does not exist",
            "Unknown column '{column}' in",
            "no such column: {column}",
            "The column `{column}` does not exist in the current database",
            "column \"{column}\" of relation",
        ],
        unless: &["already exists", "violates not-null", "is of type"],
        fix: "Run the migrations that add {column}: put their command into the release command, so that it runs before each new version.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-too-many-connections",
        title: "The database has no connection left",
        texts: &[
            "too many clients already",
            "remaining connection slots are reserved",
            "Too many connections",
            "too many connections for role",
            "too many connections for database",
            "Too many database connections opened",
            "max number of clients reached",
        ],
        fix: "Make the pool of each replica smaller, so that all of them together stay below the limit, and use one client for the whole app. Serverless-style code that connects for each request needs a pooler.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-pool-exhausted",
        title: "All connections of the app's pool are taken",
        texts: &[
            "QueuePool limit of size {size#} overflow",
            "Timed out fetching a new connection from the connection pool",
            "Connection is not available, request timed out after",
            "Knex: Timeout acquiring a connection",
            "SequelizeConnectionAcquireTimeoutError",
            "could not obtain a connection from the pool",
            "could not obtain a database connection within",
            "pool timed out while waiting for an open connection",
            "timeout exceeded when trying to connect",
            "The timeout period elapsed prior to obtaining a connection from the pool",
        ],
        fix: "Give every connection back (also after an error), look for slow statements and open transactions, and raise the size of the pool only if the database has room.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "database-tls-required",
        title: "The database takes encrypted connections only",
        texts: &[
            "no encryption",
            "SSL off",
            "Connections using insecure transport are prohibited",
            "SSL/TLS required",
            "connection is insecure (try using `sslmode=require`)",
            "SSL connection is required",
        ],
        near: &[
            "pg_hba.conf",
            "insecure transport",
            "SSL/TLS required",
            "sslmode",
            "SSL connection is required",
        ],
        fix: "Add `sslmode=require` to the address in the variable (`ssl: true` with some drivers). If it stays, the database does not let this server's address in at all.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-tls-unsupported",
        title: "The app wants TLS and the database does not speak it",
        texts: &[
            "The server does not support SSL connections",
            "server does not support SSL, but SSL was required",
            "SSL is not enabled on the server",
            "The server does not support SSL",
            "Server does not support secure connection",
            "server does not support TLS",
        ],
        fix: "Set `sslmode=disable` (or leave `ssl` out) in the address: a database of the workspace is reached over a private network.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-not-allowed",
        title: "The database lets no connection in from this address",
        texts: &[
            "no pg_hba.conf entry for host \"{host}\"",
            "is not allowed to connect to this",
        ],
        unless: &["no encryption", "SSL off"],
        fix: "Add this server's address to what the database allows (pg_hba.conf, the list of trusted addresses, or a grant for the user at any host).",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-starting",
        title: "The database was just starting or stopping",
        texts: &[
            "the database system is starting up",
            "the database system is shutting down",
            "the database system is not yet accepting connections",
            "LOADING Redis is loading the dataset in memory",
        ],
        fix: "Try to connect again for some seconds before giving up.",
        confidence: POSSIBLE,
        passes: true,
        ..BASE
    },
    Pattern {
        id: "database-read-only",
        title: "The database takes no writes from this connection",
        texts: &[
            "in a read-only transaction",
            "attempt to write a readonly database",
            "READONLY You can't write against a read only replica",
            "The MySQL server is running with the --read-only option",
            "not primary and secondaryOk=false",
        ],
        fix: "Write to the primary and not to a replica. An SQLite file and its folder have to belong to the user that the app runs as, in a volume.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "database-permission",
        title: "The database user may not use {object}",
        texts: &[
            "permission denied for table {object}",
            "permission denied for relation {object}",
            "permission denied for schema {object}",
            "permission denied for sequence {object}",
            "permission denied to create {object}",
            "must be owner of {object*}",
            "command denied to user '{object}'",
        ],
        fix: "Grant it with the database's owner (`GRANT … ON {object} TO …`), or use the user that created it.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "database-extension",
        title: "The database lacks the extension {extension}",
        texts: &[
            "extension \"{extension}\" is not available",
            "could not open extension control file \"{extension}\"",
            "type \"{extension}\" does not exist",
            "function {extension}() does not exist",
        ],
        fix: "Create it with `CREATE EXTENSION`, and take an image of PostgreSQL that brings {extension} if it is not available.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "database-data-version",
        title: "The files of the database are of another version than the server",
        texts: &[
            "database files are incompatible with server",
            "which is not compatible with this version {version}",
            "This version of MongoDB is too recent to start up on the existing data files",
            "Can't handle RDB format version {version}",
        ],
        fix: "Go back to the version that wrote the files, dump the data, and load it into a new database of the new version.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-duplicate",
        title: "A row breaks the unique rule {constraint}",
        texts: &[
            "duplicate key value violates unique constraint \"{constraint}\"",
            "UNIQUE constraint failed: {constraint}",
            "Duplicate entry '{entry*}' for key '{constraint}'",
            "Unique constraint failed on the fields: (`{constraint}`)",
            "E11000 duplicate key error collection: {constraint}",
        ],
        fix: "Look for the row first or use an upsert; seeds and release commands run again with every version.",
        confidence: POSSIBLE,
        ..BASE
    },
    Pattern {
        id: "database-deadlock",
        title: "Two transactions waited for each other",
        texts: &[
            "deadlock detected",
            "Deadlock found when trying to get lock",
            "could not serialize access due to",
            "Lock wait timeout exceeded",
        ],
        fix: "Lock rows in the same order everywhere, keep transactions short, and try again when this happens.",
        confidence: POSSIBLE,
        ..BASE
    },
    Pattern {
        id: "sqlite-locked",
        title: "The SQLite database is locked by another writer",
        texts: &[
            "database is locked",
            "SQLITE_BUSY",
            "database table is locked",
        ],
        fix: "Set a busy timeout and WAL mode, keep transactions short, and let one replica only use the file.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "sqlite-open",
        title: "The SQLite database file cannot be opened",
        texts: &[
            "unable to open database file",
            "SQLITE_CANTOPEN",
            "Error code 14: Unable to open the database file",
            "unable to open database \"{path}\"",
        ],
        fix: "Put the file into a volume whose folder exists and that the app's user may write to: everything else is empty after each deploy.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "mongo-password",
        title: "MongoDB refused user and password",
        texts: &[
            "MongoServerError: Authentication failed",
            "bad auth : authentication failed",
            "bad auth : Authentication failed",
            "ommand {command} requires authentication",
            "pymongo.errors.OperationFailure: Authentication failed",
            "not authorized on {database} to execute command",
            "auth error: sasl conversation error",
        ],
        fix: "Set the variable with the address anew. Percent-encode the password, and add `?authSource=admin` if the user was made in the database admin.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "mongo-address",
        title: "The address of MongoDB is missing or no MongoDB address",
        texts: &[
            "Invalid scheme, expected connection string to start with",
            "parameter to `openUri()` must be a string, got",
            "Invalid URI scheme: URI must begin with",
            "error parsing uri: scheme must be",
        ],
        fix: "Set the variable that the app reads for it, such as MONGODB_URI, to an address that begins with mongodb:// or mongodb+srv://.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "redis-password",
        title: "Redis refused the password",
        texts: &[
            "NOAUTH Authentication required",
            "WRONGPASS invalid username-password pair",
            "invalid username-password pair or user is disabled",
            "ERR AUTH <password> called without any password configured",
            "ERR Client sent AUTH, but no password is set",
            "NOAUTH HELLO must be called with the client already authenticated",
        ],
        fix: "Set the variable with the address anew, in the form redis://:PASSWORD@HOST:6379, or leave the password out if the server has none.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "redis-cannot-save",
        title: "Redis takes no writes since it cannot save to its disk",
        texts: &[
            "MISCONF Redis is configured to save RDB snapshots",
            "Failed opening the temp RDB file",
        ],
        fix: "Give its volume more room and the right owner, or switch snapshots off with `save \"\"` if its data may be lost.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "database-address",
        title: "The address of the database is no valid URL",
        texts: &[
            "the URL must start with the protocol `{protocol}://`",
            "Could not parse rfc1738 URL from string",
            "Could not parse SQLAlchemy URL from",
            "invalid database URL",
            "The provided database string is invalid",
            "invalid connection option \"{option}\"",
            "missing \"=\" after \"{option*}\" in connection info string",
            "error parsing connection string",
            "failed to parse as URL",
            "cannot parse `{url}`: failed to parse as",
            "RelativeUrlWithoutBase",
            "No suitable driver found for {url}",
        ],
        fix: "Set the variable, such as DATABASE_URL, to PROTOCOL://USER:PASSWORD@HOST:PORT/NAME without quotes, with the password percent-encoded. Java wants jdbc: before it.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "sqlalchemy-dialect",
        title: "SQLAlchemy does not know the scheme {dialect} of the address",
        texts: &["Can't load plugin: sqlalchemy.dialects:{dialect}"],
        fix: "Write postgresql:// instead of postgres:// in the variable, or replace it in the code before the engine is made.",
        confidence: CERTAIN,
        ..BASE
    },
];
