//! Random sequences of operations against a plain model, and random text against the decoder.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value, json};
use tower_keep_core::Timestamp;
use tower_keep_core::data::{AsKey, Data, DataError, DataLimits, Edit, Key, Literal};

/// The same cases in every run, unless `PROPTEST_RNG_SEED` says otherwise; more of them with
/// `KEEP_HEAVY`.
fn config(cases: u32) -> ProptestConfig {
    let heavy = std::env::var_os("KEEP_HEAVY").is_some();
    let default = ProptestConfig::default();
    let seed = match default.rng_seed {
        RngSeed::Random if !heavy => RngSeed::Fixed(0x6b65_6570),
        given => given,
    };
    ProptestConfig {
        cases: if heavy { cases * 20 } else { cases },
        rng_seed: seed,
        failure_persistence: None,
        ..default
    }
}

/// A key, and whether it is a literal one.
#[derive(Debug, Clone)]
struct Name(String, bool);

impl AsKey for Name {
    fn as_key(&self) -> Key<'_> {
        if self.1 {
            Literal(&self.0).into()
        } else {
            Key::from(&self.0)
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Insert(Name, Value),
    InsertAll(Vec<(Name, Value)>),
    Remove(Name),
    RemoveAll(Vec<Name>),
    Push(Name, Value),
    Increment(Name, i64),
    Flash(Name, Value),
    FlashNow(Name, Value),
    Reflash,
    Keep(Vec<Name>),
    Clear,
    System(&'static str, Option<Value>),
    /// Milliseconds from now.
    InsertFor(Name, Value, u64),
    /// Milliseconds after the session's creation.
    InsertUntil(Name, Value, u64),
    /// The request ends with a commit; the next one, so many milliseconds later, ages the flashes
    /// or does not.
    Next {
        age: bool,
        wait: u64,
    },
    /// The request ends without one.
    Discard,
}

/// What kind of error is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Key,
    Type,
    Value,
    Overflow,
    Index,
    Nested,
}

impl From<DataError> for Fault {
    fn from(error: DataError) -> Self {
        match error {
            DataError::InvalidKey { .. } => Self::Key,
            DataError::WrongType { .. } => Self::Type,
            DataError::Value { .. } => Self::Value,
            DataError::Overflow { .. } => Self::Overflow,
            DataError::Index { .. } => Self::Index,
            DataError::NestedDeadline { .. } => Self::Nested,
            other => panic!("unexpected: {other}"),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Model {
    data: Map<String, Value>,
    keep: Map<String, Value>,
    /// Flash values, and whether they are old.
    flash: BTreeMap<String, bool>,
    now: BTreeSet<String>,
    /// Milliseconds after the session's creation, and whether they were given as an instant.
    deadlines: BTreeMap<String, (u64, bool)>,
}

/// When the session was created.
const CREATED: u64 = 1_700_000_000_000;

fn after(millis: u64) -> Timestamp {
    Timestamp::from_millis(CREATED + millis)
}

fn open(data: Data, now: u64) -> Edit {
    Edit::opened(data, DataLimits::default(), after(0), after(now))
}

fn index(segment: &str) -> Option<usize> {
    let digits = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| segment.parse().unwrap_or(usize::MAX))
}

fn child<'a>(value: &'a Value, segment: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) if !segment.is_empty() => map.get(segment),
        Value::Array(list) => list.get(index(segment)?),
        _ => None,
    }
}

fn set(place: &mut Value, path: &[&str], value: Value) -> Result<(), Fault> {
    let [segment, rest @ ..] = path else {
        *place = value;
        return Ok(());
    };
    if let Value::Array(list) = place {
        let index = index(segment).ok_or(Fault::Type)?;
        if index > list.len() {
            return Err(Fault::Index);
        }
        if index == list.len() {
            list.push(Value::Null);
        }
        return set(&mut list[index], rest, value);
    }
    if !place.is_object() {
        *place = json!({});
    }
    let map = place.as_object_mut().unwrap();
    set(map.entry(*segment).or_insert(Value::Null), rest, value)
}

impl Model {
    fn is_top(&self, key: &Name) -> bool {
        key.1 || !key.0.contains('.') || self.data.contains_key(&key.0)
    }

    fn check(key: &Name) -> Result<(), Fault> {
        let bad = key.0.is_empty() || key.0.len() > 255 || key.0.chars().any(char::is_control);
        if bad { Err(Fault::Key) } else { Ok(()) }
    }

