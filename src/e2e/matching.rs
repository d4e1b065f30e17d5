//! Which expected record is which seen one, where several would do: as many pairs as there can be.

use std::collections::VecDeque;

/// Pairs rows with seen records, each at most once, so that no other choice has more pairs. `candidates` gives the seen
/// records that fit a row, `owner` holds for each seen record the row that has it, and may have been begun.
///
/// Augmenting paths: a row without a record takes one from another row that can do with a third one. A search that
/// fails leaves records that no later search can make use of either, so each one is looked at once for nothing.
pub(super) fn improve(open: &[usize], owner: &mut [Option<usize>], candidates: impl Fn(usize) -> Vec<usize>) {
    let mut dead = vec![false; owner.len()];
    for &root in open {
        // which row wants a seen record, for the way back
        let mut wanted_by: Vec<(usize, usize)> = Vec::new();
        let mut visited: Vec<usize> = Vec::new();
        let mut queue = VecDeque::from([root]);
        let mut free = None;
        'search: while let Some(row) = queue.pop_front() {
            for seen in candidates(row) {
                if dead[seen] {
                    continue;
                }
                dead[seen] = true;
                visited.push(seen);
                wanted_by.push((seen, row));
                match owner[seen] {
                    None => {
                        free = Some(seen);
                        break 'search;
                    }
                    Some(other) => queue.push_back(other),
                }
            }
        }
        let Some(mut seen) = free else { continue };
        // along the way back each row gives up what it had for what it found
        while let Some(&(_, row)) = wanted_by.iter().find(|(s, _)| *s == seen) {
            let before = visited.iter().copied().find(|&s| s != seen && owner[s] == Some(row));
            owner[seen] = Some(row);
            match before {
                Some(given_up) if row != root => {
                    owner[given_up] = None;
                    seen = given_up;
                }
                _ => break,
            }
        }
        for seen in visited {
            dead[seen] = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The greatest number of pairs, by trying everything.
    fn best(edges: &[Vec<usize>], used: &mut Vec<bool>) -> usize {
        let Some((first, rest)) = edges.split_first() else {
            return 0;
        };
        let mut most = best(rest, used);
        for &seen in first {
            if !used[seen] {
                used[seen] = true;
                most = most.max(1 + best(rest, used));
                used[seen] = false;
            }
        }
        most
    }

    proptest! {
        #[test]
        fn no_other_choice_has_more_pairs(
            edges in proptest::collection::vec(proptest::collection::btree_set(0usize..6, 0..4), 0..6),
            begun in any::<bool>(),
        ) {
            let edges: Vec<Vec<usize>> = edges.into_iter().map(|set| set.into_iter().collect()).collect();
            let mut owner = vec![None; 6];
            if begun {
                for (row, seen) in edges.iter().enumerate() {
                    if let Some(free) = seen.iter().find(|s| owner[**s].is_none()) {
                        owner[*free] = Some(row);
                    }
                }
            }
            let open: Vec<usize> = (0..edges.len()).filter(|row| !owner.contains(&Some(*row))).collect();
            improve(&open, &mut owner, |row| edges[row].clone());
            let pairs: Vec<(usize, usize)> = owner.iter().enumerate().filter_map(|(s, r)| Some(((*r)?, s))).collect();
            for (row, seen) in &pairs {
                prop_assert!(edges[*row].contains(seen));
                prop_assert_eq!(pairs.iter().filter(|(r, _)| r == row).count(), 1);
            }
            prop_assert_eq!(pairs.len(), best(&edges, &mut vec![false; 6]));
        }
    }
}
