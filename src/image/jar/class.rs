//! The head of a class file (Java Virtual Machine Specification, §4.1).

/// Bytes of the head: magic number, minor and major version.
pub(super) const HEAD: usize = 8;

/// Java 1.0.2 has class files of version 45, each later release one more (table 4.1-A).
const FIRST: u16 = 44;

/// The major version in the head of a class file; `None` if it is none.
pub(super) fn major(head: &[u8]) -> Option<u16> {
    let [0xCA, 0xFE, 0xBA, 0xBE, _, _, high, low] = *head else {
        return None;
    };
    Some(u16::from_be_bytes([high, low])).filter(|major| *major > FIRST)
}

/// The Java release that reads class files of this major version: 61 is Java 17's.
pub(super) const fn release(major: u16) -> u16 {
    major.saturating_sub(FIRST)
}

/// The major version of a Java release's class files.
pub(super) const fn version(release: u16) -> u16 {
    release + FIRST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_tells_the_java_release() {
        let head = |major: u8| [0xCA, 0xFE, 0xBA, 0xBE, 0, 0, 0, major];
        assert_eq!(major(&head(61)).map(release), Some(17));
        assert_eq!(major(&head(65)).map(release), Some(21));
        assert_eq!(major(&head(52)).map(release), Some(8));
        assert_eq!(version(17), 61);
        assert_eq!(major(&head(0)), None);
        assert_eq!(major(b"PK\x03\x04    "), None);
        assert_eq!(major(&head(61)[..7]), None);
    }
}