    fn get(&self, key: &Name) -> Option<&Value> {
        if self.is_top(key) {
            return self.data.get(&key.0);
        }
        let mut parts = key.0.split('.');
        let top = self.data.get(parts.next()?)?;
        parts.try_fold(top, child)
    }

    /// Sets without a look at flashes.
    fn write(&mut self, key: &Name, value: Value) -> Result<(), Fault> {
        Self::check(key)?;
        if self.is_top(key) {
            self.data.insert(key.0.clone(), value);
            return Ok(());
        }
        let parts: Vec<_> = key.0.split('.').collect();
        if parts.contains(&"") {
            return Err(Fault::Key);
        }
        let mut top = self.data.get(parts[0]).cloned().unwrap_or_default();
        set(&mut top, &parts[1..], value)?;
        self.data.insert(parts[0].to_owned(), top);
        Ok(())
    }

    fn unmark(&mut self, key: &str) {
        self.flash.remove(key);
        self.now.remove(key);
        self.deadlines.remove(key);
    }

    fn insert_dated(
        &mut self,
        key: &Name,
        value: Value,
        deadline: (u64, bool),
        now: u64,
    ) -> Result<(), Fault> {
        Self::check(key)?;
        if !self.is_top(key) {
            return Err(Fault::Nested);
        }
        self.data.remove(&key.0);
        self.unmark(&key.0);
        if deadline.0 > now {
            self.data.insert(key.0.clone(), value);
            self.deadlines.insert(key.0.clone(), deadline);
        }
        Ok(())
    }

    fn expire(&mut self, now: u64) {
        for (key, (deadline, _)) in self.deadlines.clone() {
            if deadline <= now {
                self.data.remove(&key);
                self.deadlines.remove(&key);
            }
        }
    }

    fn insert(&mut self, key: &Name, value: Value) -> Result<(), Fault> {
        let is_top = self.is_top(key);
        self.write(key, value)?;
        if is_top {
            self.unmark(&key.0);
        }
        Ok(())
    }

    fn remove(&mut self, key: &Name) -> Option<Value> {
        let found = self.get(key)?.clone();
        if self.is_top(key) {
            self.data.remove(&key.0);
            self.unmark(&key.0);
            return Some(found);
        }
        let parts: Vec<_> = key.0.split('.').collect();
        let (leaf, parents) = parts.split_last()?;
        let mut place = self.data.get_mut(parents[0])?;
        for part in &parents[1..] {
            place = match place {
                Value::Object(map) => map.get_mut(*part)?,
                Value::Array(list) => list.get_mut(index(part)?)?,
                _ => return None,
            };
        }
        match place {
            Value::Object(map) => map.remove(*leaf),
            Value::Array(list) => Some(list.remove(index(leaf)?)),
            _ => None,
        }
    }

    fn push(&mut self, key: &Name, element: Value) -> Result<(), Fault> {
        Self::check(key)?;
        let mut list = match self.get(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list.clone(),
            Some(_) => return Err(Fault::Type),
        };
        list.push(element);
        self.write(key, list.into())
    }

    fn increment(&mut self, key: &Name, by: i64) -> Result<i64, Fault> {
        Self::check(key)?;
        let number = match self.get(key) {
            None | Some(Value::Null) => 0,
            Some(Value::Number(number)) => number.as_i64().ok_or(Fault::Value)?,
            Some(_) => return Err(Fault::Type),
        };
        let sum = number.checked_add(by).ok_or(Fault::Overflow)?;
        self.write(key, sum.into())?;
        Ok(sum)
    }

    fn keep(&mut self, is_kept: impl Fn(&str) -> bool) {
        for (_, old) in self.flash.iter_mut().filter(|(key, _)| is_kept(key)) {
            *old = false;
        }
        for key in self.now.iter().filter(|key| is_kept(key)) {
            self.flash.insert(key.clone(), false);
        }
        self.now.retain(|key| !is_kept(key));
    }

    fn flashes(&self) -> Map<String, Value> {
        let keys = self.flash.keys().chain(&self.now);
        keys.map(|key| (key.clone(), self.data[key].clone()))
            .collect()
    }

    fn commit(&mut self) {
        for key in std::mem::take(&mut self.now) {
            self.data.remove(&key);
        }
    }

