//! B14: bodies in several codecs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use tower_keep_core::StoreErrorKind;
use tower_keep_core::data::{Codec, Data};

fn kind(body: &[u8]) -> StoreErrorKind {
    Data::from_body(body, 1 << 16).unwrap_err().kind()
}

#[test]
fn b14_json_is_the_default_and_a_body_names_its_codec() {
    assert_eq!(Codec::default(), Codec::ALL[0]);
    assert_eq!(Codec::default().name(), "json");
    let data = Data::from_json(br#"{"data":{"a":1}}"#, 64).unwrap();
    assert_eq!(data.to_body(Codec::Json), b"\x01{\"data\":{\"a\":1}}");
    assert_eq!(kind(b""), StoreErrorKind::Corrupt);
    assert_eq!(kind(b"\x01"), StoreErrorKind::Corrupt);
    for unknown in [0, 3, 9, 255] {
        assert_eq!(kind(&[unknown, 0x80]), StoreErrorKind::Unsupported);
    }
}

/// A build without the codec leaves alone what one with it has written.
#[cfg(not(feature = "messagepack"))]
#[test]
fn b14_without_the_feature_messagepack_is_unsupported() {
    assert_eq!(Codec::ALL, [Codec::Json]);
    // `{"data":{"a":1}}`
    let body = b"\x02\x81\xa4data\x81\xa1a\x01";
    assert_eq!(kind(body), StoreErrorKind::Unsupported);
}

#[cfg(feature = "messagepack")]
mod messagepack {
    use super::{Codec, Data, StoreErrorKind, kind};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use tower_keep_core::data::{DataLimits, Edit};

    fn config(cases: u32) -> ProptestConfig {
        ProptestConfig {
            cases,
            rng_seed: RngSeed::Fixed(0x6b65_6570),
            failure_persistence: None,
            ..ProptestConfig::default()
        }
    }

    fn packed(json: &str) -> Vec<u8> {
        let data = Data::from_json(json.as_bytes(), usize::MAX).unwrap();
        let body = data.to_body(Codec::MessagePack);
        let read = Data::from_body(&body, data.size()).unwrap();
        assert_eq!(read, data, "{json}");
        body
    }

    fn value(json: &str) -> Vec<u8> {
        let body = packed(&format!(r#"{{"data":{{"a":{json}}}}}"#));
        let frame = b"\x02\x81\xa4data\x81\xa1a";
        assert!(body.starts_with(frame));
        body[frame.len()..].to_vec()
    }

    #[test]
    fn b14_what_messagepack_has_is_written_as_that() {
        assert_eq!(value("null"), [0xc0]);
        assert_eq!(value("true"), [0xc3]);
        assert_eq!(value("7"), [7]);
        assert_eq!(value("-1"), [0xff]);
        assert_eq!(value("300"), [0xcd, 1, 0x2c]);
        assert_eq!(value("-300"), [0xd1, 0xfe, 0xd4]);
        assert_eq!(
            value("18446744073709551615"),
            [&[0xcf][..], &[0xff; 8]].concat()
        );
        assert_eq!(
            value("-9223372036854775808"),
            [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(value("-0.0"), [0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(value("1.5"), [0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]);
        assert_eq!(value(r#""é""#), [0xa2, 0xc3, 0xa9]);
        assert_eq!(value(r#"[[],{"b":1}]"#), [0x92, 0x90, 0x81, 0xa1, b'b', 1]);
        let keep = packed(r#"{"data":{},"keep":{"x":1}}"#);
        assert_eq!(keep, b"\x02\x82\xa4data\x80\xa4keep\x81\xa1x\x01");
    }

    /// This crate writes each number in the shortest way; others need not.
    #[test]
    fn b14_numbers_are_read_in_every_width() {
        for (bytes, json) in [
            (&[0xd0, 5][..], "5"),
            (&[0xd0, 0x80], "-128"),
            (&[0xd1, 0, 5], "5"),
            (&[0xd1, 0x80, 0], "-32768"),
            (&[0xd2, 0, 0, 0, 5], "5"),
            (
                &[0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                "-1",
            ),
            (&[0xcc, 5], "5"),
            (&[0xcf, 0, 0, 0, 0, 0, 0, 0, 5], "5"),
        ] {
            let body = [b"\x02\x81\xa4data\x81\xa1a", bytes].concat();
            let read = Data::from_body(&body, 100).unwrap();
            assert_eq!(read.get("a"), Some(json.as_bytes()), "{bytes:x?}");
        }
    }

    #[test]
    fn b14_what_messagepack_has_not_is_kept_to_the_last_digit() {
        for text in [
            "-0",
            "1.0",
            "1.50",
            "1e2",
            "1E+2",
            "1e400",
            "-1e-400",
            "0.1000000000000000055511151231257827",
            "18446744073709551616",
            "-9223372036854775809",
            "123456789012345678901234567890",
            r#""\u0041""#,
            r#""\/""#,
            r#""\ud800""#,
            r#""\u007f\n\u0000""#,
            r#""\ud83d\ude00""#,
            r#"{"\u0041":1,"A":2,"A":3,"\ud800":[]}"#,
            r#"{"":{"":""}}"#,
        ] {
            value(text);
        }
        for len in [15, 16, 31, 32, 255, 256, 65_535, 65_536] {
            value(&format!("[{}]", vec!["1"; len].join(",")));
            value(&format!("\"{}\"", "x".repeat(len)));
            value(&format!("1{}", "0".repeat(len)));
            let members: Vec<_> = (0..len).map(|n| format!("\"{n}\":1.5")).collect();
            value(&format!("{{{}}}", members.join(",")));
        }
        value(&format!("{}{}", "[".repeat(100), "]".repeat(100)));
        value(&format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100)));
    }

    #[test]
    fn b14_the_librarys_own_entries_survive() {
        let mut edit = Edit::new(Data::default(), DataLimits::default());
        edit.flash("note", "saved").unwrap();
        edit.insert_for("code", &7, std::time::Duration::from_secs(1))
            .unwrap();
        edit.system_insert("csrf", "x").unwrap();
        let data = edit.into_data().unwrap();
        for codec in Codec::ALL {
            let read = Data::from_body(&data.to_body(*codec), data.size()).unwrap();
            assert_eq!(read, data, "{}", codec.name());
        }
    }

    #[test]
    fn b14_damage_is_corrupt_and_never_a_panic() {
        let body = packed(
            r#"{"data":{"a":[1,-300,1.5,"x\n",{"b":null}],"big":1e400},"keep":{"flash":{"a":0}}}"#,
        );
        for len in 1..body.len() {
            assert_eq!(kind(&body[..len]), StoreErrorKind::Corrupt, "{len} bytes");
        }
        let with = |value: &[u8]| [b"\x02\x81\xa4data\x81\xa1a", value].concat();
        let deep = [vec![0x91; 101], vec![0xc0]].concat();
        let deepest = [vec![0x91; 100_000], vec![0xc0]].concat();
        let hostile: [&[u8]; 22] = [
            // Lengths of what is not there.
            &[0xdd, 0xff, 0xff, 0xff, 0xff],
            &[0xdf, 0xff, 0xff, 0xff, 0xff],
            &[0xdb, 0xff, 0xff, 0xff, 0xff],
            &[0xc9, 0xff, 0xff, 0xff, 0xff, 1],
            &[0xdd, 0xff, 0xff, 0xff, 0xff, 1, 1, 1],
            // What JSON has not.
            &[0xc1],
            &[0xc4, 1, 0],
            &[0xca, 0, 0, 0, 0],
            &[0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
            &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
            &[0x81, 1, 1],
            &[0x81, 0xd5, 1, b'-', b'0', 1],
            &[0xa1, 0xff],
            // Texts that are no scalar, or bring structure with them.
            &[0xd5, 2, b'-', b'0'],
            &[0xd4, 1, b'-'],
            &[0xd6, 1, b'n', b'u', b'l', b'l'],
            &[0xd5, 1, b'[', b']'],
            &[0xd6, 1, b'1', b',', b'1', b'1'],
            &[0xd6, 1, b'"', b'"', b':', b'1'],
            &[0xd5, 1, b' ', b'1'],
            &deep,
            &deepest,
        ];
        for value in hostile {
            assert_eq!(kind(&with(value)), StoreErrorKind::Corrupt, "{value:.8x?}");
        }
        for body in [
            &b"\x02"[..],
            b"\x02\x80",
            b"\x02\xc0",
            b"\x02\x81\xa4data\xc0",
            b"\x02\x81\xa4dat\x80",
            b"\x02\x81\xa4keep\x80",
            b"\x02\x82\xa4data\x80\xa4data\x80",
            b"\x02\x82\xa4data\x80\xa4more\x80",
            b"\x02\x81\xa4data\x81\xa0\x01",
            b"\x02\x81\xa4data\x81\xa1\x01\x01",
            b"\x02\x81\xa4data\x80\xc0",
        ] {
            assert_eq!(kind(body), StoreErrorKind::Corrupt, "{body:x?}");
        }
    }

    #[test]
    fn b14_the_size_of_the_json_counts() {
        let json = format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(1000));
        let body = packed(&json);
        let refused = |body: &[u8], max| Data::from_body(body, max).unwrap_err().kind();
        assert_eq!(refused(&body, json.len() - 1), StoreErrorKind::TooLarge);
        // Judged before it is decoded: this is no MessagePack.
        assert_eq!(
            refused(&[&[2][..], &[0xc1; 4000]].concat(), 1000),
            StoreErrorKind::TooLarge
        );
        // As long as such a text may be.
        assert_eq!(
            refused(&[&[2][..], &[0xc1; 3000]].concat(), 1000),
            StoreErrorKind::Corrupt
        );
        // Nor does little become much on the way.
        let nested = [
            &b"\x02\x81\xa4data\x81\xa1a\xdd\0\0\xff\xff"[..],
            &vec![0; 65_535],
        ]
        .concat();
        assert_eq!(refused(&nested, 70_000), StoreErrorKind::TooLarge);
    }

    /// JSON as people and programs write it, and as nobody does.
    fn json() -> impl Strategy<Value = String> {
        let number = prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<u64>().prop_map(|n| n.to_string()),
            any::<f64>()
                .prop_filter("JSON", |n| n.is_finite())
                .prop_map(|n| serde_json::to_string(&n).unwrap()),
            "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        ];
        let string = prop_oneof![
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            "\"([a-zé ]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}){0,8}\"",
        ];
        let leaf = prop_oneof![
            4 => number,
            4 => string.clone(),
            1 => prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        ];
        leaf.prop_recursive(6, 40, 6, move |inner| {
            let member = (string.clone(), inner.clone()).prop_map(|(n, v)| format!("{n}:{v}"));
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(|v| format!("[{}]", v.join(","))),
                prop::collection::vec(member, 0..6).prop_map(|m| format!("{{{}}}", m.join(","))),
            ]
        })
    }

    proptest! {
        #![proptest_config(config(800))]

        #[test]
        fn b14_any_json_survives_byte_for_byte(
            data in prop::collection::btree_map("[a-zé\"\\\\.]{1,6}", json(), 0..6),
            keep in prop::collection::btree_map("[a-z]{1,6}", json(), 0..3),
        ) {
            let section = |values: std::collections::BTreeMap<String, String>| {
                let member = |(key, json)| format!("{}:{json}", serde_json::to_string(&key).unwrap());
                values.into_iter().map(member).collect::<Vec<_>>().join(",")
            };
            let json = format!("{{\"data\":{{{}}},\"keep\":{{{}}}}}", section(data), section(keep));
            let body = packed(&json);
            prop_assert!(body.len() / 3 <= json.len());
        }

        #[test]
        fn b14_any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            framed in any::<bool>(),
        ) {
            let frame: &[u8] = if framed { b"\x02\x81\xa4data\x81\xa1a" } else { b"\x02" };
            let body = [frame, &bytes].concat();
            match Data::from_body(&body, 1 << 16) {
                Ok(data) => prop_assert_eq!(
                    Data::from_body(&data.to_body(Codec::MessagePack), data.size()).unwrap(),
                    data
                ),
                Err(error) => prop_assert_eq!(error.kind(), StoreErrorKind::Corrupt),
            }
        }

        #[test]
        fn b14_a_changed_byte_is_read_or_refused(
            json in json(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut body = packed(&format!("{{\"data\":{{\"a\":{json}}}}}"));
            let at = at.index(body.len() - 1) + 1;
            body[at] = byte;
            if let Err(error) = Data::from_body(&body, 1 << 20) {
                prop_assert_eq!(error.kind(), StoreErrorKind::Corrupt);
            }
        }
    }
}
