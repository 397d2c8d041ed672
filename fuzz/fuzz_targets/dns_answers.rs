#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| (cleanslate::fuzzing::DNS_ANSWERS.read)(input));