    fn age(&mut self) {
        for (key, old) in std::mem::take(&mut self.flash) {
            if old {
                self.data.remove(&key);
            } else {
                self.flash.insert(key, true);
            }
        }
    }

    /// The stored form after a commit.
    fn stored(&self) -> Value {
        let mut keep = self.keep.clone();
        if !self.flash.is_empty() {
            let ages: Map<_, _> = self
                .flash
                .iter()
                .map(|(key, old)| (key.clone(), i32::from(*old).into()))
                .collect();
            keep.insert("flash".to_owned(), ages.into());
        }
        if !self.deadlines.is_empty() {
            let written = |(at, instant): &(u64, bool)| match instant {
                true => json!([CREATED + at]),
                false => json!(at),
            };
            let deadlines = self.deadlines.iter();
            let deadlines: Map<_, _> = deadlines.map(|(k, d)| (k.clone(), written(d))).collect();
            keep.insert("deadlines".to_owned(), deadlines.into());
        }
        let mut stored = json!({ "data": self.data });
        if !keep.is_empty() {
            stored["keep"] = keep.into();
        }
        stored
    }
}

fn parsed(data: &Data) -> Value {
    serde_json::from_slice(&data.to_json()).unwrap()
}

fn fault<T>(result: Result<T, DataError>) -> Result<T, Fault> {
    result.map_err(Fault::from)
}

/// The real thing beside the model.
struct Both {
    edit: Edit,
    model: Model,
    base: Data,
    /// As it was opened.
    base_model: Model,
    /// Milliseconds since the session's creation.
    time: u64,
}

impl Both {
    fn run(&mut self, op: Op) {
        let (edit, model, time) = (&mut self.edit, &mut self.model, self.time);
        match op {
            Op::Insert(key, value) => {
                let expected = model.insert(&key, value.clone());
                assert_eq!(fault(edit.insert(&key, &value)), expected);
            }
            Op::InsertAll(values) => {
                let before = model.clone();
                let expected = values
                    .iter()
                    .try_for_each(|(key, value)| model.insert(key, value.clone()));
                if expected.is_err() {
                    *model = before;
                }
                assert_eq!(fault(edit.insert_all(values)), expected);
            }
            Op::Remove(key) => {
                assert_eq!(edit.remove::<Value>(&key).unwrap(), model.remove(&key));
            }
            Op::RemoveAll(keys) => {
                let removed = keys.iter().filter_map(|key| model.remove(key)).count();
                assert_eq!(edit.remove_all(&keys), removed);
            }
            Op::Push(key, element) => {
                let expected = model.push(&key, element.clone());
                assert_eq!(fault(edit.push(&key, &element)), expected);
            }
            Op::Increment(key, by) => {
                let expected = model.increment(&key, by);
                assert_eq!(fault(edit.increment(&key, by)), expected);
            }
            Op::Flash(key, value) | Op::FlashNow(key, value) if Model::check(&key).is_err() => {
                assert_eq!(fault(edit.flash(&key, &value)), Err(Fault::Key));
                assert_eq!(fault(edit.flash_now(&key, &value)), Err(Fault::Key));
            }
            Op::Flash(key, value) => {
                edit.flash(&key, &value).unwrap();
                model.unmark(&key.0);
                model.flash.insert(key.0.clone(), false);
                model.data.insert(key.0, value);
            }
            Op::FlashNow(key, value) => {
                edit.flash_now(&key, &value).unwrap();
                model.unmark(&key.0);
                model.now.insert(key.0.clone());
                model.data.insert(key.0, value);
            }
            Op::Reflash => {
                edit.reflash();
                model.keep(|_| true);
            }
            Op::Keep(keys) => {
                edit.keep(&keys);
                model.keep(|flash| keys.iter().any(|key| key.0 == flash));
            }
            Op::Clear => {
                edit.clear();
                *model = Model {
                    keep: model.keep.clone(),
                    ..Model::default()
                };
            }
            Op::System(name, Some(value)) => {
                edit.system_insert(name, &value).unwrap();
                model.keep.insert(name.to_owned(), value);
            }
            Op::System(name, None) => {
                assert_eq!(edit.system_remove(name), model.keep.remove(name).is_some());
            }
            Op::InsertFor(key, value, ttl) => {
                let deadline = (time + ttl, false);
                let expected = model.insert_dated(&key, value.clone(), deadline, time);
                let ttl = Duration::from_millis(ttl);
                assert_eq!(fault(edit.insert_for(&key, &value, ttl)), expected);
            }
            Op::InsertUntil(key, value, at) => {
                let expected = model.insert_dated(&key, value.clone(), (at, true), time);
                assert_eq!(fault(edit.insert_until(&key, &value, after(at))), expected);
            }
            Op::Next { age, wait } => self.next(age, wait),
            Op::Discard => {
                self.edit = open(self.base.clone(), self.time);
                self.model = self.base_model.clone();
            }
        }
    }

