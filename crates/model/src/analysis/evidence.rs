//! Evidence: the line that was recognised, and what a person would look at beside it.
//!
//! That is the nearest frame of a stack trace that is the author's own code and not a library's.

use super::text::shorten;

/// How far a frame may be from the line.
const FRAMES_BEFORE: usize = 60;
const FRAMES_AFTER: usize = 40;
/// How far before a message the place in the source may be.
const PLACE_BEFORE: usize = 6;

/// Texts of frames that are of no help to the author of an app.
const FOREIGN: &[&str] = &[
    "node_modules",
    "node:",
    "(internal/",
    "site-packages",
    "dist-packages",
    "<frozen ",
    "File \"<",
    "/usr/local/",
    "/usr/lib",
    "/usr/share/",
    "/usr/src/",
    "/vendor/",
    "/gems/",
    "/rustc/",
    "/.cargo/",
    "/pkg/mod/",
    "at java.",
    "at java.base/",
    "at javax.",
    "at jakarta.",
    "at jdk.",
    "at sun.",
    "at org.springframework.",
    "at org.apache.",
    "at org.hibernate.",
    "at org.postgresql.",
    "at com.zaxxer.",
    "at com.mysql.",
    "at System.",
    "at Microsoft.",
    "at <anonymous>",
    "[internal function]",
    "{main}",
    "(ext:",
    "(index ",
];

/// The lines that show the cause that was recognised in line `at`, which `more` lines after it belong to.
pub(super) fn gather(lines: &[&str], at: usize, more: usize) -> Vec<String> {
    let mut places = frame_before(lines, at);
    places.extend(place_before(lines, at));
    places.push(at);
    let goes_on = usize::from(lines[at].trim_end().ends_with(':'));
    places.extend((at + 1..lines.len()).take(more.max(goes_on)));
    places.extend(frame_after(lines, at));
    places.sort_unstable();
    places.dedup();
    let texts = places.into_iter().map(|place| shorten(lines[place]));
    texts.filter(|text| !text.is_empty()).collect()
}

/// The last own frame of a trace of Python, whose message comes after its frames, with its source.
fn frame_before(lines: &[&str], at: usize) -> Vec<usize> {
    let from = at.saturating_sub(FRAMES_BEFORE);
    for place in (from..at).rev() {
        let line = lines[place].trim_start();
        if line.starts_with("Traceback ") {
            break;
        }
        if line.starts_with("File \"") && is_own(line) {
            let source = place + 1;
            let is_source = source < at && !lines[source].trim_start().starts_with("File \"");
            return (place..=place + usize::from(is_source)).collect();
        }
        if !lines[place].starts_with([' ', '\t']) && at - place > 3 {
            break;
        }
    }
    Vec::new()
}

/// The place in the source that compilers write some lines before a message: `/app/server.js:12`, or
/// `./app/page.tsx` of a bundler.
fn place_before(lines: &[&str], at: usize) -> Option<usize> {
    let from = at.saturating_sub(PLACE_BEFORE);
    (from..at).rev().find(|place| {
        let line = lines[*place].trim();
        let is_whole = line.starts_with('/') || line.starts_with("file:///");
        let number = line.rsplit_once(':').map_or("", |(_, number)| number);
        let is_numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let is_relative = line.starts_with("./") && !line.contains(' ');
        (is_whole && is_numbered || is_relative) && is_own(line)
    })
}

/// The first own frame of a trace whose frames come after its message.
fn frame_after(lines: &[&str], at: usize) -> Option<usize> {
    let until = lines.len().min(at + 1 + FRAMES_AFTER);
    for (place, line) in lines.iter().enumerate().take(until).skip(at + 1) {
        let line = line.trim_start();
        if starts_another(line) {
            return None;
        }
        if is_frame(line) && is_own(line) {
            return Some(place);
        }
    }
    None
}

fn is_frame(line: &str) -> bool {
    let is_numbered = line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_digit());
    let is_go = line.starts_with('/') && line.contains(".go:");
    is_numbered || is_go || line.starts_with("at ") || line.starts_with("from ")
}

/// Whether the trace is over, since something else begins.
fn starts_another(line: &str) -> bool {
    ["Traceback ", "panic:", "thread '", "Caused by:"]
        .iter()
        .any(|start| line.starts_with(start))
}

fn is_own(line: &str) -> bool {
    !FOREIGN.iter().any(|text| line.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], at: usize, expected: &[&str]) {
        assert_eq!(gather(lines, at, 0), expected);
    }

    #[test]
    fn the_nearest_own_frame_is_shown() {
        check(
            &[
                "TypeError: x",
                "    at f (node:internal/x:1:2)",
                "    at g (/app/node_modules/a/b.js:1:2)",
                "    at main (/app/server.js:7:3)",
            ],
            0,
            &["TypeError: x", "at main (/app/server.js:7:3)"],
        );
        check(
            &[
                "Traceback (most recent call last):",
                "  File \"/app/main.py\", line 2, in <module>",
                "    import x",
                "  File \"/usr/local/lib/python3.12/os.py\", line 9, in y",
                "    raise",
                "KeyError: 'A'",
            ],
            5,
            &[
                "File \"/app/main.py\", line 2, in <module>",
                "import x",
                "KeyError: 'A'",
            ],
        );
        check(
            &[
                "/app/a.js:3",
                "let x = ;",
                "        ^",
                "",
                "SyntaxError: y",
            ],
            4,
            &["/app/a.js:3", "SyntaxError: y"],
        );
        check(
            &["./app/page.tsx:1:40", "Type error: x"],
            1,
            &["./app/page.tsx:1:40", "Type error: x"],
        );
        check(
            &["thread 'main' panicked at src/main.rs:2:5:", "no file"],
            0,
            &["thread 'main' panicked at src/main.rs:2:5:", "no file"],
        );
    }
}
