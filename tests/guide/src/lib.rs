//! The code in the guide, compiled and run: each block is a documentation test. `tests/links.rs`
//! follows the links.

/// Runs the code of chapters.
macro_rules! chapters {
    ($($name:ident $file:literal),* $(,)?) => {$(
        #[cfg(doctest)]
        #[doc = include_str!(concat!("../../../docs/guide/src/", $file))]
        struct $name;
    )*};
}

chapters! {
    Start "start.md",
    Extractors "extractors.md",
    Login "login.md",
    Concurrency "concurrency.md",
    Testing "testing.md",
    Deploying "deploying.md",
    SecurityModel "security-model.md",
    FromAxumSession "from-axum-session.md",
    FromActixSession "from-actix-session.md",
    WritingAStore "writing-a-store.md",
}
