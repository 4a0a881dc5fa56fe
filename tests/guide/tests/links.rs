//! Whether what the documentation links to is there: files, headings, and the paths that the guide
//! names. Nothing beyond this repository is looked at.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be done in a test fails the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What one page has in it.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    /// As they are named in links to the page.
    headings: BTreeSet<String>,
    /// Names of files in code.
    paths: Vec<String>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let (mut page, mut heading) = (Self::default(), None::<String>);
        let mut seen = BTreeMap::<String, usize>::new();
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let mut slug = slug(&heading.take().unwrap_or_default());
                    let before = seen.entry(slug.clone()).or_default();
                    if *before > 0 {
                        slug = format!("{slug}-{before}");
                    }
                    *before += 1;
                    page.headings.insert(slug);
                }
                Event::Text(text) => {
                    if let Some(all) = &mut heading {
                        all.push_str(&text);
                    }
                }
                Event::Code(code) => {
                    if let Some(all) = &mut heading {
                        all.push_str(&code);
                    }
                    if is_path(&code) {
                        page.paths.push(code.into_string());
                    }
                }
                _ => {}
            }
        }
        page
    }
}

/// The name of a heading in links, as GitHub and mdBook make it.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// Whether this is the path of something in the repository.
fn is_path(code: &str) -> bool {
    let tops = [
        "benches/",
        "crates/",
        "docs/",
        "examples/",
        "scripts/",
        "tests/campaign",
        "tests/guide",
        "tests/bridge-stores",
    ];
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    tops.iter().any(|top| code.starts_with(top)) && code.chars().all(plain)
}

/// The page with what it includes, which is always another page as a whole.
fn read(file: &Path) -> String {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    match text.trim().strip_prefix("{{#include ") {
        Some(rest) => read(&beside(file, rest.trim_end_matches("}}"))),
        None => text,
    }
}

/// What `link` means in `file`.
fn beside(file: &Path, link: &str) -> PathBuf {
    let mut path = file.to_owned();
    path.pop();
    for part in link.split('/') {
        match part {
            ".." => _ = path.pop(),
            "." | "" => {}
            name => path.push(name),
        }
    }
    path
}

/// Whether a page includes another, whose pictures are then beside that one.
fn is_included(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.starts_with("{{#include "))
}

/// What is wrong with the links of a page.
fn faults(root: &Path, file: &Path) -> Vec<String> {
    let page = Page::parse(&read(file));
    let mut faults = Vec::new();
    for link in &page.links {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = match path {
            "" => file.to_owned(),
            path => beside(file, path),
        };
        let is_page = target
            .extension()
            .is_some_and(|extension| extension == "md");
        if !target.exists() && (is_page || !is_included(file)) {
            faults.push(format!("{link}: not there"));
        } else if !heading.is_empty() && !Page::parse(&read(&target)).headings.contains(heading) {
            faults.push(format!("{link}: no such heading"));
        }
    }
    for path in page.paths.iter().filter(|path| !root.join(path).exists()) {
        faults.push(format!("`{path}`: not there"));
    }
    faults
}

fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap()
}

/// All pages under a directory.
fn pages(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn f7_every_link_of_the_documentation_leads_somewhere() {
    let mut pages = pages(&root().join("docs"));
    let own = ["CONTRIBUTING.md", "README.md", "SECURITY.md"];
    pages.extend(own.map(|page| root().join(page)));
    let wrong: Vec<_> = pages
        .iter()
        .flat_map(|page| {
            let faults = faults(root(), page).into_iter();
            faults.map(move |fault| format!("{}: {fault}", page.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn f7_every_chapter_of_the_guide_is_in_its_contents() {
    let guide = root().join("docs/guide/src");
    let contents = guide.join("SUMMARY.md");
    let listed = Page::parse(&read(&contents)).links;
    let listed: BTreeSet<_> = listed.iter().map(|link| beside(&contents, link)).collect();
    let chapters: BTreeSet<_> = pages(&guide)
        .into_iter()
        .filter(|page| *page != contents)
        .collect();
    assert_eq!(listed, chapters);
}

#[test]
fn what_leads_nowhere_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write(
        "one.md",
        "# A `b`, c\n\n## Twice\n\n## Twice\n\n[own](#twice-1) [two](two.md#deep)\n",
    );
    write("two.md", "{{#include one.md}}\n");
    let links = "[a](one.md#a-b-c) [b](one.md#twice-2) [c](gone.md) ![d](gone.svg) [e](#none)\n\n\
                 | [f](../gone.md) | `docs/gone.rs` | `one.md` | [g](https://example.com/#x) |\n\
                 |---|---|---|---|\n";
    write("three.md", links);
    let of = |name: &str| faults(dir.path(), &dir.path().join(name));
    assert_eq!(of("one.md"), ["two.md#deep: no such heading"]);
    assert_eq!(of("two.md"), ["two.md#deep: no such heading"]);
    let wrong = [
        "one.md#twice-2: no such heading",
        "gone.md: not there",
        "gone.svg: not there",
        "#none: no such heading",
        "../gone.md: not there",
        "`docs/gone.rs`: not there",
    ];
    assert_eq!(of("three.md"), wrong);
}
