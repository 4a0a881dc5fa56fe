//! The process that is killed; see the library.

fn main() {
    #[cfg(target_os = "linux")]
    tower_keep_kill::serve();
}
