//! `tose previews`: pull requests that run.

use anyhow::Result;

use crate::context::Context;
use crate::text;

pub(crate) async fn run(ctx: &Context) -> Result<()> {
    let client = &ctx.client()?;
    let target = &ctx.target(client).await?;
    let previews = client
        .list_previews(&target.workspace, &target.project)
        .await?;
    let rows: Vec<_> = previews
        .iter()
        .filter_map(|project| {
            let preview = project.preview.as_ref()?;
            Some([
                format!("#{}", preview.number),
                preview.branch.to_string(),
                project.slug.to_string(),
                text::word(&project.status),
                project.url.clone(),
            ])
        })
        .collect();
    let heading = ["REQUEST", "BRANCH", "PROJECT", "STATUS", "ADDRESS"];
    ctx.output.result(&previews, &text::table(heading, &rows))
}
