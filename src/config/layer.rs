//! Lays one tree over another: mappings are merged key by key, anything else is replaced.

use super::yaml::{Node, Yaml};

/// `upper` over `base`. A key with nothing behind it (`kafka:` with all below it commented out) says nothing and
/// leaves what the base has. Every value keeps the place it came from.
pub(crate) fn over(base: Node, upper: Node) -> Node {
    match (base, upper) {
        (
            Node {
                value: Yaml::Map(mut below),
                ..
            },
            Node {
                value: Yaml::Map(above),
                place,
            },
        ) => {
            for entry in above {
                match below.iter_mut().find(|known| known.key == entry.key) {
                    Some(known) if !matches!(entry.node.value, Yaml::Null) => {
                        known.place = entry.place;
                        let base = std::mem::replace(&mut known.node.value, Yaml::Null);
                        let base = Node {
                            value: base,
                            place: known.node.place.clone(),
                        };
                        known.node = over(base, entry.node);
                    }
                    Some(_) => {}
                    None => below.push(entry),
                }
            }
            Node {
                value: Yaml::Map(below),
                place,
            }
        }
        (_, upper) => upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;
    use crate::config::yaml::parse;
    use crate::diag::Reason;

    fn tree(file: &str, text: &str) -> Node {
        parse(&Source::new(file, text), Reason::ConfigInvalid).unwrap()
    }

    #[test]
    fn mappings_merge_and_the_rest_is_replaced() {
        let base = tree("base", "a: {x: 1, y: 2}\nb: [1, 2]\nc: 3\n");
        let upper = tree("upper", "a: {y: 5, z: 6}\nb: [9]\nc:\nd:\n");
        let both = over(base, upper);
        let expected = serde_json::json!({"a": {"x": 1, "y": 5, "z": 6}, "b": [9], "c": 3, "d": null});
        assert_eq!(both.json(), expected);
        assert_eq!(both.locate("a.x").file().to_str(), Some("base"));
        assert_eq!(both.locate("a.y").file().to_str(), Some("upper"));
        assert_eq!(both.entry("a").unwrap().place.file().to_str(), Some("upper"));
    }
}
