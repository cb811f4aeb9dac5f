#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    guardhouse_tests::oracle::offline_file::offline_file(data);
});
