//! How things are measured: A B A B, medians, and thrice more where a bound was missed.

use crate::Result;

/// Seconds of what is measured, and of its limit in the same rounds. Medians.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    /// Ours.
    pub ours_s: f64,
    /// The limit's.
    pub limit_s: f64,
}

impl Pair {
    /// Ours over the limit's.
    pub(crate) fn ratio(&self) -> f64 {
        self.ours_s / self.limit_s
    }
}

/// Takes turns, `rounds` times. Each was done once before that, so that caches are warm.
pub(crate) fn in_turn(
    rounds: usize,
    mut ours: impl FnMut() -> Result<f64>,
    mut limit: impl FnMut() -> Result<f64>,
) -> Result<Pair> {
    ours()?;
    limit()?;
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        a.push(ours()?);
        b.push(limit()?);
    }
    Ok(Pair { ours_s: median(a), limit_s: median(b) })
}

/// Measures a ratio once, and thrice more if it is over the bound: others may have been busy here.
pub(crate) fn against(
    bound: Option<f64>,
    mut measure: impl FnMut() -> Result<Pair>,
) -> Result<Vec<Pair>> {
    let mut pairs = vec![measure()?];
    if bound.is_some_and(|bound| pairs[0].ratio() > bound) {
        for _ in 0..3 {
            pairs.push(measure()?);
        }
    }
    Ok(pairs)
}

/// The middle of some values; the upper one of two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(ours_s: f64) -> Pair {
        Pair { ours_s, limit_s: 1.0 }
    }

    #[test]
    fn the_middle_is_found_without_order() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![1.0, 2.0]), 2.0);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn turns_alternate_and_the_first_of_each_does_not_count() {
        let order = std::cell::RefCell::new(String::new());
        let turn = |name: char, s: f64| {
            let times = order.borrow().matches(name).count();
            order.borrow_mut().push(name);
            Ok(if times == 0 { 1000.0 } else { s })
        };
        let pair = in_turn(3, || turn('a', 2.0), || turn('b', 4.0)).unwrap();
        assert_eq!((pair.ratio(), order.into_inner().as_str()), (0.5, "abababab"));
    }

    #[test]
    fn only_a_missed_bound_is_measured_again_and_all_results_are_kept() {
        let mut results = [2.0, 0.5, 3.0, 0.6].into_iter();
        let mut next = || Ok(pair(results.next().unwrap()));
        assert_eq!(against(Some(1.0), &mut next).unwrap().len(), 4);
        assert_eq!(against(Some(1.0), || Ok(pair(1.0))).unwrap().len(), 1);
        assert_eq!(against(None, || Ok(pair(9.0))).unwrap().len(), 1);
    }
}
