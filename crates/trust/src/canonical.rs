//! Canonical JSON: the one byte form of a document that signatures cover.
//!
//! This is the form of OLPC and securesystemslib, not RFC 8785: no white space,
//! keys in the order of their code points, integers only, and inside strings
//! nothing is escaped but the quotation mark and the backslash.

use crate::TrustError;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::{Map, Number, Value};

/// The canonical bytes of `value`.
///
/// # Errors
/// `NotInteger`: the form has no fractions and no exponents.
pub fn canonical(value: &Value) -> Result<Vec<u8>, TrustError> {
    let mut out = Vec::new();
    write_value(&mut out, value)?;
    Ok(out)
}

fn write_value(out: &mut Vec<u8>, value: &Value) -> Result<(), TrustError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(out, number)?,
        Value::String(text) => write_string(out, text),
        Value::Array(items) => write_array(out, items)?,
        Value::Object(map) => write_object(out, map)?,
    }
    Ok(())
}

fn write_number(out: &mut Vec<u8>, number: &Number) -> Result<(), TrustError> {
    if number.is_f64() {
        return Err(TrustError::NotInteger);
    }
    out.extend_from_slice(number.to_string().as_bytes());
    Ok(())
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn write_array(out: &mut Vec<u8>, items: &[Value]) -> Result<(), TrustError> {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_value(out, item)?;
    }
    out.push(b']');
    Ok(())
}

fn write_object(out: &mut Vec<u8>, map: &Map<String, Value>) -> Result<(), TrustError> {
    // Sorted here and not by the map: a feature of serde_json that another crate
    // switches on would keep the order of insertion. Bytes of UTF-8 sort as code points do.
    let mut fields: Vec<_> = map.iter().collect();
    fields.sort_unstable_by_key(|(key, _)| key.as_bytes());
    out.push(b'{');
    for (at, (key, value)) in fields.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(out, key);
        out.push(b':');
        write_value(out, value)?;
    }
    out.push(b'}');
    Ok(())
}
