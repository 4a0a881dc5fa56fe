#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tower_keep_fuzz::check("cookie", input));
