//! `tose whoami`: whom the key stands for.

use anyhow::Result;

use crate::context::Context;

pub(crate) async fn run(ctx: &Context) -> Result<()> {
    let client = ctx.client()?;
    let me = client.get_me().await?;
    let (email, role) = (&me.email, me.role.as_str());
    let text = format!(
        "{email}, {role} of {} on {}",
        me.workspace,
        client.server_url()
    );
    ctx.output.result(&me, &text)
}
