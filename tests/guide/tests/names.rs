//! Whether the methods and types that the guide names are in the code.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be done in a test fails the test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// All files with this extension under a directory.
fn files(dir: &Path, wanted: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, wanted));
        } else if path
            .extension()
            .is_some_and(|extension| extension == wanted)
        {
            found.push(path);
        }
    }
    found
}

/// The words of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    parts.filter(|part| !part.is_empty())
}

/// What the library's code declares: functions, types, fields and variants.
fn declared(crates: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files(crates, "rs") {
        let text = fs::read_to_string(file).unwrap();
        for line in text.lines().map(str::trim_start) {
            let mut line_words = words(line).peekable();
            let first = line_words.peek().copied().unwrap_or_default();
            if line.starts_with(first) && first.starts_with(char::is_uppercase) {
                names.insert(first.to_owned());
            }
            while let Some(word) = line_words.next() {
                if matches!(word, "fn" | "struct" | "enum" | "trait" | "type" | "pub") {
                    names.extend(line_words.peek().map(|name| (*name).to_owned()));
                }
            }
        }
    }
    names
}

/// The code in running text, without the columns that are about another library.
fn code(chapter: &str, about_another: bool) -> Vec<String> {
    let (mut code, mut ours, mut column) = (Vec::new(), Vec::new(), None);
    let mut heading = false;
    for event in Parser::new_ext(chapter, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::TableHead) => (ours, heading, column) = (Vec::new(), true, Some(0)),
            Event::End(TagEnd::TableHead) => heading = false,
            Event::Start(Tag::TableRow) => column = Some(0),
            Event::End(TagEnd::Table) => column = None,
            Event::Start(Tag::TableCell) if heading => ours.push(!about_another),
            Event::End(TagEnd::TableCell) => column = column.map(|column| column + 1),
            Event::Text(text) if heading && about_another => {
                let is_ours = ["here", "tower-keep"].contains(&&*text);
                if let Some(last) = ours.last_mut() {
                    *last = is_ours;
                }
            }
            Event::Code(text) => {
                let in_table = column.is_some_and(|at| ours.get(at) == Some(&true));
                if in_table || (column.is_none() && !about_another) {
                    code.push(text.into_string());
                }
            }
            _ => {}
        }
    }
    code
}

/// The names in a piece of code that are certainly those of methods, fields or variants.
fn named(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(['.', ':']) {
        let rest = &code[at + 1..];
        let name = words(rest).next().filter(|name| rest.starts_with(name));
        let Some(name) = name.filter(|name| !name.starts_with(|c: char| c.is_ascii_digit())) else {
            continue;
        };
        let called = rest[name.len()..].starts_with(['(', ':']);
        if called || code[..at].ends_with(':') {
            names.push(name);
        }
    }
    names
}

#[test]
fn f7_what_the_guide_names_is_in_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let (root, mut seen) = (root.unwrap(), 0);
    let declared = declared(&root.join("crates"));
    let elsewhere = [
        "from_secs",
        "to_owned",
        "into_make_service_with_connect_info",
    ];
    let mut wrong = Vec::new();
    for file in files(&root.join("docs/guide/src"), "md") {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        for code in code(&text, name.starts_with("from-")) {
            for word in named(&code) {
                seen += 1;
                if !declared.contains(word) && !elsewhere.contains(&word) {
                    wrong.push(format!("{name}: `{code}`: no {word}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 80, "only {seen} names were found");
}

#[test]
fn names_are_found_in_code() {
    assert_eq!(
        named("session.insert_for(\"a.b\", &x, Duration::from_secs(300))?"),
        ["insert_for", "from_secs"]
    );
    assert_eq!(named("session.remove::<String>(\"a\")?"), ["remove"]);
    assert_eq!(named("LockConfig::wait"), ["wait"]);
    assert_eq!(named("docs/guide/src/start.md, 10.11, a.b"), [""; 0]);
    let table = "| PHP | here |\n|---|---|\n| `a.x()` | `b.y()` |\n\n`c.z()`\n";
    assert_eq!(code(table, true), ["b.y()"]);
    assert_eq!(code(table, false), ["a.x()", "b.y()", "c.z()"]);
}
