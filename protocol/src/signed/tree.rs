//! Hash trees after RFC 6962: leaves under 0x00, nodes under 0x01.

use alloc::vec::Vec;

use crate::crypto::hash::Sha256;

/// Domain label of a signed tree root.
pub const LABEL: &[u8] = b"strongroom/tree/v1";

/// Hash of one node or leaf, SHA-256.
pub type Hash = [u8; 32];

/// Hash of a leaf with the content `preimage`.
pub fn leaf_hash(preimage: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(&[0]);
    hash.update(preimage);
    hash.finish()
}

/// Hash of the node over two others.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update(&[1]);
    hash.update(left);
    hash.update(right);
    hash.finish()
}

/// Root hash of `leaves` (their hashes), and for each leaf its path from the bottom up.
/// Empty for no leaves.
pub fn build(leaves: &[Hash]) -> Option<(Hash, Vec<Vec<Hash>>)> {
    let mut paths: Vec<Vec<Hash>> = leaves.iter().map(|_| Vec::new()).collect();
    let root = subtree(leaves, &mut paths)?;
    Some((root, paths))
}

/// RFC 6962 section 2.1: the left part is the largest power of two below the number of leaves.
fn subtree(leaves: &[Hash], paths: &mut [Vec<Hash>]) -> Option<Hash> {
    if leaves.len() <= 1 {
        return leaves.first().copied();
    }
    let split = split_point(leaves.len());
    let (left_paths, right_paths) = paths.split_at_mut(split);
    let left = subtree(&leaves[..split], left_paths)?;
    let right = subtree(&leaves[split..], right_paths)?;
    left_paths.iter_mut().for_each(|path| path.push(right));
    right_paths.iter_mut().for_each(|path| path.push(left));
    Some(node_hash(&left, &right))
}

fn split_point(len: usize) -> usize {
    len.next_power_of_two() / 2
}

/// Root hash that `leaf` at `index` of `size` leaves and its `path` lead to (RFC 9162 section
/// 2.1.3.2), or `None` where the path has the wrong length for that position.
pub fn root_from_path(leaf: Hash, index: u32, size: u32, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_of_every_small_tree_leads_to_the_root_and_to_no_other_place() {
        for size in 1..=33u32 {
            let leaves: Vec<Hash> = (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect();
            let (root, paths) = build(&leaves).unwrap();
            for (index, path) in paths.iter().enumerate() {
                let index = index as u32;
                for claimed in 0..size {
                    let found = root_from_path(leaves[index as usize], claimed, size, path);
                    assert_eq!(
                        found == Some(root),
                        claimed == index,
                        "{index} {claimed} of {size}"
                    );
                }
                let mut long = path.clone();
                long.push(root);
                assert_ne!(root_from_path(leaves[index as usize], index, size, &long), Some(root));
            }
        }
    }

    #[test]
    fn an_index_outside_the_tree_leads_nowhere() {
        assert_eq!(root_from_path([0; 32], 1, 1, &[]), None);
        assert_eq!(root_from_path([0; 32], 0, 0, &[]), None);
        assert_eq!(build(&[]), None);
    }
}