    fn next(&mut self, age: bool, wait: u64) {
        self.model.commit();
        let saved = self.edit.clone().into_data().unwrap();
        let patch = self.edit.clone().into_patch().unwrap();
        let stored = self.model.stored();
        let changed = stored != self.base_model.stored();
        assert_eq!(self.edit.is_changed(), changed);
        // What is over goes with the next change; that it is over is none.
        let unchanged = parsed(&self.base);
        assert_eq!(
            parsed(&saved),
            if changed { &stored } else { &unchanged }.clone()
        );
        let left = self.edit.saved().unwrap();
        assert!(!left.is_changed());
        assert_eq!(left.all().unwrap(), self.model.data);
        assert_eq!(patch.is_empty(), !self.edit.is_changed());

        // Shared data is built anew; data of its own may change in place.
        let json = saved.to_json();
        assert_eq!(saved.size(), json.len());
        let mut rebuilt = self.base.clone();
        rebuilt.apply(&patch);
        let mut own = Data::from_json(&self.base.to_json(), usize::MAX).unwrap();
        own.apply(&patch);
        let mut again = own.clone();
        again.apply(&patch);
        let loaded = Data::from_json(&json, usize::MAX).unwrap();
        for same in [rebuilt, own, again, loaded.clone()] {
            assert_eq!(same, saved);
        }

        self.base = loaded.clone();
        self.time += wait;
        self.model.expire(self.time);
        self.base_model = self.model.clone();
        self.edit = open(loaded, self.time);
        if age {
            self.edit.age_flash();
            self.model.age();
        }
    }

    fn compare(&self, looked_for: &[Name]) {
        let (edit, model) = (&self.edit, &self.model);
        assert_eq!(edit.all().unwrap(), model.data);
        assert_eq!(edit.flashes().unwrap(), model.flashes());
        // A feature of another crate decides whether the model's map is in order.
        let mut keys: Vec<_> = model.data.keys().collect();
        keys.sort_unstable();
        assert!(edit.keys().iter().eq(keys));
        assert_eq!(edit.len(), model.data.len());
        assert_eq!(edit.is_empty(), model.data.is_empty());
        for key in looked_for {
            let expected = model.get(key);
            assert_eq!(
                edit.get::<Value>(key).unwrap().as_ref(),
                expected,
                "{key:?}"
            );
            assert_eq!(edit.contains_key(&[key][..]), expected.is_some(), "{key:?}");
            let has = expected.is_some_and(|value| !value.is_null());
            assert_eq!(edit.has(vec![key]), has, "{key:?}");
        }
    }
}

fn name() -> impl Strategy<Value = Name> {
    let part = prop_oneof![
        8 => Just("a"), 4 => Just("b"), 2 => Just("q\"\\é"), 3 => Just("0"), 2 => Just("1"),
        1 => Just("7"), 1 => Just("\u{1}flash"), 1 => Just("\u{1}deadlines"),
    ];
    let path = prop_oneof![
        20 => prop::collection::vec(part, 1..4).prop_map(|parts| parts.join(".")),
        1 => prop::sample::select(vec!["", ".", "a.", ".a", "a..b", "a.\n"]).prop_map(str::to_owned),
        1 => Just("k".repeat(256)),
    ];
    (path, prop::bool::weighted(0.2)).prop_map(|(path, literal)| Name(path, literal))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..12).prop_map(Value::from),
        prop::sample::select(vec![
            json!(i64::MAX),
            json!(u64::MAX),
            json!(1.5),
            json!(1.0)
        ]),
        prop::sample::select(vec!["", "x", "[{\"\\", "é\u{1}\n", " , "]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let member = prop::sample::select(vec!["a", "b", "0", "", "q\"\\é", "x.y"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((member, inner), 0..4).prop_map(|members| {
                let named = members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(named.collect())
            }),
        ]
    })
}

