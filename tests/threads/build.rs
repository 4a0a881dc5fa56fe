//! Has the published sources take their mutexes from shuttle.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=keep_shuttle");
}
