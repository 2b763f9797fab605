//! `tose whoami`: whom the key stands for.

use anyhow::Result;
use tose_api::account::MeView;

use crate::context::Context;

pub(crate) async fn run(ctx: &Context) -> Result<()> {
    let client = ctx.client()?;
    let me = client.get_me().await?;
    let text = format!("{} on {}", standing(&me), client.server_url());
    ctx.output.result(&me, &text)
}

/// Who it is, and with which role in which workspace.
pub(crate) fn standing(me: &MeView) -> String {
    match (&me.workspace, me.role) {
        (Some(workspace), Some(role)) => {
            format!("{}, {} of {workspace}", me.email, role.as_str())
        }
        _ => me.email.clone(),
    }
}
