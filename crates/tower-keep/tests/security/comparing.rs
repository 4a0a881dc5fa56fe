//! Comparisons of secrets: in a time that does not tell how much of a guess was right. That is
//! shown by how they are written, not by a clock, which would only show this machine's.

use std::fs;
use std::path::{Path, PathBuf};

use tower_keep::core::{Secret, SecretHash};

/// Whether a type has `==`: the method of the reference is found only where the type's own is not.
trait NoEq {
    fn has_eq(&self) -> bool {
        false
    }
}

impl<T> NoEq for &Probe<T> {}

struct Probe<T>(std::marker::PhantomData<T>);

impl<T: PartialEq> Probe<T> {
    #[expect(clippy::unused_self, reason = "it is found by its receiver")]
    fn has_eq(&self) -> bool {
        true
    }
}

#[test]
#[allow(
    clippy::needless_borrow,
    reason = "the reference is what the trait is for"
)]
fn secrets_and_their_digests_have_no_comparison_but_their_own() {
    fn probe<T>() -> Probe<T> {
        Probe(std::marker::PhantomData)
    }
    assert!(
        (&probe::<[u8; 32]>()).has_eq(),
        "the probe finds what there is"
    );
    assert!(!(&probe::<Secret>()).has_eq());
    assert!(!(&probe::<SecretHash>()).has_eq());
    assert!(!(&probe::<tower_keep::core::Token>()).has_eq());
    assert!(!(&probe::<tower_keep::keys::SecretKey>()).has_eq());
    let (one, two) = (Secret::generate().unwrap(), Secret::generate().unwrap());
    assert!(one.hash().matches(&one.clone().hash()));
    assert!(!one.hash().matches(&two.hash()));
}

/// Every bit of a digest counts, and none of them more than the others.
#[test]
fn a_digest_that_differs_in_one_bit_does_not_match() {
    let digest = *Secret::generate().unwrap().hash().as_bytes();
    let own = SecretHash::from_bytes(digest);
    for bit in 0..256 {
        let mut other = digest;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!own.matches(&SecretHash::from_bytes(other)), "bit {bit}");
    }
    assert!(own.matches(&SecretHash::from_bytes(digest)));
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The code of a function in a source, from its name to the end of its block.
fn body<'s>(source: &'s str, function: &str) -> &'s str {
    let named = |open: char| source.find(&format!("fn {function}{open}"));
    let start = named('(').or_else(|| named('<')).unwrap();
    let rest = &source[start..];
    let end = rest.find("\n    }\n").unwrap();
    &rest[..end]
}

#[test]
fn secrets_are_compared_by_what_takes_the_same_time_for_all_guesses() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(crates.join(path)).unwrap();
    for (path, function, by) in [
        ("tower-keep-core/src/token/mod.rs", "matches", ".ct_eq("),
        ("tower-keep/src/csrf/token.rs", "matches", ".ct_eq("),
        (
            "tower-keep/src/tokens.rs",
            "verified",
            ".verify_truncated_left(",
        ),
        (
            "tower-keep/src/encryption/seal.rs",
            "unseal",
            ".decrypt_inout_detached(",
        ),
    ] {
        let source = read(path);
        assert!(body(&source, function).contains(by), "{path}: {function}");
    }
    // Nobody takes a digest apart to compare its bytes: `as_bytes` of a hash is for stores that
    // write it down, and for tests.
    for name in ["tower-keep", "tower-keep-core", "tower-keep-file"] {
        for path in sources(&crates.join(name).join("src")) {
            let source = fs::read_to_string(&path).unwrap();
            for (number, line) in source.lines().enumerate() {
                let compares = line.contains("==") || line.contains("!=");
                let digest =
                    line.contains("secret.as_bytes()") || line.contains("hash().as_bytes()");
                let is_test = line.contains("assert");
                assert!(
                    !(compares && digest) || is_test,
                    "{}:{}",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}
