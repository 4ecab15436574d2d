#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ctalk_fuzz::check("part", data);
});
