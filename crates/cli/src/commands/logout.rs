//! `tose logout`: forgets the kept key.

use anyhow::Result;
use serde_json::json;

use crate::context::Context;

pub(crate) fn run(ctx: &Context) -> Result<()> {
    let was_logged_in = ctx.config.forget()?;
    let text = match was_logged_in {
        true => "logged out; the key itself stays valid until it expires or is deleted",
        false => "there is no login to forget",
    };
    ctx.output
        .result(&json!({ "logged_out": was_logged_in }), text)
}
