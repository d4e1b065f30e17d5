//! How a value names its schema: the wire format of Confluent's serializers, "Wire format" in the documentation of their
//! schema registry. A byte 0, the schema's id in four bytes, the highest first, then Avro's binary encoding.

/// The first byte: the format's version.
const MAGIC: u8 = 0;
/// The length of what comes before the encoding.
const HEAD: usize = 5;

/// The bytes of a value that was encoded by the schema of this id.
pub fn framed(id: u32, encoded: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + encoded.len());
    bytes.push(MAGIC);
    bytes.extend(id.to_be_bytes());
    bytes.extend(encoded);
    bytes
}

/// The id of the schema, and the encoding; `None` for bytes that are not of this format.
pub fn unframed(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, encoded) = bytes.split_at_checked(HEAD)?;
    let [MAGIC, id @ ..] = head else { return None };
    Some((u32::from_be_bytes(id.try_into().ok()?), encoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_goes_behind_the_id_of_its_schema() {
        assert_eq!(framed(258, b"ab"), [0, 0, 0, 1, 2, b'a', b'b']);
        assert_eq!(unframed(&framed(u32::MAX, b"x")), Some((u32::MAX, &b"x"[..])));
        assert_eq!(
            unframed(&framed(7, b"")),
            Some((7, &b""[..])),
            "a record without fields"
        );
        for other in [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\x01a", b"{\"id\": 1}"] {
            assert_eq!(unframed(other), None, "{other:?}");
        }
    }
}
