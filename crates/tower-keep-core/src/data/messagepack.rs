//! A session's data as MessagePack.
//!
//! It is the stored JSON form, one to one: a map of `data` and, if there are any entries of the
//! library's own, `keep`. What MessagePack has no equal of, such as `1e400`, `1.0e2`, an integer
//! beyond 64 bits or an unusual escape in a string, is written as the extension type [`TEXT`]: the
//! JSON text as it stands. So what is read is what was written, byte for byte.
//!
//! Reading makes JSON text of it, which then is checked and limited as all stored JSON is.

#![allow(clippy::doc_markdown, reason = "the format's name is no code")]

use std::io;

use rmp::Marker;
use rmp::encode::{
    write_array_len, write_bool, write_ext_meta, write_f64, write_map_len, write_nil, write_sint,
    write_str, write_uint,
};
use serde_core::de::IgnoredAny;

use super::blob::{self, Data, is_system};
use super::error::{DataError, Kind};
use super::raw::{self, MAX_DEPTH};

/// The extension type of a scalar that is written as its JSON text.
const TEXT: i8 = 1;

/// Around the values stand two maps.
const DEEPEST: usize = MAX_DEPTH + 2;

/// Appends the data.
pub(super) fn write(data: &Data, out: &mut Vec<u8>) {
    // There is always room in a `Vec`, and no length here is beyond 32 bits.
    let _ = write_all(data, out);
}

fn write_all(data: &Data, out: &mut Vec<u8>) -> io::Result<()> {
    let has_system = data.has_system();
    write_map_len(out, 1 + u32::from(has_system))?;
    write_str(out, "data")?;
    let users = data.entries().filter(|(key, _)| !is_system(key));
    write_entries(out, users)?;
    if has_system {
        write_str(out, "keep")?;
        let system = data.entries().filter(|(key, _)| is_system(key));
        let named = system.map(|(key, json)| (key.get(1..).unwrap_or_default(), json));
        write_entries(out, named)?;
    }
    Ok(())
}

fn write_entries<'a>(
    out: &mut Vec<u8>,
    entries: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> io::Result<()> {
    write_map_len(out, length(entries.clone().count())?)?;
    for (key, json) in entries {
        write_str(out, blob::text(key))?;
        write_value(out, json)?;
    }
    Ok(())
}

fn write_value(out: &mut Vec<u8>, json: &[u8]) -> io::Result<()> {
    let items = || raw::items(json, 0);
    match raw::kind(json) {
        Kind::Object => _ = write_map_len(out, length(items().count())?)?,
        Kind::Array => _ = write_array_len(out, length(items().count())?)?,
        Kind::Null => return write_nil(out),
        Kind::Boolean => return write_bool(out, json == b"true"),
        Kind::String => return write_string(out, json),
        Kind::Number => return write_number(out, json),
    }
    for item in items() {
        if !item.name.is_empty() {
            write_string(out, item.name)?;
        }
        write_value(out, json.get(item.value).unwrap_or_default())?;
    }
    Ok(())
}

/// A string, which comes with its quotes.
fn write_string(out: &mut Vec<u8>, json: &[u8]) -> io::Result<()> {
    match serde_json::from_slice::<String>(json) {
        Ok(text) if serde_json::to_vec(&text)? == json => Ok(write_str(out, &text)?),
        _ => write_text(out, json),
    }
}

fn write_number(out: &mut Vec<u8>, json: &[u8]) -> io::Result<()> {
    let text = blob::text(json);
    if let Ok(number) = text.parse::<u64>()
        && number.to_string() == text
    {
        write_uint(out, number)?;
    } else if let Ok(number) = text.parse::<i64>()
        && number.to_string() == text
    {
        write_sint(out, number)?;
    } else if let Ok(number) = text.parse::<f64>()
        && number.is_finite()
        && serde_json::to_string(&number)? == text
    {
        write_f64(out, number)?;
    } else {
        write_text(out, json)?;
    }
    Ok(())
}

fn write_text(out: &mut Vec<u8>, json: &[u8]) -> io::Result<()> {
    write_ext_meta(out, length(json.len())?, TEXT)?;
    out.extend(json);
    Ok(())
}

fn length(len: usize) -> io::Result<u32> {
    u32::try_from(len).map_err(io::Error::other)
}

/// Reads the data; `max` is the largest size of their JSON form in bytes.
pub(super) fn read(packed: &[u8], max: usize) -> Result<Data, DataError> {
    let max = max.min(super::edit::MAX_SIZE);
    // No value takes more than three times the room of its JSON: a short fraction does most.
    if packed.len() / 3 > max {
        let size = packed.len();
        return Err(DataError::TooLarge { size, max });
    }
    let mut reader = Reader {
        rest: packed,
        json: Vec::new(),
        max,
    };
    reader.value(0)?;
    if !reader.rest.is_empty() {
        return Err(corrupt("something stands behind its end"));
    }
    Data::from_json(&reader.json, max)
}

fn corrupt(reason: &'static str) -> DataError {
    DataError::Corrupt { reason }
}

