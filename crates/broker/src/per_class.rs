//! One value for each class of edits. What a newer version's class means, nobody here knows: it goes with `bulk`.

use std::ops::{Index, IndexMut};

use limekiln_jobs::Class;

/// One value for each class.
#[derive(Debug, Default)]
pub(crate) struct PerClass<T> {
    interactive: T,
    bulk: T,
}

impl<T> Index<Class> for PerClass<T> {
    type Output = T;

    fn index(&self, class: Class) -> &T {
        match class {
            Class::Interactive => &self.interactive,
            Class::Bulk | Class::Other(_) => &self.bulk,
        }
    }
}

impl<T> IndexMut<Class> for PerClass<T> {
    fn index_mut(&mut self, class: Class) -> &mut T {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Bulk | Class::Other(_) => &mut self.bulk,
        }
    }
}
