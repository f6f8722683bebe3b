//! A persistent set of whole numbers, kept as maximal intervals.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use imbl::OrdMap;

/// A number that [`Ranges`] can hold.
pub trait Point: Copy + Ord + Debug {
    /// The greatest number of the type.
    const MAX: Self;
    /// Returns the number after this one, if there is one.
    fn next(self) -> Option<Self>;
    /// Returns the number before this one, if there is one.
    fn previous(self) -> Option<Self>;
    /// Returns the number of steps from `self` up to `other`, which is not smaller.
    fn steps_to(self, other: Self) -> u128;
}

macro_rules! point {
    ($($number:ty),*) => {$(
        impl Point for $number {
            const MAX: Self = <$number>::MAX;
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }
            fn steps_to(self, other: Self) -> u128 {
                u128::from(other.saturating_sub(self))
            }
        }
    )*};
}
point!(u16, u32, u128);

/// A set of numbers as start → last of each interval; neighbours are merged, so equal sets have equal maps.
///
/// A clone shares everything and costs nothing. Every operation takes O(log n) in the number of intervals, plus the intervals
/// that it swallows or counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges<T: Point> {
    map: OrdMap<T, T>,
}

impl<T: Point> Default for Ranges<T> {
    fn default() -> Self {
        Ranges { map: OrdMap::new() }
    }
}

impl<T: Point> Ranges<T> {
    /// Returns the empty set.
    pub fn new() -> Self {
        Ranges::default()
    }

    /// Says whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Says whether `point` is in the set.
    pub fn contains(&self, point: T) -> bool {
        self.interval_at(point).is_some()
    }

    /// Adds one number; says whether it was new.
    pub fn insert(&mut self, point: T) -> bool {
        let new = !self.contains(point);
        if new {
            self.insert_range(point..=point);
        }
        new
    }

    /// Takes one number out; says whether it was there.
    pub fn remove(&mut self, point: T) -> bool {
        let present = self.contains(point);
        if present {
            self.remove_range(point..=point);
        }
        present
    }

    /// Adds every number of `range`; an empty range adds nothing.
    pub fn insert_range(&mut self, range: RangeInclusive<T>) {
        let (mut start, mut last) = range.into_inner();
        if start > last {
            return;
        }
        // An interval that ends just before the range grows instead of getting a neighbour.
        let probe = start.previous().unwrap_or(start);
        if let Some((before, end)) = self.interval_at(probe) {
            start = before;
            last = last.max(end);
        }
        // The same at the other end, one past the range.
        let reach = last.next().unwrap_or(last);
        while let Some((inner, end)) = self.first_starting_in(start, reach) {
            self.map.remove(&inner);
            last = last.max(end);
        }
        self.map.insert(start, last);
    }

    /// Takes every number of `range` out; an empty range takes nothing.
    pub fn remove_range(&mut self, range: RangeInclusive<T>) {
        let (start, last) = range.into_inner();
        if start > last {
            return;
        }
        if let (Some((before, end)), Some(kept)) = (self.interval_at(start), start.previous())
            && before < start
        {
            self.map.insert(before, kept);
            self.map.insert(start, end);
        }
        while let Some((inner, end)) = self.first_starting_in(start, last) {
            self.map.remove(&inner);
            if let (true, Some(rest)) = (end > last, last.next()) {
                self.map.insert(rest, end);
            }
        }
    }

    /// Returns the smallest number of `range` that is not in the set.
    pub fn first_free_in(&self, range: RangeInclusive<T>) -> Option<T> {
        let (start, last) = range.into_inner();
        if start > last {
            return None;
        }
        // Intervals never touch, so the number after one is free.
        let free = match self.interval_at(start) {
            Some((_, end)) => end.next()?,
            None => start,
        };
        (free <= last).then_some(free)
    }

    /// Returns the first number of `range` after `cursor` that is not in the set, continuing from the start of the range when
    /// its end is reached; the cursor itself comes last. A cursor outside the range counts as its end.
    pub fn next_free_after(&self, cursor: T, range: RangeInclusive<T>) -> Option<T> {
        if !range.contains(&cursor) {
            return self.first_free_in(range);
        }
        cursor
            .next()
            .and_then(|next| self.first_free_in(next..=*range.end()))
            .or_else(|| self.first_free_in(*range.start()..=cursor))
    }

    /// Says whether no number of `range` is in the set.
    pub fn is_free(&self, range: RangeInclusive<T>) -> bool {
        let (start, last) = range.into_inner();
        start > last || (self.interval_at(start).is_none() && self.first_starting_in(start, last).is_none())
    }

    /// Counts the numbers of `range` that are in the set; the whole of `u128` saturates.
    pub fn count_in(&self, range: RangeInclusive<T>) -> u128 {
        let (start, last) = range.into_inner();
        if start > last {
            return 0;
        }
        let size = |from: T, to: T| from.steps_to(to).saturating_add(1);
        let head = match self.interval_at(start) {
            Some((before, end)) if before < start => size(start, end.min(last)),
            _ => 0,
        };
        self.map.range(start..=last).map(|(from, to)| size(*from, (*to).min(last))).fold(head, u128::saturating_add)
    }

