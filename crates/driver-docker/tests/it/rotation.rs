//! Output beyond the size at which the engine begins another file.

use futures_util::StreamExt;
use tose_model::driver::Driver;

use crate::engine::on_site;

/// Lines that need more than one file of 10 MB, with pauses in which a reader can keep up.
const LINES: u32 = 150_000;

#[tokio::test]
async fn no_line_comes_twice_when_log_files_are_rotated() {
    let program = format!(
        "import sys, time\nfor number in range({LINES}):\n    print(number, 'x' * 60)\n    if number % 1000 == 0: sys.stdout.flush(); time.sleep(0.02)"
    );
    let program = program.replace('\n', "\\n");
    on_site(async |site| {
        let steps = format!("CMD [\"python3\", \"-c\", \"{program}\"]");
        let spec = site.start(&steps).await.expect("it starts");
        let mut lines = site.driver.logs(&spec.name, None).await.expect("logs");
        let mut last = None;
        while let Some(line) = lines.next().await {
            let text = String::from_utf8(line.expect("a line").text).expect("text");
            let number: u32 = text
                .split(' ')
                .next()
                .and_then(|word| word.parse().ok())
                .expect("a number");
            assert!(last < Some(number), "{number} after {last:?}");
            last = Some(number);
        }
        assert_eq!(last, Some(LINES - 1));
    })
    .await;
}
