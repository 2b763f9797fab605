//! What can go wrong in the store.

/// What a store function answers.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be opened or brought to this version's schema.
    #[error("the database could not be opened")]
    Open(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A statement failed.
    #[error("the database could not {operation}")]
    Query {
        operation: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// A row holds what this version cannot read.
    #[error("column {column} holds a value that cannot be read")]
    Corrupt { column: &'static str },
    /// A unique value is taken.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// The row is not there (or not in this workspace).
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The store was closed.
    #[error("the database is closed")]
    Closed,
    /// The commit failed; the store's log says why.
    #[error("the database could not commit")]
    NotCommitted,
    /// The row is not in the state that the change starts from.
    #[error("{0}")]
    Conflict(&'static str),
}

impl Error {
    /// Wraps a failed statement; `operation` says what it was for.
    pub(crate) fn query(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Query { operation, source }
    }

    /// Wraps a failed insert: a unique index that refused it means that `what` is taken.
    pub(crate) fn insert(
        operation: &'static str,
        what: &'static str,
    ) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| {
            let is_taken = source
                .as_database_error()
                .is_some_and(|e| e.is_unique_violation());
            if is_taken {
                Self::Taken(what)
            } else {
                Self::Query { operation, source }
            }
        }
    }
}

impl From<Error> for tose_model::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(what) => Self::NotFound(what),
            Error::Taken(what) => {
                Self::conflict("taken", format!("{what} is taken; choose another"))
            }
            Error::Conflict(message) => Self::conflict("conflict", message),
            other => Self::internal("store call failed", other),
        }
    }
}
