#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| (cleanslate::fuzzing::MARKER.read)(input));