    /// Yields the maximal intervals in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<T>> + '_ {
        self.map.iter().map(|(start, last)| *start..=*last)
    }

    fn interval_at(&self, point: T) -> Option<(T, T)> {
        let (start, last) = self.map.get_prev(&point)?;
        (*last >= point).then_some((*start, *last))
    }

    fn first_starting_in(&self, from: T, to: T) -> Option<(T, T)> {
        let (start, last) = self.map.get_next(&from)?;
        (*start <= to).then_some((*start, *last))
    }
}

impl<T: Point> FromIterator<RangeInclusive<T>> for Ranges<T> {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<T>>>(ranges: I) -> Self {
        let mut set = Ranges::new();
        for range in ranges {
            set.insert_range(range);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16, u16),
        Remove(u16, u16),
    }

    /// Both ends of the type are in reach: the arithmetic must not run over them.
    fn point() -> impl Strategy<Value = u16> {
        prop_oneof![0u16..40, (u16::MAX - 40)..=u16::MAX]
    }

    fn step() -> impl Strategy<Value = Step> {
        (any::<bool>(), point(), 0u16..12).prop_map(|(insert, start, more)| {
            let last = start.saturating_add(more);
            if insert { Step::Insert(start, last) } else { Step::Remove(start, last) }
        })
    }

    fn apply(steps: &[Step]) -> (Ranges<u16>, BTreeSet<u16>) {
        let (mut set, mut model) = (Ranges::new(), BTreeSet::new());
        for step in steps {
            match *step {
                Step::Insert(a, b) => {
                    set.insert_range(a..=b);
                    model.extend(a..=b);
                }
                Step::Remove(a, b) => {
                    set.remove_range(a..=b);
                    model.retain(|n| !(a..=b).contains(n));
                }
            }
        }
        (set, model)
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(steps in prop::collection::vec(step(), 0..40), a in point(), b in point(), c in point()) {
            let (set, model) = apply(&steps);
            let held: Vec<u16> = set.iter().flatten().collect();
            prop_assert_eq!(held, model.iter().copied().collect::<Vec<_>>());
            let intervals: Vec<_> = set.iter().collect();
            for pair in intervals.windows(2) {
                prop_assert!(u32::from(*pair[0].end()) + 1 < u32::from(*pair[1].start()), "not merged");
            }
            let (low, high) = (a.min(b), a.max(b));
            prop_assert_eq!(set.contains(a), model.contains(&a));
            prop_assert_eq!(set.count_in(low..=high), model.range(low..=high).count() as u128);
            prop_assert_eq!(set.is_free(low..=high), model.range(low..=high).next().is_none());
            prop_assert_eq!(set.first_free_in(low..=high), (low..=high).find(|n| !model.contains(n)));
            let after = if (low..=high).contains(&c) { c } else { high };
            let mut wrapped = (low..=high).filter(|n| *n > after).chain(low..=after);
            prop_assert_eq!(set.next_free_after(c, low..=high), wrapped.find(|n| !model.contains(n)));
        }

        #[test]
        fn one_number_at_a_time_says_what_changed(points in prop::collection::vec((any::<bool>(), point()), 0..80)) {
            let (mut set, mut model) = (Ranges::new(), BTreeSet::new());
            for (add, point) in points {
                if add {
                    prop_assert_eq!(set.insert(point), model.insert(point));
                } else {
                    prop_assert_eq!(set.remove(point), model.remove(&point));
                }
            }
            prop_assert_eq!(set.is_empty(), model.is_empty());
        }
    }

    /// The upstream address set tests: 64-bit and larger prefixes, full sets, counts.
    #[test]
    fn holds_the_whole_of_u128() {
        let mut set = Ranges::new();
        set.insert_range(0..=u128::MAX);
        assert_eq!(set.first_free_in(0..=u128::MAX), None);
        assert_eq!(set.next_free_after(u128::MAX, 0..=u128::MAX), None);
        assert_eq!(set.count_in(0..=u128::MAX), u128::MAX);
        assert_eq!(set.count_in(1 << 64..=(1 << 65) - 1), 1 << 64);
        set.remove(u128::MAX);
        assert_eq!(set.next_free_after(7, 0..=u128::MAX), Some(u128::MAX));
        set.remove_range(0..=u128::MAX);
        assert!(set.is_empty());
    }

    /// The upstream bitmap tests on selection: a released number is found again, wherever the cursor is.
    #[test]
    fn a_clone_is_unaffected_and_a_released_number_comes_back() {
        let full: Ranges<u16> = [10..=20].into_iter().collect();
        let mut hole = full.clone();
        hole.remove(15);
        assert!(full.contains(15));
        assert_eq!(hole.next_free_after(15, 10..=20), Some(15));
        assert_eq!(hole.iter().collect::<Vec<_>>(), [10..=14, 16..=20]);
    }
}
