//! Which exit code a failure ends with.

use tose_api::Kind;
use tose_api::client;

use crate::error::Error;

/// The code of an interrupted command, as shells count it: 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// The list that `tose --help` ends with.
pub(crate) const HELP: &str = "\
Exit codes:
    0  done
    1  the deployment failed, or something else did
    2  the command line is wrong
    3  not logged in, or the key is not valid
    4  the role of the key does not allow it
    5  not found
    6  it collides with what there is
    7  the server does not accept the input
    8  the server cannot be reached or is not available
    9  the wallet is too low
   10  too many requests
  130  interrupted with Ctrl-C while following a deployment, which goes on
`tose exec` ends with the exit code of its command, or 124 when that did not end in time.";

/// The exit code of `error`.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<client::Error>() {
        return of_kind(error.kind());
    }
    match error.downcast_ref::<Error>() {
        Some(error) => of_error(error),
        None => 1,
    }
}

fn of_kind(kind: Kind) -> u8 {
    match kind {
        Kind::Internal => 1,
        Kind::Unauthenticated => 3,
        Kind::Forbidden => 4,
        Kind::NotFound => 5,
        Kind::Conflict => 6,
        Kind::Invalid => 7,
        Kind::Unavailable => 8,
        Kind::PaymentRequired => 9,
        Kind::RateLimited => 10,
    }
}

fn of_error(error: &Error) -> u8 {
    match error {
        // Whoever read the output has had enough of it, which is no failure.
        Error::OutputClosed => 0,
        Error::Deployment { .. }
        | Error::Failed { .. }
        | Error::NotTaken { .. }
        | Error::StreamCutShort => 1,
        Error::Usage(_)
        | Error::NotLinked
        | Error::NoWorkspace
        | Error::NoRepository
        | Error::MissingVariables { .. } => 2,
        Error::NotLoggedIn { .. } => 3,
        Error::NoDeployment
        | Error::NoEarlierDeployment
        | Error::NoDomain { .. }
        | Error::Missing { .. } => 5,
        Error::ProjectExists { .. } | Error::FileExists { .. } => 6,
        Error::Dotenv { .. } => 7,
        // What does not fit into an exit code is still no success.
        Error::CommandEnded { code } => u8::try_from(*code)
            .ok()
            .filter(|code| *code > 0)
            .unwrap_or(1),
        Error::Interrupted { .. } => INTERRUPTED,
    }
}