fn op() -> impl Strategy<Value = Op> {
    let several = || prop::collection::vec(name(), 0..4);
    let system = prop::sample::select(vec!["csrf", "z"]);
    prop_oneof![
        10 => (name(), value()).prop_map(|(key, value)| Op::Insert(key, value)),
        2 => prop::collection::vec((name(), value()), 0..4).prop_map(Op::InsertAll),
        3 => name().prop_map(Op::Remove),
        2 => several().prop_map(Op::RemoveAll),
        4 => (name(), value()).prop_map(|(key, value)| Op::Push(key, value)),
        4 => (name(), prop_oneof![-9_i64..9, Just(i64::MAX), Just(i64::MIN)])
            .prop_map(|(key, by)| Op::Increment(key, by)),
        3 => (name(), value()).prop_map(|(key, value)| Op::Flash(key, value)),
        2 => (name(), value()).prop_map(|(key, value)| Op::FlashNow(key, value)),
        1 => Just(Op::Reflash),
        1 => several().prop_map(Op::Keep),
        1 => Just(Op::Clear),
        2 => (system, prop::option::of(value())).prop_map(|(name, value)| Op::System(name, value)),
        4 => (name(), value(), 0_u64..5).prop_map(|(key, value, ttl)| Op::InsertFor(key, value, ttl)),
        2 => (name(), value(), 0_u64..9).prop_map(|(key, value, at)| Op::InsertUntil(key, value, at)),
        6 => (prop::bool::weighted(0.8), 0_u64..4).prop_map(|(age, wait)| Op::Next { age, wait }),
        1 => Just(Op::Discard),
    ]
}

/// Text that is close to the stored form.
fn nearly_stored() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "\"",
        "\\",
        "\"data\":",
        "\"keep\":",
        "\"keep\":{\"deadlines\":{\"a\":",
        "\"a\"",
        "\"a\":1",
        "\"b\":{}",
        "1.0",
        "1e400",
        "-",
        "null",
        "tru",
        "\"\\u0001\"",
        "\"\\ud800\"",
        "\u{7f}",
        "é",
    ]);
    (prop::collection::vec(token, 0..24), any::<bool>()).prop_map(|(tokens, framed)| {
        let text = tokens.concat();
        if framed {
            format!("{{\"data\":{{{text}}}}}")
        } else {
            text
        }
    })
}

/// Whatever is accepted means what the text means, and stays what it is.
fn check_decoder(text: &[u8]) {
    let Ok(data) = Data::from_json(text, usize::MAX) else {
        return;
    };
    let json = data.to_json();
    assert_eq!(data.size(), json.len());
    assert!(json.len() <= text.len());
    assert_eq!(Data::from_json(&json, json.len()).unwrap(), data);
    if let Ok(meant) = serde_json::from_slice::<Value>(text) {
        let read: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(read["data"], meant["data"]);
    }
    // No accepted text makes an operation panic.
    let mut edit = open(data, 1);
    let _ = (edit.all(), edit.get::<Value>("a.a"), edit.flashes());
    edit.age_flash();
    let _ = (
        edit.insert("b.x.y", &1),
        edit.push("a", &1),
        edit.remove_all("a"),
    );
    edit.into_data().unwrap();
}

proptest! {
    #![proptest_config(config(2500))]

    #[test]
    fn any_sequence_of_operations_does_what_the_model_does(
        ops in prop::collection::vec(op(), 1..30),
        looked_for in prop::collection::vec(name(), 6),
    ) {
        let mut both = Both {
            edit: open(Data::default(), 0),
            model: Model::default(),
            base: Data::default(),
            base_model: Model::default(),
            time: 0,
        };
        for op in ops {
            both.run(op);
            both.compare(&looked_for);
        }
        both.next(true, 1);
        both.compare(&looked_for);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        check_decoder(&bytes);
    }

    #[test]
    fn anything_close_to_the_stored_form_is_read_or_refused(text in nearly_stored()) {
        check_decoder(text.as_bytes());
    }

    #[test]
    fn any_data_survives_being_stored(
        data in prop::collection::btree_map("[a-zé\"\\\\.]{1,6}", value(), 0..9),
        keep in prop::collection::btree_map("[a-z]{1,6}", value(), 1..4),
    ) {
        let stored = json!({ "data": data, "keep": keep });
        let text = serde_json::to_vec_pretty(&stored).unwrap();
        let read = Data::from_json(&text, text.len()).unwrap();
        prop_assert_eq!(parsed(&read), stored);
        check_decoder(&text);
    }
}