/// Makes JSON of what is left.
struct Reader<'a> {
    rest: &'a [u8],
    json: Vec<u8>,
    max: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<(), DataError> {
        let [marker] = self.array()?;
        match Marker::from_u8(marker) {
            Marker::Null => self.put(b"null"),
            Marker::True => self.put(b"true"),
            Marker::False => self.put(b"false"),
            Marker::FixPos(number) => self.print(&number),
            Marker::FixNeg(number) => self.print(&number),
            Marker::U8 => self.unsigned::<1>(),
            Marker::U16 => self.unsigned::<2>(),
            Marker::U32 => self.unsigned::<4>(),
            Marker::U64 => self.unsigned::<8>(),
            Marker::I8 => self.signed::<1>(),
            Marker::I16 => self.signed::<2>(),
            Marker::I32 => self.signed::<4>(),
            Marker::I64 => self.signed::<8>(),
            Marker::F64 => {
                let number = f64::from_be_bytes(self.array()?);
                if !number.is_finite() {
                    return Err(corrupt("a number is none"));
                }
                let json = serde_json::to_vec(&number);
                self.put(&json.map_err(|_| corrupt("a number is none"))?)
            }
            Marker::FixArray(len) => self.list(usize::from(len), depth),
            Marker::Array16 => self.len::<2>().and_then(|len| self.list(len, depth)),
            Marker::Array32 => self.len::<4>().and_then(|len| self.list(len, depth)),
            Marker::FixMap(len) => self.map(usize::from(len), depth),
            Marker::Map16 => self.len::<2>().and_then(|len| self.map(len, depth)),
            Marker::Map32 => self.len::<4>().and_then(|len| self.map(len, depth)),
            scalar => self.string_or_text(scalar),
        }
    }

    fn string_or_text(&mut self, marker: Marker) -> Result<(), DataError> {
        let len = match marker {
            Marker::FixStr(len) => return self.string(usize::from(len)),
            Marker::Str8 => return self.len::<1>().and_then(|len| self.string(len)),
            Marker::Str16 => return self.len::<2>().and_then(|len| self.string(len)),
            Marker::Str32 => return self.len::<4>().and_then(|len| self.string(len)),
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Ext8 => self.len::<1>()?,
            Marker::Ext16 => self.len::<2>()?,
            Marker::Ext32 => self.len::<4>()?,
            _ => return Err(corrupt("a value is of a type that JSON has not")),
        };
        if self.array()? != TEXT.to_be_bytes() {
            return Err(corrupt("a value is of an unknown extension type"));
        }
        let json = self.take(len)?;
        // It must be what the writer writes: one scalar and nothing around it, or it could bring
        // structure of its own into the JSON.
        let is_scalar = matches!(json, [b'"' | b'-' | b'0'..=b'9', .., b'"' | b'0'..=b'9'])
            && serde_json::from_slice::<IgnoredAny>(json).is_ok();
        if !is_scalar {
            return Err(corrupt("a value of the extension type is none"));
        }
        self.put(json)
    }

    fn list(&mut self, len: usize, depth: usize) -> Result<(), DataError> {
        let depth = deeper(depth)?;
        self.put(b"[")?;
        for index in 0..len {
            if index > 0 {
                self.put(b",")?;
            }
            self.value(depth)?;
        }
        self.put(b"]")
    }

    fn map(&mut self, len: usize, depth: usize) -> Result<(), DataError> {
        let depth = deeper(depth)?;
        self.put(b"{")?;
        for index in 0..len {
            if index > 0 {
                self.put(b",")?;
            }
            let name = self.json.len();
            let [marker] = self.array()?;
            self.string_or_text(Marker::from_u8(marker))?;
            if self.json.get(name) != Some(&b'"') {
                return Err(corrupt("the name of a member is no string"));
            }
            self.put(b":")?;
            self.value(depth)?;
        }
        self.put(b"}")
    }

    fn string(&mut self, len: usize) -> Result<(), DataError> {
        let text = std::str::from_utf8(self.take(len)?);
        let json = text.ok().and_then(|text| serde_json::to_vec(text).ok());
        self.put(&json.ok_or_else(|| corrupt("a string is not UTF-8"))?)
    }

    fn unsigned<const N: usize>(&mut self) -> Result<(), DataError> {
        let number = self.bits::<N>(0)?;
        self.print(&u64::from_be_bytes(number))
    }

    fn signed<const N: usize>(&mut self) -> Result<(), DataError> {
        let is_negative = self.rest.first().is_some_and(|first| first & 0x80 != 0);
        let number = self.bits::<N>(if is_negative { 0xff } else { 0 })?;
        self.print(&i64::from_be_bytes(number))
    }

    /// A number of `N` bytes, filled up in front.
    fn bits<const N: usize>(&mut self, fill: u8) -> Result<[u8; 8], DataError> {
        let mut bits = [fill; 8];
        for (place, byte) in bits.iter_mut().rev().zip(self.array::<N>()?.iter().rev()) {
            *place = *byte;
        }
        Ok(bits)
    }

    fn len<const N: usize>(&mut self) -> Result<usize, DataError> {
        let len = u64::from_be_bytes(self.bits::<N>(0)?);
        usize::try_from(len).map_err(|_| corrupt("it is too short"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DataError> {
        let (array, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| corrupt("it is too short"))?;
        self.rest = rest;
        Ok(*array)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DataError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| corrupt("it is too short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn print(&mut self, number: &impl ToString) -> Result<(), DataError> {
        self.put(number.to_string().as_bytes())
    }

    fn put(&mut self, json: &[u8]) -> Result<(), DataError> {
        let (size, max) = (self.json.len() + json.len(), self.max);
        if size > max {
            return Err(DataError::TooLarge { size, max });
        }
        self.json.extend_from_slice(json);
        Ok(())
    }
}

fn deeper(depth: usize) -> Result<usize, DataError> {
    if depth >= DEEPEST {
        return Err(corrupt("a value is nested too deeply"));
    }
    Ok(depth + 1)
}
